"""Readiness: waiting for one non-blocking socket with few system calls.

What is here: the meeting point of the event loop's callbacks and the tasks that read and write a socket.
The interest in reading stays registered after a wake-up, because the next read nearly always waits again;
it is dropped only when data arrives that nobody waits for. What is not: reading or writing itself.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from teleport.base.errors import Unavailable

_BURST = 16
"""Operations that succeed at once before a task lets the others run."""


class Readiness:
    """Says when `sock` can be read or written. Belongs to the loop that is running when it is made."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = sock.fileno()
        self._address = address
        self._readers: set[asyncio.Future[None]] = set()
        self._writers: set[asyncio.Future[None]] = set()
        self._watching = False
        self._instead: Callable[[], bool] | None = None
        self._stale = False
        self._burst = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def check(self) -> None:
        """Raise Unavailable (NET-CLOSED) after `close`."""
        if self._closed:
            raise Unavailable("NET-CLOSED", address=self._address)

    async def readable(self, instead: Callable[[], bool] | None = None) -> None:
        """Wait until a read may succeed. Raises Unavailable (NET-CLOSED) if the socket is closed meanwhile.

        `instead` is called first each time; while it returns True the wait goes on. It must not raise."""
        self.check()
        if not self._watching:
            self._loop.add_reader(self._fd, self._on_readable)
            self._watching = True
        self._instead = instead
        try:
            await self._wait(self._readers)
        finally:
            self._instead = None

    async def writable(self) -> None:
        """Wait until a write may succeed. Raises Unavailable (NET-CLOSED) if the socket is closed meanwhile."""
        self.check()
        if not self._writers:
            self._loop.add_writer(self._fd, self._on_writable)
        try:
            await self._wait(self._writers)
        finally:
            if not self._writers and not self._closed:
                self._loop.remove_writer(self._fd)

    async def turn(self) -> None:
        """Call before each operation: lets the other tasks run after a burst of operations that never waited."""
        self._burst += 1
        if self._burst >= _BURST:
            self._burst = 0
            await asyncio.sleep(0)
        self.check()

    def close(self) -> None:
        """Stop watching and wake everybody who waits. Call before the descriptor is closed."""
        if self._closed:
            return
        self._closed = True
        if self._watching:
            self._loop.remove_reader(self._fd)
        if self._writers:
            self._loop.remove_writer(self._fd)
        self._wake(self._readers)
        self._wake(self._writers)

    async def _wait(self, waiters: set[asyncio.Future[None]]) -> None:
        self._burst = 0
        future: asyncio.Future[None] = self._loop.create_future()
        waiters.add(future)
        try:
            await future
        finally:
            waiters.discard(future)
        self.check()

    @staticmethod
    def _wake(waiters: set[asyncio.Future[None]]) -> None:
        for future in list(waiters):
            waiters.discard(future)
            if not future.done():
                future.set_result(None)

    def _on_readable(self) -> None:
        if self._stale:  # the loop asked again before the task that was woken had its turn to read
            self._stale = False
        elif len(self._readers) == 1 and self._instead is not None and self._instead():
            return
        elif self._readers:
            self._stale = True  # if it is not, the next report is only one turn late
            self._wake(self._readers)
        else:  # nobody reads now: without this the loop would spin on unread data
            self._loop.remove_reader(self._fd)
            self._watching = False

    def _on_writable(self) -> None:
        self._loop.remove_writer(self._fd)
        self._wake(self._writers)
