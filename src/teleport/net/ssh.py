"""SSH connections that we serve: asyncssh's transport under our own authentication and our own doors.

asyncssh does versions, key exchange, ciphers, rekeying and windows. Ours are: who is let in (a
certificate, checked by `pki.check` after the client has proven that it holds the key), which channels and
requests exist (closed lists here and in `ssh_channel`), and the bounds. asyncssh's own authentication,
SFTP, forwarding, agent and X11 code is never reached. Private names used stand in `ssh_private`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import asyncssh
from asyncssh.connection import SSHServerConnection
from asyncssh.constants import (
    DISC_NO_MORE_AUTH_METHODS_AVAILABLE,
    DISC_SERVICE_NOT_AVAILABLE,
    MSG_CHANNEL_OPEN,
    MSG_GLOBAL_REQUEST,
    MSG_REQUEST_FAILURE,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_RESOURCE_SHORTAGE,
)
from asyncssh.misc import ProtocolError
from asyncssh.packet import SSHPacket, String
from asyncssh.public_key import decode_ssh_public_key

from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, LimitExceeded, TeleportError
from teleport.base.log import escape
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.net.bridge import as_transport
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_channel import ENVIRONMENT_BYTES, ENVIRONMENT_ENTRIES, Session, SessionChannel
from teleport.net.ssh_packets import PacketConnection
from teleport.net.ssh_settings import SIGNATURES, ServerOptions
from teleport.net.ssh_stream import DirectChannel, StreamSession
from teleport.net.stream import Stream
from teleport.pki import ssh
from teleport.pki.check import check_user

CHANNELS = 64
"""Channels open at one time on one connection."""
TOO_MANY = "channels"
"""Kind of the refusal of a channel beyond them; its detail is their number."""
ATTEMPTS = 6
"""Signed requests to authenticate that are looked at on one connection."""
QUERIES = 32
"""All requests to authenticate, those with nothing to look at included (an agent may offer many keys)."""
UNSENT_BYTES = 16 * 1024 * 1024
"""Output that may wait for a client that does not read; beyond it the connection ends."""
LINGER = 2.0
"""Seconds that a client has to take our last words."""
TCP_QUICKACK = 12  # linux/tcp.h; the socket module has no name for it


@dataclass(frozen=True)
class Trust:
    """What a certificate is checked against, each time anew."""

    clock: Clock
    cluster: str
    authorities: Callable[[], Sequence[CertAuthority]]
    user_names: bool = False
    """Whether a user's own name is accepted beside the principals: where nobody enters an account."""


@dataclass(frozen=True)
class Proof:
    """What somebody else needs to check for themselves that a client logged in (RFC 4252 §7)."""

    session_id: bytes
    """Of this connection: the exchange hash of its first key exchange (RFC 4253 §7.2)."""
    message: bytes
    """The request to authenticate, from its message number up to the signature."""
    signature: bytes
    """Over `string(session_id) + message`, by the key in `certificate`."""
    certificate: bytes
    login: str


@dataclass(frozen=True)
class Refusal:
    """A channel or request that was not accepted."""

    kind: str
    """Type of the channel or name of the global request, as in RFC 4254 and OpenSSH's PROTOCOL."""
    detail: str = ""
    """What it was for, for example `localhost:80`."""


class Handler(Protocol):
    """What the service decides about one connection. Every error it raises refuses, and its text is shown."""

    async def authorize(self, identity: Identity, login: str) -> None:
        """The certificate is good and its key proven: may the connection exist? Raises TeleportError."""
        ...

    async def refused(self, error: TeleportError, certificate: ssh.SSHCertificate, login: str) -> TeleportError:
        """Record that somebody who holds the key of `certificate` was refused; return the error to show,
        with the id of the record."""
        ...

    async def open_session(self) -> Session:
        """A session channel is to be opened. Raises TeleportError to refuse it."""
        ...

    async def declined(self, refusal: Refusal) -> TeleportError:
        """Record something that is never accepted; return the error to show."""
        ...

    def failed(self, error: BaseException) -> None:
        """A defect ended the connection."""
        ...


@runtime_checkable
class Forwards(Protocol):
    """A handler that also connects a client to somewhere else (`direct-tcpip`, RFC 4254 §7.2)."""

    async def open_direct(self, host: str, port: int) -> StreamSession:
        """Return what carries the bytes, already connected. Raises TeleportError to refuse it."""
        ...


async def serve(
    stream: Stream, *, settings: ServerOptions, trust: Trust, handler: Callable[[ServerConnection], Handler]
) -> None:
    """Speak SSH on an accepted stream until either side ends it. The stream is closed at the end."""
    connection = ServerConnection(settings, stream=stream, trust=trust, handler=handler)
    try:
        transport, _ = as_transport(stream, lambda: connection)
        await connection.wait_closed()
        await transport.wait_closed()
    finally:
        connection.abort()
        await stream.close()


@dataclass
class _Counters:
    """Requests so far."""

    signed: int = 0
    all: int = 0
    variables: int = 0
    variable_bytes: int = 0


class ServerConnection(PacketConnection):
    """One connection of a client."""

    def __init__(
        self, settings: ServerOptions, *, stream: Stream, trust: Trust,
        handler: Callable[[ServerConnection], Handler],
    ) -> None:  # fmt: skip
        super().__init__(asyncio.get_running_loop(), settings)
        self.client = stream.peer.address
        """Address of the client, `host:port`."""
        self.client_ip = stream.peer.proven_ip
        """Address that a certificate may be bound to; empty where the carrier has none, or it was only claimed."""
        self.local = _own_address(stream)
        """Our own address that the client reached, `host:port`; empty where the carrier has none."""
        self.identity: Identity | None = None
        """Who authenticated; None before."""
        self.login = ""
        """The account they authenticated for."""
        self.proof: Proof | None = None
        """How they proved it; None before."""
        self.output_held = False
        """Whether the client reads so slowly that sessions have to wait."""
        self.notices: list[str] = []
        """Lines for the next session's standard error: refusals that their own reply has no text for."""
        self._trust = trust
        self._handler = handler(self)
        self._counters = _Counters()
        self._carrier = stream.sock if isinstance(stream, SocketStream) else None

    # -- authentication -----------------------------------------------------------------------------------

    async def reload_config(self) -> None:
        """Settings do not depend on the user name; asyncssh would build them anew for each."""

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return False

    def host_based_auth_supported(self) -> bool:
        return False

    def gss_kex_auth_supported(self) -> bool:
        return False

    def gss_mic_auth_supported(self) -> bool:
        return False

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """Decide on a request to authenticate with a key (RFC 4252 §7).

        Without a signature (`msg` empty) the answer depends on the form of the certificate alone: whoever
        does not hold its key learns nothing about authorities, logins or locks, and leaves no trace. With
        one, the order is: the signature over this connection's session id with the key in the certificate;
        the certificate; the service. Only then does anything carry a text.
        """
        try:
            certificate = ssh.parse(key_data)
        except BadParameter:
            return False
        if not msg:
            self._count(all=1)
            return True
        self._count(signed=1)
        if not _proves(certificate.key, String(self._session_id) + msg, signature):
            return False
        try:
            identity = check_user(
                key_data, proven_key=certificate.key, login=self._principal(certificate, username),
                authorities=self._trust.authorities(), now=self._trust.clock.now(),
                source_ip=self.client_ip, cluster=self._trust.cluster,
            )  # fmt: skip
            await self._handler.authorize(identity, username)
        except TeleportError as error:
            await self._explain(error, certificate, username)
            return False
        self.identity, self.login = identity, username
        self.proof = Proof(self._session_id, msg, signature, key_data, username)
        return True

    def _principal(self, certificate: ssh.SSHCertificate, username: str) -> str:
        """Return the principal that must be in the certificate for this user name."""
        own_name = self._trust.user_names and username == certificate.key_id
        return certificate.principals[0] if own_name and certificate.principals else username

    async def _explain(self, error: TeleportError, certificate: ssh.SSHCertificate, login: str) -> None:
        """Record the refusal and say it in a banner. A client that sends its next request at once cancels
        this task; the record is made all the same."""
        record = tasks.spawn(
            self._handler.refused(error, certificate, login), name="ssh-refusal", on_error=self._handler.failed
        )
        shown = await asyncio.shield(record)
        self.send_auth_banner(one_line(shown) + "\n")

    def send_userauth_failure(self, partial_success: bool) -> None:
        self._count(all=1)
        super().send_userauth_failure(partial_success)

    def _count(self, *, signed: int = 0, all: int = 0) -> None:
        self._counters.signed += signed
        self._counters.all += all
        if self._counters.signed > ATTEMPTS or self._counters.all > QUERIES:
            raise asyncssh.DisconnectError(DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Too many authentication failures")

    # -- channels and requests ----------------------------------------------------------------------------

    def add_channel(self, chan: Any) -> int:
        if len(self._channels) >= CHANNELS:
            error = LimitExceeded("SSH-LIMIT-CHANNELS", limit=CHANNELS)
            raise asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, one_line(error))
        return super().add_channel(chan)

    def _open_channel(self, _type: int, _id: int, packet: SSHPacket) -> Any:
        """Only the types of this list are opened; asyncssh would open whatever it has a method for."""
        kind, number = packet.get_string(), packet.get_uint32()
        window, size = packet.get_uint32(), packet.get_uint32()
        if size == 0:
            raise ProtocolError("invalid maximum packet size")
        if kind == b"session":
            packet.check_end()
            self._start_channel(SessionChannel, number, window, size, self._handler.open_session)
        elif kind == b"direct-tcpip" and isinstance(self._handler, Forwards):
            host, port = packet.get_string().decode(errors="replace"), packet.get_uint32()
            packet.get_string(), packet.get_uint32()  # where the client says that it comes from
            packet.check_end()
            opened = partial(self._handler.open_direct, host, port)
            self._start_channel(DirectChannel, number, window, size, opened)
        else:
            return self._decline_channel(number, _refusal(kind, packet))
        return None

    def take_variable(self, name: bytes, value: bytes) -> bool:
        """Count an environment variable; say whether the connection may have it."""
        self._counters.variables += 1
        self._counters.variable_bytes += len(name) + len(value)
        return (
            self._counters.variables <= ENVIRONMENT_ENTRIES and self._counters.variable_bytes <= ENVIRONMENT_BYTES
        )  # fmt: skip

    def _start_channel(
        self, cls: type[SessionChannel], number: int, window: int, size: int, opened: Callable[[], Awaitable[Session]]
    ) -> None:
        try:
            channel = cls(self)
        except asyncssh.ChannelOpenError as error:
            self.send_channel_open_failure(number, error.code, error.reason, error.lang)
            self.create_task(self._record_limit(), self.logger)
        else:
            channel.process_open(number, window, size, self._open_session(opened))

    async def _record_limit(self) -> None:
        await self._handler.declined(Refusal(TOO_MANY, str(CHANNELS)))

    async def _open_session(self, opened: Callable[[], Awaitable[Session]]) -> Session:
        try:
            return await opened()
        except TeleportError as error:
            raise asyncssh.ChannelOpenError(OPEN_ADMINISTRATIVELY_PROHIBITED, one_line(error)) from None

    async def _decline_channel(self, number: int, refusal: Refusal) -> None:
        error = await self._handler.declined(refusal)
        self.send_channel_open_failure(number, OPEN_ADMINISTRATIVELY_PROHIBITED, one_line(error), "en")

    def _global_request(self, _type: int, _id: int, packet: SSHPacket) -> Any:
        """None is granted. Those that ask for a service are recorded; a reply to them has no text, so the
        next session says it."""
        name, wants_reply = packet.get_string(), packet.get_boolean()
        if name in (b"tcpip-forward", b"streamlocal-forward@openssh.com"):
            return self._decline_request(_refusal(name, packet), wants_reply)
        if wants_reply:
            self.send_packet(MSG_REQUEST_FAILURE)
        return None

    async def _decline_request(self, refusal: Refusal, wants_reply: bool) -> None:
        error = await self._handler.declined(refusal)
        if len(self.notices) < CHANNELS:
            self.notices.append(one_line(error))
        if wants_reply:
            self.send_packet(MSG_REQUEST_FAILURE)

    _packet_handlers = {
        **SSHServerConnection._packet_handlers,
        MSG_CHANNEL_OPEN: _open_channel,
        MSG_GLOBAL_REQUEST: _global_request,
    }

    # -- carrier ------------------------------------------------------------------------------------------

    def data_received(self, data: bytes, datatype: Any = None) -> None:
        if not self._auth_complete:
            self._acknowledge_at_once()
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size() > UNSENT_BYTES:
            self.abort()
            return
        super().data_received(data, datatype)

    def _acknowledge_at_once(self) -> None:
        """OpenSSH's client keeps Nagle's algorithm on until its session starts, so each of its second small
        packets would wait for our delayed acknowledgement (two times 40 ms a login)."""
        if self._carrier is not None and self._carrier.family in (socket.AF_INET, socket.AF_INET6):
            try:
                self._carrier.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
            except OSError:
                pass  # it has been closed

    def end(self, reason: str) -> None:
        """End the connection with a reason that clients show; asyncssh would close the channels before, and clients
        would leave with the last of them."""
        self._send_disconnect(DISC_SERVICE_NOT_AVAILABLE, reason, "")
        self._force_close(None)

    def _force_close(self, exc: Exception | None) -> None:
        """End the connection. asyncssh drops what is unsent, and with it the reason it has just given; here
        the client gets a moment to take it."""
        transport = self._transport
        if transport is not None:
            self._transport = None
            transport.close()
            self._loop.call_later(LINGER, transport.abort)
            self._loop.call_soon(self._cleanup, exc)

    def pause_writing(self) -> None:
        self._hold(True)

    def resume_writing(self) -> None:
        self._hold(False)

    def _hold(self, held: bool) -> None:
        self.output_held = held
        for channel in list(self._channels.values()):
            if isinstance(channel, SessionChannel):
                channel.hold_output(held)

    def internal_error(self, exc_info: Any = None, error_logger: Any = None) -> None:
        """asyncssh closes the connection and tells nobody."""
        error = (exc_info or sys.exc_info())[1]
        if error is not None:
            self._handler.failed(error)
        super().internal_error(exc_info, error_logger)


def _own_address(stream: Stream) -> str:
    if not isinstance(stream, SocketStream) or stream.sock.family not in (socket.AF_INET, socket.AF_INET6):
        return ""
    host, port = stream.sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def one_line(error: TeleportError) -> str:
    """Return what a client is shown of an error: code, what, why, fix and id in one line without control characters."""
    text = f"{error.code}: {error.what}"
    text += f" ({error.why})" if error.why else ""
    text += f"; {error.fix}" if error.fix else ""
    text += f" [id {error.id}]" if error.id else ""
    return escape(text)


def _proves(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` was made with the private half of `key`, by an algorithm we accept."""
    try:
        algorithm = SSHPacket(signature).get_string()
        return algorithm.decode("ascii") in SIGNATURES and decode_ssh_public_key(key).verify(message, signature)
    except (asyncssh.KeyImportError, asyncssh.packet.PacketDecodeError, ValueError):
        return False


def _refusal(kind: bytes, packet: SSHPacket) -> Refusal:
    """Read what a refused channel or request was for. A form that we do not know has no detail."""
    detail = ""
    try:
        if kind in (b"direct-tcpip", b"forwarded-tcpip", b"tcpip-forward"):
            detail = f"{packet.get_string().decode(errors='replace')}:{packet.get_uint32()}"
        elif kind in (b"direct-streamlocal@openssh.com", b"streamlocal-forward@openssh.com"):
            detail = packet.get_string().decode(errors="replace")
    except asyncssh.packet.PacketDecodeError:
        pass
    return Refusal(kind=kind[:64].decode(errors="replace"), detail=detail[:256])
