"""tsh's own SSH client: one command or shell on one node, through the proxy.

asyncssh speaks the protocol over a connection that `reach` opens. The node proves itself with a certificate of
the cluster's host authority for the name that was typed; there is no other way to be trusted, and nothing is
learnt on first use.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import Any

import asyncssh

from teleport.base import tasks
from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError, Unavailable
from teleport.client.profile import MAX_FILE, Home, Profile
from teleport.client.reach import context_of
from teleport.client.terminal import Terminal
from teleport.net import tls
from teleport.net.bridge import as_transport
from teleport.net.network import Network
from teleport.net.peek import PeekStream, peek, take
from teleport.net.stream import Stream
from teleport.pki import tls_settings
from teleport.wire import terminal as terminal_wire
from teleport.wire.reach import ALPN, Request, read_answer, write_request

FAILED = 255
"""Exit status when no command ended: what `ssh` uses."""
ANSWER_TIMEOUT = 45.0
LOGIN_TIMEOUT = 30.0
_CHUNK = 65536
_HIGH, _LOW = 262144, 65536
_REFUSED = "CLIENT-NODE-REFUSED"


@dataclass(frozen=True)
class Ends:
    """Descriptors that the command's input comes from and its output goes to."""

    stdin: int = 0
    stdout: int = 1
    stderr: int = 2


async def reach(home: Home, profile: Profile, network: Network, request: Request) -> Stream:
    """Return a connection to the node. As `client.reach.reach`, on the event loop."""
    address, context = profile.web_proxy_addr, context_of(home, profile)
    opened = await tls.client_handshake(await network.dial(address), context, server_name=tls_settings.CLUSTER_NAME)
    stream = PeekStream(opened)
    try:
        if stream.peer.alpn != ALPN:
            raise Unavailable("CLIENT-NO-WAY", address=address)
        await stream.write(write_request(request))
        refusal, size = await peek(stream, read_answer, timeout=ANSWER_TIMEOUT)
        if refusal is not None:
            raise refusal
        await take(stream, size)
        return stream
    except BaseException:
        await stream.close()
        raise


async def run(
    home: Home, profile: Profile, network: Network, request: Request, *, host: str, command: str | None, ends: Ends,
    terminal: Terminal | None = None,
) -> int:  # fmt: skip
    """Run a command on a node and return its exit status; `host` is the name that its certificate must have.

    Without a command the node's shell is asked for, with `terminal` at one of its own. Raises what `reach`
    raises, NotAuthenticated (CLIENT-HOST-KEY, CLIENT-NODE-REFUSED), AccessDenied (CLIENT-NODE-REFUSED), Unavailable
    (CLIENT-SSH).
    """
    stream = await reach(home, profile, network, request)
    client = _Client()
    try:
        connection = await asyncssh.connect(
            host, tunnel=_Carrier(stream), client_factory=lambda: client, username=request.login, config=None,
            known_hosts=([], _host_authorities(home, profile), []), client_keys=[_key_pair(home, profile)],
            agent_path=None, x509_trusted_certs=None, gss_host=None, login_timeout=LOGIN_TIMEOUT,
            preferred_auth="publickey", keepalive_interval=60, encoding=None,
        )  # fmt: skip
        try:
            return await _command(connection, command, ends, terminal)
        finally:
            connection.close()
            await connection.wait_closed()
    except (asyncssh.Error, OSError) as error:
        raise _named(error, host, client) from error
    finally:
        await stream.close()


class _Client(asyncssh.SSHClient):
    """Keeps what the node says before it lets anybody in."""

    def __init__(self) -> None:
        self.said = ""

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.said += msg


class _Carrier:
    """What asyncssh calls a tunnel: here a connection that exists already."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def create_connection(self, factory: Any, host: str, port: int) -> tuple[Any, Any]:
        return as_transport(self._stream, factory)


async def _command(
    connection: asyncssh.SSHClientConnection, command: str | None, ends: Ends, terminal: Terminal | None
) -> int:
    session = _Session(ends)
    if terminal is None:
        return await _session(connection, session, command, {}, contextlib.nullcontext())
    # The shell may speak before its request is known to have been granted: signals are ours from here on.
    with terminal.watched(session.resize, session.interrupted):
        return await _session(connection, session, command, _asked(terminal.wanted()), terminal.raw(session.resize))


async def _session(
    connection: asyncssh.SSHClientConnection, session: _Session, command: str | None, asked: dict[str, Any],
    at_terminal: contextlib.AbstractContextManager[None],
) -> int:  # fmt: skip
    try:
        await connection.create_session(lambda: session, command, encoding=None, **asked)
    except asyncssh.ChannelOpenError:
        if not session.status.done():
            raise
        return session.status.result()  # the node has opened the channel and said on it why it runs nothing
    with at_terminal:
        reading = tasks.spawn(session.pump(), name="tsh ssh: input", on_error=session.failed)
        try:
            return await session.status
        finally:
            await tasks.cancel(reading)


def _asked(wanted: terminal_wire.Terminal) -> dict[str, Any]:
    return {"term_type": wanted.name, "term_size": (*wanted.size, 0, 0), "term_modes": dict(wanted.modes)}


class _Session(asyncssh.SSHClientSession[bytes]):
    """Output is written as it comes, and nothing more is taken until it is: that is the flow control."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._channel: Any = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._code: int | None = None
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        chan.set_write_buffer_limits(high=_HIGH, low=_LOW)
        chan.resume_reading()  # before the request is answered: a refusal comes as text and an end

    def data_received(self, data: bytes, datatype: int | None) -> None:
        target = self._ends.stdout if datatype is None else self._ends.stderr
        try:
            _write_all(target, data)
        except OSError as error:
            self.failed(error)

    def exit_status_received(self, status: int) -> None:
        self._code = status

    def exit_signal_received(self, name: str, core_dumped: bool, msg: str, lang: str) -> None:
        number = getattr(signal, f"SIG{name}", None) if name.isalnum() else None
        self._code = FAILED if number is None else 128 + int(number)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.status.done():
            return
        if exc is not None and self._code is None:
            self.status.set_exception(exc)
        else:
            self.status.set_result(FAILED if self._code is None else self._code)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def failed(self, error: BaseException) -> None:
        """Our own input or output is broken."""
        if not self.status.done():
            self.status.set_exception(error)

    def resize(self, size: terminal_wire.Size) -> None:
        """Our terminal has another size."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.change_terminal_size(*size)

    def interrupted(self, number: int) -> None:
        """A signal ends us."""
        if not self.status.done():
            self.status.set_result(128 + number)

    async def pump(self) -> None:
        """Send standard input until it ends."""
        with contextlib.suppress(BrokenPipeError):  # the command reads no more
            while data := await _read(self._ends.stdin):
                await self._writable.wait()
                if self._channel.is_closing():
                    return
                self._channel.write(data)
            self._channel.write_eof()


async def _read(descriptor: int) -> bytes:
    """Read what there is. Files have no readiness: they are read at once."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(descriptor, _wake, ready)
    except PermissionError:
        return os.read(descriptor, _CHUNK)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _key_pair(home: Home, profile: Profile) -> Any:
    files = home.files(profile)
    private = asyncssh.import_private_key(home.disk.read(files.ssh_key, limit=MAX_FILE, private=True))
    return private, asyncssh.import_certificate(home.disk.read(files.ssh_certificate, limit=MAX_FILE))


def _host_authorities(home: Home, profile: Profile) -> list[asyncssh.SSHKey]:
    """Return the keys that may vouch for nodes of the profile's cluster, from the lines that sign-in has written."""
    lines = home.disk.read(home.files(profile).own_known_hosts, limit=MAX_FILE).decode().splitlines()
    return [asyncssh.import_public_key(" ".join(line.split()[2:4])) for line in lines]


def _named(error: Exception, host: str, client: _Client) -> TeleportError:
    """Return what the user is told: the node's own words where it said some."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return NotAuthenticated("CLIENT-HOST-KEY", host=host, problem=error.reason)
    if isinstance(error, asyncssh.PermissionDenied):
        return NotAuthenticated(_REFUSED, host=host, said=client.said.strip() or error.reason)
    if isinstance(error, asyncssh.ChannelOpenError):
        return AccessDenied(_REFUSED, host=host, said=error.reason)
    cause = error.__cause__
    if isinstance(cause, TeleportError):
        return cause
    return Unavailable("CLIENT-SSH", host=host, problem=str(error) or type(error).__name__)
