"""What an index holds, as it lies in its file before it is sealed: made where a recording is drawn.

Making the filter and compressing take a second of computing for a long recording. That belongs into the program that
draws, not into the Auth Service, which only seals what it gets; who reads an index checks every part of it.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import msgspec

from teleport.base.errors import BadParameter
from teleport.store.recordings import index_filter
from teleport.store.recordings.index_lines import Lines


class Contents(NamedTuple):
    """The parts of an index in the order of its file."""

    filter: bytes
    text: bytes
    """Compressed."""
    times: bytes
    """Compressed."""
    dropped: int = 0
    """Lines for which there was no room."""
    dropped_at: int = 0
    """When the first of them came, in milliseconds."""


def of(lines: Lines) -> Contents:
    """Return the contents of an index of these lines."""
    text = zlib.compress(lines.text.encode("utf-8", "replace"), 6)
    return Contents(
        index_filter.build(lines.text), text, zlib.compress(lines.times, 6), lines.dropped, lines.dropped_at
    )  # fmt: skip


def pack(contents: Contents) -> bytes:
    """Write contents: for the way from the program that made them. `unpack` reads it."""
    return msgspec.msgpack.encode(contents)


def unpack(data: bytes) -> Contents:
    """Read what `pack` wrote. Raises BadParameter (INDEX-DAMAGED)."""
    try:
        return msgspec.msgpack.decode(data, type=Contents)
    except msgspec.DecodeError:
        raise BadParameter("INDEX-DAMAGED", problem="it is not of this form") from None
