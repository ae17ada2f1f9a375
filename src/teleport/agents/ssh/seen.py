"""Which proofs of a login have been used: a few bytes for each, for as long as its certificate could be shown again.

A busy node admits a million connections while one certificate is valid, and none of them may be forgotten. So what is
kept of one is 64 bits of its digest in a sorted row of numbers: no objects. Two that look alike by accident (one in
2**44 with a million of them) mean that one client has to connect again. A proof always comes with the same
certificate, so it is looked for only among those that end in the same quarter of an hour, and they go together.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left

SPAN = 900
"""Seconds of ends of certificates that are kept together; so much longer than needed is a proof remembered at most."""


class Seen:
    """Remembers proofs until their certificates end. Bounding how many is for the caller, who asks `len`."""

    def __init__(self) -> None:
        self._rows: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def add(self, proof: bytes, ends: int) -> bool:
        """Remember a proof until `ends` (seconds since 1970); False, and nothing happens, if it is known."""
        number = int.from_bytes(hashlib.sha256(proof).digest()[:8])
        row = self._rows.get(ends // SPAN)
        if row is None:
            row = self._rows[ends // SPAN] = array("Q")
        place = bisect_left(row, number)
        if place < len(row) and row[place] == number:
            return False
        row.insert(place, number)
        return True

    def forget(self, now: float) -> None:
        """Let go of proofs whose certificates have ended by now (seconds since 1970)."""
        self._rows = {span: row for span, row in self._rows.items() if (span + 1) * SPAN > now}
