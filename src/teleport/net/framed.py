"""FramedStream: a Stream whose bytes travel in messages of another one, a WebSocket for example.

What is here: reads and writes, pings and their answers, both kinds of end. What is not: the form of the messages
(`wire.framing`, `wire.websocket`), and how such a connection begins (`net.upgrade`).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

from teleport.base import tasks
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.socket_stream import Turnstile, drop
from teleport.net.stream import Peer, Stream
from teleport.wire.buffer import ProtocolError
from teleport.wire.framing import Data, End, Framing, Ping

PING_EVERY = 30.0
"""Seconds between pings: less than what load balancers wait before they close a silent connection."""
_PIECE = 65536
_FLUSH_ON_CLOSE = 1.0


class FramedStream:
    """Plain bytes over `inner`, of which this object becomes the owner.

    A write that is cancelled or fails with data under way breaks the stream: its peer sees no orderly end.
    """

    def __init__(self, inner: Stream, framing: Framing, *, peer: Peer | None = None) -> None:
        """`peer`: who is at the other end, if the carrier does not know."""
        self._inner = inner
        self._framing = framing
        self._peer = peer or inner.peer
        self._sending = asyncio.Lock()  # messages of the writer, of `ping_every` and answers to pings do not mix
        self._reading = Turnstile("read", self._peer.address)
        self._writing = Turnstile("write", self._peer.address)
        self._held = b""
        self._read_end = self._write_end = self._broken = self._closed = False
        self._owed: bytes | None = None  # payload of the last ping that was not answered
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def peer(self) -> Peer:
        """Facts about the other end."""
        return self._peer

    def know(self, peer: Peer) -> None:
        """Set facts that were learned since."""
        self._peer = peer

    def ping_every(self, seconds: float, entropy: Entropy) -> None:
        """Send a ping every `seconds` until the stream is closed."""

        async def ping() -> None:
            await self._say(self._framing.ping())

        work = tasks.every(seconds, ping, entropy=entropy, first=seconds)
        self._tasks.append(tasks.spawn(work, name=f"ping {self._peer.address}", on_error=_known_to_others))

    async def read(self, limit: int = 65536) -> bytes:
        """See Stream.read. An end without the message for it raises Unavailable (NET-FRAMES-CUT), bytes that break
        the protocol ProtocolError (WIRE-*)."""
        with self._reading:
            while True:
                self._check()
                if self._held:
                    data, self._held = self._held[:limit], self._held[limit:]
                    return data
                if self._read_end:
                    return b""
                self._take(await self._inner.read(_PIECE))

    def _take(self, received: bytes) -> None:
        if not received:
            if self._framing.carries_end:
                self._broken = True
                raise Unavailable("NET-FRAMES-CUT", address=self._peer.address)
            self._read_end = True
        parts = []
        try:
            for event in self._framing.feed(received):
                match event:
                    case Data(payload):
                        parts.append(payload)
                    case Ping(payload):
                        self._answer(payload)
                    case End():
                        self._read_end = True
        except ProtocolError:
            self.reset()
            raise
        self._held = b"".join(parts)

    def _answer(self, payload: bytes) -> None:
        """Owe an answer. The reader must not wait for room to write: if both sides did, neither would read on."""
        self._owed = payload
        self._tasks = [task for task in self._tasks if not task.done()]
        if not self._sending.locked():
            self._tasks.append(tasks.spawn(self._say(b""), name="answer to a ping", on_error=_known_to_others))

    async def write(self, data: bytes) -> None:
        """See Stream.write."""
        with self._writing:
            self._check()
            view = memoryview(data)
            for at in range(0, len(view), _PIECE):
                try:
                    await self._say(self._framing.data(bytes(view[at : at + _PIECE])))
                except BaseException:
                    self._broken |= at > 0
                    raise

    async def write_eof(self) -> None:
        """See Stream.write_eof."""
        with self._writing:
            self._check()
            if self._write_end:
                return
            await self._say(self._framing.end(), last=True)
            if not self._framing.carries_end:
                await self._inner.write_eof()

    async def _say(self, message: bytes, *, last: bool = False) -> None:
        """Send a message, and the answer to a ping if one is owed."""
        async with self._sending:
            self._check()
            if self._write_end:
                if message:
                    raise Unavailable("NET-RESET", address=self._peer.address, reason="the end was written before")
                return
            self._write_end = last
            owed, self._owed = self._owed, None
            answer = b"" if owed is None else self._framing.pong(owed)
            if not answer and not message:
                return
            try:
                await self._inner.write(answer + message)
            except BaseException:
                self._broken = True  # part of a message may be on its way: nothing can follow it
                raise

    async def close(self) -> None:
        """See Stream.close. Tries for a moment to send the message for the end."""
        if self._closed:
            return
        try:
            if self._broken or self._writing.busy:
                drop(self._inner)
            elif not self._write_end:
                with contextlib.suppress(TeleportError, TimeoutError):
                    async with asyncio.timeout(_FLUSH_ON_CLOSE):
                        await self._say(self._framing.end(), last=True)
        finally:
            self._closed = True
            for task in self._tasks:
                task.cancel()
            await self._inner.close()

    def reset(self) -> None:
        """Drop the connection at once: the peer does not see an orderly end."""
        self._broken = True
        drop(self._inner)

    def _check(self) -> None:
        if self._closed or self._broken:
            raise Unavailable("NET-CLOSED", address=self._peer.address)


def named(peer: Peer, address: str) -> Peer:
    """Return the facts of a carrier whose other end is reached through it under another address."""
    return dataclasses.replace(peer, address=address, alpn="", certificate=b"", server_name="")


def _known_to_others(error: BaseException) -> None:
    """A connection that broke under a ping: whoever reads or writes it is told as well."""
