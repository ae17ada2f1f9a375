"""SocketStream: a Stream over a connected TCP or unix socket.

What is here: reads and writes that try first and wait only if they must, half close, peer credentials.
What is not: making connections (`net.dial`, `net.network`) and TLS (`net.tls`).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from types import TracebackType

from teleport.base.errors import Internal, Unavailable
from teleport.net.intake import Intake
from teleport.net.readiness import Readiness
from teleport.net.stream import Peer, Sink, Stream


class Turnstile:
    """Lets one task through at a time: `with turnstile: ...`. A second one is a defect (Internal, NET-BUSY)."""

    __slots__ = ("_action", "_address", "busy")

    def __init__(self, action: str, address: str) -> None:
        self._action = action
        self._address = address
        self.busy = False

    def __enter__(self) -> None:
        if self.busy:
            raise Internal("NET-BUSY", action=self._action, address=self._address)
        self.busy = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.busy = False


class SocketStream:
    """A connected stream socket of which this object becomes the owner.

    A write that is cancelled after part of its data went out resets the connection, so that the peer can
    not take the part for the whole; a cancelled read loses nothing.
    """

    def __init__(self, sock: socket.socket, *, peer: Peer | None = None) -> None:
        """Take over `sock`. Must be called while the event loop runs."""
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # the peer may have gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = sock
        self._peer = peer or peer_of(sock)
        self._ready = Readiness(sock, self._peer.address)
        self._intake = Intake(self._ready, sock.recv)
        self._reading = Turnstile("read", self._peer.address)
        self._writing = Turnstile("write", self._peer.address)

    @property
    def peer(self) -> Peer:
        """Facts about the other end."""
        return self._peer

    def know(self, peer: Peer) -> None:
        """Set facts that were learned since, for example from a PROXY header."""
        self._peer = peer

    @property
    def sock(self) -> socket.socket:
        """The socket itself, for options and for `splice`; it stays this stream's property."""
        return self._socket

    @property
    def ready(self) -> Readiness:
        """Readiness of the socket, for code that reads or writes it directly."""
        return self._ready

    @property
    def closed(self) -> bool:
        """Whether this end is closed, reset or detached."""
        return self._ready.closed

    async def read(self, limit: int = 65536) -> bytes:
        """See Stream.read."""
        with self._reading:
            try:
                return await self._intake.read(limit)
            except OSError as error:
                raise self._lost(error) from error

    def hand_on(self, sink: Sink | None) -> None:
        """See `net.stream.hand_on`."""
        self._intake.sink = sink

    async def write(self, data: bytes) -> None:
        """See Stream.write."""
        with self._writing:
            await self._ready.turn()
            sent, view = 0, memoryview(data)
            try:
                while sent < len(view):
                    try:
                        sent += self._socket.send(view[sent:])
                    except BlockingIOError:
                        await self._ready.writable()
            except OSError as error:
                raise self._lost(error) from error
            except BaseException:
                if sent:
                    self.reset()
                raise

    def write_now(self, data: bytes | memoryview) -> int:
        """See `net.stream.write_now`."""
        if self._writing.busy or self._ready.closed:
            return 0
        try:
            return self._socket.send(data)
        except OSError:
            return 0

    async def write_eof(self) -> None:
        """See Stream.write_eof."""
        self._ready.check()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._lost(error) from error

    async def close(self) -> None:
        """See Stream.close. Wakes a reader or writer that waits (NET-CLOSED)."""
        self._ready.close()
        self._socket.close()

    def reset(self) -> None:
        """Close at once, such that the peer sees a reset and not an orderly end. Never waits.

        A unix socket knows no reset: its peer sees the end.
        """
        if not self._ready.closed:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._ready.close()
            self._socket.close()

    def detach(self) -> socket.socket:
        """Give the socket away; this stream counts as closed from now on. Raises Unavailable (NET-CLOSED)."""
        self._ready.check()
        self._ready.close()
        return self._socket

    def _lost(self, error: OSError) -> Unavailable:
        if self._ready.closed:
            return Unavailable("NET-CLOSED", address=self._peer.address)
        return reset_error(self._peer.address, error)


def reset_error(address: str, error: OSError) -> Unavailable:
    """Return the error for a connection that the system reports as lost."""
    return Unavailable("NET-RESET", address=address or "the peer", reason=error.strerror or type(error).__name__)


def drop(stream: Stream) -> None:
    """Reset a stream whose carrier can, so that its peer does not take a break for the end; others ignore it."""
    reset = getattr(stream, "reset", None)
    if reset is not None:
        reset()


def format_address(name: object) -> str:
    """Return the `host:port`, `[IPv6]:port` or path of a socket name as the socket module gives it."""
    if isinstance(name, tuple):
        host = str(name[0])
        return f"[{host}]:{name[1]}" if ":" in host else f"{host}:{name[1]}"
    if isinstance(name, bytes):  # Linux abstract namespace
        return "@" + name[1:].decode("latin-1")
    return f"unix:{name}" if name else ""


def peer_of(sock: socket.socket) -> Peer:
    """Read who is at the other end: its address, and on a unix socket its user and process (SO_PEERCRED)."""
    try:
        name = sock.getpeername()
    except OSError:  # gone already; reads will say so
        name = ""
    if sock.family != socket.AF_UNIX:
        return Peer(address=format_address(name))
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return Peer(address=format_address(name or _own_name(sock)), uid=uid, pid=pid)


def _own_name(sock: socket.socket) -> object:
    """The accepting end of a unix connection has an unnamed peer: the path is then its own name."""
    try:
        return sock.getsockname()
    except OSError:
        return ""
