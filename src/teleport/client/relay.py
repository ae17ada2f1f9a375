"""Two sockets of this machine, joined: what one says the other hears. A part of the loop of a connection.

Each direction holds back whoever is too fast, and ends by itself.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, MutableSequence

from teleport.client.ssh_client.loop import READ, WRITE, Watched

_CHUNK = 65536


class _Way:
    """One direction."""

    def __init__(self, source: socket.socket, sink: socket.socket, waiting: bytes) -> None:
        self.source, self.sink, self.waiting = source, sink, waiting
        self.ended = False
        """Whether the source has said its last; it is passed on behind all that waits."""
        self.done = False

    def move(self, *, reading: bool) -> None:
        """Read if nothing waits, and write what can be written. Raises OSError for a side that is gone."""
        with contextlib.suppress(BlockingIOError):
            if reading and not self.waiting and not self.ended:
                self.waiting = self.source.recv(_CHUNK)
                self.ended = not self.waiting
            while self.waiting:
                self.waiting = self.waiting[self.sink.send(self.waiting) :]
        if self.ended and not self.waiting and not self.done:
            self.done = True
            self.sink.shutdown(socket.SHUT_WR)


class Relay:
    """Joins and owns both sockets; takes itself out of `watched` when both have said their last."""

    def __init__(
        self, watched: MutableSequence[Watched], first: socket.socket, second: socket.socket, early: bytes = b""
    ) -> None:  # fmt: skip
        """`early` has been read from the first already."""
        for sock in (first, second):
            sock.setblocking(False)
        self._watched = watched
        self._ways = (_Way(first, second, early), _Way(second, first, b""))

    def wants(self) -> Iterable[tuple[int, int]]:
        for way in self._ways:
            if way.waiting:
                yield way.sink.fileno(), WRITE
            elif not way.ended:
                yield way.source.fileno(), READ

    def ready(self, descriptor: int, events: int) -> None:
        try:
            for way in self._ways:
                if way.done:
                    continue
                if descriptor == way.source.fileno() and events & ~WRITE:
                    way.move(reading=True)
                elif descriptor == way.sink.fileno() and way.waiting and events & ~READ:
                    way.move(reading=False)
        except OSError:
            self.close()
        else:
            if all(way.done for way in self._ways):
                self.close()

    def close(self) -> None:
        """Close both sockets."""
        with contextlib.suppress(ValueError):
            self._watched.remove(self)
        for way in self._ways:
            way.source.close()
