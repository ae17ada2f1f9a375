"""Streams in memory: a pair with bounded buffers, for simulation and for programs in one process.

What is here: the pair, with back-pressure, half close, reset and a delay in loop time. What is not: the
network of listeners on top (`net.memory_network`).
"""

from __future__ import annotations

import asyncio
from collections import deque

from teleport.base.errors import Unavailable
from teleport.net.socket_stream import Turnstile
from teleport.net.stream import Peer

LIMIT = 65536
"""Default number of bytes that one direction holds before its writer waits."""
_BURST = 16


class Pipe:
    """One direction of a pair: what was written and not yet read, with the loop time at which it arrives."""

    def __init__(self, limit: int, delay: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._limit = limit
        self._waiters: set[asyncio.Future[None]] = set()
        self.delay = delay
        self.ended_at: float | None = None
        """Loop time at which the end arrives; None while the writer may go on."""
        self.reader_gone = False
        """Whether the reading end was closed: a write then fails as on a socket."""
        self.cut = False
        """Whether the connection was reset."""

    def put(self, data: memoryview) -> int:
        """Take as much of `data` as there is room for; return how much that was."""
        part = bytes(data[: self._limit - self._held])
        if part:
            self._chunks.append((self._loop.time() + self.delay, part))
            self._held += len(part)
            self.changed()
        return len(part)

    def end(self) -> None:
        """Say that nothing more will be written."""
        if self.ended_at is None:
            self.ended_at = self._loop.time() + self.delay
        self.changed()

    def take(self, limit: int) -> bytes | None:
        """Take what has arrived, `b""` at the end, None if the reader must wait."""
        now = self._loop.time()
        if self._chunks and self._chunks[0][0] <= now:
            at, data = self._chunks.popleft()
            if len(data) > limit:
                self._chunks.appendleft((at, data[limit:]))
                data = data[:limit]
            self._held -= len(data)
            self.changed()
            return data
        if not self._chunks and self.ended_at is not None and self.ended_at <= now:
            return b""
        return None

    def reset(self) -> None:
        """Lose what is under way; both ends learn of it now."""
        self.cut = True
        self._chunks.clear()
        self._held = 0
        self.changed()

    def arrival(self) -> float | None:
        """Return the loop time at which the next thing arrives, if that is known."""
        return self._chunks[0][0] if self._chunks else self.ended_at

    def changed(self) -> None:
        """Wake everybody who waits for this direction."""
        for future in list(self._waiters):
            if not future.done():
                future.set_result(None)

    async def wait(self, until: float | None = None) -> None:
        """Wait for a change, at the latest until the loop time `until`."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(future)
        timer = self._loop.call_at(until, self.changed) if until is not None else None
        try:
            await future
        finally:
            self._waiters.discard(future)
            if timer:
                timer.cancel()


class MemoryStream:
    """One end of a pair. Behaves as a socket does: see `SocketStream` for cancellation."""

    def __init__(self, incoming: Pipe, outgoing: Pipe, peer: Peer) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._peer = peer
        self._closed = False
        self._burst = 0
        self._reading = Turnstile("read", peer.address)
        self._writing = Turnstile("write", peer.address)

    @property
    def peer(self) -> Peer:
        """Facts about the other end."""
        return self._peer

    @property
    def closed(self) -> bool:
        """Whether this end is closed or the connection was reset."""
        return self._closed or self._outgoing.cut

    async def read(self, limit: int = LIMIT) -> bytes:
        """See Stream.read."""
        with self._reading:
            await self._turn()
            while True:
                self._check(self._incoming)
                data = self._incoming.take(limit)
                if data is not None:
                    return data
                await self._incoming.wait(self._incoming.arrival())

    async def write(self, data: bytes) -> None:
        """See Stream.write."""
        with self._writing:
            await self._turn()
            sent, view = 0, memoryview(data)
            try:
                while True:
                    self._check(self._outgoing)
                    if self._outgoing.reader_gone:
                        raise self._reset_error("the other end closed it")
                    if self._outgoing.ended_at is not None:
                        raise self._reset_error("the end was written before")
                    sent += self._outgoing.put(view[sent:])
                    if sent == len(view):
                        return
                    await self._outgoing.wait()
            except asyncio.CancelledError:
                if sent:
                    self.reset()
                raise

    async def write_eof(self) -> None:
        """See Stream.write_eof."""
        self._check(self._outgoing)
        self._outgoing.end()

    async def close(self) -> None:
        """See Stream.close."""
        self._closed = True
        self._incoming.reader_gone = True
        self._outgoing.end()
        self._incoming.changed()

    def reset(self) -> None:
        """Cut the connection: both ends see NET-RESET, and data under way is lost."""
        self._incoming.reset()
        self._outgoing.reset()

    async def _turn(self) -> None:
        """Let the other tasks run after a burst of operations that never waited, as `Readiness.turn` does."""
        self._burst += 1
        if self._burst >= _BURST:
            self._burst = 0
            await asyncio.sleep(0)

    def _check(self, pipe: Pipe) -> None:
        if self._closed:
            raise Unavailable("NET-CLOSED", address=self._peer.address)
        if pipe.cut:
            raise self._reset_error("connection reset")

    def _reset_error(self, reason: str) -> Unavailable:
        return Unavailable("NET-RESET", address=self._peer.address, reason=reason)


def memory_pair(
    *, limit: int = LIMIT, delay: float = 0.0, peers: tuple[Peer, Peer] | None = None
) -> tuple[MemoryStream, MemoryStream]:
    """Return the two ends of a connection in memory.

    `limit` is how many bytes each direction holds, `delay` the seconds of loop time that each byte takes,
    `peers` what the first and the second end see of each other. Must be called while the loop runs.
    """
    first_sees, second_sees = peers or (Peer(address="memory:b"), Peer(address="memory:a"))
    there, back = Pipe(limit, delay), Pipe(limit, delay)
    return MemoryStream(back, there, first_sees), MemoryStream(there, back, second_sees)
