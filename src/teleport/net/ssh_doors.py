"""Which channels and global requests exist on an SSH connection, and in which order they are answered.

Closed lists: asyncssh would open and answer whatever it has a method for. Each entry asks the handler and is
refused unless that says yes. Global requests are decided one after the other, because their answers carry
no number (RFC 4254 §4); channels while others are being decided.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

import asyncssh
from asyncssh.connection import SSHServerConnection
from asyncssh.constants import (
    MSG_CHANNEL_OPEN,
    MSG_GLOBAL_REQUEST,
    MSG_REQUEST_FAILURE,
    MSG_REQUEST_SUCCESS,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_CONNECT_FAILED,
    OPEN_RESOURCE_SHORTAGE,
)
from asyncssh.misc import ProtocolError
from asyncssh.packet import SSHPacket, UInt32

from teleport.base.errors import LimitExceeded, TeleportError, Unavailable
from teleport.net.ssh_auth import Authentication
from teleport.net.ssh_channel import ENVIRONMENT_BYTES, ENVIRONMENT_ENTRIES, Session, SessionChannel
from teleport.net.ssh_forward import OutwardChannel, check_place, read_place, refusal_of
from teleport.net.ssh_handler import Forwards, Listens, Place, Refusal, Trust, one_line
from teleport.net.ssh_settings import ServerOptions
from teleport.net.ssh_stream import DirectChannel, StreamSession

CHANNELS = 64
"""Channels open at one time on one connection, those that we open included."""
TOO_MANY = "channels"
"""Kind of the refusal of a channel beyond them; its detail is their number."""
REQUESTS = 64
"""Global requests that may wait while an earlier one is being decided, and refusals that may wait to be recorded."""

FAILED = "SSH-USER-"
"""Errors of a target that the account itself cannot reach; every other refusal is one of ours (RFC 4254 §5.1)."""

Opened = Callable[[], Awaitable[Session]]
Answered = Callable[[], Awaitable[bytes | None]]


class _Asked(NamedTuple):
    """A global request that waits."""

    answered: Answered | None
    """What decides it: None, or what to send with a success. No decider: it fails."""
    wants_reply: bool


class Doors(Authentication):
    """The half of a connection that opens channels."""

    def __init__(self, settings: ServerOptions, *, trust: Trust, client_ip: str) -> None:
        super().__init__(settings, trust=trust, client_ip=client_ip)
        self.output_held = False
        """Whether the client reads so slowly that sessions have to wait."""
        self.notices: list[str] = []
        """Lines for the next session's standard error: refusals that their own reply has no text for."""
        self._asked: deque[_Asked] = deque()
        self._answered = asyncio.Event()
        self._answered.set()
        self._refusing = 0
        self._environment = [0, 0]

    # -- channels -----------------------------------------------------------------------------------------

    def add_channel(self, chan: Any) -> int:
        if len(self._channels) >= CHANNELS:
            error = LimitExceeded("SSH-LIMIT-CHANNELS", limit=CHANNELS)
            raise asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, one_line(error))
        return super().add_channel(chan)

    def _open_channel(self, _type: int, _id: int, packet: SSHPacket) -> None:
        kind, number = packet.get_string(), packet.get_uint32()
        window, size = packet.get_uint32(), packet.get_uint32()
        if size == 0:
            raise ProtocolError("invalid maximum packet size")
        if kind == b"session":
            packet.check_end()
            self._start_channel(SessionChannel, number, window, size, self._session_in_turn)
        elif (opened := self._connection_for(kind, packet)) is not None:
            self._start_channel(DirectChannel, number, window, size, opened)
        else:
            self._refuse(self._decline_channel(number, refusal_of(kind, packet)), number)

    async def _session_in_turn(self) -> Session:
        """Open a session when the requests before it are answered: its command may rely on what listens for it."""
        await self._answered.wait()
        return await self._handler.open_session()

    def _connection_for(self, kind: bytes, packet: SSHPacket) -> Opened | None:
        """Return what connects a channel to where the client wants it; None for a kind that is not served."""
        handler = self._handler
        if kind == b"direct-tcpip" and isinstance(handler, Forwards):
            place = read_place(kind, packet)
            packet.get_string(), packet.get_uint32()  # where the client says that it comes from
            packet.check_end()
            return partial(self._connected, place, False, partial(handler.open_direct, place.host, place.port))
        if kind == b"direct-streamlocal@openssh.com" and isinstance(handler, Listens):
            place = read_place(kind, packet)
            packet.get_string(), packet.get_uint32()  # reserved
            packet.check_end()
            return partial(self._connected, place, True, partial(handler.open_direct_unix, place.path))
        return None

    async def _connected(self, place: Place, unix: bool, opened: Opened) -> Session:
        check_place(place, unix=unix)
        return await opened()

    def take_variable(self, name: bytes, value: bytes) -> bool:
        """Count an environment variable; say whether the connection may have it."""
        self._environment[0] += 1
        self._environment[1] += len(name) + len(value)
        return self._environment[0] <= ENVIRONMENT_ENTRIES and self._environment[1] <= ENVIRONMENT_BYTES

    def _start_channel(
        self, cls: type[SessionChannel], number: int, window: int, size: int, opened: Opened
    ) -> None:  # fmt: skip
        try:
            channel = cls(self)
        except asyncssh.ChannelOpenError as error:
            self.send_channel_open_failure(number, error.code, error.reason, error.lang)
            self._refuse(self._record_limit())
        else:
            channel.process_open(number, window, size, self._open_session(opened))

    async def _record_limit(self) -> None:
        await self._handler.declined(Refusal(TOO_MANY, str(CHANNELS)))

    async def _open_session(self, opened: Opened) -> Session:
        try:
            return await opened()
        except TeleportError as error:
            failed = error.code.startswith(FAILED)
            code = OPEN_CONNECT_FAILED if failed else OPEN_ADMINISTRATIVELY_PROHIBITED
            raise asyncssh.ChannelOpenError(code, one_line(error)) from None

    def _refuse(self, work: Any, number: int = -1) -> None:
        """Record a refusal while other packets are read; of very many at one time the rest is only refused."""
        if self._refusing >= REQUESTS:
            work.close()
            if number >= 0:
                self.send_channel_open_failure(number, OPEN_RESOURCE_SHORTAGE, "too many refusals", "en")
            return
        self._refusing += 1
        self.create_task(self._counted(work), self.logger)

    async def _counted(self, work: Awaitable[None]) -> None:
        try:
            await work
        finally:
            self._refusing -= 1

    async def _decline_channel(self, number: int, refusal: Refusal) -> None:
        error = await self._handler.declined(refusal)
        self.send_channel_open_failure(number, OPEN_ADMINISTRATIVELY_PROHIBITED, one_line(error), "en")

    async def open_outward(self, session: StreamSession, kind: bytes, *parts: bytes) -> None:
        """Open a channel of ours to the client, `session` behind it.

        Raises LimitExceeded (SSH-LIMIT-CHANNELS), Unavailable (SSH-CLIENT-REFUSED).
        """
        try:
            channel = OutwardChannel(self, session)
        except asyncssh.ChannelOpenError as error:
            if error.code == OPEN_RESOURCE_SHORTAGE:
                raise LimitExceeded("SSH-LIMIT-CHANNELS", limit=CHANNELS) from None
            raise Unavailable("SSH-CLIENT-REFUSED", kind=kind.decode(), reason=error.reason) from None
        await channel.begin(kind, *parts)

    # -- global requests ----------------------------------------------------------------------------------

    def _global_request(self, _type: int, _id: int, packet: SSHPacket) -> None:
        name, wants_reply = packet.get_string(), packet.get_boolean()
        if len(self._asked) >= REQUESTS:
            raise ProtocolError("too many global requests")
        self._asked.append(_Asked(self._answer_to(name, packet), wants_reply))
        if len(self._asked) == 1:
            self._answer_requests()

    def _answer_to(self, name: bytes, packet: SSHPacket) -> Answered | None:
        """Return what decides a request; None for one that asks for no service."""
        served = isinstance(self._handler, Listens)
        if name in (b"tcpip-forward", b"streamlocal-forward@openssh.com"):
            if not served:
                return partial(self._decline_request, refusal_of(name, packet))
            place = read_place(name, packet)
            packet.check_end()
            return partial(self._listen, place, name.startswith(b"streamlocal"))
        if served and name in (b"cancel-tcpip-forward", b"cancel-streamlocal-forward@openssh.com"):
            place = read_place(name, packet)
            packet.check_end()
            return partial(self._unlisten, place)
        return None

    def _answer_requests(self) -> None:
        """Answer every request up to the first that has to be waited for."""
        while self._asked:
            answered, wants_reply = self._asked[0]
            if answered is not None:
                self._answered.clear()
                self.create_task(self._answer_one(answered), self.logger)
                return
            self._asked.popleft()
            self._reply(None, wants_reply)
        self._answered.set()

    async def _answer_one(self, answered: Answered) -> None:
        reply = await answered()
        self._reply(reply, self._asked.popleft().wants_reply)
        self._answer_requests()

    def _reply(self, reply: bytes | None, wants_reply: bool) -> None:
        if not wants_reply:
            return
        if reply is None:
            self.send_packet(MSG_REQUEST_FAILURE)
        else:
            self.send_packet(MSG_REQUEST_SUCCESS, reply)

    async def _listen(self, place: Place, unix: bool) -> bytes | None:
        """Let the handler listen; the port that it has goes to a client that left the choice to us."""
        handler = self._handler
        assert isinstance(handler, Listens)  # noqa: S101 - `_answer_to` has looked
        try:
            check_place(place, unix=unix, listening=True)
            port = await handler.listen(place)
        except TeleportError as error:
            self._note(error)
            return None
        return UInt32(port) if not unix and place.port == 0 else b""

    async def _unlisten(self, place: Place) -> bytes | None:
        handler = self._handler
        assert isinstance(handler, Listens)  # noqa: S101 - `_answer_to` has looked
        return b"" if await handler.unlisten(place) else None

    async def _decline_request(self, refusal: Refusal) -> bytes | None:
        self._note(await self._handler.declined(refusal))
        return None

    def _note(self, error: TeleportError) -> None:
        """Keep a refusal for the next session to tell: a reply to a global request has no text."""
        if len(self.notices) < CHANNELS:
            self.notices.append(one_line(error))

    _packet_handlers = {
        **SSHServerConnection._packet_handlers,
        MSG_CHANNEL_OPEN: _open_channel,
        MSG_GLOBAL_REQUEST: _global_request,
    }
