"""A filter that says in microseconds whether a text can stand in a recording (a Bloom filter of trigrams).

"No" is certain; "yes" has to be looked up. Texts of fewer than three characters have no trigram: they can
stand everywhere.
"""

from __future__ import annotations

import hashlib

from teleport.base.errors import BadParameter
from teleport.store.recordings.index_lines import fold, grams

_HASHES = 3
_BITS_EACH = 10
_LEAST, _MOST = 1024, 256 * 1024
"""Bytes of a filter; a power of two."""


def build(text: str) -> bytes:
    """Return the filter of an index's text."""
    pieces = set(grams(fold(text)))
    size = _LEAST
    while size * 8 < len(pieces) * _BITS_EACH and size < _MOST:
        size *= 2
    bits, mask = bytearray(size), size * 8 - 1
    for piece in pieces:
        first, second = _hashes(piece)
        for number in range(_HASHES):
            bit = (first + number * second) & mask
            bits[bit >> 3] |= 1 << (bit & 7)
    return bytes(bits)


class Question:
    """A text, prepared for many filters."""

    def __init__(self, text: str) -> None:
        self._hashes = [_hashes(piece) for piece in dict.fromkeys(grams(fold(text)))][:64]

    def possible(self, bits: bytes) -> bool:
        """Whether the text can stand in what the filter was built of. Raises BadParameter (INDEX-DAMAGED)."""
        size = len(bits)
        if not size or size & (size - 1):
            raise BadParameter("INDEX-DAMAGED", problem="its filter has an odd size")
        mask = size * 8 - 1
        for first, second in self._hashes:
            for number in range(_HASHES):
                bit = (first + number * second) & mask
                if not bits[bit >> 3] >> (bit & 7) & 1:
                    return False
        return True


def _hashes(piece: str) -> tuple[int, int]:
    digest = hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big") | 1
