"""Looking at the first bytes of a connection without taking them.

What is here: `peek` for sockets (the kernel keeps the bytes, so that an SSLSocket can be made of them) and
`PeekStream` for every other Stream. What is not: what the bytes mean (`wire`, `net.router`).
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from teleport.base.errors import BadParameter, TimedOut
from teleport.net.socket_stream import SocketStream, drop, reset_error
from teleport.net.stream import Peer, Sink, Stream, hand_on, write_now
from teleport.wire.buffer import NeedMore

LIMIT = 16384
"""Most bytes that are looked at."""
TIMEOUT = 10.0
"""Seconds in which the first message must be complete."""
_SPURIOUS_WAIT = 0.05

T = TypeVar("T")


class PeekStream:
    """A Stream whose next bytes can be seen before they are read."""

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self._peer = inner.peer
        self._seen = b""
        self._ended = False

    @property
    def peer(self) -> Peer:
        """Facts about the other end."""
        return self._peer

    def know(self, peer: Peer) -> None:
        """Set facts that were learned since, for example from a PROXY header."""
        self._peer = peer

    async def look(self, size: int) -> bytes:
        """Return at least `size` of the next bytes, fewer only if the stream ends before."""
        while len(self._seen) < size and not self._ended:
            data = await self._inner.read(LIMIT)
            self._seen += data
            self._ended = not data
        return self._seen

    async def read(self, limit: int = 65536) -> bytes:
        """See Stream.read."""
        if self._seen:
            data, self._seen = self._seen[:limit], self._seen[limit:]
            return data
        return b"" if self._ended else await self._inner.read(limit)

    async def write(self, data: bytes) -> None:
        """See Stream.write."""
        await self._inner.write(data)

    def hand_on(self, sink: Sink | None) -> None:
        """See `net.stream.hand_on`. While a read of the inner stream waits, nothing that was seen is left."""
        hand_on(self._inner, sink)

    def write_now(self, data: bytes | memoryview) -> int:
        """See `net.stream.write_now`."""
        return write_now(self._inner)(data)

    async def write_eof(self) -> None:
        """See Stream.write_eof."""
        await self._inner.write_eof()

    async def close(self) -> None:
        """See Stream.close."""
        await self._inner.close()

    def reset(self) -> None:
        """Drop the connection at once, if the carrier can."""
        drop(self._inner)


Peekable: TypeAlias = SocketStream | PeekStream


def peekable(stream: Stream) -> Peekable:
    """Return a stream whose first bytes can be seen: this one, or one that takes it over."""
    return stream if isinstance(stream, (SocketStream, PeekStream)) else PeekStream(stream)


async def peek(stream: Peekable, parse: Callable[[bytes], T], *, timeout: float = TIMEOUT) -> T:
    """Return `parse(first bytes)`, looking further each time it raises NeedMore; nothing is taken.

    Raises whatever else `parse` raises, BadParameter (NET-PROTOCOL) if the stream ends before or more than
    LIMIT bytes would be needed, TimedOut (NET-FIRST-BYTES) after `timeout` seconds, Unavailable (NET-RESET).
    """
    try:
        async with asyncio.timeout(timeout):
            return await _parse_more(stream, parse)
    except TimeoutError:
        raise TimedOut("NET-FIRST-BYTES", address=stream.peer.address, seconds=f"{timeout:g}") from None


async def _parse_more(stream: Peekable, parse: Callable[[bytes], T]) -> T:
    data, wanted = b"", 1
    while True:
        more = await (stream.look(wanted) if isinstance(stream, PeekStream) else _look(stream, wanted))
        if len(more) < wanted:
            raise undetected(more, "the connection ended before it said what it wants")
        data = more[:LIMIT]
        try:
            return parse(data)
        except NeedMore as need:
            wanted = len(data) + need.missing
        if wanted > LIMIT:
            raise undetected(data, f"the first message is larger than {LIMIT} bytes")


def undetected(data: bytes, problem: str) -> BadParameter:
    """Return the error for first bytes that say nothing."""
    return BadParameter("NET-PROTOCOL", start=data[:8].hex(" ") or "none", problem=problem)


async def take(stream: Peekable, size: int) -> None:
    """Take exactly `size` bytes that were seen before, a PROXY header for instance."""
    while size > 0:
        size -= len(await stream.read(size))


async def _look(stream: SocketStream, wanted: int) -> bytes:
    """Peek until `wanted` bytes are there or the peer has ended. With SO_RCVLOWAT the kernel wakes us only then;
    without it, waiting for a byte more than is there would spin."""
    sock, before = stream.sock, -1
    if len(data := _peek_now(stream)) >= wanted:
        return data
    _set_low_water(sock, wanted)
    try:
        while True:
            data = _peek_now(stream)
            if len(data) >= wanted or _ended(sock):
                return data
            if len(data) == before:  # woken for nothing: this carrier ignores the mark, so be slow
                await asyncio.sleep(_SPURIOUS_WAIT)
            before = len(data)
            await stream.ready.readable()
    finally:
        if not stream.closed:
            _set_low_water(sock, 1)


def _peek_now(stream: SocketStream) -> bytes:
    try:
        return stream.sock.recv(LIMIT, socket.MSG_PEEK)
    except BlockingIOError:
        return b""
    except OSError as error:
        raise reset_error(stream.peer.address, error) from error


def _set_low_water(sock: socket.socket, size: int) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def _ended(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))
