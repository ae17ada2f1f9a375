"""Framing: a byte stream in messages of a carrier that has more to say than bytes.

What is here: what every framing does, and that of the oldest upgraded connections (`alpn-ping`): a 32-bit length and
that many bytes, where length 0 is a ping. What is not: WebSocket (`wire.websocket`) and connections (`net.framed`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias

from teleport.wire.buffer import ProtocolError, Reader


class Data(NamedTuple):
    """Bytes of the stream."""

    payload: bytes


class Ping(NamedTuple):
    """The other side asks for an answer, or keeps the connection alive."""

    payload: bytes


class End(NamedTuple):
    """The other side sends no more bytes of the stream."""

    reason: str = ""


Event: TypeAlias = Data | Ping | End


class Framing(Protocol):
    """One side of a framed connection."""

    carries_end: bool
    """Whether `end` has a message; otherwise the carrier's own end is the stream's."""

    def feed(self, data: bytes) -> list[Event]:
        """Return what received bytes say. Raises ProtocolError (WIRE-*); the connection is of no use then."""
        ...

    def data(self, payload: bytes) -> bytes:
        """Return the message that carries bytes of the stream."""
        ...

    def ping(self) -> bytes:
        """Return the message that keeps a connection alive."""
        ...

    def pong(self, payload: bytes) -> bytes:
        """Return the answer to a ping; empty where there is none."""
        ...

    def end(self) -> bytes:
        """Return the message that no more bytes follow; empty without `carries_end`."""
        ...


class LengthFraming:
    """Length and bytes. It has no message for the end: TLS inside has one of its own."""

    carries_end = False
    MOST = 1 << 20
    """Most bytes of one message: a longer one is a misunderstanding."""

    def __init__(self) -> None:
        self._rest = b""  # the beginning of a length
        self._left = 0

    def feed(self, data: bytes) -> list[Event]:
        """See Framing.feed; ProtocolError is WIRE-FRAMES."""
        reader = Reader(self._rest + data)
        events: list[Event] = []
        while reader.remaining >= 4 or (self._left and reader.remaining):
            if self._left:
                part = reader.take(min(self._left, reader.remaining))
                self._left -= len(part)
                events.append(Data(part))
            else:
                self._begin(reader.u32(), events)
        self._rest = reader.rest()
        return events

    def _begin(self, size: int, events: list[Event]) -> None:
        if size > self.MOST:
            raise ProtocolError("WIRE-FRAMES", problem=f"a message has {size} bytes, {self.MOST} is the most")
        self._left = size
        if not size:
            events.append(Ping(b""))

    def data(self, payload: bytes) -> bytes:
        """See Framing.data; at most `MOST` bytes, and not none: that would be a ping."""
        return len(payload).to_bytes(4, "big") + payload

    def ping(self) -> bytes:
        """See Framing.ping."""
        return bytes(4)

    def pong(self, payload: bytes) -> bytes:
        """See Framing.pong: nobody awaits one."""
        return b""

    def end(self) -> bytes:
        """See Framing.end."""
        return b""
