"""What a recording says of itself, and positions in it as people write them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from teleport.base.errors import BadParameter

_POSITION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8}(?:\.\d{1,3})?)s?)?")
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,3}):(\d{1,2}(?:\.\d{1,3})?)")


def facts_of(data: bytes) -> dict[str, Any]:
    """Read the data of a HEADER or END frame; what is no JSON object is an empty one."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def size_in(facts: dict[str, Any]) -> tuple[int, int]:
    """Return the columns and rows that a header says, or 80 and 25."""
    columns, rows = facts.get("columns"), facts.get("rows")
    if isinstance(columns, int) and isinstance(rows, int) and 0 < columns < 10000 and 0 < rows < 10000:
        return columns, rows
    return 80, 25


def without_terminal(facts: dict[str, Any]) -> bool:
    """Whether this is the header of a session that had no terminal: its lines end with a line feed alone."""
    return "session_id" in facts and not facts.get("interactive")


def position(text: str) -> int:
    """Read a position: `83`, `83.5s`, `1m23s`, `1:23`, `1:02:03.250`; return milliseconds.

    Raises BadParameter (CLIENT-POSITION).
    """
    found = _POSITION.fullmatch(text) or _CLOCK.fullmatch(text)
    if found is None or not text:
        raise BadParameter("CLIENT-POSITION", value=text[:40])
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return round((hours * 3600 + minutes * 60 + seconds) * 1000)


def position_text(at: int) -> str:
    """Write a position so that `position` reads it: `1h2m3.250s`, without a fraction where there is none."""
    seconds, rest = divmod(at, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:03d}" if rest else ""
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}{fraction}s"
