"""What of a recording may reach the terminal of somebody who watches it.

A terminal obeys whoever writes to it: it answers questions as if its user had typed, takes texts for the
clipboard, changes what keys send, prints, and renames windows. So a viewer's terminal gets only what
draws: text, and the controls and sequences that are listed here. Everything else is left out: all
strings (OSC with titles, clipboard and links; DCS; APC), all questions (DSR, DA, ENQ, DECRQSS, window reports), mouse,
focus and keyboard modes, and printing. Colours, cursor and pages stay as they were recorded.
"""

from __future__ import annotations

import codecs
import re

from teleport.wire import terminal_output as terminal

_CONTROLS = frozenset("\x07\x08\t\n\x0b\x0c\r\x0e\x0f")
_ESCAPES = frozenset(["7", "8", "D", "E", "H", "M", "c", "(0", "(B", ")0", ")B", "#8"])
_SEQUENCES = frozenset("@ABCDEFGHIJKLMPSTXZ`abdefgmrsu")
_PARAMETERS = re.compile("[0-9;:]*")
_PRIVATE = frozenset([6, 7, 12, 25, 47, 1047, 1048, 1049, 2026])
"""Modes of DEC and xterm that concern the screen alone."""
_ANSI = frozenset([4, 20])


class Sanitizer:
    """Filters output, piece by piece."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._tokens = terminal.Tokenizer()

    def feed(self, data: bytes) -> bytes:
        """Return what of this may be written. Bytes that are no UTF-8 become U+FFFD: some terminals take them for
        controls."""
        return "".join(_allowed(token) for token in self._tokens.feed(self._decode(data))).encode("utf-8", "replace")


def _allowed(token: terminal.Token) -> str:
    kind, body, final = token
    if kind == terminal.TEXT:
        return body
    if kind == terminal.CONTROL:
        return body if body in _CONTROLS else ""
    if kind == terminal.ESCAPE:
        return f"\x1b{body}{final}" if body + final in _ESCAPES else ""
    return _sequence(body, final) if kind == terminal.SEQUENCE else ""


def _sequence(body: str, final: str) -> str:
    prefix = "?" if body.startswith("?") else ""
    parameters = body[len(prefix) :]
    if not _PARAMETERS.fullmatch(parameters):
        return ""
    if final in "hl":
        known = _PRIVATE if prefix else _ANSI
        modes = [str(number) for number in terminal.numbers(parameters) if number in known]
        return f"\x1b[{prefix}{';'.join(modes)}{final}" if modes else ""
    if final not in _SEQUENCES or (prefix and final not in "JK"):
        return ""
    return f"\x1b[{body}{final}"
