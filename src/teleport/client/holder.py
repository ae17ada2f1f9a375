"""The connection holder: a process that keeps an SSH connection of its user for the next `tsh ssh` to the same node.

`tsh ssh` becomes one, by a fork, when its first command on a node has ended. It listens on a socket in a folder of
mode 0700, takes calls of its own user only (`SO_PEERCRED`), and each call brings its own descriptors. The node decides
anew on every session. It ends when it was idle for ten minutes, with the certificate, with the profile (sign-out),
and with the connection (a lock, the node, the network). Docs: docs/adr/0013-connection-holder.md.
"""

from __future__ import annotations

import _socket
import gc
import os
import sys
import time

from teleport.base.clock import Clock, SystemClock
from teleport.base.errors import TeleportError
from teleport.base.lean import TYPE_CHECKING, Callable, Iterable, Mapping, dt, suppress
from teleport.client import holder_call as call
from teleport.client.profile import WAY, Profile
from teleport.client.ssh_client.connection import Connection
from teleport.client.ssh_client.loop import READ
from teleport.client.ssh_client.session import Ends, Session, Wanted, unblocked
from teleport.wire.reach import write_answer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

IDLE = 600.0
"""Seconds without a call after which it ends."""
HOLDERS = 32
"""Processes at one time."""
CALLS = 48
"""Sessions at one time: less than the channels that a node gives a connection."""
_INT = 4
"""Bytes of a descriptor on its way."""
_LOOK = 5.0
"""Seconds between looks at the profile."""


def may_hold(environment: Mapping[str, str], profile: Profile) -> bool:
    """Whether connections of this sign-in may be kept: not those whose certificate stands for one second factor, nor
    those that a thread of this process carries (`client.way`)."""
    if environment.get(call.OFF) or profile.upgraded or any(environment.get(name) for name in WAY):
        return False
    return not any("mfa" in name for name in profile.extensions)


def keep(connection: Connection, environment: Mapping[str, str], key: bytes, until: dt.datetime) -> None:
    """Go on in a process of our own with the connection, which is not ours any more when this returns.

    Does nothing where it cannot: the next call makes a connection of its own.
    """
    if connection.error is not None or not key:
        return
    try:
        listening = _listen(call.folder(environment), call.name_of(key))
        if listening is None:
            return
        child = os.fork()
    except OSError:
        return
    if child:
        return
    status = 1
    try:
        _detach({listening.fileno(), connection.descriptor})
        Holder(connection, listening, environment, key, until).run()
        status = 0
    finally:
        os._exit(status)


def _listen(path: str, name: str) -> _socket.socket | None:
    """Listen on a socket of this name; None if somebody does, or too many do. Raises OSError."""
    with suppress(FileExistsError):
        os.mkdir(path, mode=0o700)
    folder = call.open_folder(path)
    import fcntl  # the caller that finds a holder has no use for it

    try:
        lock = os.open(".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if len([other for other in os.listdir(path) if other.startswith("ssh-")]) >= HOLDERS:
                _sweep(path)
                return None
            return _bind(folder, path, name)
        finally:
            os.close(lock)
    finally:
        os.close(folder)


def _bind(folder: int, path: str, name: str) -> _socket.socket | None:
    if _is_stale(path, name):
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    elif name in os.listdir(path):
        return None
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    sock.bind(f"/proc/self/fd/{folder}/{name}")
    sock.listen(CALLS)
    sock.setblocking(False)
    return sock


def _is_stale(path: str, name: str) -> bool:
    try:
        call.connect(path, name).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _sweep(path: str) -> None:
    """Remove what processes that were killed have left."""
    for name in os.listdir(path):
        if name.startswith("ssh-") and _is_stale(path, name):
            os.unlink(os.path.join(path, name))


def _detach(kept: set[int]) -> None:
    """Leave the terminal, the folder and the descriptors of whoever started us; keep these."""
    import signal  # nobody waits for us

    gc.enable()
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.chdir("/")
    os.umask(0o077)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    last = 3
    for descriptor in sorted(kept):
        os.closerange(last, descriptor)
        last = descriptor + 1
    os.closerange(last, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 16 else 1 << 16)


class Holder:
    """Serves calls on one connection until one of its ends has come."""

    def __init__(self, connection: Connection, listening: _socket.socket, environment: Mapping[str, str], key: bytes,
                 until: dt.datetime, *, idle: float = IDLE, clock: Clock | None = None,
                 uid: Callable[[_socket.socket], int] = call.peer_uid) -> None:  # fmt: skip
        self.connection, self.key = connection, key
        self.calls: set[Call] = set()
        self.ending = False
        self._listening, self._environment = listening, environment
        self._until, self._idle, self._clock, self._uid = until, idle, clock or SystemClock(), uid
        self._used = self._looked = time.monotonic()
        connection.watched.append(self)

    def run(self) -> None:
        """Serve. The socket is gone at the end, and the connection is closed."""
        try:
            while not self._over():
                self.connection.step(min(_LOOK, self._idle / 2))
                for one in list(self.calls):
                    one.check()
        finally:
            with suppress(OSError):
                os.unlink(os.path.join(call.folder(self._environment), call.name_of(self.key)))
            self._listening.close()
            self.connection.close()
            for one in list(self.calls):
                one.close()

    def _over(self) -> bool:
        now = time.monotonic()
        if self.calls:
            self._used = now
        if now - self._looked >= _LOOK:
            self._looked = now
            self.ending = self.ending or not self.is_current()
        if self.ending or self.connection.error is not None:
            return True
        return not self.calls and (now - self._used >= self._idle or self._clock.now() >= self._until)

    def is_current(self) -> bool:
        """Whether the user is still signed in as they were."""
        *_, login, host, cluster = self.key.decode("utf-8", "surrogateescape").split("\0")
        return call.key(self._environment, login, host, cluster) == self.key

    # -- the socket -----------------------------------------------------------------------------------------

    def wants(self) -> Iterable[tuple[int, int]]:
        return [(self._listening.fileno(), READ)] if self._listening.fileno() >= 0 else []

    def ready(self, descriptor: int, events: int) -> None:
        try:
            number, _ = self._listening._accept()  # type: ignore[attr-defined]  # of the C half
        except OSError:
            return
        sock = _socket.socket(fileno=number)
        if self._uid(sock) != os.geteuid() or len(self.calls) >= 2 * CALLS:
            sock.close()
            return
        sock.setblocking(False)
        self.calls.add(Call(self, sock))

    def accepts(self, key: bytes) -> bool:
        """Whether a call is for this connection, and the connection still stands for a valid sign-in."""
        if key != self.key or sum(one.runs for one in self.calls) >= CALLS:
            return False
        return self.connection.error is None and self._clock.now() < self._until and self.is_current()

    def end(self, whose: bytes) -> None:
        """Somebody signs out; end if it is our user's sign-in."""
        self.ending = self.ending or self.key.startswith(whose)


class Call:
    """One `tsh ssh` that has called: its socket, and the session that it is for."""

    def __init__(self, holder: Holder, sock: _socket.socket) -> None:
        self._holder, self._sock = holder, sock
        self._session: Session | None = None
        self._descriptors: list[int] = []
        self._block: AbstractContextManager[None] | None = None
        holder.connection.watched.append(self)

    @property
    def runs(self) -> bool:
        """Whether it has a session."""
        return self._session is not None

    def wants(self) -> Iterable[tuple[int, int]]:
        return [(self._sock.fileno(), READ)] if self._sock.fileno() >= 0 else []

    def ready(self, descriptor: int, events: int) -> None:
        """The call itself, or its end: whoever called is gone."""
        if self._session is not None:
            self.close()
            return
        data, descriptors = self._receive()
        match call.read(data):
            case (call.CALL, key, command) if len(descriptors) == 3 and self._holder.accepts(key):
                self._start(command, descriptors)
                return
            case (call.END, whose, _):
                self._holder.end(whose)
            case _:
                self._say(b"N")
        self.close()

    def _receive(self) -> tuple[bytes, list[int]]:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(call.LARGEST, _socket.CMSG_LEN(16 * _INT))
        except OSError:
            return b"", []
        for level, kind, content in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                whole = range(0, len(content) - _INT + 1, _INT)
                self._descriptors += [int.from_bytes(content[at : at + _INT], sys.byteorder) for at in whole]
        return data, self._descriptors

    def _start(self, command: bytes, descriptors: list[int]) -> None:
        text = command.decode("utf-8", "surrogateescape")
        try:
            self._block = unblocked(*descriptors)
            self._block.__enter__()
            self._session = self._holder.connection.open_session(Ends(*descriptors), Wanted(text))
        except (TeleportError, OSError):
            self._say(b"N")
            self.close()
            return
        self._say(b"A")

    def check(self) -> None:
        """Answer when the session is done."""
        session = self._session
        if session is None or not session.done:
            return
        try:
            answer = b"S" + bytes([session.result() & 0xFF])
        except BrokenPipeError:
            answer = b"P"
        except TeleportError as error:
            answer = b"E" + write_answer(error)
        self._let_go()
        self._say(answer)
        self.close()

    def _say(self, answer: bytes) -> None:
        with suppress(OSError):
            self._sock.send(answer)

    def _let_go(self) -> None:
        """Give the descriptors back as they were."""
        block, self._block = self._block, None
        with suppress(OSError):
            if block is not None:
                block.__exit__(None, None, None)
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def close(self) -> None:
        """The call is over; a session that still runs is closed."""
        session, self._session = self._session, None
        if session is not None:
            session.abandon()
        self._let_go()
        self._sock.close()
        with suppress(ValueError):
            self._holder.connection.watched.remove(self)
        self._holder.calls.discard(self)
