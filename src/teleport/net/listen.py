"""Listeners: limits, the life of each connection's handler, and the accept loop of a socket.

What is here: what every listener shares (`Connections`) and the listener on a socket. What is not: which
address is opened how (`net.network`), or what a connection speaks (`net.router`).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from teleport.base import tasks
from teleport.base.errors import LimitExceeded
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Stream

Handler = Callable[[Stream], Awaitable[None]]
"""Serves one connection. The stream is closed when it returns or fails."""
ErrorSink = Callable[[BaseException], None]
"""Is told of a failed handler, and of a listener that has to pause."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a listener."""

    connections: int = 16384
    """Connections served at a time; more wait in the system's queue. Ten thousand silent ones leave room."""
    backlog: int = 512
    """Length of the system's queue."""
    grace: float = 10.0
    """Seconds that handlers get to end by themselves when the listener closes."""
    pause: float = 1.0
    """Seconds without accepting after the system ran out of descriptors or memory."""


class Listener(Protocol):
    """A place where connections arrive."""

    @property
    def address(self) -> str:
        """Where it listens, with the real port."""
        ...

    async def close(self, grace: float | None = None) -> None:
        """Accept no more, wait `grace` seconds (default: the limits') for handlers, then cancel the rest."""
        ...

    async def serve_forever(self) -> None:
        """Wait until the listener is closed."""
        ...


class Connections:
    """The handlers of one listener, each a supervised task. A handler's failure ends only its connection."""

    def __init__(self, handler: Handler, limits: Limits, *, name: str, on_error: ErrorSink) -> None:
        self._handler = handler
        self._limits = limits
        self._name = name
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = asyncio.Event()
        """Set when `close` begins."""
        self.on_room: Callable[[], None] = lambda: None
        """Called when a full set has room again."""

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def full(self) -> bool:
        """Whether as many connections are served as the limits allow."""
        return len(self._tasks) >= self._limits.connections

    def serve(self, stream: Stream) -> None:
        """Start the handler for a connection."""
        task = tasks.spawn(self._run(stream), name=f"{self._name} {stream.peer.address}", on_error=self._on_error)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self, grace: float | None = None) -> None:
        """Wait for the handlers, then cancel those that are left and wait until they have ended."""
        self.closed.set()
        wait = self._limits.grace if grace is None else grace
        await asyncio.sleep(0)  # a task cancelled before its first step would not close its stream
        pending = set(self._tasks)
        if pending and wait > 0:
            _, pending = await asyncio.wait(pending, timeout=wait)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)

    async def _run(self, stream: Stream) -> None:
        try:
            await self._handler(stream)
        finally:
            await stream.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        was_full = self.full
        self._tasks.discard(task)
        if was_full:
            self.on_room()


_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_BATCH = 64


class SocketListener:
    """The accept loop of a listening socket of which this object becomes the owner."""

    def __init__(
        self,
        sock: socket.socket,
        address: str,
        handler: Handler,
        limits: Limits,
        *,
        on_error: ErrorSink,
        cleanup: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._address = address
        self._limits = limits
        self._on_error = on_error
        self._cleanup = cleanup
        self._pause: asyncio.TimerHandle | None = None
        self._connections = Connections(handler, limits, name=f"serve {address}", on_error=on_error)
        self._connections.on_room = self._resume
        self._resume()

    @property
    def address(self) -> str:
        """See Listener.address."""
        return self._address

    def __len__(self) -> int:
        return len(self._connections)

    async def close(self, grace: float | None = None) -> None:
        """See Listener.close. Closing twice is allowed."""
        if not self._connections.closed.is_set():
            self._connections.closed.set()
            if self._pause:
                self._pause.cancel()
            self._loop.remove_reader(self._socket.fileno())
            self._cleanup()
            self._socket.close()
        await self._connections.close(grace)

    async def serve_forever(self) -> None:
        """See Listener.serve_forever."""
        await self._connections.closed.wait()

    def _resume(self) -> None:
        if self._pause:
            self._pause.cancel()
            self._pause = None
        if not self._connections.closed.is_set():
            self._loop.add_reader(self._socket.fileno(), self._on_ready)

    def _on_ready(self) -> None:
        for _ in range(_BATCH):
            if self._connections.full:
                self._loop.remove_reader(self._socket.fileno())
                return
            try:
                sock, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._wait_for_resources(error)
                return
            self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            stream = SocketStream(sock)
        except OSError as error:
            sock.close()
            self._on_error(error)
            return
        self._connections.serve(stream)

    def _wait_for_resources(self, error: OSError) -> None:
        """Pause: the connection stays in the queue, so the loop would be called again at once, for ever."""
        self._loop.remove_reader(self._socket.fileno())
        self._pause = self._loop.call_later(self._limits.pause, self._resume)
        reason = error.strerror or type(error).__name__
        known = error.errno in _EXHAUSTED
        self._on_error(LimitExceeded("NET-FILES", address=self._address, reason=reason) if known else error)
