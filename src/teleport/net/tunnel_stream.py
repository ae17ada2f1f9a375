"""TunnelStream: one stream of a tunnel; and Call: one that the other end wants to open.

What is here: reading and writing with back-pressure, on top of the engine's accounts (`wire.mux`). What is not: the
loop that moves the bytes (`net.tunnel`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from teleport.base.errors import TeleportError, Unavailable
from teleport.net.socket_stream import Turnstile
from teleport.net.stream import Peer, Sink
from teleport.wire.mux import Mux
from teleport.wire.mux_stream import JOINED

LOW = 65536
"""Bytes of a stream that may wait to be sent while its writer goes on."""
LINGER = 30.0
"""Seconds that a closed stream may take to send what was written before."""
_SMALL = 4096
"""Most bytes that are handed on at once; more of them are better joined."""
_BURST = 16
"""Operations that succeed at once before a task lets the others run."""


class TunnelStream:
    """See Stream. Made by Tunnel only. A write that is cancelled after part of its data was queued resets the stream;
    a cancelled read loses nothing. After a reset, or the end of the tunnel, unread data is lost unless the peer had
    ended its direction before."""

    __slots__ = (
        "_burst", "_chunks", "_closed", "_ended", "_eof", "_forget", "_mux", "_number", "_peer", "_read_error",
        "_reader", "_reading", "_send", "_sink", "_size", "_wake", "_write_error", "_writer", "_writing",
    )  # fmt: skip

    def __init__(
        self, mux: Mux, number: int, peer: Peer, *, wake: Callable[[], None],
        send: Callable[[int, bytes | memoryview], bool], forget: Callable[[int, None], object],
    ) -> None:  # fmt: skip
        """`wake` says that there is something to send, `send` sends data at once or not at all."""
        self._mux = mux
        self._number = number
        self._peer = peer
        self._wake = wake
        self._send = send
        self._forget = forget
        self._chunks: deque[bytes | memoryview] | None = None  # what came and was not read
        self._size = 0
        self._burst = 0
        self._ended = False  # by the peer
        self._eof = False  # by us
        self._closed = False
        self._read_error: TeleportError | None = None
        self._write_error: TeleportError | None = None
        self._sink: Sink | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._reading = Turnstile("read", peer.address)
        self._writing = Turnstile("write", peer.address)

    @property
    def peer(self) -> Peer:
        """Facts about the other end: those of the tunnel."""
        return self._peer

    # -- Stream

    async def read(self, limit: int = 65536) -> bytes:
        """See Stream.read."""
        with self._reading:
            await self._turn()
            while True:
                if self._closed:
                    raise self._gone()
                if self._size:
                    return self._take(limit)
                if self._ended:
                    return b""
                if self._read_error is not None:
                    raise self._read_error
                self._reader = asyncio.get_running_loop().create_future()
                try:
                    await self._reader
                finally:
                    self._reader = None

    async def write(self, data: bytes) -> None:
        """See Stream.write."""
        with self._writing:
            await self._turn()
            self._check_write()
            if not data:
                return
            self._put(data)
            if self._mux.backlog(self._number) > LOW:  # what the carrier took at once is gone already
                await self._until_eased()

    def hand_on(self, sink: Sink | None) -> None:
        """See `net.stream.hand_on`."""
        self._sink = sink

    def write_now(self, data: bytes | memoryview) -> int:
        """See `net.stream.write_now`. All or nothing: nothing when more would wait than may."""
        if self._writing.busy or self._closed or self._eof or self._write_error is not None:
            return 0
        if self._mux.backlog(self._number) + len(data) > LOW:
            return 0
        self._put(data)
        return len(data)

    async def write_eof(self) -> None:
        """See Stream.write_eof."""
        if self._eof and not self._closed:
            return
        self._check_write()
        self._eof = True
        self._mux.end(self._number)
        self._wake()

    async def close(self) -> None:
        """See Stream.close. What was written before still goes, for at most LINGER seconds; a writer that waits is
        interrupted, and the stream then reset."""
        if self._writer is not None:
            self.reset()
        if self._closed:
            return
        self._over()
        self._mux.close(self._number)
        self._wake()
        if self._mux.backlog(self._number):
            asyncio.get_running_loop().call_later(LINGER, self._give_up)

    def reset(self) -> None:
        """End both directions at once, such that the peer sees no orderly end."""
        if not self._closed:
            self._over()
            self._mux.reset(self._number, "the other end reset it")
            self._wake()

    # -- for the tunnel

    def received(self, data: memoryview) -> None:
        """Data has come. Only for a reader that waits the view itself is kept: it holds all that came with it."""
        if self._sink is not None and self._reader is not None and not self._size and len(data) <= _SMALL:
            taken = self._sink(data)
            self._mux.read(self._number, taken)
            if taken == len(data):
                return
            data = data[taken:]
        if self._chunks is None:
            self._chunks = deque()
        self._size += len(data)
        if self._chunks and len(self._chunks[-1]) + len(data) <= JOINED:
            self._chunks.append(b"".join((self._chunks.pop(), data)))
        else:
            self._chunks.append(data if self._reader is not None else bytes(data))
        _set(self._reader)

    def ended(self) -> None:
        """The peer sends no more."""
        self._ended = True
        _set(self._reader)

    def lost(self, error: TeleportError) -> None:
        """Nothing more comes, and nothing can be sent."""
        self._write_error = error
        if not self._ended:
            self._read_error = error
            self._drop()
        _set(self._reader)
        _set(self._writer)

    def eased(self) -> None:
        """There is room for more."""
        _set(self._writer)

    # -- inside

    def _put(self, data: bytes | memoryview) -> None:
        """Send data past all queues if that may be, else queue it."""
        if not self._send(self._number, data):
            self._mux.send(self._number, data if type(data) is bytes else bytes(data))
            self._wake()

    def _take(self, limit: int) -> bytes:
        chunks = self._chunks or deque()
        if self._size <= limit:
            data = b"".join(chunks)
            chunks.clear()
        else:
            pieces: list[bytes | memoryview] = []
            left = limit
            while left:
                piece = chunks.popleft()
                if len(piece) > left:
                    chunks.appendleft(memoryview(piece)[left:])
                    piece = piece[:left]
                pieces.append(piece)
                left -= len(piece)
            data = b"".join(pieces)
        self._size -= len(data)
        self._mux.read(self._number, len(data))
        if self._mux.has_output:
            self._wake()
        return data

    async def _until_eased(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()
        try:
            await self._writer
        except asyncio.CancelledError:
            self.reset()  # part of it may have gone: nobody should take it for the whole
            raise
        finally:
            self._writer = None
        self._check_write()

    async def _turn(self) -> None:
        """Let the other tasks run after a burst of operations that never waited."""
        self._burst += 1
        if self._burst >= _BURST:
            self._burst = 0
            await asyncio.sleep(0)

    def _check_write(self) -> None:
        if self._closed:
            raise self._gone()
        if self._write_error is not None:
            raise self._write_error
        if self._eof:
            raise Unavailable("NET-RESET", address=self._peer.address, reason="the end was written before")

    def _over(self) -> None:
        self._closed = True
        self._forget(self._number, None)
        self._drop()
        _set(self._reader)
        _set(self._writer)

    def _drop(self) -> None:
        self._chunks = None
        self._size = 0

    def _give_up(self) -> None:
        self._mux.reset(self._number, "the other end does not read")
        self._wake()

    def _gone(self) -> Unavailable:
        return Unavailable("NET-CLOSED", address=self._peer.address)


class Call:
    """A stream that the other end opens: take it with `answer`, or say no with `refuse`."""

    def __init__(
        self, number: int, header: bytes, answer: Callable[[int], TunnelStream], refuse: Callable[[int, str], None]
    ) -> None:
        self.number = number
        self.header = header
        """What the other end says about it: at most 16 KiB."""
        self._answer = answer
        self._refuse = refuse

    async def answer(self) -> TunnelStream:
        """Take the call. Raises Unavailable (NET-RESET) when the other end has given it up, or
        (NET-TUNNEL-CLOSED)."""
        return self._answer(self.number)

    async def refuse(self, text: str) -> None:
        """Say no; the other end's `dial` raises Unavailable (NET-TUNNEL-REFUSED) with `text` (1 KiB of it)."""
        self._refuse(self.number, text)


def _set(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
