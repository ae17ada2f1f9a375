"""Reader and Writer: big-endian numbers and length-prefixed fields with every length checked.

What is here: the two cursors on which the protocol engines stand and the two signals they raise.
What is not: any protocol, socket or clock.
"""

from __future__ import annotations

from teleport.base.errors import BadParameter


class ProtocolError(BadParameter):
    """The peer's bytes break the protocol; more of them will not help. Carries a WIRE-* code."""


class NeedMore(BadParameter):
    """The bytes so far are a correct beginning: feed more and parse again.

    `missing` is a lower bound, at least 1, of how many bytes are still to come. A signal between engine
    and carrier; it is not a ProtocolError, so that waiting and refusing cannot be mistaken.
    """

    def __init__(self, missing: int) -> None:
        super().__init__("WIRE-SHORT", missing=missing)
        self.missing = missing


class Reader:
    """A cursor over `data`.

    A read beyond the end raises NeedMore while the message may still grow, and ProtocolError (WIRE-SHORT)
    if it is `complete`.
    """

    __slots__ = ("_complete", "_data", "_end", "_position")

    def __init__(self, data: bytes, *, complete: bool = True) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)
        self._complete = complete

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._position

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self._end - self._position

    def take(self, size: int) -> bytes:
        """Take `size` bytes. Raises NeedMore or ProtocolError (WIRE-SHORT)."""
        start = self._position
        if size > self._end - start:
            missing = size - (self._end - start)
            raise ProtocolError("WIRE-SHORT", missing=missing) if self._complete else NeedMore(missing)
        self._position = start + size
        return self._data[start : self._position]

    def rest(self) -> bytes:
        """Take everything that is left."""
        return self.take(self.remaining)

    def _number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def u8(self) -> int:
        """Take a number of 8 bits."""
        return self._number(1)

    def u16(self) -> int:
        """Take a number of 16 bits."""
        return self._number(2)

    def u24(self) -> int:
        """Take a number of 24 bits."""
        return self._number(3)

    def u32(self) -> int:
        """Take a number of 32 bits."""
        return self._number(4)

    def u64(self) -> int:
        """Take a number of 64 bits."""
        return self._number(8)

    def vector8(self) -> bytes:
        """Take bytes that follow their 8-bit length."""
        return self.take(self.u8())

    def vector16(self) -> bytes:
        """Take bytes that follow their 16-bit length."""
        return self.take(self.u16())

    def vector24(self) -> bytes:
        """Take bytes that follow their 24-bit length."""
        return self.take(self.u24())

    def vector32(self) -> bytes:
        """Take bytes that follow their 32-bit length."""
        return self.take(self.u32())

    def expect_end(self) -> None:
        """Check that nothing is left. Raises ProtocolError (WIRE-TRAILING)."""
        if self.remaining:
            raise ProtocolError("WIRE-TRAILING", count=self.remaining)


class Writer:
    """Collects the bytes of a message. A value that does not fit raises ProtocolError (WIRE-RANGE)."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = bytearray()

    def __bytes__(self) -> bytes:
        return bytes(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def raw(self, data: bytes) -> Writer:
        """Add bytes as they are."""
        self._parts += data
        return self

    def _number(self, value: int, size: int) -> Writer:
        if not 0 <= value < 1 << 8 * size:
            raise ProtocolError("WIRE-RANGE", value=value, bits=8 * size)
        self._parts += value.to_bytes(size, "big")
        return self

    def u8(self, value: int) -> Writer:
        """Add a number of 8 bits."""
        return self._number(value, 1)

    def u16(self, value: int) -> Writer:
        """Add a number of 16 bits."""
        return self._number(value, 2)

    def u24(self, value: int) -> Writer:
        """Add a number of 24 bits."""
        return self._number(value, 3)

    def u32(self, value: int) -> Writer:
        """Add a number of 32 bits."""
        return self._number(value, 4)

    def u64(self, value: int) -> Writer:
        """Add a number of 64 bits."""
        return self._number(value, 8)

    def vector8(self, data: bytes) -> Writer:
        """Add bytes behind their 8-bit length."""
        return self.u8(len(data)).raw(data)

    def vector16(self, data: bytes) -> Writer:
        """Add bytes behind their 16-bit length."""
        return self.u16(len(data)).raw(data)

    def vector24(self, data: bytes) -> Writer:
        """Add bytes behind their 24-bit length."""
        return self.u24(len(data)).raw(data)

    def vector32(self, data: bytes) -> Writer:
        """Add bytes behind their 32-bit length."""
        return self.u32(len(data)).raw(data)
