"""Just enough of PNG (ISO/IEC 15948) to look at one pixel of a screenshot: eight bits, colour, not interlaced."""

from __future__ import annotations

import struct
import zlib


class Picture:
    """A decoded picture."""

    def __init__(self, data: bytes) -> None:
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        at, packed = 8, []
        while at < len(data):
            size, kind = struct.unpack_from(">I4s", data, at)
            body = data[at + 8 : at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
                assert (depth, interlaced) == (8, 0)
                self._step = {2: 3, 6: 4}[colour]
            elif kind == b"IDAT":
                packed.append(body)
            at += 12 + size
        self._rows = self._unfiltered(zlib.decompress(b"".join(packed)))

    def luminance(self, x: int, y: int) -> float:
        """Return how light a pixel is, from 0 to 255, whatever its colour."""
        return sum(self._rows[y][x * self._step : x * self._step + 3]) / 3

    def _unfiltered(self, raw: bytes) -> list[bytearray]:
        """Undo the filter of each row (section 9)."""
        length, step = self.width * self._step, self._step
        rows: list[bytearray] = []
        above = bytearray(length)
        for start in range(0, len(raw), length + 1):
            kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + length])
            for at in range(length):
                left = row[at - step] if at >= step else 0
                corner = above[at - step] if at >= step else 0
                guesses = (0, left, above[at], (left + above[at]) // 2, _paeth(left, above[at], corner))
                row[at] = (row[at] + guesses[kind]) & 255
            rows.append(above := row)
        return rows


def _paeth(left: int, above: int, corner: int) -> int:
    """Return the neighbour that is nearest to `left + above - corner`."""
    guess = left + above - corner
    return min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))[2]
