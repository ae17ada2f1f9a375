"""A screen as bytes that draw it on a terminal: after a jump, nothing of what was there can be built upon."""

from __future__ import annotations

from typing import Any

from teleport.client.recordings.page import Line
from teleport.client.recordings.screen import Screen

_COLOURS = ["black", "red", "green", "brown", "blue", "magenta", "cyan", "white"]
_FLAGS = (("bold", 1), ("italics", 3), ("underscore", 4), ("blink", 5), ("reverse", 7), ("strikethrough", 9))

END = b"\x1b[!p\x1b[0m\x1b(B\x0f\x1b[?25h\x1b[?7h\x1b[4l"
"""Puts a terminal right after a playback, wherever that ended; the alternate page is left with LEAVE."""
LEAVE = b"\x1b[?1049l"


def paint(screen: Screen) -> bytes:
    """Return what draws the screen, its page and its cursor."""
    page = "\x1b[?1049h" if screen.alternate else "\x1b[?1049l"
    parts = [page, "\x1b[!p\x1b[r\x1b[0m\x1b(B\x0f\x1b[2J"]
    for number, line in enumerate(screen.rows, 1):
        if line.cells:
            parts += [f"\x1b[{number};1H", _row(line)]
    if screen.margins:
        parts.append(f"\x1b[{screen.margins[0] + 1};{screen.margins[1] + 1}r")
    parts += [
        _style(screen.cursor.attrs),
        f"\x1b[{screen.cursor.y + 1};{min(screen.cursor.x, screen.columns - 1) + 1}H",
    ]
    parts.append("\x1b[?25l" if screen.cursor.hidden else "\x1b[?25h")
    return "".join(parts).encode("utf-8", "replace")


def _row(line: Line) -> str:
    parts: list[str] = []
    last: object = None
    for cell, attrs in zip(line.cells, line.attrs, strict=True):
        if attrs is not last:
            parts.append(_style(attrs))
            last = attrs
        parts.append(cell)
    return "".join([*parts, "\x1b[0m"])


def _style(attrs: Any) -> str:
    codes = ["0", *(str(number) for name, number in _FLAGS if getattr(attrs, name))]
    codes += _colour(attrs.fg, 30) + _colour(attrs.bg, 40)
    return f"\x1b[{';'.join(codes)}m"


def _colour(name: str, base: int) -> list[str]:
    """Return the parameters for a colour of the library: a name, or six digits."""
    if name.startswith("bright") and name[6:] in _COLOURS:
        return [str(base + 60 + _COLOURS.index(name[6:]))]
    if name in _COLOURS:
        return [str(base + _COLOURS.index(name))]
    try:
        red, green, blue = bytes.fromhex(name)
    except ValueError:
        return []
    return [str(base + 8), "2", str(red), str(green), str(blue)]
