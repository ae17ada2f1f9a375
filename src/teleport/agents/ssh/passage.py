"""The bytes of one forwarded connection: between an SSH channel and a socket that the user's side has opened.

Each direction ends by itself, and what was sent before an end arrives: end of file goes on as end of file, and a
socket that takes no more ends neither what it still sends nor the channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from teleport.base.errors import TeleportError
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_stream import StreamSession

CHUNK = 64 * 1024
"""Bytes moved at once."""


class Passage:
    """One connection through a channel. Make it, keep it for `cut`, and `await run()`."""

    def __init__(self, channel: StreamSession, other: SocketStream, used: Callable[[], None]) -> None:
        """`used` is called for all data that goes by."""
        self._channel = channel
        self._other = other
        self._used = used
        self._running: asyncio.Future[tuple[None, None]] | None = None
        self._taken = False
        self._cut = self._orderly = False
        self.sent = 0
        """Bytes that went from the client to the socket."""
        self.received = 0
        """Bytes that went from the socket to the client."""

    async def run(self) -> None:
        """Copy until both directions have ended; then the channel is closed behind what was sent on it."""
        if self._cut:
            self._drop()
            return
        self._channel.when_lost = self._client_left
        self._running = asyncio.gather(self._up(), self._down())
        try:
            await self._running
        except asyncio.CancelledError:
            self._drop()
            if not self._cut:
                raise
        finally:
            await self._channel.close()
            await self._other.close()

    def cut(self, *, orderly: bool = False) -> None:
        """End it now; nobody may take what went through for the whole. An `orderly` end leaves the channel what was
        written to it."""
        self._cut, self._orderly = True, orderly
        if self._running is not None:
            self._running.cancel()

    def _drop(self) -> None:
        if not self._orderly:
            self._channel.reset()
        self._other.reset()

    async def _up(self) -> None:
        try:
            while data := await self._channel.read(CHUNK):
                self._used()
                await self._other.write(data)
                self.sent += len(data)
            await self._other.write_eof()
        except TeleportError:
            while await self._channel.read(CHUNK):
                pass  # the socket takes no more; what it still has to say must not wait for that
        self._taken = True
        self._client_left()

    async def _down(self) -> None:
        try:
            while data := await self._other.read(CHUNK):
                self._used()
                await self._channel.write(data)
                self.received += len(data)
            await self._channel.write_eof()
        except TeleportError:
            await self._channel.close()  # a reset, or the client has gone

    def _client_left(self) -> None:
        """Close the socket when the client has closed the channel and what it sent before was written: nobody is
        there any more for what the socket still sends."""
        if self._taken and self._channel.lost:
            self._other.ready.close()
            self._other.sock.close()
