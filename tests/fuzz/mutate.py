"""Structure-aware mutation of byte strings: what a peer who wants to break a parser would send.

Knows four shapes that nearly all inputs here are made of: numbers, fields behind their own length, words of a
dictionary, and everything else as plain bytes. A mutation of a length-prefixed field mends most of the prefixes
around it, so that the change reaches the parser of the field and not only that of the frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz import mutate_tree

_BYTES = (0, 1, 0x0A, 0x0D, 0x20, 0x22, 0x2C, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)
_NUMBER = re.compile(rb"[0-9]+")
_ASCII_NUMBERS = (b"0", b"-1", b"255", b"65536", b"4294967296", b"18446744073709551616", b"1e999", b"9" * 40, b"00")
_MOST_ROUNDS = 5


class Mutator:
    """Makes one input out of others. All choices come from `random`, so that a seed repeats a run."""

    def __init__(
        self, random: Random, *, dictionary: Sequence[bytes] = (), widths: Sequence[int] = (), is_json: bool = False,
        limit: int = 4096,
    ) -> None:  # fmt: skip
        """`widths`: sizes in bytes of the big-endian length prefixes of the format; `limit`: most bytes made."""
        self._random = random
        self._dictionary = list(dictionary)
        self._widths = tuple(widths)
        self._limit = limit
        self._ways: list[Callable[[bytes, bytes], bytes]] = [
            self._flip, self._set, self._insert, self._delete, self._truncate, self._repeat, self._swap,
            self._splice, self._graft, self._number,
        ]  # fmt: skip
        if self._dictionary:
            self._ways += [self._word, self._word, self._compose]
        if is_json:
            self._ways += [self._tree] * len(self._ways)
        if self._widths:
            self._ways += [self._length, self._field, self._field, self._field]

    def make(self, data: bytes, other: bytes) -> bytes:
        """Return a mutation of `data`; `other` lends parts of itself."""
        for _ in range(1 + self._random.randrange(_MOST_ROUNDS) * self._random.randrange(2)):
            data = self._random.choice(self._ways)(data, other)
        return data[: self._limit]

    def _at(self, data: bytes) -> int:
        return self._random.randint(0, len(data))

    def _range(self, data: bytes) -> tuple[int, int]:
        """Return start and end of a part; short parts are more likely, because fields are short."""
        start = self._at(data)
        size = self._random.choice((1, 2, 4, 8, 32, len(data)))
        return start, min(len(data), start + self._random.randint(1, max(1, size)))

    def _flip(self, data: bytes, other: bytes) -> bytes:
        if not data:
            return b"\0"
        at = self._random.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self._random.randrange(8),)) + data[at + 1 :]

    def _set(self, data: bytes, other: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + bytes((self._random.choice(_BYTES),)) + data[at + 1 :]

    def _insert(self, data: bytes, other: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._random.randbytes(self._random.choice((1, 1, 2, 4, 9, 33))) + data[at:]

    def _delete(self, data: bytes, other: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + data[end:]

    def _truncate(self, data: bytes, other: bytes) -> bytes:
        return data[: self._at(data)]

    def _repeat(self, data: bytes, other: bytes) -> bytes:
        start, end = self._range(data)
        times = self._random.choice((2, 3, 8, 64, self._limit // max(1, end - start)))
        return data[:start] + data[start:end] * times + data[end:]

    def _swap(self, data: bytes, other: bytes) -> bytes:
        first, middle, last = sorted(self._at(data) for _ in range(3))
        return data[:first] + data[middle:last] + data[first:middle] + data[last:]

    def _splice(self, data: bytes, other: bytes) -> bytes:
        return data[: self._at(data)] + other[self._at(other) :]

    def _graft(self, data: bytes, other: bytes) -> bytes:
        start, end = self._range(data)
        first, last = self._range(other)
        return data[:start] + other[first:last] + data[end:]

    def _tree(self, data: bytes, other: bytes) -> bytes:
        made = mutate_tree.mutate(self._random, data, other)
        return self._splice(data, other) if made is None else made

    def _number(self, data: bytes, other: bytes) -> bytes:
        found = list(_NUMBER.finditer(data[: self._limit]))
        if not found:
            return self._set(data, other)
        chosen = self._random.choice(found)
        return data[: chosen.start()] + self._random.choice(_ASCII_NUMBERS) + data[chosen.end() :]

    def _word(self, data: bytes, other: bytes) -> bytes:
        start, end = self._range(data)
        end = self._random.choice((start, end))
        return data[:start] + self._random.choice(self._dictionary) + data[end:]

    def _compose(self, data: bytes, other: bytes) -> bytes:
        words = self._random.choices(self._dictionary, k=self._random.randint(1, 24))
        return self._random.choice((b"", b"", b" ")).join(words)

    def _length(self, data: bytes, other: bytes) -> bytes:
        """Make a length lie: by one, by much, or to the limits of its field."""
        width = self._random.choice(self._widths)
        at = self._random.randint(0, max(0, len(data) - width))
        value = int.from_bytes(data[at : at + width], "big")
        lie = self._random.choice((value - 1, value + 1, value * 2, 0, 1, (1 << 8 * width) - 1, len(data)))
        return data[:at] + (lie % (1 << 8 * width)).to_bytes(width, "big") + data[at + width :]

    def _field(self, data: bytes, other: bytes) -> bytes:
        """Change the inside of a field, and the lengths of the field and of what it stands in."""
        spans = self._spans(data)
        if not spans:
            return self._length(data, other)
        at, width, end = self._random.choice(spans)
        old = data[at + width : end]
        new = self._random.choice((self._flip, self._set, self._insert, self._delete, self._repeat, self._graft))(
            old, other
        )[: self._limit]
        if self._dictionary and self._random.random() < 0.3:
            new = self._random.choice(self._dictionary)
        made = bytearray(data)
        grown = len(new) - len(old)
        for outer, size, last in spans:
            inside = (outer, size, last) == (at, width, end) or (outer + size <= at and end <= last)
            value = last - outer - size + grown
            if inside and 0 <= value < 1 << 8 * size and self._random.random() < 0.97:
                made[outer : outer + size] = value.to_bytes(size, "big")
        made[at + width : end] = new
        return bytes(made)

    def _spans(self, data: bytes) -> list[tuple[int, int, int]]:
        """Return what may be a length prefix: place, width, end of the field. Some are so by chance."""
        found = []
        for at in range(min(len(data), 1024)):
            for width in self._widths:
                size = int.from_bytes(data[at : at + width], "big")
                end = at + width + size
                if size > 0 and end <= len(data):
                    found.append((at, width, end))
        return found
