"""Intake: what comes on a socket, read by a task that waits, or handed on in the callback that says it is there.

What is here: the one loop of reading that plain sockets and TLS share, and the short way: while a task waits in `read`,
bytes go to a `Sink` without waking it, which saves a turn of the loop and most of its work. What is not: how bytes are
taken from the socket (handed in), and where they go.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from teleport.net.readiness import Readiness
from teleport.net.stream import Sink

MOST = 262144
"""Most bytes that are taken for a sink at a time."""


class Intake:
    """The reading half of a socket."""

    __slots__ = ("_error", "_kept", "_ready", "_receive", "sink", "unreported")

    def __init__(self, ready: Readiness, receive: Callable[[int], bytes]) -> None:
        """`receive` returns at most so many bytes, `b""` at the end and from then on; it raises as sockets do."""
        self._ready = ready
        self._receive = receive
        self._kept = b""
        self._error: Exception | None = None
        self.sink: Sink | None = None
        """Gets what comes while somebody waits in `read`, who then gets only what the sink did not take."""
        self.unreported = False
        """Set by `receive` when its data was followed by an end or a failure, of which the socket will not tell again."""

    def keep(self, data: bytes) -> None:
        """Give this to the next reader, after what was kept before."""
        self._kept += data

    async def read(self, limit: int) -> bytes:
        """Return at least one byte, `b""` at the end. Raises OSError, and what the sink has raised."""
        await self._ready.turn()
        while True:
            if self._kept:
                data, self._kept = self._kept[:limit], self._kept[limit:]
                return data
            if self._error is not None:
                raise self._error
            try:
                return self._receive(limit)
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._ready.readable(self._hand_on if self.sink is not None else None)
            except ssl.SSLWantWriteError:
                await self._ready.writable()

    def _hand_on(self) -> bool:
        """Hand on what has come; return whether whoever waits in `read` may sleep on."""
        if self.sink is None:
            return False
        try:
            data = self._receive(MOST)
            taken = self.sink(data) if data else 0
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except Exception as error:  # a socket says only once what is wrong with it
            self._error = error
            return False
        self._kept = data[taken:]
        # What TLS has decrypted already, nobody will report.
        return 0 < taken == len(data) < MOST and not self.unreported
