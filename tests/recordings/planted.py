"""Recordings with texts planted on their screens, and proof that the index finds each at its very millisecond.

    python -m tests.recordings.planted 200 500 --seed 7

The writer here knows nothing of how screens are drawn: it writes what programs write and notes, by construction,
which frame brought the last character of the text. 500 texts over 200 recordings are planted in sixteen ways.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from teleport.base.entropy import SeededEntropy
from teleport.client.recordings.emulator import Emulator
from teleport.store.recordings import index_contents, index_file, index_filter
from teleport.store.recordings.index_lines import Collector, Hit, Lines, find
from teleport.wire.recording import OUTPUT, RESIZE, Frame

KEY = bytes(range(32))
_WORDS = [
    "build",
    "deploy",
    "kernel",
    "socket",
    "passwd",
    "config",
    "error",
    "route",
    "table",
    "index",
    "cache",
    "value",
]
_KOREAN = ["서버", "접속", "기록", "비밀번호", "확인", "배포", "완료", "오류", "설정", "파일", "사용자", "화면"]


class Plant(NamedTuple):
    """A text, and when it first stood whole."""

    way: str
    text: str
    at: int


class Writer:
    """Writes one recording."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.columns, self.rows = self.random.choice([(80, 24), (120, 40), (64, 15)])
        self.frames: list[Frame] = []
        self.plants: list[Plant] = []
        self.now = 0
        self._resize()

    def _resize(self) -> None:
        self.frames.append(Frame(self.now, RESIZE, f"{self.columns}x{self.rows}".encode()))

    def out(self, text: str | bytes, *, after: int | None = None) -> int:
        """Print in one frame; return its time."""
        self.now += self.random.randint(20, 900) if after is None else after
        self.frames.append(Frame(self.now, OUTPUT, text.encode() if isinstance(text, str) else text))
        return self.now

    def cut(self, text: str, *, most: int = 4) -> int:
        """Print in several frames, cut anywhere, in the middle of characters too; return the last one's time."""
        data = text.encode()
        edges = sorted({0, len(data), *(self.random.randrange(1, len(data)) for _ in range(most))})
        for start, stop in itertools.pairwise(edges):
            self.out(data[start:stop], after=self.random.randint(1, 300))
        return self.now

    def filler(self, lines: int) -> str:
        """Return lines of words, none of them planted."""
        return "".join(
            " ".join(self.random.choices([*_WORDS, *_KOREAN[:3]], k=self.random.randint(1, 9))) + "\r\n"
            for _ in range(lines)
        )

    def note(self, way: str, text: str, at: int) -> None:
        """The text stands since then."""
        self.plants.append(Plant(way, text, at))

    def clear(self) -> None:
        """A known state: blank, the cursor in the corner."""
        self.out("\x1b[2J\x1b[H")


def text_of(rng: random.Random, number: int) -> str:
    """Return a text that stands nowhere else."""
    mark = f"{number:05d}" + "".join(rng.choices("bcdfghjkmnpqrstvwxz", k=6))
    words = rng.choices(rng.choice([_WORDS, _WORDS, _KOREAN]), k=rng.randint(1, 2))
    return f"{words[0]}-{mark} {words[-1][:4]}"


def _typed(w: Writer, text: str) -> None:
    w.out("$ ")
    for position, char in enumerate(text):
        if w.random.random() < 0.25 and position:
            wrong = "".join(w.random.choices("QWY", k=w.random.randint(1, 3)))
            for key in wrong:
                w.out(key, after=w.random.randint(30, 400))
            for _ in wrong:
                w.out(w.random.choice(["\b \b", "\b\x1b[K"]), after=w.random.randint(30, 400))
        at = w.out(char, after=w.random.randint(30, 400))
    w.note("typed with backspaces", text, at)
    w.out("\r\n" + w.filler(3))


def _inserted(w: Writer, text: str) -> None:
    middle = len(text) // 2
    while not (text[middle].isascii() and text[middle - 1].isascii() and text[middle:].isascii()):
        middle += 1
        if middle >= len(text) - 1:
            _typed(w, text)
            return
    tail = text[middle + 1 :]
    w.out("$ " + text[:middle] + tail + "\b" * len(tail))
    ways = (f"\x1b[@{text[middle]}", text[middle:] + "\b" * len(tail))
    at = w.out(w.random.choice(ways))
    w.note("inserted in the middle", text, at)
    w.out("\r\n")


def _wrapped(w: Writer, text: str) -> None:
    before = w.columns - w.random.randint(1, min(len(text) - 1, w.columns - 1))
    w.out("\r\n")
    w.out("." * before)
    at = w.cut(text)
    w.note("wrapped at the margin", text, at)
    w.out(" and on\r\n" + w.filler(w.random.randint(0, 80)))


def _split(w: Writer, text: str) -> None:
    korean = f"{w.random.choice(_KOREAN)}{text}{w.random.choice(_KOREAN)}"
    w.out("\r\n")
    w.note("split within characters", korean, w.cut(korean, most=12))
    w.out("\r\n")


def _coloured(w: Writer, text: str) -> None:
    w.out("\r\n")
    painted = "".join(f"\x1b[{w.random.choice(['0', '1;31', '38;5;120', '38;2;1;2;3', '4:3'])}m{char}" for char in text)
    w.note("coloured inside", text, w.cut(painted))
    w.out("\x1b[0m\r\n")


def _addressed(w: Writer, text: str) -> None:
    w.clear()
    row, column = w.random.randint(1, w.rows - 1), w.random.randint(1, w.columns - 2 * len(text))
    places = list(zip(text, _columns(text, column), strict=True))
    w.random.shuffle(places)
    at = 0
    for char, place in places:
        now = w.out(f"\x1b[{row};{place}H{char}", after=w.random.randint(1, 50))
        at = now if char != " " else at  # blank it was before
    w.note("drawn letter by letter", text, at)
    w.clear()


def _columns(text: str, column: int) -> Iterator[int]:
    for char in text:
        yield column
        column += 1 if char.isascii() else 2


def _alternate(w: Writer, text: str) -> None:
    w.out("$ vi notes\r\n")
    w.out("\x1b[?1049h\x1b[2J\x1b[H" + "~\r\n" * (w.rows - 2))
    row = w.random.randint(1, w.rows - 1)
    at = w.cut(f"\x1b[{row};3H{text}")
    w.note("on the alternate screen", text, at)
    w.out("\x1b[?1049l$ ", after=w.random.randint(0, 1000))


def _resized(w: Writer, text: str) -> None:
    w.columns, w.rows = w.random.randint(64, 130), w.random.randint(10, 50)
    w.now += 5
    w._resize()
    w.out("\r\n$ ")
    w.note("after a change of size", text, w.cut(text))
    w.columns, w.rows = w.random.randint(64, 130), w.random.randint(10, 50)
    w._resize()
    w.out("\r\n")


def _flooded(w: Writer, text: str) -> None:
    w.out("\r\n")
    lines = [w.filler(w.random.randint(1, 400)), text + "\r\n", w.filler(w.random.randint(200, 900))]
    w.note("scrolled off at once", text, w.out("".join(lines)))


def _cleared(w: Writer, text: str) -> None:
    w.out("\r\n")
    w.note("cleared at once", text, w.out(text))
    w.out(w.random.choice(["\x1b[2J\x1b[H", "\x1bc", "\x1b[H\x1b[J"]), after=w.random.randint(0, 20))


def _overwritten(w: Writer, text: str) -> None:
    w.out("\r\n[          ]")
    at = w.out("\r" + text)
    w.note("overwritten after a while", text, at)
    w.out("\r\x1b[K", after=w.random.randint(260, 2000))
    w.out("done\r\n")


def _region(w: Writer, text: str) -> None:
    w.clear()
    w.out(f"\x1b[2;{w.rows - 1}r\x1b[{w.rows - 1};1H")
    w.note("in a region that scrolls", text, w.out(f"\r\n  {text}"))
    w.out("\r\n" + w.filler(w.rows + 5))
    w.out("\x1b[r")
    w.clear()


def _scrolled_slowly(w: Writer, text: str) -> None:
    w.out("\r\n")
    long = f"{'=' * w.random.randint(0, 2 * w.columns)}{text}{'=' * w.random.randint(0, 2 * w.columns)}"
    at = w.out(long)
    w.note("in a long line that scrolls", text, at)
    for _ in range(w.rows + 3):
        w.out("\r\nx", after=10)


def _first(w: Writer, text: str) -> None:
    if w.plants or len(w.frames) > 1:
        _coloured(w, text)
        return
    w.note("at the start", text, w.out(text, after=0))
    w.out("\r\n")


def _last(w: Writer, text: str) -> None:
    w.out("\r\n$ ")
    w.note("at the end", text, w.cut(text))


def _redrawn(w: Writer, text: str) -> None:
    w.out("\x1b[?1049h\x1b[H")
    at = w.out(f"\x1b[3;5H{text}")
    w.note("drawn again and again", text, at)
    for _ in range(w.random.randint(1, 6)):
        w.out(f"\x1b[H\x1b[2J\x1b[4;7H{text}" if w.random.random() < 0.5 else f"\x1b[3;5H{text}")
    w.out("\x1b[?1049l")


WAYS: tuple[Callable[[Writer, str], None], ...] = (
    _first, _typed, _inserted, _wrapped, _split, _coloured, _addressed, _alternate, _resized, _flooded, _cleared,
    _overwritten, _region, _scrolled_slowly, _redrawn, _last,
)  # fmt: skip


def write(seed: int, number: int, plants: int, first: int) -> Writer:
    """Write a recording with so many texts in it; the last one may be the last thing on the screen."""
    writer = Writer(seed * 100003 + number)
    for offset in range(plants):
        way = WAYS[(first + offset) % len(WAYS)] if offset or number % 4 else _first
        way = _last if number % 4 == 1 and offset == plants - 1 else way
        way(writer, text_of(writer.random, first + offset))
        if writer.random.random() < 0.7 and offset + 1 < plants:
            writer.out(writer.filler(writer.random.randint(0, 60)))
    return writer


def library(recordings: int, plants: int, seed: int) -> Iterator[Writer]:
    """Yield recordings with so many texts in all."""
    done = 0
    for number in range(recordings):
        share = (plants * (number + 1)) // recordings - done
        yield write(seed, number, share, done)
        done += share


def draw(frames: Sequence[Frame]) -> Lines:
    """Return the index of a recording."""
    collector = Collector()
    emulator = Emulator(80, 25, collector)
    for frame in frames:
        emulator.frame(frame)
    emulator.finish()
    return collector.lines()


def missed(plant: Plant, hits: Sequence[Hit]) -> str:
    """Return what is wrong with what was found; empty when nothing is."""
    if not hits:
        return f"{plant.way}: {plant.text!r} was not found"
    if hits[0].at != plant.at:
        return f"{plant.way}: {plant.text!r} stood since {plant.at} ms, the index says {hits[0].at}"
    return "" if hits[0].last >= plant.at else f"{plant.way}: it ended before it began"


def check(recordings: int, plants: int, seed: int) -> tuple[int, list[str]]:
    """Plant, index, seal, open, and look for everything everywhere; return how many were planted and the misses."""
    entropy, written, problems = SeededEntropy(seed), [], list[str]()
    for number, writer in enumerate(library(recordings, plants, seed)):
        name = f"recording-{number}"
        data = index_file.seal(name, index_contents.of(draw(writer.frames)), KEY, entropy)
        written.append((writer.plants, index_file.read(name, data)))
    opened = [(index_file.open_filter(file, KEY), index_file.open_lines(file, KEY)) for _, file in written]
    for number, (planted, _) in enumerate(written):
        for plant in planted:
            question = index_filter.Question(plant.text)
            for other, (bits, lines) in enumerate(opened):
                hits = find(lines, plant.text, limit=5) if question.possible(bits) else []
                if other == number:
                    problems += filter(None, [missed(plant, hits)])
                elif hits:
                    problems.append(f"{plant.text!r} of {number} was found in {other}")
    return sum(len(planted) for planted, _ in written), problems


def main() -> int:
    """Run with what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recordings", type=int)
    parser.add_argument("plants", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    count, problems = check(given.recordings, given.plants, given.seed)
    found = f"{count - len(problems)} of {count} texts in {given.recordings} recordings found at their millisecond"
    sys.stdout.write("\n".join([*problems[:50], f"planted: {found}", ""]))
    return 1 if problems or count < given.plants else 0


if __name__ == "__main__":
    sys.exit(main())
