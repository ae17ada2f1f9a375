"""How far a copy is, in one line of a terminal that is written anew."""

from __future__ import annotations

import time
from typing import TextIO

_PAUSE = 0.2
"""Seconds between two lines."""
_NAME = 40
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


class Silent:
    """Says nothing."""

    def begin(self, name: str, size: int) -> None:
        """A file is begun."""

    def advance(self, size: int) -> None:
        """More of it has arrived."""

    def end(self) -> None:
        """It is whole, or has failed."""


class Line:
    """Writes name, share, bytes and speed of each file to a terminal. Names come without escapes."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._name, self._size, self._done = "", 0, 0
        self._since = self._drawn = 0.0

    def begin(self, name: str, size: int) -> None:
        """A file is begun."""
        self._name, self._size, self._done = name, size, 0
        self._since = self._drawn = time.monotonic()

    def advance(self, size: int) -> None:
        """More of it has arrived."""
        self._done += size
        now = time.monotonic()
        if now - self._drawn >= _PAUSE:
            self._drawn = now
            self._draw(now)

    def end(self) -> None:
        """It is whole, or has failed: the line stays."""
        self._draw(time.monotonic())
        self._terminal.write("\n")
        self._terminal.flush()

    def _draw(self, now: float) -> None:
        share = 100 if self._done >= self._size else 100 * self._done // self._size
        speed = int(self._done / max(now - self._since, 0.001))
        name = self._name if len(self._name) <= _NAME else "…" + self._name[1 - _NAME :]
        self._terminal.write(f"\r{name:<{_NAME}} {share:>3}% {amount(self._done):>8} {amount(speed):>8}/s ")
        self._terminal.flush()


def amount(size: int) -> str:
    """Return a number of bytes in at most six characters and its unit of a thousand."""
    value = float(size)
    for unit in _UNITS:
        if value < 999.95 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
