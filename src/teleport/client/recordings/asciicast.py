"""Recordings as asciicast v2 files, which other players read (https://docs.asciinema.org/manual/asciicast/v2/).

A header line, then a line for each event: seconds, kind, text. What a terminal got becomes `o`, sizes `r`, what the
service said `m`. Bytes are decoded as UTF-8 across frames: a character that two frames share comes with
the second. Not here: where the lines go.
"""

from __future__ import annotations

import codecs
import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from teleport.base.errors import BadParameter, TeleportError
from teleport.client.recordings.facts import facts_of, size_in, without_terminal
from teleport.wire import recording
from teleport.wire.recording import Frame

LONGEST_LINE = 8 * 1024 * 1024
"""Bytes of a line that is read."""
_SIZE = re.compile(r"[1-9][0-9]{0,3}x[1-9][0-9]{0,3}")
_TEXT_PART = 128 * 1024
"""Characters of a frame that is made of an event: any of them fit into its bytes."""


def write(frames: Iterable[Frame]) -> Iterator[str]:
    """Yield the lines of a file, each with its line feed."""
    decoders = {kind: codecs.getincrementaldecoder("utf-8")("replace") for kind in (recording.OUTPUT, recording.ERROR)}
    facts: dict[str, Any] = {}
    begun, last = False, 0
    for at, kind, data in frames:
        last = at
        if kind == recording.HEADER and not begun:
            facts = facts_of(data)
            continue
        if not begun:
            begun = True
            yield _header(facts, data if kind == recording.RESIZE else b"")
        if kind in decoders:
            text = decoders[kind].decode(data)
            if without_terminal(facts):
                text = text.replace("\r\n", "\n").replace("\n", "\r\n")
            if text:
                yield _event(at, "o", text)
        elif kind == recording.RESIZE:
            yield _event(at, "r", data.decode("ascii", "replace"))
        elif kind == recording.MARKER:
            yield _event(at, "m", data.decode("utf-8", "replace"))
    if not begun:
        yield _header(facts, b"")
    rest = "".join(decoder.decode(b"", final=True) for decoder in decoders.values())
    yield _event(last, "o", rest)


def _header(facts: dict[str, Any], size: bytes) -> str:
    columns, rows = size_in(facts)
    try:
        columns, rows = recording.size_of(size) if size else (columns, rows)
    except TeleportError:
        pass
    header: dict[str, Any] = {"version": 2, "width": columns, "height": rows}
    try:
        header["timestamp"] = int(dt.datetime.fromisoformat(str(facts["start"])).timestamp())
    except (KeyError, ValueError, OverflowError):
        pass
    if facts.get("command"):
        header["command"] = str(facts["command"])
    who = f"{facts.get('login', '')}@{facts.get('hostname', '')}".strip("@")
    if who:
        header["title"] = who
    header["env"] = {"TERM": str(facts.get("term") or "xterm-256color"), "SHELL": ""}
    return json.dumps(header, ensure_ascii=False) + "\n"


def _event(at: int, kind: str, text: str) -> str:
    return f"[{at // 1000}.{at % 1000:03d}, {json.dumps(kind)}, {json.dumps(text, ensure_ascii=False)}]\n"


def read(lines: Iterable[bytes]) -> Iterator[Frame]:
    """Yield the frames of a file.

    Raises BadParameter (CLIENT-CAST): not version 2, a line that is no event, or times that go back.
    """
    source = iter(lines)
    header = _decode(next(source, b""), 1)
    if not isinstance(header, dict) or header.get("version") != 2:
        raise _bad(1, "it is no header of asciicast version 2")
    columns, rows = size_in({"columns": header.get("width"), "rows": header.get("height")})
    facts = {
        "columns": columns,
        "rows": rows,
        "command": header.get("command") or "",
        "title": header.get("title") or "",
    }
    yield Frame(0, recording.HEADER, json.dumps(facts).encode())
    yield Frame(0, recording.RESIZE, f"{columns}x{rows}".encode())
    last = 0
    for number, line in enumerate(source, 2):
        if line.strip():
            for frame in _frames(_decode(line, number), number, last):
                last = frame.at
                yield frame


def _frames(event: object, number: int, last: int) -> Iterator[Frame]:
    if not (isinstance(event, list) and len(event) == 3 and isinstance(event[1], str) and isinstance(event[2], str)):
        raise _bad(number, "it is no event")
    seconds = event[0]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 10**9:
        raise _bad(number, "its time is none")
    at, text = max(round(seconds * 1000), last), event[2]
    if event[1] == "o":
        for start in range(0, len(text), _TEXT_PART):
            yield Frame(at, recording.OUTPUT, text[start : start + _TEXT_PART].encode("utf-8", "replace"))
    elif event[1] == "r" and _SIZE.fullmatch(text):
        yield Frame(at, recording.RESIZE, text.encode())
    elif event[1] == "m":
        yield Frame(at, recording.MARKER, text[:_TEXT_PART].encode("utf-8", "replace"))


def _decode(line: bytes, number: int) -> object:
    if len(line) > LONGEST_LINE:
        raise _bad(number, f"it is longer than {LONGEST_LINE} bytes")
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad(number, "it is no JSON") from None


def _bad(number: int, problem: str) -> BadParameter:
    return BadParameter("CLIENT-CAST", line=number, problem=problem)
