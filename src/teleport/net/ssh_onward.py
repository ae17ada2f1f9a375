"""SSH connections that we make to a server in a user's name, as the second half of a connection that we ended.

asyncssh speaks the protocol. Ours are: which key the server may show (decided by the caller, before anything is said
to it), what we authenticate with, the algorithms (those that we serve) and the bounds. Private names used stand in
`ssh_private`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import asyncssh
from asyncssh.connection import SSHClientConnection, SSHClientConnectionOptions
from asyncssh.constants import MSG_REQUEST_SUCCESS, OPEN_RESOURCE_SHORTAGE
from asyncssh.packet import SSHPacket

from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError, Unavailable
from teleport.net.bridge import as_transport
from teleport.net.ssh_carried import Carried, OnwardSession, carry
from teleport.net.ssh_far import WINDOW, FarChannel, Request
from teleport.net.ssh_lent import (
    AGENT,
    CHANNELS,
    FORWARDED_TCP,
    FORWARDED_UNIX,
    X11,
    Incoming,
    Lent,
    PortPlace,
    Refused,
    origin_of,
)
from teleport.net.ssh_settings import CIPHERS, KEX, LOGIN_TIMEOUT, MACS, SERVER_VERSION, SIGNATURES
from teleport.net.ssh_x11 import X11Request
from teleport.net.stream import Stream
from teleport.pki import ssh
from teleport.wire import ssh_channel
from teleport.wire.buffer import ProtocolError as Malformed

KEEP_ALIVE = 300.0
"""Seconds of silence after which the server is asked whether it is there."""
_CERTIFIED = tuple(f"{name}-cert-v01@openssh.com" for name in SIGNATURES)


@dataclass(frozen=True)
class Credential:
    """What we show the server."""

    private: bytes
    """Private key in PEM."""
    certificate: bytes
    """Blob of its user certificate."""


async def connect(
    stream: Stream, *, host: str, login: str, credential: Credential, check: Callable[[bytes], None],
    watch: Watch | None = None,
) -> Onward:  # fmt: skip
    """Sign in as `login` at the server at the other end of `stream`, which is ours from here on.

    `host` is what the server is called in errors; `check` is given the server's key or certificate (blob) and raises
    TeleportError for one that will not do. Raises that, NotAuthenticated (NET-SSH-SERVER-REFUSED) when the server does
    not let us in, Unavailable (NET-SSH-SERVER) when the connection fails.
    """
    client = _Client(watch or Watch())
    options = SSHClientConnectionOptions(
        host=host, username=login, client_keys=[_pair(credential)], known_hosts=([], [], []), agent_path=None,
        config=None, gss_host=None, x509_trusted_certs=None, preferred_auth="publickey", kex_algs=_available(),
        encryption_algs=CIPHERS, mac_algs=MACS, compression_algs=None, signature_algs=SIGNATURES,
        server_host_key_algs=[*_CERTIFIED, *SIGNATURES], client_version=SERVER_VERSION, login_timeout=LOGIN_TIMEOUT,
        keepalive_interval=KEEP_ALIVE, client_factory=lambda: client, password_auth=False, kbdint_auth=False,
        host_based_auth=False, agent_forwarding=False,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    options.waiter = loop.create_future()
    connection = _Connection(loop, options, check, client)
    try:
        as_transport(stream, lambda: connection)
        await options.waiter
        return Onward(connection, client, host)
    except BaseException as error:
        connection.abort()
        await stream.close()
        if isinstance(error, (asyncssh.Error, OSError)):
            raise connection.why(error, host) from error
        raise


@dataclass(frozen=True)
class Watch:
    """Whom to tell of what the server does by itself."""

    refused: Refused = lambda kind, error: None
    """It opened a channel that was refused."""
    lost: Callable[[Exception | None], None] = lambda error: None
    """The connection is over, and we did not end it. Said once, and only after somebody was signed in."""


class Onward:
    """A connection to a server, signed in."""

    def __init__(self, connection: _Connection, client: _Client, host: str) -> None:
        self._connection = connection
        self._client = client
        self._called = host
        self._lent = connection.lent

    async def open(self, session: OnwardSession) -> None:
        """Open a session channel on which `session` hears the server. Raises AccessDenied (NET-SSH-SERVER-DECLINED) and
        Unavailable (NET-SSH-SERVER)."""
        with self._foreign_mapped():
            await FarChannel(self._connection).begin(session)

    async def start(self, session: OnwardSession, request: Request) -> None:
        """Ask for what is to run on the channel of `session`, which is closed if it is declined. Raises as `open`."""
        with self._foreign_mapped():
            try:
                await session.far.start(request)
            except BaseException:
                session.abandon()
                raise

    async def lend_agent(self, session: OnwardSession) -> Incoming:
        """Let what will run on the channel of `session` reach an agent, which is whoever takes the connections. Raises
        as `open`."""
        with self._foreign_mapped():
            return await self._offered(self._lent.agent(), session.far.offer_agent())

    async def lend_display(self, session: OnwardSession, wanted: X11Request, ours: bytes) -> Incoming:
        """Let it reach a display. Programs have to show the cookie `ours`, and arrive with that of `wanted`. Raises as
        `open`."""
        with self._foreign_mapped():
            incoming = self._lent.display(wanted.protocol, ours, wanted.cookie)
            return await self._offered(incoming, session.far.offer_display(wanted._replace(cookie=ours)))

    async def _offered(self, incoming: Incoming, asking: Awaitable[None]) -> Incoming:
        try:
            await asking
        except BaseException:
            incoming.close()
            raise
        return incoming

    async def subsystem(self, name: str) -> socket.socket:
        """Return a socket at whose other end the server's subsystem is. Raises as `open`."""

        async def begin(session: Carried) -> None:
            await self.open(session)
            await self.start(session, Request(subsystem=name))

        return await carry(begin)

    async def connect_tcp(self, host: str, port: int) -> socket.socket:
        """Return a socket that the server has connected to `host:port` (RFC 4254 §7.2). Raises as `open`."""
        return await carry(lambda session: self._forward(self._connection.create_connection, session, host, port))

    async def connect_unix(self, path: str) -> socket.socket:
        """Return a socket that the server has connected to its unix socket (OpenSSH's PROTOCOL). Raises as `open`."""
        return await carry(lambda session: self._forward(self._connection.create_unix_connection, session, path))

    async def _forward(self, create: Any, session: OnwardSession, *where: str | int) -> None:
        with self._foreign_mapped():
            await create(lambda: session, *where, encoding=None, window=WINDOW)

    async def listen_tcp(self, host: str, port: int) -> tuple[Incoming, int]:
        """Let the server listen for us (RFC 4254 §7.1); return the port, too. Raises as `open`."""
        with self._foreign_mapped():
            chosen = await self._connection.demand(b"tcpip-forward", ssh_channel.address(host, port))
            port = port or ssh_channel.read_port(chosen)
        body = ssh_channel.address(host, port)
        return self._listening(PortPlace(host, port), b"cancel-tcpip-forward", body), port

    async def listen_unix(self, path: str) -> Incoming:
        """Let the server listen at a path (OpenSSH's PROTOCOL §2.4). Raises as `open`."""
        with self._foreign_mapped():
            body = ssh_channel.text(path)
            await self._connection.demand(b"streamlocal-forward@openssh.com", body)
        return self._listening(path, b"cancel-streamlocal-forward@openssh.com", body)

    def _listening(self, place: PortPlace | str, cancel: bytes, body: bytes) -> Incoming:
        return self._lent.place(place, lambda: self._connection.request(cancel, body))

    @contextlib.contextmanager
    def _foreign_mapped(self) -> Iterator[None]:
        try:
            yield
        except asyncssh.ChannelOpenError as error:
            raise AccessDenied("NET-SSH-SERVER-DECLINED", host=self._called, problem=error.reason) from None
        except (asyncssh.ChannelListenError, Malformed):
            raise AccessDenied("NET-SSH-SERVER-DECLINED", host=self._called, problem="it does not listen") from None
        except UnicodeEncodeError:
            raise AccessDenied("NET-SSH-SERVER-DECLINED", host=self._called, problem="the path is no text") from None
        except (asyncssh.Error, OSError) as error:
            raise Unavailable("NET-SSH-SERVER", host=self._called, problem=str(error)) from None

    def lost(self, error: Exception | None) -> TeleportError:
        """Return the error for a connection that ended in the middle of something."""
        problem = str(error or "the server closed the connection")
        return Unavailable("NET-SSH-SERVER", host=self._called, problem=problem)

    async def close(self) -> None:
        """End the connection and what runs over it."""
        self._client.ending = True
        self._connection.close()
        await self._connection.wait_closed()


class _Client(asyncssh.SSHClient):
    """Keeps what the server says before it lets anybody in, and tells of the end."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.said = ""
        self.ending = True
        """Whether the end of the connection is no news."""

    def auth_completed(self) -> None:
        self.ending = False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ending:
            self.watch.lost(exc)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.said = (self.said + msg)[:2000]


class _Connection(SSHClientConnection):
    """Asks our own check about the server's key, and lets the server reach what was lent to it alone."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: SSHClientConnectionOptions, check: Callable[[bytes], None],
        client: _Client,
    ) -> None:  # fmt: skip
        super().__init__(loop, options, wait="auth")
        self._check = check
        self._client = client
        self._refusal: TeleportError | None = None
        self.lent = Lent(client.watch.refused, self.is_closed, str(options.host))

    def add_channel(self, chan: Any) -> int:
        """Bound the channels of both sides: those that the server opens to us have to be let through, too."""
        if len(self._channels) >= CHANNELS:
            raise asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, "too many channels")
        return super().add_channel(chan)

    async def demand(self, name: bytes, body: bytes) -> bytes:
        """Make a global request and return what comes with the success. Raises asyncssh.ChannelListenError. The caller
        goes on before any channel is decided on that came behind the answer."""
        kind, packet = await self._make_global_request(name, body)
        if kind != MSG_REQUEST_SUCCESS:
            raise asyncssh.ChannelListenError("the request was declined")
        return packet.get_remaining_payload()

    def request(self, name: bytes, body: bytes) -> None:
        """Make a global request whose answer does not matter."""

        async def ask() -> None:
            await self._make_global_request(name, body)

        self.create_task(ask())

    def _process_forwarded_tcpip_open(self, packet: SSHPacket) -> tuple[Any, Any]:
        host, port = packet.get_string().decode(errors="replace"), packet.get_uint32()
        from_host, from_port = packet.get_string().decode(errors="replace"), packet.get_uint32()
        packet.check_end()
        leading = self.lent.from_place(FORWARDED_TCP, PortPlace(host, port), origin_of(from_host, from_port))
        return self._made(FORWARDED_TCP, self.create_tcp_channel, leading)

    def _process_forwarded_streamlocal_at_openssh_dot_com_open(self, packet: SSHPacket) -> tuple[Any, Any]:
        path = packet.get_string().decode(errors="replace")
        packet.get_string()  # reserved
        packet.check_end()
        return self._made(FORWARDED_UNIX, self.create_unix_channel, self.lent.from_place(FORWARDED_UNIX, path, ""))

    def _process_auth_agent_at_openssh_dot_com_open(self, packet: SSHPacket) -> tuple[Any, Any]:
        packet.check_end()
        return self._made(AGENT, self.create_unix_channel, self.lent.to_agent())

    def _process_x11_open(self, packet: SSHPacket) -> tuple[Any, Any]:
        host, port = packet.get_string().decode(errors="replace"), packet.get_uint32()
        packet.check_end()
        return self._made(X11, self.create_x11_channel, self.lent.to_display(host, port))

    def _made(self, kind: str, make: Callable[..., Any], leading: Coroutine[Any, Any, Carried]) -> tuple[Any, Any]:
        """Return a channel that the server opens and what finds its session. Raises asyncssh.ChannelOpenError."""
        try:
            return make(window=WINDOW), leading
        except asyncssh.ChannelOpenError:
            leading.close()
            raise self.lent.too_many(kind) from None

    def validate_server_host_key(self, key_data: bytes) -> asyncssh.SSHKey:
        """Return the key with which the server has to sign the key exchange."""
        try:
            self._check(key_data)
            plain = ssh.parse(key_data).key if ssh.is_certificate(key_data) else key_data
            return asyncssh.public_key.decode_ssh_public_key(plain)
        except TeleportError as error:
            self._refusal = error
            raise asyncssh.HostKeyNotVerifiable(error.what) from None
        except asyncssh.KeyImportError as error:
            raise asyncssh.HostKeyNotVerifiable(str(error)) from None

    def why(self, error: Exception, host: str) -> TeleportError:
        """Return what to tell of a connection that did not come to be."""
        if self._refusal is not None:
            return self._refusal
        if isinstance(error, asyncssh.PermissionDenied):
            said = self._client.said.strip() or "it gave no reason"
            return NotAuthenticated("NET-SSH-SERVER-REFUSED", host=host, said=said)
        cause = error.__cause__
        problem = cause.what if isinstance(cause, TeleportError) else str(error) or type(error).__name__
        return Unavailable("NET-SSH-SERVER", host=host, problem=problem)


def _pair(credential: Credential) -> Any:
    certificate = asyncssh.import_certificate(ssh.parse(credential.certificate).line().encode())
    return asyncssh.import_private_key(credential.private), certificate


def _available() -> list[str]:
    return [name for name in KEX if name.encode() in asyncssh.kex.get_kex_algs()]
