"""An SSH client that sends what it is told, for the cases that no honest client makes.

asyncssh does the key exchange; every request to authenticate and every channel message is the test's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncssh
from asyncssh.connection import SSHClientConnection, SSHClientConnectionOptions
from asyncssh.constants import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_OPEN_CONFIRMATION,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_DISCONNECT,
    MSG_GLOBAL_REQUEST,
    MSG_REQUEST_FAILURE,
    MSG_REQUEST_SUCCESS,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_REQUEST,
    MSG_USERAUTH_SUCCESS,
)  # fmt: skip
from asyncssh.packet import Boolean, SSHPacket, SSHPacketHandler, String, UInt32

from teleport.base.errors import TeleportError
from teleport.model.identity import Identity
from teleport.net import ssh as net_ssh
from teleport.net.bridge import as_transport
from teleport.net.memory import memory_pair
from teleport.net.ssh_channel import Session
from teleport.net.ssh_settings import HostKey, options
from teleport.net.stream import Peer, Stream
from teleport.pki import keys
from teleport.pki.ssh import SSHCertificate
from teleport.wire.terminal import Size, Terminal

PK_OK = 60
_WANTED = (
    MSG_USERAUTH_FAILURE, MSG_USERAUTH_SUCCESS, MSG_USERAUTH_BANNER, MSG_CHANNEL_OPEN_CONFIRMATION,
    MSG_CHANNEL_OPEN_FAILURE, MSG_REQUEST_FAILURE, MSG_REQUEST_SUCCESS, MSG_DISCONNECT, MSG_CHANNEL_OPEN,
)  # fmt: skip
_OF_CHANNELS = (
    MSG_CHANNEL_WINDOW_ADJUST, MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_CHANNEL_EOF, MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_REQUEST, MSG_CHANNEL_SUCCESS, MSG_CHANNEL_FAILURE,
)  # fmt: skip


class _Taker(SSHPacketHandler):
    """Stands where asyncssh looks for the handler of a range of messages."""

    def __init__(self, owner: RawClient) -> None:
        self._owner = owner

    @property
    def logger(self) -> Any:
        return self._owner.logger

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool:
        self._owner.replies.put_nowait((pkttype, packet.get_full_payload()[1:]))
        return True

    def cancel(self) -> None:
        """asyncssh asks this of an authentication under way."""


class _Everything(dict[int, Any]):
    """Channels: every number is there."""

    def __init__(self, taker: _Taker) -> None:
        super().__init__()
        self._taker = taker

    def __missing__(self, number: int) -> _Taker:
        return self._taker


class RawClient(SSHClientConnection):
    """Replies of the server arrive in `replies` as (type, payload); an end as (0, b"")."""

    def __init__(self) -> None:
        settings = SSHClientConnectionOptions(
            config=None, known_hosts=None, username="x", client_keys=None, agent_path=None, login_timeout=0,
            gss_host=None, encryption_algs=["aes128-gcm@openssh.com"], kex_algs=["curve25519-sha256"],
        )  # fmt: skip
        super().__init__(asyncio.get_running_loop(), settings)
        self.replies: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self._open = asyncio.Event()
        self._lost: list[Exception | None] = []

    def try_next_auth(self, *, next_method: bool = False) -> None:
        taker = _Taker(self)
        self._auth: Any = taker
        self._channels: Any = _Everything(taker)
        self._open.set()

    def _take(self, pkttype: int, _id: int, packet: SSHPacket) -> None:
        if pkttype == MSG_USERAUTH_SUCCESS:
            self._auth_complete = True
        self.replies.put_nowait((pkttype, packet.get_full_payload()[1:]))

    def connection_lost(self, exc: Exception | None = None) -> None:
        """The server's last words may lie behind a message that asyncssh is still busy with."""
        self._lost.append(exc)
        self._end_if_idle()

    def _finish_recv_packet(self, *arguments: Any, **named: Any) -> None:
        super()._finish_recv_packet(*arguments, **named)
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._lost and self._recv_handler in (self._recv_version, self._recv_pkthdr, self._recv_packet):
            super().connection_lost(self._lost.pop())

    def _cleanup(self, exc: Exception | None) -> None:
        self._channels = {}
        super()._cleanup(exc)
        self.replies.put_nowait((0, b""))

    _packet_handlers = {**SSHClientConnection._packet_handlers, **dict.fromkeys(_WANTED, _take)}

    async def ready(self) -> None:
        """Wait until requests to authenticate may be sent."""
        async with asyncio.timeout(20):
            await self._open.wait()

    def eof_received(self) -> bool:
        """The server has ended. Its last words are heard first: asyncssh would forget what has come behind a message
        that it is still working on."""
        self._end_behind_the_rest(1000)
        return True

    def _end_behind_the_rest(self, turns: int) -> None:
        if self._inpbuf and turns:
            self._loop.call_soon(self._end_behind_the_rest, turns - 1)
        else:
            super().eof_received()

    async def reply(self) -> tuple[int, bytes]:
        """Return the next message of the server."""
        async with asyncio.timeout(20):
            return await self.replies.get()

    def request(self, login: str, method: bytes, *parts: bytes) -> bytes:
        """Return a request to authenticate (RFC 4252 §5) without its type."""
        return String(login) + String(b"ssh-connection") + String(method) + b"".join(parts)

    def ask(self, login: str, method: bytes, *parts: bytes) -> None:
        """Send a request to authenticate."""
        self.send_packet(MSG_USERAUTH_REQUEST, self.request(login, method, *parts))

    def query(self, login: str, blob: bytes) -> None:
        """Ask whether a key would do, without proving to have it."""
        self.ask(login, b"publickey", Boolean(False), String(_algorithm(blob)), String(blob))

    def prove(self, login: str, blob: bytes, key: keys.PrivateKey, *, session: bytes | None = None) -> None:
        """Send a signed request."""
        request = self.request(login, b"publickey", Boolean(True), String(_algorithm(blob)), String(blob))
        data = String(self._session_id if session is None else session) + bytes([MSG_USERAUTH_REQUEST]) + request
        signature = keys.ssh_signature(key.public_key(), keys.sign(key, data))
        self.send_packet(MSG_USERAUTH_REQUEST, request + String(signature))

    def open_channel(self, kind: bytes, number: int, *parts: bytes, window: int = 1 << 20, size: int = 32768) -> None:
        """Open a channel."""
        self.send_packet(
            MSG_CHANNEL_OPEN, String(kind) + UInt32(number) + UInt32(window) + UInt32(size) + b"".join(parts)
        )

    def channel_request(self, number: int, name: bytes, *parts: bytes, reply: bool = True) -> None:
        """Send a request on a channel."""
        self.send_packet(MSG_CHANNEL_REQUEST, UInt32(number) + String(name) + Boolean(reply) + b"".join(parts))

    def global_request(self, name: bytes, *parts: bytes, reply: bool = True) -> None:
        """Send a request of the connection."""
        self.send_packet(MSG_GLOBAL_REQUEST, String(name) + Boolean(reply) + b"".join(parts))


def _algorithm(blob: bytes) -> bytes:
    return SSHPacket(blob).get_string()


@dataclass
class Recorder:
    """A handler that allows everything it is not told to refuse, and writes down what it was asked."""

    refuse: TeleportError | None = None
    refuse_session: TeleportError | None = None
    sessions: list[Session] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    made: net_ssh.ServerConnection | None = None
    """The connection that it handles."""

    async def authorize(self, identity: Identity, login: str) -> None:
        self.calls.append(f"authorize {identity.name} {login}")
        if self.refuse:
            raise self.refuse

    async def refused(self, error: TeleportError, certificate: SSHCertificate, login: str) -> TeleportError:
        self.calls.append(f"refused {error.code} {login}")
        error.id = "the-id"
        return error

    async def open_session(self) -> Session:
        if self.refuse_session:
            raise self.refuse_session
        self.sessions.append(NoSession())
        return self.sessions[-1]

    async def declined(self, refusal: net_ssh.Refusal) -> TeleportError:
        self.calls.append(f"declined {refusal.kind} {refusal.detail}")
        return TeleportError("SSH-NOT-SUPPORTED", thing=refusal.kind)

    def failed(self, error: BaseException) -> None:
        self.failures.append(error)


class NoSession(Session):
    """A session that says yes to a command and does nothing."""

    def __init__(self) -> None:
        self.commands: list[bytes | None] = []
        self.wants_terminal = False
        self.terminal: Terminal | None = None
        self.sizes: list[Size] = []
        self.variables: dict[str, str] | None = None
        self.refused: list[tuple[str, str]] = []
        self.signals: list[str] = []
        self.holds: list[str] = []
        self.ended = asyncio.Event()

    def connection_made(self, chan: Any) -> None:
        self.channel = chan
        super().connection_made(chan)

    def terminal_wanted(self, terminal: Terminal) -> bool:
        self.terminal = terminal if self.wants_terminal else None
        return self.wants_terminal

    def resized(self, size: Size) -> None:
        self.sizes.append(size)

    def variable_wanted(self, name: str, value: str) -> bool:
        if self.variables is None:
            return False
        self.variables[name] = value
        return True

    async def run(self, command: bytes | None) -> bool:
        self.commands.append(command)
        return True

    async def declined(self, request: str, detail: str) -> None:
        self.refused.append((request, detail))

    def signal_received(self, signal: str) -> None:
        self.signals.append(signal)

    def hold(self, reason: str) -> None:
        self.holds.append(reason)

    def release(self, reason: str) -> None:
        self.holds.remove(reason)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


def serve(
    trust: net_ssh.Trust, host_keys: Sequence[HostKey], handler: Recorder, *, login_timeout: float = 20.0,
    address: str = "",
) -> tuple[asyncio.Task[None], Stream]:  # fmt: skip
    """Serve one connection in memory; return the server's task and the client's end."""
    theirs, ours = memory_pair(peers=(Peer(address="127.0.0.1:22"), Peer(address=address)))
    settings = options(host_keys, login_timeout=login_timeout)

    def made(connection: net_ssh.ServerConnection) -> Recorder:
        handler.made = connection
        return handler

    serving = net_ssh.serve(ours, settings=settings, trust=trust, handler=made)
    return asyncio.get_running_loop().create_task(serving), theirs


async def connect(stream: Stream) -> RawClient:
    """Speak SSH as a client on `stream`, up to authentication."""
    _, made = as_transport(stream, RawClient)
    await made.ready()
    return made


def text_of(payload: bytes, skip: int = 0) -> str:
    """Return the first string of a message, after `skip` bytes."""
    return SSHPacket(payload[skip:]).get_string().decode()


__all__ = ["PK_OK", "RawClient", "Recorder", "asyncssh", "connect", "serve", "text_of"]
