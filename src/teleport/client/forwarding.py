"""Forwards at work: local ports whose connections the node opens, ports of the node that lead here, and SOCKS.

What is here: listening and connecting on this machine, for one `Connection`, whose loop moves the bytes. What is not:
reading the options (`forwards`), the SOCKS protocol (`wire.socks`).

A forward that cannot be set up is an error: who asked for it needs it. A single connection that fails is told to
`warn` and ends alone. The loop must not block, so connecting on this machine does not wait; names are looked up first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Callable, Iterable

from teleport.base.errors import Unavailable
from teleport.client.forwards import EVERYWHERE, Forward, Place, Tcp, Unix
from teleport.client.relay import Relay
from teleport.client.ssh_client.channel import Channel
from teleport.client.ssh_client.connection import Connection
from teleport.client.ssh_client.joint import SocketJoint
from teleport.client.ssh_client.loop import READ, Loop
from teleport.wire import ssh_channel
from teleport.wire.buffer import ProtocolError
from teleport.wire.socks import Socks

BACKLOG = 128
_GRACE = 20
"""Milliseconds in which a refusal by this machine is still told to the node; what takes longer just ends."""
_CHUNK = 4096

Warn = Callable[[str], None]


class Forwarding:
    """All forwards of one connection. As a context it takes away the sockets that it has made."""

    def __init__(self, connection: Connection, warn: Warn) -> None:
        self._connection = connection
        self._warn = warn
        self._listening: list[socket.socket] = []
        self._paths: list[str] = []

    def __enter__(self) -> Forwarding:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._listening:
            sock.close()
        for path in self._paths:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def start(self, forward: Forward) -> None:
        """Set up a forward.

        Raises Unavailable (CLIENT-FORWARD-LOCAL) if we cannot listen, AccessDenied (CLIENT-NODE-REFUSED) if the node
        does not, and what has ended the connection.
        """
        if forward.option == "R":
            self._on_the_node(forward)
            return
        for sock in self._listen(forward):
            self._listening.append(sock)
            self._connection.listen_local(sock, self._accepting(forward))

    # -- -L and -D: we listen ------------------------------------------------------------------------------------

    def _accepting(self, forward: Forward) -> Callable[[socket.socket], None]:
        to = forward.to
        return lambda sock: self._open(sock, to) if to is not None else self._ask_where(sock)

    def _open(self, sock: socket.socket, to: Place) -> None:
        def refused(reason: int, text: str) -> None:
            self._warn(f"{to}: the node did not connect: {text or reason}")

        if isinstance(to, Unix):
            self._connection.open_streamlocal(to.path, sock, refused=refused)
        else:
            self._connection.open_direct(to.host, to.port, sock, origin=_origin(sock), refused=refused)

    def _ask_where(self, sock: socket.socket) -> None:
        asking = _Asking(self._connection, sock, self._warn, self._let_the_node_go)
        self._connection.watched.append(asking)

    def _let_the_node_go(self, sock: socket.socket, socks: Socks) -> None:
        if socks.destination is not None:
            body = ssh_channel.direct(*socks.destination, *_origin(sock))
            joint = _SocksJoint(self._connection, sock, socks, self._warn)
            self._connection.engine.open(ssh_channel.DIRECT, body, joint)

    def _listen(self, forward: Forward) -> list[socket.socket]:
        place = forward.listen
        if isinstance(place, Unix):
            return [self._listen_unix(forward, place.path)]
        made, problem = list[socket.socket](), None
        for family, address in _addresses(forward, place):
            try:
                made.append(_bound(family, address))
            except OSError as error:
                # A machine without IPv6 has it in its names all the same: one address that works is enough.
                if error.errno == errno.EADDRINUSE:
                    for sock in made:
                        sock.close()
                    raise _unable(forward, error) from None
                problem = error
        if not made:
            raise _unable(forward, problem)
        return made

    def _listen_unix(self, forward: Forward, path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            mask = os.umask(0o177)  # for nobody else; there is one thread where forwards are set up
            try:
                sock.bind(path)
            finally:
                os.umask(mask)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            raise _unable(forward, error) from None
        self._paths.append(path)
        return sock

    # -- -R: the node listens --------------------------------------------------------------------------------------

    def _on_the_node(self, forward: Forward) -> None:
        to, place = forward.to, forward.listen

        def called(origin: ssh_channel.Origin) -> socket.socket | None:
            if to is None:
                return self._socks_here()
            sock = connect(to)
            if sock is None:
                self._warn(f"{to}: nobody answers here")
            return sock

        if isinstance(place, Unix):
            self._connection.listen_remote_local(place.path, called)
            return
        port = self._connection.listen_remote(place.host, place.port, called)
        if not place.port:
            self._warn(f"Allocated port {port} for remote forward to {to or 'a SOCKS proxy here'}")

    def _socks_here(self) -> socket.socket:
        """Return one end of a pair of sockets; what comes to it asks for a place that we can go to."""
        ours, theirs = socket.socketpair()
        self._connection.watched.append(_Asking(self._connection, ours, self._warn, self._go_from_here))
        return theirs

    def _go_from_here(self, sock: socket.socket, socks: Socks) -> None:
        to = Tcp(*socks.destination) if socks.destination else None
        other = connect(to) if to else None
        with contextlib.suppress(OSError):
            sock.sendall(socks.failed() if other is None else socks.opened())
        if other is None:
            self._warn(f"{to}: nobody answers here")
            sock.close()
        else:
            self._connection.watched.append(Relay(self._connection.watched, sock, other, socks.early))


class _Asking:
    """A local connection whose client says by SOCKS where it wants to go."""

    def __init__(
        self, connection: Connection, sock: socket.socket, warn: Warn, told: Callable[[socket.socket, Socks], None]
    ) -> None:  # fmt: skip
        """`told` gets the socket when its client has said where to."""
        sock.setblocking(False)
        self._connection, self._socket, self._warn, self._told = connection, sock, warn, told
        self._socks = Socks()

    def wants(self) -> Iterable[tuple[int, int]]:
        return [(self._socket.fileno(), READ)]

    def ready(self, descriptor: int, events: int) -> None:
        try:
            data = self._socket.recv(_CHUNK)
            if not data:
                self._leave()
                return
            if answer := self._socks.feed(data):
                self._socket.sendall(answer)
        except ProtocolError as error:
            with contextlib.suppress(OSError):
                self._socket.sendall(self._socks.farewell)
            self._warn(error.what)
            self._leave()
        except BlockingIOError:
            pass
        except OSError:
            self._leave()
        else:
            self._go()

    def _leave(self) -> None:
        self._connection.watched.remove(self)
        self._socket.close()

    def _go(self) -> None:
        if self._socks.destination is not None:
            self._connection.watched.remove(self)
            self._told(self._socket, self._socks)


class _SocksJoint(SocketJoint):
    """Joins the client of SOCKS with its destination, once it has been told how that went."""

    def __init__(self, loop: Loop, sock: socket.socket, socks: Socks, warn: Warn) -> None:
        super().__init__(loop, sock)
        self._client, self._socks, self._warn = sock, socks, warn

    def opened(self, channel: Channel) -> None:
        with contextlib.suppress(OSError):  # then reading finds the end
            self._client.sendall(self._socks.opened())
        super().opened(channel)
        if self._socks.early:
            channel.write(self._socks.early)

    def refused(self, reason: int, text: str) -> None:
        with contextlib.suppress(OSError):
            self._client.sendall(self._socks.failed(refused=True))
        self._warn(f"{self._socks.destination}: the node did not connect: {text or reason}")
        super().refused(reason, text)


def connect(place: Place) -> socket.socket | None:
    """Return a socket that is connected, or about to be, with a place on this machine or near it; None if not."""
    if isinstance(place, Unix):
        return _begun(socket.AF_UNIX, place.path)
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    for family, _, _, _, address in found:
        if (sock := _begun(family, address)) is not None:
            return sock
    return None


def _begun(family: int, address: object) -> socket.socket | None:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        problem = sock.connect_ex(address)  # type: ignore[arg-type]  # each family has its own form
        if problem == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if poll.poll(_GRACE) else 0
    except OSError as error:
        problem = error.errno or errno.EINVAL
    if problem:
        sock.close()
        return None
    return sock


def agent(path: str) -> Callable[[], socket.socket | None]:
    """Return what connects to the SSH agent at `path` each time that the node asks for it."""
    return lambda: connect(Unix(path))


def _addresses(forward: Forward, place: Tcp) -> list[tuple[int, tuple[object, ...]]]:
    host = None if place.host == EVERYWHERE else place.host
    try:
        found = socket.getaddrinfo(host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _unable(forward, error) from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _origin(sock: socket.socket) -> tuple[str, int]:
    """Return who has connected; a Unix socket has no address."""
    with contextlib.suppress(OSError):
        name = sock.getpeername()
        if isinstance(name, tuple):
            return str(name[0]), int(name[1])
    return "127.0.0.1", 0


def _unable(forward: Forward, problem: object) -> Unavailable:
    text = getattr(problem, "strerror", None) or problem
    return Unavailable("CLIENT-FORWARD-LOCAL", forward=forward, problem=text)
