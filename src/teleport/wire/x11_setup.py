"""The first message of an X11 client, in which it proves that it may use the display (X Window System Protocol §8).

What is here: to read it, and to write it with another cookie. What is not: which cookie is right.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from teleport.wire.buffer import NeedMore, ProtocolError

LONGEST = 1024
"""Bytes of the message at most: names of ways to authenticate have some twenty letters, cookies 16 bytes."""
_HEAD = 12


class Setup(NamedTuple):
    """What a program says before anything else."""

    order: Literal["big", "little"]
    """Of its numbers."""
    version: bytes
    """Major and minor number, as they came."""
    protocol: bytes
    """Name of the way to authenticate, for example `MIT-MAGIC-COOKIE-1`; empty: without one."""
    cookie: bytes
    size: int
    """Bytes of the message; what follows is for the display."""

    def with_cookie(self, cookie: bytes) -> bytes:
        """Return the message with this cookie in place of the one that it had."""
        sizes = len(self.protocol).to_bytes(2, self.order) + len(cookie).to_bytes(2, self.order)
        first = b"B\0" if self.order == "big" else b"l\0"
        return first + self.version + sizes + b"\0\0" + _padded(self.protocol) + _padded(cookie)


def read_setup(data: bytes) -> Setup:
    """Read the message at the start of `data`. Raises NeedMore, and ProtocolError (WIRE-X11)."""
    if data[:1] not in (b"", b"B", b"l"):
        raise ProtocolError("WIRE-X11", problem="the first byte gives no order of bytes")
    if len(data) < _HEAD:
        raise NeedMore(_HEAD - len(data))
    order: Literal["big", "little"] = "big" if data[:1] == b"B" else "little"
    name, cookie = int.from_bytes(data[6:8], order), int.from_bytes(data[8:10], order)
    start = _HEAD + _whole(name)
    size = start + _whole(cookie)
    if size > LONGEST:
        raise ProtocolError("WIRE-X11", problem=f"it is longer than {LONGEST} bytes")
    if len(data) < size:
        raise NeedMore(size - len(data))
    return Setup(order, data[2:6], data[_HEAD : _HEAD + name], data[start : start + cookie], size)


def _whole(size: int) -> int:
    return -size % 4 + size


def _padded(data: bytes) -> bytes:
    return data.ljust(_whole(len(data)), b"\0")
