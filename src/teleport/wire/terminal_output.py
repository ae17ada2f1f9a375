"""What a program writes to its terminal, taken apart: text, controls, escape sequences (ECMA-48, xterm's ctlseqs).

Here: where each begins and ends, in pieces of any size, with bounds. Not here: what they do
(`client.recordings.screen`), and which of them a viewer's terminal may see (`client.recordings.sanitize`).
No input raises anything, and what is kept between two pieces is bounded: recordings hold whatever a
program cared to print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

TEXT = "text"
"""Printable characters."""
CONTROL = "control"
"""One character of C0 or C1, or DEL."""
ESCAPE = "escape"
"""ESC, intermediates, and a final character."""
SEQUENCE = "sequence"
"""CSI: `body` has prefix, parameters and intermediates."""
STRING = "string"
"""OSC, DCS, APC, PM or SOS, with its introducer `]`, `P`, `_`, `^` or `X` as `final`; `body` may be cut."""

LONGEST_SEQUENCE = 256
LONGEST_STRING = 65536
"""Characters after which a string that does not end is given up, and what follows is text again: programs
must not be able to hide what they print behind a string that never ends."""
KEPT_OF_STRING = 4096

_C0_INSIDE = "\x00-\x17\x19\x1c-\x1f"
"""Controls that act in the middle of a sequence; CAN, SUB and ESC end it."""
_TOKEN = re.compile(
    "([^\x00-\x1f\x7f-\x9f]+)"
    "|([\x00-\x1a\x1c-\x1f\x7f-\x8f\x91-\x97\x99\x9a\x9c])"
    f"|(?:\x1b\\[|\x9b)([ -?{_C0_INSIDE}]{{0,{LONGEST_SEQUENCE}}})([@-~])"
    "|\x1b([]PX^_])"
    "|([\x90\x98\x9d-\x9f])"
    "|\x1b((?:[ -/]{1,8}(?=[0-~]))?)((?<=[ -/])[0-~]|[0-OQ-WYZ\\\\`-~])"
)
_UNFINISHED = re.compile(f"(?:\x1b\\[|\x9b)[ -?{_C0_INSIDE}]{{0,{LONGEST_SEQUENCE}}}|\x1b[ -/]{{0,8}}")
_END_OF_STRING = re.compile("[\x07\x18\x1a\x1b\x9c]")
_INSIDE = re.compile(f"[{_C0_INSIDE}]")
_OF_C1 = {"\x90": "P", "\x98": "X", "\x9d": "]", "\x9e": "^", "\x9f": "_"}


class Token(NamedTuple):
    """A piece of what was written."""

    kind: str
    body: str
    """The characters of TEXT and CONTROL; what stands before `final` of the others."""
    final: str = ""


class Tokenizer:
    """Takes text apart, piece by piece."""

    def __init__(self) -> None:
        self._rest = ""
        self._string: list[str] = []
        self._introducer = ""
        """Of the string that is being read; empty outside of strings."""
        self._length = 0

    @property
    def ground(self) -> bool:
        """Whether nothing is begun that is not ended."""
        return not self._rest and not self._introducer

    def feed(self, text: str) -> Iterator[Token]:
        """Yield what is complete with `text`; the rest waits for the next piece."""
        if self._rest:
            text, self._rest = self._rest + text, ""
        position, end = 0, len(text)
        match = _TOKEN.match
        while position < end:
            if self._introducer:
                position, ended = self._in_string(text, position)
                if ended is not None:
                    yield ended
                continue
            found = match(text, position)
            if found is None:
                position = self._unfinished(text, position)
                continue
            position = found.end()
            group = found.lastindex
            if group == 1:
                yield Token(TEXT, found[1])
            elif group == 2:
                yield Token(CONTROL, found[2])
            elif group == 4:
                yield from _sequence(found[3], found[4])
            elif group == 8:
                yield Token(ESCAPE, found[7], found[8])
            else:
                self._introducer, self._length = found[5] or _OF_C1[found[6]], 0

    def _unfinished(self, text: str, position: int) -> int:
        """Keep a sequence that may go on in the next piece, drop one that is broken; return where to go on."""
        found = _UNFINISHED.match(text, position)
        stop = found.end() if found is not None else position + 1
        if stop == len(text) and stop - position < LONGEST_SEQUENCE:
            self._rest = text[position:]
        return stop

    def _in_string(self, text: str, position: int) -> tuple[int, Token | None]:
        """Read on in a string. ESC ends it and stays, unless it is half of the terminator."""
        found = _END_OF_STRING.search(text, position)
        stop = len(text) if found is None else found.start()
        if self._length < KEPT_OF_STRING:
            self._string.append(text[position : min(stop, position + KEPT_OF_STRING - self._length)])
        self._length += stop - position
        if found is None:
            return stop, None if self._length < LONGEST_STRING else self._end()
        mark = text[stop]
        if mark == "\x07" and self._introducer != "]":
            return stop + 1, None
        if mark == "\x1b":
            if stop + 1 == len(text):
                self._rest = mark
                return len(text), None
            return stop + 2 if text[stop + 1] == "\\" else stop, self._end()
        return stop + 1, self._end()

    def _end(self) -> Token:
        token = Token(STRING, "".join(self._string), self._introducer)
        self._string, self._introducer = [], ""
        return token


def _sequence(body: str, final: str) -> Iterator[Token]:
    """Controls in the middle of a sequence act before it."""
    if _INSIDE.search(body):
        for control in _INSIDE.findall(body):
            yield Token(CONTROL, control)
        body = _INSIDE.sub("", body)
    yield Token(SEQUENCE, body, final)


def numbers(body: str, default: int = 0) -> list[int]:
    """Read the parameters of a sequence: numbers up to 9999, 32 of them; what is left out or odd is `default`.

    Of a parameter with parts (`38:2::1:2:3`) the first counts.
    """
    found: list[int] = []
    for part in body.split(";")[:32]:
        digits = part.partition(":")[0].strip()
        number = int(digits[:5]) if digits.isascii() and digits.isdigit() else default
        found.append(min(number, 9999))
    return found
