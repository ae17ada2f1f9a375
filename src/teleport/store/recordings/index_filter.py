"""A filter that says in microseconds whether a text can stand in a recording (a Bloom filter of its pieces).

"No" is certain; "yes" has to be looked up. Pieces have three and five characters: a text of five or more is asked
for by the longer ones, which are much rarer. Texts of fewer than three have none: they can stand everywhere.
"""

from __future__ import annotations

import hashlib

from teleport.base.errors import BadParameter
from teleport.store.recordings.index_lines import fold, grams

_SHORT, _LONG = 3, 5
_HASHES = 3
_BITS_EACH = 6
"""One piece in sixteen is taken for one that is there; a text has several."""
_LEAST, _MOST = 1024, 512 * 1024
"""Bytes of a filter."""


def build(text: str) -> bytes:
    """Return the filter of an index's text."""
    folded = fold(text)
    pieces = {*grams(folded, _SHORT), *grams(folded, _LONG)}
    bits = bytearray(min(max(len(pieces) * _BITS_EACH // 8, _LEAST), _MOST))
    size = len(bits) * 8
    for piece in pieces:
        first, second = _hashes(piece)
        for number in range(_HASHES):
            bit = (first + number * second) % size
            bits[bit >> 3] |= 1 << (bit & 7)
    return bytes(bits)


class Question:
    """A text, prepared for many filters."""

    def __init__(self, text: str) -> None:
        folded = fold(text)
        size = _LONG if len(folded) >= _LONG else _SHORT
        self._hashes = [_hashes(piece) for piece in dict.fromkeys(grams(folded, size))][:64]

    def possible(self, bits: bytes) -> bool:
        """Whether the text can stand in what the filter was built of. Raises BadParameter (INDEX-DAMAGED)."""
        size = len(bits) * 8
        if not _LEAST <= len(bits) <= _MOST:
            raise BadParameter("INDEX-DAMAGED", problem="its filter has an odd size")
        for first, second in self._hashes:
            for number in range(_HASHES):
                bit = (first + number * second) % size
                if not bits[bit >> 3] >> (bit & 7) & 1:
                    return False
        return True


def _hashes(piece: str) -> tuple[int, int]:
    digest = hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big") | 1
