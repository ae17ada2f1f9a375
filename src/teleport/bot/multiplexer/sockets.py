"""Sockets in a folder that only the bot may use: made under another name, closed to others, then put in place.

What an earlier process has left is replaced; where somebody still listens nothing is taken away. A socket that somebody
removes while the bot runs is put there again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

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
_LOOK = 1.0
"""Seconds between looks whether a socket is still where clients look for it."""

Serve = Callable[[socket.socket], Awaitable[None]]
"""Serves one connection, which it closes or hands on."""


class Listener:
    """A socket in a folder, with mode 0600."""

    def __init__(self, folder: str, name: str) -> None:
        """Listen. Raises AlreadyExists (MUX-SOCKET-TAKEN), Unavailable (MUX-SOCKET)."""
        self._folder = folder
        self._name = name
        self.path = os.path.join(folder, name)
        self.sock, self._way = self._made()

    @property
    def there(self) -> bool:
        """Whether a client finds a socket."""
        try:
            return stat.S_ISSOCK(os.lstat(self.path).st_mode)
        except OSError:
            return False

    def again(self) -> None:
        """Listen where somebody has removed the socket, or the folder. Raises what listening raises."""
        self.close()
        self.sock, self._way = self._made()

    def close(self) -> None:
        """Listen no more; the socket is gone."""
        if self._way < 0:
            return
        self.sock.close()
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._way)
        os.close(self._way)
        self._way = -1

    def _made(self) -> tuple[socket.socket, int]:
        """Return the socket, and a descriptor of its folder."""
        try:
            way = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unavailable(self.path, error) from error
        sock = socket.socket(socket.AF_UNIX)
        try:
            if _answers(_address(way, self._folder, self._name)):
                raise AlreadyExists("MUX-SOCKET-TAKEN", path=self.path)
            _put(sock, way, self._folder, self._name, self.path)
        except TeleportError:
            sock.close()
            os.close(way)
            raise
        return sock, way


@contextlib.contextmanager
def listening(folder: str, name: str) -> Iterator[Listener]:
    """Listen meanwhile. Raises what `Listener` raises."""
    listener = Listener(folder, name)
    try:
        yield listener
    finally:
        listener.close()


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


async def serve(listener: Listener, one: Serve, *, most: int) -> None:
    """Accept until cancelled, at most `most` at a time; then wait until what serves them has been cancelled.

    Whoever removes the socket ends no connection, and it is put there again. Raises what listening again raises."""
    running, room = set[asyncio.Task[None]](), asyncio.Semaphore(most)

    async def served(sock: socket.socket) -> None:
        try:
            await one(sock)
        except (TeleportError, OSError) as error:
            log.debug("A connection has ended with an error", error=error)
            sock.close()
        finally:
            room.release()

    async def accept() -> None:
        while True:
            async with _taken(room):
                sock = await _accept(listener.sock)
            task = tasks.spawn(served(sock), name="multiplexed", on_error=_tell)
            running.add(task)
            task.add_done_callback(running.discard)

    try:
        while True:
            accepting = tasks.spawn(accept(), name="multiplexer", on_error=_tell)
            try:
                await tasks.until(lambda: not listener.there, every=_LOOK)
            finally:
                await tasks.cancel(accepting)
            log.warn("A socket of the multiplexer is gone, it is made again", path=listener.path)
            listener.again()
    finally:
        for task in list(running):
            await tasks.cancel(task)


@contextlib.asynccontextmanager
async def _taken(room: asyncio.Semaphore) -> AsyncIterator[None]:
    """Take a place, which is free again where the block fails."""
    await room.acquire()
    try:
        yield
    except BaseException:
        room.release()
        raise


async def _accept(listener: socket.socket) -> socket.socket:
    loop = asyncio.get_running_loop()
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
