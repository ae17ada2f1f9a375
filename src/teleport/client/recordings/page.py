"""What a screen consists of: lines of cells that know their times, and who hears of lines that leave it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from wcwidth import wcwidth


class Sink(Protocol):
    """Hears what stood on the screen."""

    def line(self, cells: Sequence[str], times: Sequence[int], last: int) -> None:
        """A whole line left the screen. `cells`: one text for each column, empty behind a wide character;
        `times`: the millisecond in which each came; `last`: the one in which the line left."""
        ...

    def plain(self, lines: Iterable[str], at: int) -> None:
        """Lines that came and went in the same millisecond, for the speed of it."""
        ...


class Nowhere:
    """A Sink for those who only want to see the screen."""

    def line(self, cells: Sequence[str], times: Sequence[int], last: int) -> None:
        """Forget it."""

    def plain(self, lines: Iterable[str], at: int) -> None:
        """Forget them."""


class Line:
    """A row of cells; what is right of its last cell is blank."""

    __slots__ = ("attrs", "blanked", "cells", "changed", "times", "wraps")

    def __init__(self, blanked: int = 0) -> None:
        self.cells: list[str] = []
        self.times: list[int] = []
        self.attrs: list[object] = []
        """How each is drawn: pyte's Char."""
        self.changed = blanked
        """When something in it last changed."""
        self.blanked = blanked
        """Since when the rest is blank."""
        self.wraps = False
        """Whether it goes on in the row below."""

    def pad(self, length: int, attrs: object) -> None:
        """Make blank cells up to this length real."""
        missing = length - len(self.cells)
        if missing > 0:
            self.cells.extend([" "] * missing)
            self.times.extend([self.blanked] * missing)
            self.attrs.extend([attrs] * missing)

    def cut(self, length: int, now: int) -> None:
        """Blank everything from there on."""
        del self.cells[length:], self.times[length:], self.attrs[length:]
        self.blanked = self.changed = now
        self.wraps = False
        if self.cells and _wide(self.cells[-1]):
            self.cells[-1] = " "


class Page:
    """The rows of a screen, and what scrolled off of the line that is cut by its upper edge."""

    def __init__(self, rows: int) -> None:
        self.lines = [Line() for _ in range(rows)]
        self.above: list[Line] = []


def mend(line: Line, start: int, stop: int) -> None:
    """Halves of wide characters at the edges of a change become blanks."""
    cells = line.cells
    if 0 < start <= len(cells) and (start == len(cells) or cells[start]) and _wide(cells[start - 1]):
        cells[start - 1] = " "
    if stop < len(cells) and not cells[stop] and (stop == 0 or not _wide(cells[stop - 1])):
        cells[stop] = " "


def _wide(cell: str) -> bool:
    return bool(cell) and wcwidth(cell[0]) == 2


def fit(page: Page, rows: int, columns: int, gone: int, now: int) -> None:
    """Give a page another size."""
    del page.lines[:gone]
    del page.lines[rows:]
    page.lines.extend(Line(now) for _ in range(rows - len(page.lines)))
    page.above = []
    for line in page.lines:
        if line.wraps or len(line.cells) > columns:
            changed, blanked = line.changed, line.blanked
            if len(line.cells) > columns:
                line.cut(columns, now)
            line.changed, line.blanked, line.wraps = changed, blanked, False
