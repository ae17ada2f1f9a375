"""The bytes of an SSH channel as a Stream, so that `net.relay` and everything else work on them.

What is here: `StreamSession`, which stands behind a channel, and `DirectChannel` for `direct-tcpip` (RFC 4254
§7.2). What is not: who may open one, and where it leads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from asyncssh.packet import SSHPacket

from teleport.base.errors import Unavailable
from teleport.net.socket_stream import Turnstile
from teleport.net.ssh_channel import Session, SessionChannel
from teleport.net.stream import Peer

if TYPE_CHECKING:
    from teleport.net.ssh_doors import Doors

HELD = 1024 * 1024
"""Bytes from the client that wait here before its window closes."""


class DirectChannel(SessionChannel):
    """A channel that is a connection: every request is answered with failure, and changes nothing."""

    def __init__(self, connection: Doors) -> None:
        super().__init__(connection)
        self._used = True

    _known_requests: ClassVar[dict[str, Callable[[SessionChannel, SSHPacket], bool | None]]] = {}


class StreamSession(Session):
    """A session whose data is read and written as a Stream.

    `direct` is True for a channel whose bytes flow as soon as it is open, False for one that waits for a request.
    """

    def __init__(self, peer: Peer, *, direct: bool) -> None:
        self._facts = peer
        self._flows_at_once = direct
        self._channel: SessionChannel | None = None
        self._incoming: deque[bytes] = deque()
        self._size = 0
        self._stalled = False
        self._input_over = False
        self._over = False
        self._holds: set[str] = {"unopened"}
        self._changed = asyncio.Event()
        self.when_lost: Callable[[], None] | None = None
        """Called once the channel has ended, in both directions."""
        self._read_turn, self._write_turn = Turnstile("read", peer.address), Turnstile("write", peer.address)

    # -- from the channel ---------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        super().connection_made(chan)
        self.release("unopened")
        if self._flows_at_once:
            chan.resume_reading()

    def data_received(self, data: bytes, datatype: Any) -> None:
        if datatype is None:
            self._incoming.append(data)
            self._size += len(data)
            self._throttle()
            self._changed.set()

    def eof_received(self) -> bool:
        self._input_over = True
        self._changed.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel has ended. A close of the client's is its way to end both directions."""
        self._channel = None
        self._over = True
        self._input_over = True
        self._changed.set()
        if self.when_lost is not None:
            self.when_lost()

    @property
    def lost(self) -> bool:
        """Whether the channel has ended, in both directions."""
        return self._over

    def hold(self, reason: str) -> None:
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        self._holds.discard(reason)
        self._changed.set()

    # -- Stream -------------------------------------------------------------------------------------------

    @property
    def peer(self) -> Peer:
        """Facts about the other end."""
        return self._facts

    async def read(self, limit: int = 65536) -> bytes:
        """See Stream.read."""
        with self._read_turn:
            while not self._incoming:
                if self._input_over:
                    return b""
                await self._until_changed()
            data = self._incoming.popleft()
            if len(data) > limit:
                self._incoming.appendleft(data[limit:])
                data = data[:limit]
            self._size -= len(data)
            self._throttle()
            return data

    async def write(self, data: bytes) -> None:
        """See Stream.write."""
        with self._write_turn:
            await self._until_writable()
            channel = self._channel
            if channel is None or channel.is_closing():
                raise self._gone()
            channel.write(data)
            await self._until_writable()

    async def write_eof(self) -> None:
        """See Stream.write_eof."""
        if self._channel is None:
            raise self._gone()
        self._channel.write_eof()

    async def close(self) -> None:
        """See Stream.close. What was written before is still sent."""
        if self._channel is not None:
            self.finish(self._channel)

    def reset(self) -> None:
        """End the channel at once; unsent data is dropped."""
        if self._channel is not None:
            self._channel.abort()

    def finish(self, channel: SessionChannel) -> None:
        """Say on the channel that this was the end."""
        channel.close()

    def _throttle(self) -> None:
        """Let the window close while much waits to be read."""
        stalled = self._size > HELD
        if stalled != self._stalled and self._channel is not None:
            self._stalled = stalled
            (self._channel.pause_reading if stalled else self._channel.resume_reading)()

    async def _until_writable(self) -> None:
        while self._holds and not self._over:
            await self._until_changed()

    async def _until_changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _gone(self) -> Unavailable:
        return Unavailable("NET-CLOSED", address=self._facts.address)
