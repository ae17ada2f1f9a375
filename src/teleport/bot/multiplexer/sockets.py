"""Sockets in a folder that only the bot may use: made under another name, closed to others, then put in place.

What an earlier process has left is replaced; where somebody still listens nothing is taken away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator

from teleport.base import tasks
from teleport.base.errors import AlreadyExists, TeleportError, Unavailable
from teleport.base.log import logger

log = logger("TBOT:MUX")

BACKLOG = 128
"""Connections that may wait."""
_LONGEST = 100
"""Bytes of a path that a socket's address has room for (unix(7): 108, its end included)."""
_PAUSE = 1.0
"""Seconds without accepting after the system ran out of descriptors."""

Serve = Callable[[socket.socket], Awaitable[None]]
"""Serves one connection, which it closes or hands on."""


@contextlib.contextmanager
def listening(folder: str, name: str) -> Iterator[socket.socket]:
    """Listen on a socket with mode 0600; it is gone at the end. Raises AlreadyExists (MUX-SOCKET-TAKEN), Unavailable
    (MUX-SOCKET)."""
    path = os.path.join(folder, name)
    try:
        way = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unavailable(path, error) from error
    try:
        if _answers(_address(way, folder, name)):
            raise AlreadyExists("MUX-SOCKET-TAKEN", path=path)
        with socket.socket(socket.AF_UNIX) as sock:
            _put(sock, way, folder, name, path)
            try:
                yield sock
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=way)
    finally:
        os.close(way)


def _put(sock: socket.socket, way: int, folder: str, name: str, path: str) -> None:
    draft = f".{name}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=way)
        sock.bind(_address(way, folder, draft))
        os.chmod(draft, 0o600, dir_fd=way)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        os.rename(draft, name, src_dir_fd=way, dst_dir_fd=way)
    except OSError as error:
        raise _unavailable(path, error) from error


def _address(way: int, folder: str, name: str) -> str:
    """Return a path that is short enough."""
    path = os.path.join(folder, name)
    return path if len(os.fsencode(path)) <= _LONGEST else f"/proc/self/fd/{way}/{name}"


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


async def serve(listener: socket.socket, one: Serve, *, most: int) -> None:
    """Accept until cancelled, at most `most` at a time; then wait until what serves them has been cancelled."""
    loop, running = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    room = asyncio.Semaphore(most)

    async def served(sock: socket.socket) -> None:
        try:
            await one(sock)
        except (TeleportError, OSError) as error:
            log.debug("A connection has ended with an error", error=error)
            sock.close()
        finally:
            room.release()

    try:
        while True:
            await room.acquire()
            sock = await _accept(loop, listener)
            task = tasks.spawn(served(sock), name="multiplexed", on_error=_tell)
            running.add(task)
            task.add_done_callback(running.discard)
    finally:
        for task in list(running):
            await tasks.cancel(task)


async def _accept(loop: asyncio.AbstractEventLoop, listener: socket.socket) -> socket.socket:
    while True:
        try:
            sock, _ = await loop.sock_accept(listener)
        except OSError as error:
            log.warn("No connection can be accepted at the moment", error=error)
            await asyncio.sleep(_PAUSE)
        else:
            return sock


def _tell(error: BaseException) -> None:
    log.error("A connection has failed", error=error)


def _unavailable(path: str, error: OSError) -> Unavailable:
    return Unavailable("MUX-SOCKET", path=path, problem=error.strerror or type(error).__name__)
