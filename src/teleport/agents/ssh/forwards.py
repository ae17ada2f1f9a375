"""What one connection leads elsewhere: channels to addresses that the client names (`direct-tcpip` of RFC 4254 §7.2,
`direct-streamlocal` of OpenSSH's PROTOCOL), and the bytes of every forwarded connection.

Each channel is decided anew (`Owner.permit`), opened by the user's side (`user_side`), told to the audit log at both
ends, and ended with the connection. Nothing here connects, binds or touches a file. What listens for the client is in
`listeners`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, Protocol

from teleport.access.action import Channel
from teleport.access.checker import Grant
from teleport.agents.ssh import audit
from teleport.agents.ssh.passage import Passage
from teleport.agents.ssh.user_side import UserSide
from teleport.base.errors import TeleportError, Unavailable
from teleport.model.events.base import Event
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh import Place
from teleport.net.ssh_stream import StreamSession
from teleport.net.stream import Peer

ANNOUNCING = 5.0
"""Seconds that a channel waits at most for the record of its beginning; the auth service may be away."""
DIRECT_TCP, DIRECT_UNIX = "direct-tcpip", "direct-streamlocal@openssh.com"


class Owner(Protocol):
    """The connection that all of this belongs to."""

    async def permit(self, channel: Channel, *, counted: bool = False) -> Grant:
        """Decide whether the client may have a channel now. Raises TeleportError; the refusal has a record. A
        `counted` one is opened by the client, whose roles may allow so many (LimitExceeded, SSH-LIMIT-SESSIONS)."""
        ...

    def user_side(self) -> UserSide: ...

    def context(self, session_id: str = "") -> audit.Context: ...

    async def emit(self, event: Event) -> None: ...

    async def record_refusal(self, event: Event, *, seen_here: bool = False) -> None: ...

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...

    def used(self) -> None: ...

    def client_address(self) -> str: ...

    async def open_outward(self, session: StreamSession, kind: bytes, *parts: bytes) -> None: ...


class Forwards:
    """The forwarded connections of one connection."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._passages: set[Passage] = set()
        self._over = False
        self.opened = 0
        """Channels of the client that lead elsewhere, those included that are being connected."""

    async def direct(self, place: Place) -> StreamSession:
        """Connect the client to `place`. Raises TeleportError; the refusal is recorded."""
        kind = DIRECT_UNIX if place.path else DIRECT_TCP
        told = audit.Forwarding(self._owner.context(), kind, str(place))
        taken = False
        try:
            await self._owner.permit("local_forward", counted=True)
            self.opened, taken = self.opened + 1, True
            found = await self._connect(place)
        except BaseException as error:
            self.opened -= taken
            if isinstance(error, TeleportError):
                await self._owner.record_refusal(audit.not_forwarded(told, error))
            raise
        session = StreamSession(Peer(address=self._owner.client_address()), direct=True)
        begun = asyncio.Event()
        self._owner.background(self._whole(told, session, found, begun))
        await self._until(begun)
        return session

    async def _connect(self, place: Place) -> socket.socket:
        side = self._owner.user_side()
        connecting = side.connect_unix(place.path) if place.path else side.connect_tcp(place.host, place.port)
        found = await connecting
        if self._over:
            found.close()
            raise Unavailable("SSH-ENDED", reason="it has ended")
        return found

    async def _whole(
        self, told: audit.Forwarding, session: StreamSession, found: socket.socket, begun: asyncio.Event
    ) -> None:  # fmt: skip
        """Record the beginning, carry the bytes, record the end."""
        passage = self.join(session, SocketStream(found))
        try:
            await self._owner.emit(audit.forwarded(told))
            begun.set()
            await self.carry(passage)
        finally:
            self.opened -= 1
        await self._owner.emit(audit.no_longer_forwarded(told, passage.sent, passage.received))

    async def _until(self, begun: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(ANNOUNCING):
                await begun.wait()
        except TimeoutError:
            pass

    def join(self, session: StreamSession, found: SocketStream) -> Passage:
        """Put a channel and a socket together; both end with the connection from now on."""
        passage = Passage(session, found, self._owner.used)
        self._passages.add(passage)
        if self._over:
            passage.cut()
        return passage

    async def carry(self, passage: Passage) -> None:
        """Copy until both directions have ended."""
        try:
            await passage.run()
        finally:
            self._passages.discard(passage)

    def end(self) -> None:
        """Cut every connection, now and from now on."""
        self._over = True
        for passage in list(self._passages):
            passage.cut()
