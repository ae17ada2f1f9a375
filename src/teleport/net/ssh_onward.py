"""SSH connections that we make to a server in a user's name, as the second half of a connection that we ended.

asyncssh speaks the protocol. Ours are: which key the server may show (decided by the caller, before anything is said
to it), what we authenticate with, the algorithms (those that we serve) and the bounds. Private names used stand in
`ssh_private`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import asyncssh
from asyncssh.connection import SSHClientConnection, SSHClientConnectionOptions

from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError, Unavailable
from teleport.net.bridge import as_transport
from teleport.net.ssh_carried import OnwardSession, carry
from teleport.net.ssh_settings import CIPHERS, KEX, LOGIN_TIMEOUT, MACS, SERVER_VERSION, SIGNATURES
from teleport.net.stream import Stream
from teleport.pki import ssh
from teleport.wire.terminal import Terminal

WINDOW = 2 * 1024 * 1024
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
    stream: Stream, *, host: str, login: str, credential: Credential, check: Callable[[bytes], None]
) -> Onward:
    """Sign in as `login` at the server at the other end of `stream`, which is ours from here on.

    `host` is what the server is called in errors; `check` is given the server's key or certificate (blob) and raises
    TeleportError for one that will not do. Raises that, NotAuthenticated (NET-SSH-SERVER-REFUSED) when the server does
    not let us in, Unavailable (NET-SSH-SERVER) when the connection fails.
    """
    options = SSHClientConnectionOptions(
        host=host, username=login, client_keys=[_pair(credential)], known_hosts=([], [], []), agent_path=None,
        config=None, gss_host=None, x509_trusted_certs=None, preferred_auth="publickey", kex_algs=_available(),
        encryption_algs=CIPHERS, mac_algs=MACS, compression_algs=None, signature_algs=SIGNATURES,
        server_host_key_algs=[*_CERTIFIED, *SIGNATURES], client_version=SERVER_VERSION, login_timeout=LOGIN_TIMEOUT,
        keepalive_interval=KEEP_ALIVE, client_factory=_Client, password_auth=False, kbdint_auth=False,
        host_based_auth=False, agent_forwarding=False,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    options.waiter = loop.create_future()
    connection = _Connection(loop, options, check)
    try:
        as_transport(stream, lambda: connection)
        await options.waiter
        return Onward(connection, host)
    except BaseException as error:
        connection.abort()
        await stream.close()
        if isinstance(error, (asyncssh.Error, OSError)):
            raise connection.why(error, host) from error
        raise


class Onward:
    """A connection to a server, signed in."""

    def __init__(self, connection: SSHClientConnection, host: str) -> None:
        self._connection = connection
        self._called = host

    async def open(self, session: OnwardSession, request: Request) -> None:
        """Open a session channel on which `session` hears the server, and ask for what is to run there.

        Raises AccessDenied (NET-SSH-SERVER-DECLINED) and Unavailable (NET-SSH-SERVER).
        """
        command: Any = request.command  # bytes are sent as they are, though the type says text
        variables: Any = request.variables or {}
        with self._foreign_mapped():
            await self._connection.create_session(
                lambda: session, command, subsystem=request.subsystem, env=variables, encoding=None, window=WINDOW,
                **_terminal(request.terminal),
            )  # fmt: skip

    async def subsystem(self, name: str) -> socket.socket:
        """Return a socket at whose other end the server's subsystem is. Raises as `open`."""
        return await carry(lambda session: self.open(session, Request(subsystem=name)))

    async def connect_tcp(self, host: str, port: int) -> socket.socket:
        """Return a socket that the server has connected to `host:port` (RFC 4254 §7.2). Raises as `open`."""
        return await carry(lambda session: self._forward(self._connection.create_connection, session, host, port))

    async def connect_unix(self, path: str) -> socket.socket:
        """Return a socket that the server has connected to its unix socket (OpenSSH's PROTOCOL). Raises as `open`."""
        return await carry(lambda session: self._forward(self._connection.create_unix_connection, session, path))

    async def _forward(self, create: Any, session: OnwardSession, *where: str | int) -> None:
        with self._foreign_mapped():
            await create(lambda: session, *where, encoding=None, window=WINDOW)

    @contextlib.contextmanager
    def _foreign_mapped(self) -> Iterator[None]:
        try:
            yield
        except asyncssh.ChannelOpenError as error:
            raise AccessDenied("NET-SSH-SERVER-DECLINED", host=self._called, problem=error.reason) from None
        except (asyncssh.Error, OSError) as error:
            raise Unavailable("NET-SSH-SERVER", host=self._called, problem=str(error)) from None

    def lost(self, error: Exception | None) -> TeleportError:
        """Return the error for a connection that ended in the middle of something."""
        problem = str(error or "the server closed the connection")
        return Unavailable("NET-SSH-SERVER", host=self._called, problem=problem)

    async def close(self) -> None:
        """End the connection and what runs over it."""
        self._connection.close()
        await self._connection.wait_closed()


@dataclass(frozen=True)
class Request:
    """What is to run on a channel."""

    command: bytes | None = None
    """None: a shell, or the subsystem."""
    subsystem: str | None = None
    terminal: Terminal | None = None
    variables: dict[str, str] | None = None


class _Client(asyncssh.SSHClient):
    """Keeps what the server says before it lets anybody in."""

    def __init__(self) -> None:
        self.said = ""

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.said = (self.said + msg)[:2000]


class _Connection(SSHClientConnection):
    """Asks our own check about the server's key."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: SSHClientConnectionOptions, check: Callable[[bytes], None]
    ) -> None:
        super().__init__(loop, options, wait="auth")
        self._check = check
        self._refusal: TeleportError | None = None

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
            said = getattr(self._owner, "said", "").strip()
            return NotAuthenticated("NET-SSH-SERVER-REFUSED", host=host, said=said or "it gave no reason")
        cause = error.__cause__
        problem = cause.what if isinstance(cause, TeleportError) else str(error) or type(error).__name__
        return Unavailable("NET-SSH-SERVER", host=host, problem=problem)


def _terminal(wanted: Terminal | None) -> dict[str, Any]:
    if wanted is None:
        return {"request_pty": False}
    return {
        "request_pty": "force", "term_type": wanted.name, "term_size": (*wanted.size, 0, 0),
        "term_modes": dict(wanted.modes),
    }  # fmt: skip


def _pair(credential: Credential) -> Any:
    certificate = asyncssh.import_certificate(ssh.parse(credential.certificate).line().encode())
    return asyncssh.import_private_key(credential.private), certificate


def _available() -> list[str]:
    return [name for name in KEX if name.encode() in asyncssh.kex.get_kex_algs()]
