"""Terminals of SSH: the requests `pty-req` and `window-change`, and encoded terminal modes (RFC 4254 §6.2, 6.7, 8).

What is here: bytes to numbers, every one bounded. What is not: what the modes mean to a kernel
(`agents.ssh.terminal`), or a channel.
"""

from __future__ import annotations

from teleport.base.lean import Mapping, NamedTuple
from teleport.wire.buffer import ProtocolError, Reader, Writer

COLUMNS, ROWS = 80, 25
"""Size of a terminal whose client does not know its own."""
LARGEST = 1000
"""Most columns and most rows: more is no screen, and who renders a recording would have to hold it."""
NAME = "xterm"
"""Type of a terminal whose client gives none, or one that is no name."""
MODES_BYTES = 2048
"""Longest encoding of modes: all that have a number, several times."""
_LONGEST = 64
"""Characters of the type of a terminal."""
_END, _UNDEFINED = 0, 160
"""Opcode that ends the list, and the first of those that have no argument whose size is known."""


class Size(NamedTuple):
    """Size of a terminal in characters, both from 1 to LARGEST."""

    columns: int = COLUMNS
    rows: int = ROWS

    def __str__(self) -> str:
        return f"{self.columns}:{self.rows}"


class Terminal(NamedTuple):
    """What a client asks for."""

    name: str
    """For the variable TERM: letters, digits, `.`, `_`, `+` and `-`."""
    size: Size
    modes: Mapping[int, int]
    """Opcode to argument (RFC 4254 §8); the last one wins."""


def size_of(columns: int, rows: int) -> Size:
    """Return a size within the bounds; 0 stands for the default."""
    return Size(min(columns or COLUMNS, LARGEST), min(rows or ROWS, LARGEST))


def read_size(data: bytes) -> Size:
    """Read the body of `window-change`. Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(data)
    size = _size(reader)
    reader.expect_end()
    return size


def read_terminal(data: bytes) -> Terminal:
    """Read the body of `pty-req`. Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING, WIRE-RANGE)."""
    reader = Reader(data)
    name = reader.vector32().decode("ascii", "replace")
    size = _size(reader)
    modes = read_modes(reader.vector32())
    reader.expect_end()
    return Terminal(name if _is_name(name) else NAME, size, modes)


def _is_name(name: str) -> bool:
    """Whether it is the name of a type: a letter or digit, then also `.`, `_`, `+` and `-`."""
    plain = name.translate({ord(mark): None for mark in "._+-"})
    return len(name) <= _LONGEST and name.isascii() and name[:1].isalnum() and plain.isalnum()


def _size(reader: Reader) -> Size:
    size = size_of(reader.u32(), reader.u32())
    reader.u32(), reader.u32()  # in pixels: characters win (RFC 4254 §6.2)
    return size


def read_modes(data: bytes) -> dict[int, int]:
    """Read encoded modes. An opcode whose argument has no defined size ends them, like their end.

    Raises ProtocolError (WIRE-SHORT, WIRE-RANGE).
    """
    if len(data) > MODES_BYTES:
        raise ProtocolError("WIRE-RANGE", value=len(data), bits=MODES_BYTES.bit_length() - 1)
    reader, found = Reader(data), dict[int, int]()
    while reader.remaining:
        opcode = reader.u8()
        if opcode == _END or opcode >= _UNDEFINED:
            break
        found[opcode] = reader.u32()
    return found


def write_modes(modes: Mapping[int, int]) -> bytes:
    """Encode modes. Raises ProtocolError (WIRE-RANGE) for numbers that are none."""
    writer = Writer()
    for opcode, argument in modes.items():
        writer.u8(opcode).u32(argument)
    return bytes(writer.u8(_END))
