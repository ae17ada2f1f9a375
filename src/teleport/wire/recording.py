"""Frames of a session recording: what stood on the user's terminal, and when.

A recording is a sequence of frames; how frames become chunks that are sealed and stored is not here. A
frame says the same as an event of asciicast (https://docs.asciinema.org/manual/asciicast/v2/), but its data
are bytes: a terminal's output need not be text, and what was recorded is kept as it was.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from teleport.wire.buffer import ProtocolError

HEADER = "h"
"""The first frame: a JSON object with the facts of the session."""
OUTPUT = "o"
"""Bytes that the user's terminal got."""
ERROR = "e"
"""Bytes of a command's standard error, when it has no terminal of its own."""
RESIZE = "r"
"""`COLUMNSxROWS` in ASCII: the terminal has this size from here on."""
MARKER = "m"
"""A text of the service itself, for example why the session was ended."""
END = "x"
"""The last frame of a session that came to its end: a JSON object with the outcome."""

KINDS = frozenset({HEADER, OUTPUT, ERROR, RESIZE, MARKER, END})
LARGEST = 1024 * 1024
"""Bytes of one frame's data at most."""
_HEAD = struct.Struct("!cQI")
_OF_BYTE = {kind.encode(): kind for kind in KINDS}


class Frame(NamedTuple):
    """Something that happened on a terminal."""

    at: int
    """Milliseconds since the session began; never less than in the frame before."""
    kind: str
    """One of KINDS."""
    data: bytes


def encode(frames: Iterable[Frame]) -> bytes:
    """Write frames one after the other: kind (1 byte), time (8), length (4), data; numbers big-endian.

    Raises ProtocolError (WIRE-RECORDING) for a frame that is too large or of no known kind.
    """
    parts: list[bytes] = []
    for at, kind, data in frames:
        if len(data) > LARGEST or kind not in KINDS or not 0 <= at < 1 << 64:
            raise ProtocolError("WIRE-RECORDING", problem="a frame is too large, or of no known kind")
        parts.append(_HEAD.pack(kind.encode(), at, len(data)))
        parts.append(data)
    return b"".join(parts)


def decode(data: bytes) -> Iterator[Frame]:
    """Yield the frames of `data`, which holds whole ones.

    Raises ProtocolError (WIRE-RECORDING) when the last one is cut, and for an unknown kind, a length that no
    frame has, or a time before that of the frame before.
    """
    position, end, last = 0, len(data), 0
    while position < end:
        if end - position < _HEAD.size:
            raise ProtocolError("WIRE-RECORDING", problem="a frame is cut")
        mark, at, length = _HEAD.unpack_from(data, position)
        kind = _OF_BYTE.get(mark)
        if kind is None or length > LARGEST or at < last:
            raise ProtocolError("WIRE-RECORDING", problem=f"no frame begins at byte {position}")
        position += _HEAD.size
        if end - position < length:
            raise ProtocolError("WIRE-RECORDING", problem="a frame is cut")
        yield Frame(at, kind, data[position : position + length])
        position, last = position + length, at


def size_of(data: bytes) -> tuple[int, int]:
    """Read the data of a RESIZE frame: columns and rows, 1 to 9999 each. Raises ProtocolError (WIRE-RECORDING)."""
    columns, mark, rows = data.partition(b"x")
    numbers = [int(part) if part.isdigit() and len(part) <= 4 else 0 for part in (columns, rows)]
    if not mark or not all(numbers):
        raise ProtocolError("WIRE-RECORDING", problem=f"{data[:20]!a} is no size of a terminal")
    return numbers[0], numbers[1]
