"""tsh's side of resumption: a carrier that finds a new way to the same node when it loses the one it had.

`ResumableCarrier` takes the place of the TLS connection under the loop of an SSH connection, or of `tsh proxy ssh`.
While the connection is lost a thread looks for another way, and the loop goes on: what it sends waits, and a socket
pair tells it when there is something new. What is agreed on and counted: `wire.resumption_opening`, `wire.resumption`.
"""

from __future__ import annotations

import os

from teleport.base.errors import AccessDenied, BadParameter, NotAuthenticated, TeleportError, Unavailable
from teleport.base.escape import escape
from teleport.base.lean import TYPE_CHECKING, Callable, NamedTuple, suppress
from teleport.wire.buffer import NeedMore
from teleport.wire.resumption import Duplex
from teleport.wire.resumption_opening import (
    ClientOpening,
    Greeting,
    Request,
    read_answer,
    read_greeting,
    statement,
    write_request,
)

if TYPE_CHECKING:
    from teleport.client.profile import Home, Profile
    from teleport.client.ssh_client.trust import UserKey
    from teleport.client.stdio import BlockingTls
    from teleport.wire import reach

OFF = "TELEPORT_NO_RESUME"
"""Variable of the environment that switches it off."""
PATIENCE = 60.0
"""Seconds for which a new way is looked for; a node keeps a connection as long."""
_HELD = 262144
"""Bytes that may wait before local sources are read again."""
_SHORTEST, _LONGEST = 0.1, 2.0
"""Seconds between two attempts."""


class Means(NamedTuple):
    """What it takes to come back."""

    reach: Callable[[str], BlockingTls]
    """Returns a connection to the node with this id, as `client.reach.reach` does."""
    key: Callable[[], UserKey]
    """Returns what the user has signed in with."""
    host: str
    """Name of the node, for errors and messages."""
    tell: Callable[[str], None]
    """Is told of losses and returns."""
    patience: float = PATIENCE


def carried(
    way: BlockingTls, home: Home, profile: Profile, request: reach.Request, tell: Callable[[str], None]
) -> ResumableCarrier:  # fmt: skip
    """Return a way to a node that another takes the place of when it is lost, with the same certificate."""

    def again(node: str) -> BlockingTls:
        from teleport.client.reach import reach

        return reach(home, profile, request._replace(target=node))

    def key() -> UserKey:
        from teleport.client.ssh_client.trust import user_key

        return user_key(home, profile)

    return ResumableCarrier(way, b"", Means(again, key, request.target, tell))


class ResumableCarrier:
    """See `client.ssh_client.loop.Carrier`. It owns its way, and closes it when that is lost."""

    def __init__(self, way: BlockingTls, first: bytes, means: Means) -> None:
        """`first` is what the node has been sent on this way already."""
        self.sock = way.sock
        self.ended = False
        """Whether the node sends no more."""
        self._way: BlockingTls | None = way
        self._means = means
        self._opening: ClientOpening | None = ClientOpening()
        self._opening.send(first)
        self._greeting: Greeting | None = None
        self._duplex: Duplex | None = None
        self._framed = False
        """Whether the node sends frames."""
        self._search: _Search | None = None

    # -- out ----------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Encrypted bytes that wait for `flush`."""
        return self._way.pending if self._way is not None else 0

    @property
    def held(self) -> bool:
        """Whether local sources should rest."""
        if self._duplex is not None:
            waiting = self._duplex.waiting
        else:
            waiting = len(self._opening.held) if self._opening is not None else 0
        return waiting > _HELD or self.pending > _HELD

    @property
    def suspended(self) -> bool:
        """Whether there is no way at the moment."""
        return self._way is None

    def give(self, data: bytes) -> None:
        """Add bytes to send. Raises TeleportError before the node has agreed."""
        if self._duplex is not None:
            self._push(*self._duplex.write(data))
        elif self._opening is None:
            self._push(data)
        else:
            self._push(self._opening.send(data))
            self._decide(self._opening)

    def _push(self, *parts: bytes | memoryview) -> None:
        if any(parts) and self._way is not None:
            try:
                self._way.give(b"".join(parts))
            except TeleportError as error:
                self._lost(error)

    def _decide(self, opening: ClientOpening) -> None:
        """Change to frames as soon as the node's offer and our first packet are there, or to nothing at all."""
        if opening.ready:
            self._greeting, self._duplex = opening.greeting, Duplex()
            self._push(opening.mark(), *self._duplex.write(opening.held))
        elif opening.plain:
            self._opening = None
            self._push(bytes(opening.held))

    def give_end(self) -> None:
        """Say that no more follows; reading goes on."""
        if self._duplex is not None:
            self._push(*self._duplex.end())
        elif self._way is not None:
            self._way.give_end()

    def flush(self) -> None:
        """Send what the socket takes. Raises TeleportError before the node has agreed."""
        if self._way is not None:
            try:
                self._way.flush()
            except TeleportError as error:
                self._lost(error)

    def drop(self) -> None:
        """Forget what waits to be sent on this way."""
        if self._way is not None:
            self._way.drop()

    # -- in -----------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Receive what the socket has. Raises TeleportError before the node has agreed, and Unavailable
        (CLIENT-RESUME-TIME, CLIENT-RESUME-REFUSED) and what stops a search at once, when there is no other way."""
        if self._search is not None:
            self._go_on(self._search)
        elif self._way is not None:
            try:
                self._way.fill()
            except TeleportError as error:
                self._lost(error)

    def take(self) -> bytes | memoryview:
        """Return what has arrived; empty if nothing has. Raises as `fill`, and ProtocolError (WIRE-RESUME)."""
        while self._way is not None:
            try:
                data = self._way.take()
            except TeleportError as error:
                self._lost(error)
                break
            if data and (found := self._read(data)):
                return found
            if not data:
                self._look_at_end(self._way)
                break
        return b""

    def _read(self, data: bytes) -> bytes | memoryview:
        if self._framed and self._duplex is not None:
            return self._unframe(self._duplex, data)
        opening = self._opening
        if opening is None:
            return data
        plain = opening.receive(data)
        self._decide(opening)
        if not opening.marked or self._duplex is None:
            return plain
        self._framed, self._opening = True, None
        return plain + bytes(self._unframe(self._duplex, opening.rest))

    def _unframe(self, duplex: Duplex, data: bytes) -> bytes | memoryview:
        pieces = duplex.receive(data)
        self._push(*(duplex.more() or duplex.acknowledgement()))
        self.ended = duplex.ended
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _look_at_end(self, way: BlockingTls) -> None:
        if not way.ended or self.ended:
            return
        if self._framed:
            self._lost(Unavailable("NET-RESET", address=way.address, reason="it was closed"))
        else:
            self.ended = True

    # -- another way ----------------------------------------------------------------------------------------

    def _lost(self, error: TeleportError) -> None:
        """The way is gone: look for another one, if the node has agreed to that. Raises `error` if not."""
        way, duplex, greeting = self._way, self._duplex, self._greeting
        if way is None or duplex is None or greeting is None or not self._framed or self.ended:
            raise error
        way.sock.close()
        self._way = None
        duplex.lose()
        host, seconds = self._means.host, self._means.patience
        self._means.tell(f"The connection to {host} was lost: {error.what}. Resuming it, for {seconds:.0f} s at most.")
        self._search = _Search(_Attempt(self._means, greeting, duplex.received), self._means)
        self.sock = self._search.sock

    def _go_on(self, search: _Search) -> None:
        found = search.result()
        if found is None:
            return
        self._search = None
        if isinstance(found, TeleportError):
            raise found
        way, theirs = found
        search.sock.close()
        way.sock.settimeout(0)
        self._way, self.sock = way, way.sock
        if self._duplex is not None:
            self._push(*self._duplex.resume(theirs))
        self._means.tell(f"The connection to {self._means.host} was resumed.")


class _Attempt:
    """One attempt after the other to bring a connection onto a new way."""

    def __init__(self, means: Means, greeting: Greeting, received: int) -> None:
        self._means, self._greeting, self._received = means, greeting, received
        self._offered: Greeting | None = None
        self._theirs: int | None = None

    def once(self) -> tuple[BlockingTls, int]:
        """Return the new way, and how much the node has received. Raises TeleportError."""
        way = self._means.reach(self._greeting.host)
        try:
            way.answer(self._greeted)
            way.ask(self._request())
            way.answer(self._answered)
            if self._theirs is None:
                raise self._refused("it does not know the connection, or this is not the certificate it began with")
        except BaseException:
            way.sock.close()
            raise
        return way, self._theirs

    def _greeted(self, data: bytes) -> tuple[None, int]:
        self._offered, size = read_greeting(data)
        if self._offered is None or self._offered.host != self._greeting.host:
            raise self._refused("another node answers, or one that resumes nothing")
        return None, size

    def _request(self) -> bytes:
        import hashlib  # signing in needs the C half alone

        key, connection = self._means.key(), self._greeting.token
        offered = self._offered or self._greeting
        certificate = hashlib.sha256(key.certificate).digest()
        signature = key.sign(statement(offered, certificate, connection, self._received))
        return write_request(Request(connection, self._received, signature))

    def _answered(self, data: bytes) -> tuple[None, int]:
        self._theirs, size = read_answer(data)
        return None, size

    def _refused(self, problem: str) -> AccessDenied:
        return AccessDenied("CLIENT-RESUME-REFUSED", host=self._means.host, problem=problem)


class _Search:
    """A thread that attempts until something comes of it, and a socket that is readable then."""

    def __init__(self, attempt: _Attempt, means: Means) -> None:
        import socket  # nearly no connection is ever lost
        import threading

        self.sock, self._other = socket.socketpair()
        self.sock.setblocking(False)
        self._attempt, self._means = attempt, means
        self._result: tuple[BlockingTls, int] | TeleportError | None = None
        self._last = "nothing answered"
        self._lock, self._over = threading.Lock(), threading.Event()
        self._timer = threading.Timer(means.patience, self._expire)
        for thread in (self._timer, threading.Thread(target=self._run, name="resume")):
            thread.daemon = True
            thread.start()

    def result(self) -> tuple[BlockingTls, int] | TeleportError | None:
        """Return the way that was found, or why there is none; None while it is looked for."""
        with self._lock:
            return self._result

    def _run(self) -> None:
        wait = _SHORTEST
        while not self._over.is_set():
            try:
                self._finish(self._attempt.once())
            except TeleportError as error:
                self._last = error.what
                if _is_final(error):
                    self._finish(error)
            except OSError as error:
                self._last = error.strerror or type(error).__name__
            self._over.wait(wait)
            wait = min(2 * wait, _LONGEST)

    def _expire(self) -> None:
        host, seconds = self._means.host, f"{self._means.patience:.0f}"
        self._finish(Unavailable("CLIENT-RESUME-TIME", host=host, seconds=seconds, problem=self._last))

    def _finish(self, result: tuple[BlockingTls, int] | TeleportError) -> None:
        with self._lock:
            late = self._result is not None
            if not late:
                self._result = result
        if not late:
            self._over.set()
            self._timer.cancel()
            self._other.close()
        elif not isinstance(result, TeleportError):
            result[0].sock.close()


def _is_final(error: TeleportError) -> bool:
    """Whether trying again will not help. What the network and TLS say may be of a proxy that is starting."""
    refused = isinstance(error, (AccessDenied, NotAuthenticated, BadParameter)) and not isinstance(error, NeedMore)
    return refused and not error.code.startswith("NET-")


def tell(text: str) -> None:
    """Tell the user; their terminal may be raw."""
    with suppress(OSError):
        os.write(2, escape(text).encode(errors="replace") + (b"\r\n" if os.isatty(2) else b"\n"))


def tell_nobody(text: str) -> None:
    """Where the user wants to hear nothing."""
