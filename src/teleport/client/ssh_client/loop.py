"""A loop of poll(2) that moves bytes between one SSH engine, its carrier and local descriptors. It blocks.

What is here: when to read and write what. What is not: what channels are for (`connection`).
"""

from __future__ import annotations

import select
import time

from teleport.base.errors import TeleportError, Unavailable
from teleport.base.lean import TYPE_CHECKING, Callable, Iterable, Protocol
from teleport.client.ssh_client.engine import Engine, State

if TYPE_CHECKING:
    import socket

READ, WRITE = select.POLLIN, select.POLLOUT
_SILENCE, _QUESTIONS = 60.0, 3
"""Seconds without a byte after which the server is asked whether it is there, and how often."""


class Carrier(Protocol):
    """A connected byte stream that is moved by hand; `client.stdio.BlockingTls` is one."""

    sock: socket.socket
    ended: bool

    @property
    def pending(self) -> int:
        """Bytes that wait for `flush`."""

    @property
    def held(self) -> bool:
        """Whether more waits than should be read from local sources."""

    @property
    def suspended(self) -> bool:
        """Whether there is no connection at the moment."""

    def give(self, data: bytes) -> None:
        """Add bytes to send."""

    def flush(self) -> None:
        """Send what the socket takes. Raises TeleportError."""

    def fill(self) -> None:
        """Receive what the socket has. Raises TeleportError."""

    def take(self) -> bytes | memoryview:
        """Return what has arrived; empty if nothing has."""

    def drop(self) -> None:
        """Forget what waits to be sent."""


class Watched(Protocol):
    """Something with local descriptors."""

    def wants(self) -> Iterable[tuple[int, int]]:
        """Return descriptors and what they should be ready for."""

    def ready(self, descriptor: int, events: int) -> None:
        """One of them is ready, or broken."""


class Loop:
    """Runs one engine. Errors of the connection end up in `error` and at everybody who has a channel."""

    def __init__(self, carrier: Carrier, engine: Engine, host: str) -> None:
        """`host` is for errors."""
        self.engine = engine
        self.host = host
        self.watched: list[Watched] = []
        self._carrier = carrier
        self._heard = time.monotonic()
        self._asked = 0
        carrier.sock.settimeout(0)

    @property
    def descriptor(self) -> int:
        """Descriptor of the carrier."""
        return self._carrier.sock.fileno()

    @property
    def error(self) -> TeleportError | None:
        """What has ended the connection."""
        return self.engine.error

    @property
    def congested(self) -> bool:
        """Whether local sources should rest: the connection takes no more at the moment."""
        return self.engine.held or self._carrier.held

    @property
    def suspended(self) -> bool:
        """Whether the carrier has lost its connection and looks for another one."""
        return self._carrier.suspended

    def run(self, done: Callable[[], object], seconds: float | None = None) -> bool:
        """Run until `done`, or the connection has ended. False if `seconds` have passed before."""
        until = None if seconds is None else time.monotonic() + seconds
        while not done() and self.error is None:
            rest = None if until is None else until - time.monotonic()
            if rest is not None and rest <= 0:
                return False
            self.step(rest)
        self._send()
        return True

    def step(self, seconds: float | None = None) -> None:
        """Wait until something can be done, at most so long, and do it."""
        self._send()
        wanted = self._wanted()
        poll = select.poll()
        for descriptor, events in wanted.items():
            poll.register(descriptor, events)
        wait = self._patience() if seconds is None else min(seconds, self._patience())
        ready = poll.poll(max(0, int(wait * 1000) + 1))
        self._check_silence()
        for descriptor, events in ready:
            if descriptor == self._carrier.sock.fileno():
                self._carry(events)
        watchers = list(self.watched)
        for descriptor, events in ready:
            for watcher in watchers:
                if any(descriptor == own for own, _ in watcher.wants()):
                    watcher.ready(descriptor, events)

    def catch_up(self) -> None:
        """Take what the carrier has received already, of which poll(2) does not know."""
        self._receive()

    def _wanted(self) -> dict[int, int]:
        wanted = {self._carrier.sock.fileno(): READ | (WRITE if self._carrier.pending else 0)}
        for watcher in self.watched:
            for descriptor, events in watcher.wants():
                wanted[descriptor] = wanted.get(descriptor, 0) | events
        return wanted

    def _carry(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & ~WRITE:
            self._receive()

    def _receive(self) -> None:
        try:
            self._carrier.fill()
            while data := self._carrier.take():
                self._heard, self._asked = time.monotonic(), 0
                self.engine.receive(data)
            if self._carrier.ended and self.error is None:
                raise Unavailable("CLIENT-SSH", host=self.host, problem="the connection was ended")
        except TeleportError as error:
            self._end(error)

    def _send(self) -> None:
        if data := self.engine.take():
            try:
                self._carrier.give(data)
            except TeleportError as error:
                self._end(error)
                return
            self._flush()

    def _flush(self) -> None:
        """A server that takes no more may have said why: reading goes on."""
        try:
            self._carrier.flush()
        except TeleportError:
            self._carrier.drop()

    def _end(self, error: TeleportError) -> None:
        """Give what is to be said as a last word its chance."""
        self.engine.lose(error)
        if data := self.engine.take():
            try:
                self._carrier.give(data)
                self._carrier.flush()
            except TeleportError:
                pass

    def _patience(self) -> float:
        return max(0.0, self._heard + _SILENCE * (self._asked + 1) - time.monotonic())

    def _check_silence(self) -> None:
        if self._patience() or self.engine.state is not State.OPEN:
            return
        self._asked += 1
        if self._asked > _QUESTIONS:
            self._end(Unavailable("CLIENT-SSH", host=self.host, problem="it has not answered for minutes"))
        else:
            self.engine.keep_alive()

    def leave(self) -> None:
        """Say goodbye; for a process that ends now. Nobody is told."""
        self.engine.close()
        self._send()

    def close(self) -> None:
        """Say goodbye and close the carrier; what was joined with channels is closed as well."""
        self.leave()
        self.engine.lose(Unavailable("CLIENT-SSH", host=self.host, problem="it was closed"))
        self._carrier.sock.close()
