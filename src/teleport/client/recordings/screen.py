"""The screen of a terminal, remembering when each character came to stand where it stands.

pyte's Screen keeps cursor, margins, modes, tab stops and colours; the cells are our own: flat lists, which are
fast, and which know their time. A text stood on the screen complete when the last of its characters came.
Lines that the terminal wrapped at its right margin are one line. What leaves the screen is told to a Sink:
always when it scrolls off, is cleared, or the screen changes its size or its page; when it is overwritten
or erased in place only if it had stood for SETTLED_MS, or every step of a progress bar would be told.

Bytes are taken apart elsewhere (`wire.terminal_output`); `client.recordings.emulator` brings both together.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import pyte
from pyte import modes
from wcwidth import wcwidth

from teleport.client.recordings.page import Line, Page, Sink, fit, mend

SETTLED_MS = 250
"""Milliseconds that a line stands before it counts as read when it is overwritten in place."""
MOST_COLUMNS, MOST_ROWS = 1000, 500
"""A larger screen is drawn as one of this size."""
LONGEST_LINE = 16384
"""Cells of a wrapped line that are kept together once it scrolls off; a longer one is told in parts."""
OVERLAP = 256
"""Cells that two parts have in common, so that a text of this length is whole in one of them."""
_CHOICES = 4096
"""Of colours, that are remembered."""
_LONGEST_CELL = 16
"""Characters that share a cell: a letter and its marks."""


class Screen(pyte.Screen):
    """A screen of bounded size. Set `now` before each thing that happens."""

    def __init__(self, columns: int, rows: int, sink: Sink, *, every_state: bool = True) -> None:
        """`every_state`: tell the Sink of lines that are about to change too, not only of those that leave."""
        columns, rows = min(max(columns, 1), MOST_COLUMNS), min(max(rows, 1), MOST_ROWS)
        self.now = 0
        self._sink = sink
        self._every_state = every_state
        self._page = Page(rows)
        self._primary: Page | None = None
        """The page that waits while a program has the alternate one."""
        self._began = False
        self._drawn_as: dict[tuple[object, tuple[int, ...]], object] = {}
        super().__init__(columns, rows)
        self._began = True

    # What a reader sees

    @property
    def rows(self) -> list[Line]:
        """The lines on the screen, top down."""
        return self._page.lines

    @property
    def display(self) -> list[str]:
        """The text of each row, without blanks at its end."""
        return ["".join(line.cells).rstrip() for line in self._page.lines]

    @property
    def alternate(self) -> bool:
        """Whether a program has the alternate page."""
        return self._primary is not None

    def tell_all(self) -> None:
        """Tell the Sink every line that stands now, as at the end of a recording."""
        self._tell_page()
        if self._primary is not None:
            self._page, self._primary = self._primary, None
            self._tell_page()

    # Telling

    def _tell_page(self) -> None:
        y, rows = 0, len(self._page.lines)
        while y < rows:
            y = self._tell(y)
        self._page.above = []

    def _tell(self, y: int) -> int:
        """Tell the whole line that this row is part of; return the row after it."""
        lines = self._page.lines
        start, stop = y, y + 1
        while start > 0 and lines[start - 1].wraps:
            start -= 1
        while stop < len(lines) and lines[stop - 1].wraps:
            stop += 1
        self._tell_lines([*self._page.above, *lines[start:stop]] if start == 0 else lines[start:stop])
        return stop

    def _tell_lines(self, lines: Sequence[Line]) -> None:
        if len(lines) == 1:
            cells, times = lines[0].cells, lines[0].times
        else:
            cells, times = [], []
            for line in lines:
                if line.wraps:
                    line.pad(self.columns, self.default_char)
                cells.extend(line.cells)
                times.extend(line.times)
        if cells:
            self._sink.line(cells, times, self.now)

    def _before_change(self, y: int) -> None:
        """A row is about to lose something."""
        line = self._page.lines[y]
        if self._every_state and line.cells and self.now - line.changed >= SETTLED_MS:
            self._tell(y)

    def _tell_above(self) -> None:
        """The line that is cut by the upper edge ends there."""
        if self._page.above:
            self._tell_lines(self._page.above)
            self._page.above = []

    def _scrolled_off(self, line: Line) -> None:
        above = self._page.above
        if line.wraps:
            line.pad(self.columns, self.default_char)
            above.append(line)
            if len(above) * self.columns >= LONGEST_LINE:
                self._tell_lines(above)
                del above[: len(above) - max(OVERLAP // self.columns, 1)]
            return
        if above:
            self._tell_lines([*above, line])
            above.clear()
        elif line.cells:
            self._sink.line(line.cells, line.times, self.now)

    # Drawing

    def draw(self, data: str) -> None:
        """Draw printable characters at the cursor."""
        if modes.IRM in self.mode:
            self._insert(data)
        elif data.isascii():
            self._put_all(list(data))
        else:
            cells: list[str] = []
            for char in data:
                width = wcwidth(char)
                if width > 0:
                    cells.extend((char,) if width == 1 else (char, ""))
                elif width == 0:
                    self._put_all(cells)
                    cells = []
                    self._combine(char)
            self._put_all(cells)

    def _insert(self, data: str) -> None:
        """Draw in insert mode."""
        for char in data:
            width = wcwidth(char)
            if width > 0:
                self._room(width)
                self.insert_characters(width)
                self._put([char, ""][: min(width, self.columns)])
            elif width == 0:
                self._combine(char)

    def _put_all(self, cells: list[str]) -> None:
        """Put cells at the cursor and on the rows after it."""
        if self.columns == 1:
            cells = [cell for cell in cells if cell]
        position, end = 0, len(cells)
        while position < end:
            room = self._room(2 if position + 1 < end and not cells[position + 1] else 1)
            stop = min(position + room, end)
            if stop < end and not cells[stop]:
                stop -= 1
            run, position = cells[position:stop], stop
            if position < end and modes.DECAWM not in self.mode:
                run, position = [*run[:-1], cells[-1] or " "], end
            self._put(run)

    def _room(self, width: int) -> int:
        """Wrap, if what follows does not fit; return the columns that are left."""
        room: int = self.columns - self.cursor.x
        if room >= width or self.columns < width:
            return max(room, 1)
        if modes.DECAWM in self.mode:
            line = self._page.lines[self.cursor.y]
            line.pad(self.columns, self.default_char)
            if room == 1 and line.cells[-1] == " ":
                line.cells[-1] = ""  # a wide character did not fit: the text has no blank here
            line.wraps = True
            self.carriage_return()
            self.index()
            return int(self.columns)
        self.cursor.x = self.columns - width
        return width

    def _put(self, cells: list[str]) -> None:
        """Put cells at the cursor, in one row."""
        line, x, count, now = (
            self._page.lines[self.cursor.y],
            min(self.cursor.x, self.columns - 1),
            len(cells),
            self.now,
        )
        end = x + count
        if x >= len(line.cells):
            if x > len(line.cells):
                line.pad(x, self.default_char)
            line.cells.extend(cells)
            line.times.extend([now] * count)
            line.attrs.extend([self.cursor.attrs] * count)
            line.changed = now
        else:
            self._replace(line, x, cells)
        self.cursor.x = min(end, self.columns)

    def _replace(self, line: Line, x: int, cells: list[str]) -> None:
        """Put cells over others. One that is as it was keeps its time: it stood there all along."""
        end, now = x + len(cells), self.now
        before = line.cells[x:end]
        if before != cells:
            if "".join(before).strip():
                self._before_change(self.cursor.y)
            times = [
                was if old == new else now for old, new, was in zip(before, cells, line.times[x:end], strict=False)
            ]
            line.times[x:end] = times + [now] * (len(cells) - len(times))
            line.cells[x:end] = cells
            mend(line, x, end)
            line.changed = now
        line.attrs[x:end] = [self.cursor.attrs] * len(cells)

    def _combine(self, char: str) -> None:
        """A mark belongs to the character before it."""
        y, x = self.cursor.y, self.cursor.x - 1
        if x < 0 and y > 0 and self._page.lines[y - 1].wraps:
            y, x = y - 1, self.columns - 1
        line = self._page.lines[y]
        if 0 < x < len(line.cells) and not line.cells[x]:
            x -= 1
        if 0 <= x < len(line.cells) and len(line.cells[x]) < _LONGEST_CELL:
            line.cells[x] = unicodedata.normalize("NFC", line.cells[x] + char)
            line.times[x] = line.changed = self.now

    def select_graphic_rendition(self, *attrs: int) -> None:
        """Choose colours; the same choice is worked out once."""
        key = (self.cursor.attrs, attrs)
        known: Any = self._drawn_as.get(key)
        if known is None:
            super().select_graphic_rendition(*attrs)
            if len(self._drawn_as) < _CHOICES:
                self._drawn_as[key] = self.cursor.attrs
        else:
            self.cursor.attrs = known

    # Rows that move

    def _margins(self) -> tuple[int, int]:
        top, bottom = self.margins or (0, self.lines - 1)
        return int(top), min(int(bottom), len(self._page.lines) - 1)

    def index(self) -> None:
        """Move down, or the lines up."""
        top, bottom = self._margins()
        if self.cursor.y == bottom:
            lines = self._page.lines
            gone = lines.pop(top)
            lines.insert(bottom, Line(self.now))
            if top == 0:
                self._scrolled_off(gone)
            else:
                lines[top - 1].wraps = False
                self._tell_lines([gone])
        else:
            self.cursor_down()

    def reverse_index(self) -> None:
        """Move up, or the lines down."""
        top, bottom = self._margins()
        if self.cursor.y == top:
            self._down(top, bottom, 1)
        else:
            self.cursor_up()

    def insert_lines(self, count: int | None = None) -> None:
        """Make room for lines at the cursor."""
        top, bottom = self._margins()
        if top <= self.cursor.y <= bottom:
            self._down(self.cursor.y, bottom, count or 1)
            self.carriage_return()

    def delete_lines(self, count: int | None = None) -> None:
        """Take lines away at the cursor."""
        top, bottom = self._margins()
        if top <= self.cursor.y <= bottom:
            self._up(self.cursor.y, bottom, count or 1)
            self.carriage_return()

    def scroll_up(self, count: int | None = None) -> None:
        """Scroll the region up (SU)."""
        self._up(*self._margins(), count or 1)

    def scroll_down(self, count: int | None = None) -> None:
        """Scroll the region down (SD)."""
        self._down(*self._margins(), count or 1)

    def _down(self, first: int, bottom: int, count: int) -> None:
        lines, count = self._page.lines, min(count, bottom - first + 1)
        self._split(first)
        for y in range(bottom - count + 1, bottom + 1):
            self._tell(y)
        del lines[bottom - count + 1 : bottom + 1]
        lines[first:first] = [Line(self.now) for _ in range(count)]
        lines[bottom].wraps = False

    def _up(self, first: int, bottom: int, count: int) -> None:
        lines, count = self._page.lines, min(count, bottom - first + 1)
        if first > 0:
            self._split(first)
        gone = lines[first : first + count]
        del lines[first : first + count]
        lines[bottom - count + 1 : bottom - count + 1] = [Line(self.now) for _ in range(count)]
        for line in gone:
            if first == 0:
                self._scrolled_off(line)
            else:
                self._tell_lines([line])

    def _split(self, y: int) -> None:
        """What is above this row has nothing to do with it any more."""
        if y == 0:
            self._tell_above()
        elif self._page.lines[y - 1].wraps:
            self._tell(y - 1)
            self._page.lines[y - 1].wraps = False

    # Cells that go

    def insert_characters(self, count: int | None = None) -> None:
        """Shift the rest of the row to the right (ICH)."""
        line, x = self._page.lines[self.cursor.y], self.cursor.x
        if x < len(line.cells):
            self._before_change(self.cursor.y)
            added = min(count or 1, self.columns - x)
            line.cells[x:x] = [" "] * added
            line.times[x:x] = [self.now] * added
            line.attrs[x:x] = [self.default_char] * added
            blanked = line.blanked
            line.cut(self.columns, self.now) if len(line.cells) > self.columns else None
            line.blanked, line.changed = blanked, self.now
            mend(line, x, x + added)

    def delete_characters(self, count: int | None = None) -> None:
        """Shift the rest of the row to the left (DCH)."""
        line, x = self._page.lines[self.cursor.y], self.cursor.x
        if x < len(line.cells):
            self._before_change(self.cursor.y)
            gone = slice(x, x + (count or 1))
            del line.cells[gone], line.times[gone], line.attrs[gone]
            line.blanked = line.changed = self.now
            line.wraps = False
            mend(line, x, x)

    def erase_characters(self, count: int | None = None) -> None:
        """Blank cells at the cursor (ECH)."""
        self._blank(self.cursor.x, self.cursor.x + (count or 1))

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        """Blank a part of the row (EL)."""
        x = self.cursor.x
        if how in (0, 1, 2):
            self._blank(0 if how else x, x + 1 if how == 1 else self.columns)

    def _blank(self, start: int, stop: int) -> None:
        line = self._page.lines[self.cursor.y]
        if start >= len(line.cells):
            return
        if "".join(line.cells[start:stop]).strip():
            self._before_change(self.cursor.y)
        if stop >= len(line.cells):
            line.cut(start, self.now)
            return
        line.cells[start:stop] = [" "] * (stop - start)
        line.times[start:stop] = [self.now] * (stop - start)
        line.attrs[start:stop] = [self.default_char] * (stop - start)
        mend(line, start, stop)
        line.changed = self.now

    def erase_in_display(self, how: int = 0, *args: int, **kwargs: bool) -> None:
        """Blank a part of the screen (ED)."""
        y, rows = self.cursor.y, len(self._page.lines)
        first, stop = {0: (y + 1, rows), 1: (0, y), 2: (0, rows)}.get(how, (0, 0))
        if how in (0, 1):
            self.erase_in_line(how)
        self._clear(first, stop)

    def _clear(self, first: int, stop: int) -> None:
        if first >= stop:
            return
        if not any(line.cells for line in self._page.lines[first:stop]) and not self._page.above:
            return
        self._split(first) if first > 0 else None
        row = first
        while row < stop:
            row = self._tell(row)
        if first == 0:
            self._page.above = []
        self._page.lines[first:stop] = [Line(self.now) for _ in range(stop - first)]

    def alignment_display(self) -> None:
        """Fill the screen with E (DECALN)."""
        self._clear(0, len(self._page.lines))
        for line in self._page.lines:
            line.cells, line.times = ["E"] * self.columns, [self.now] * self.columns
            line.attrs, line.changed = [self.default_char] * self.columns, self.now

    # The whole screen

    def reset(self) -> None:
        """Begin anew (RIS)."""
        if self._began:
            self.tell_all()
            self._page = Page(self.lines)
        super().reset()

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Take another size. What no longer fits goes at the top as long as the cursor stays on the screen."""
        rows = min(max(lines or self.lines, 1), MOST_ROWS)
        columns = min(max(columns or self.columns, 1), MOST_COLUMNS)
        if (rows, columns) == (self.lines, self.columns):
            return
        if self._every_state:
            self._tell_page()
        gone = min(max(self.cursor.y + 1 - rows, 0), len(self._page.lines))
        for page in (self._page, self._primary):
            if page is not None:
                fit(page, rows, columns, gone if page is self._page else 0, self.now)
        self.lines, self.columns = rows, columns
        self.margins = None
        self.cursor.y = min(max(self.cursor.y - gone, 0), rows - 1)
        self.cursor.x = min(self.cursor.x, columns - 1)
        self.tabstops = set(range(8, columns, 8))

    def set_mode(self, *numbers: int, **kwargs: bool) -> None:
        """Switch modes on; the alternate page among them."""
        if kwargs.get("private"):
            if not {47, 1047, 1049}.isdisjoint(numbers) and self._primary is None:
                self.save_cursor()
                self._primary, self._page = self._page, Page(self.lines)
            numbers = tuple(number for number in numbers if number not in (3, 47, 1047, 1049))
        super().set_mode(*numbers, **kwargs)

    def reset_mode(self, *numbers: int, **kwargs: bool) -> None:
        """Switch modes off."""
        if kwargs.get("private"):
            if not {47, 1047, 1049}.isdisjoint(numbers) and self._primary is not None:
                self._tell_page()
                self._page, self._primary = self._primary, None
                self.restore_cursor()
            numbers = tuple(number for number in numbers if number not in (3, 47, 1047, 1049))
        super().reset_mode(*numbers, **kwargs)

    def save_cursor(self) -> None:
        """Keep the cursor: one, as terminals do."""
        self.savepoints.clear()
        super().save_cursor()
