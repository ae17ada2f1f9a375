"""What stood on the screens of one recording: lines, each once, and when its characters came.

Made by the program that draws recordings (`auth.recording_index_process`), kept sealed (`index_file`),
asked by the search. Bounded: output that only rushed past has a budget of its own, so that printing a large
file does not take the place of what somebody typed after it.
"""

from __future__ import annotations

import bisect
import itertools
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from teleport.base.errors import BadParameter

PASSING_MS = 250
"""Milliseconds; a line that stood for less has only rushed past."""
PASSING_CHARACTERS = 8 * 1024 * 1024
STANDING_CHARACTERS = 8 * 1024 * 1024
MOST_LINES = 250_000
"""Of each sort."""
LONGEST_LINE = 32768
"""Characters of one line."""
LARGEST = 256 * 1024 * 1024
"""Bytes of an unpacked index: more than the bounds above can give."""


class Lines(NamedTuple):
    """An index, unpacked."""

    text: str
    """The lines, one after the other, each with a line feed."""
    times: bytes
    """Packed; `times_of` reads it."""
    dropped: int = 0
    """Lines for which there was no room."""
    dropped_at: int = 0
    """When the first of them came, in milliseconds."""


class Hit(NamedTuple):
    """A line in which a text stood."""

    at: int
    """Milliseconds since the session began when the text first stood there whole."""
    last: int
    """When the line last stood."""
    line: str


class Collector:
    """Hears what leaves a screen (a `Sink` of client.recordings.page) and keeps each line once."""

    def __init__(self) -> None:
        self._times: dict[str, list[int]] = {}
        """Of each line: last, whole, then start and time of each run of characters."""
        self._room = {True: [PASSING_CHARACTERS, MOST_LINES], False: [STANDING_CHARACTERS, MOST_LINES]}
        self._dropped, self._dropped_at = 0, 0

    def line(self, cells: Sequence[str], times: Sequence[int], last: int) -> None:
        """Take a line of cells."""
        text = "".join(cells).rstrip()
        if not text:
            return
        if len(text) > LONGEST_LINE:
            text = text[:LONGEST_LINE]
        count = len(cells)
        if times.count(times[0]) == count:
            self._keep(text, [0, times[0]], times[0], last)
        else:
            by_character = times if "" not in cells and len(max(cells, key=len)) == 1 else _spread(cells, times)
            used = by_character[: len(text)]
            whole = max((at for at, char in zip(used, text, strict=False) if char != " "), default=0)
            self._keep(text, _runs(used), whole, last)

    def plain(self, lines: Iterable[str], at: int) -> None:
        """Take lines that came and went at once."""
        for line in lines:
            text = line.rstrip()
            for start in range(0, len(text), LONGEST_LINE):
                part = text[max(start - 256, 0) : start + LONGEST_LINE - 256] if start else text[:LONGEST_LINE]
                self._keep(unicodedata.normalize("NFC", part), [0, at], at, at)

    def _keep(self, text: str, runs: list[int], whole: int, last: int) -> None:
        known = self._times.get(text)
        if known is not None:
            if whole < known[1]:
                known[1:] = [whole, *runs]
            known[0] = max(known[0], last)
            return
        room = self._room[last - whole < PASSING_MS]
        if room[0] < len(text) or not room[1]:
            self._dropped += 1
            self._dropped_at = self._dropped_at or whole
            return
        room[0] -= len(text)
        room[1] -= 1
        self._times[text] = [last, whole, *runs]

    def lines(self) -> Lines:
        """Return what was kept."""
        text = "\n".join([*self._times, ""]).replace("\x00", " ")
        times = msgspec.msgpack.encode([[last, *runs] for last, _, *runs in self._times.values()])
        return Lines(text, times, self._dropped, self._dropped_at)


def _spread(cells: Sequence[str], times: Sequence[int]) -> list[int]:
    """Return a time for each character: a cell may hold several, or none."""
    found: list[int] = []
    for cell, at in zip(cells, times, strict=True):
        found.extend([at] * len(cell))
    return found


def _runs(times: Sequence[int]) -> list[int]:
    """Return start and time of each run of equal times."""
    found: list[int] = []
    position = 0
    for at, run in itertools.groupby(times):
        found += (position, at)
        position += sum(1 for _ in run)
    return found


def fold(text: str) -> str:
    """Return the text as it is compared: composed, without case, and of the same length as the composed one."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFC", text)
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(char if len(char.casefold()) != 1 else char.casefold() for char in text)


def holds(text: str, wanted: str) -> bool:
    """Whether a text stands in one of the lines, case ignored."""
    wanted = fold(wanted)
    return bool(wanted) and "\n" not in wanted and wanted in fold(text)


def find(lines: Lines, wanted: str, *, limit: int) -> list[Hit]:
    """Return the lines that hold a text, case ignored, in the order of time; at most `limit`.

    Raises BadParameter (INDEX-DAMAGED) when the times are.
    """
    wanted = fold(wanted)
    places = _places(fold(lines.text), wanted)
    if not places:
        return []
    times = msgspec.msgpack.decode(lines.times, type=list[list[int]])
    starts = [0, *itertools.accumulate(len(line) + 1 for line in lines.text.split("\n"))]
    best: dict[int, int] = {}
    for place in places:
        number = bisect.bisect_right(starts, place) - 1
        if number >= len(times):
            raise BadParameter("INDEX-DAMAGED", problem="a line has no times")
        start = place - starts[number]
        at = _complete(times[number][1:], start, start + len(wanted))
        best[number] = min(at, best.get(number, at))
    ordered = sorted(best, key=lambda number: (best[number], number))[:limit]
    return [
        Hit(best[number], times[number][0], lines.text[starts[number] : starts[number + 1] - 1]) for number in ordered
    ]


def _places(text: str, wanted: str) -> list[int]:
    found: list[int] = []
    place = text.find(wanted) if wanted and "\n" not in wanted else -1
    while place >= 0:
        found.append(place)
        place = text.find(wanted, place + 1)
    return found


def _complete(runs: Sequence[int], start: int, stop: int) -> int:
    """Return when the last of these characters came."""
    latest = 0
    for index in range(0, len(runs), 2):
        ends = runs[index + 2] if index + 2 < len(runs) else stop
        if runs[index] < stop and ends > start:
            latest = max(latest, runs[index + 1])
    return latest


def inflate(data: bytes) -> bytes:
    """Decompress, up to LARGEST. Raises BadParameter (INDEX-DAMAGED)."""
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(data, LARGEST)
    except zlib.error:
        raise BadParameter("INDEX-DAMAGED", problem="it is damaged") from None
    if not reader.eof:
        raise BadParameter("INDEX-DAMAGED", problem="it is cut, or larger than any index")
    return found


def grams(text: str, size: int) -> Iterator[str]:
    """Yield the pieces of so many characters of each line; a text can only stand where all of its own do."""
    for line in text.split("\n"):
        yield from map("".join, zip(*(line[start:] for start in range(size)), strict=False))
