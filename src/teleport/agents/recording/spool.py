"""The spool: where a node keeps recordings until the Auth Service has them.

One file a session, `<id>.rec`, of sealed chunks; those of commands begin in a journal that they share. Writing,
sealing and waiting for the disk happen in a few threads, so that the event loop goes on. A file that was begun and
never got its first chunk tells of no session: none starts before that chunk is durable.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from teleport.base.append import AppendFile, Folder
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.prompt import Prompt
from teleport.wire import recording_chunk as chunks
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.recording_chunk import Chain, Chunk

P = ParamSpec("P")
T = TypeVar("T")

SUFFIX = ".rec"
LOW_WATER = 16 * 1024 * 1024
"""Bytes that must be free for a session to begin."""
_THREADS = 4
_AT_ONCE = 16 * 1024
"""Bytes that are sealed and written at once: a tenth of a millisecond to compress them."""


class Spool:
    """The folder and the threads that work on it."""

    def __init__(
        self, folder: Folder, *, path: str, set_aside: str, low_water: int = LOW_WATER,
        lasting: Folder | None = None, ready: Callable[[int], bool] = lambda _: False,
        synced: Callable[[AppendFile], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        """`path` is the folder's, for people; `set_aside` the folder for recordings that cannot be stored. Files of
        sessions that last are begun in `lasting`: the same folder without what serves short files. `ready`
        says whether so many bytes of a short file are quickly written; `synced` makes durable what was appended to one,
        with what others write at the same time."""
        self._ready = ready
        self._synced = synced
        self._prompt = Prompt()
        self.folder = folder
        self._lasting = lasting or folder
        self.path = path
        self.set_aside = set_aside
        self._low_water = low_water
        self._threads: ThreadPoolExecutor | None = None
        self._left: frozenset[str] | None = None
        self._looking = threading.Lock()

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do blocking work in one of the threads."""
        if self._threads is None:  # made when first needed: a node without sessions does without
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="recording")
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*arguments, **named))

    async def run_brief(self, size: int, work: Callable[[], T]) -> T:
        """Do blocking work that writes `size` bytes of a short file: at once where that is quick."""
        return await self._prompt.run(work, self.run, ready=size <= _AT_ONCE and self._ready(size))

    async def grow_brief(self, file: AppendFile, size: int, chunks: Callable[[], Sequence[bytes]]) -> int:
        """Add chunks of some `size` bytes to a short file, durably; return how many bytes they are."""

        def append() -> int:
            made = chunks()
            for chunk in made:
                file.append(chunk)
            return sum(map(len, made))

        grown = append() if size <= _AT_ONCE else await self.run(append)
        await (self.run(file.sync) if self._synced is None else self._synced(file))
        return grown

    def close(self) -> None:
        """End the threads; work that has begun is finished."""
        if self._threads is not None:
            self._threads.shutdown()

    def begin(self, session_id: str, data: bytes, *, brief: bool) -> AppendFile:
        """Begin the file of a session, durably; `brief`: it is likely to be short. Raises DISK-* errors. Blocking."""
        self.left()
        return (self.folder if brief else self._lasting).begin(session_id + SUFFIX, data)

    def demand_room(self) -> None:
        """Raise Unavailable (REC-DISK-FULL) when the disk is nearly full, or cannot be asked. Blocking."""
        try:
            free = self.folder.free()
        except TeleportError:
            free = 0
        if free < self._low_water:
            raise self.full(free)

    def full(self, free: int = 0) -> Unavailable:
        """Return the error for a full disk."""
        return Unavailable("REC-DISK-FULL", path=self.path, free=free, needed=self._low_water)

    def sessions(self) -> list[str]:
        """Return the sessions that have a file. Blocking."""
        return [name.removesuffix(SUFFIX) for name in self.folder.names() if name.endswith(SUFFIX)]

    def left(self) -> frozenset[str]:
        """Return the sessions that had a file before any began here: what an earlier run has left. Blocking.

        It is asked for before the first file is made, so that no running session is taken for one of them.
        """
        with self._looking:
            if self._left is None:
                self._left = frozenset(self.sessions())
            return self._left

    def read(self, session_id: str, offset: int) -> Chunk:
        """Return the chunk at `offset`. Raises NeedMore, ProtocolError (WIRE-CHUNK), and DISK-* errors. Blocking."""
        return chunks.parse(self.raw(session_id, offset))

    def raw(self, session_id: str, offset: int) -> bytes:
        """Return the bytes of the chunk at `offset`, as far as they are there. Raises as `read`. Blocking."""
        name = session_id + SUFFIX
        head = chunks.parse_head(self.folder.read(name, offset, chunks.HEAD))
        return self.folder.read(name, offset, head.size)

    def walk(self, session_id: str) -> tuple[Chain, bool]:
        """Read a file through: return how far it is whole, and whether what follows is only torn: cut, or blank, as
        a power cut leaves what was never synced. Blocking."""
        chain, size = Chain(), self.folder.size(session_id + SUFFIX)
        try:
            while chain.size < size:
                chunk = self.read(session_id, chain.size)
                chain.add(chunk.head, chunk.digest)
        except NeedMore:
            return chain, True
        except ProtocolError:
            return chain, not any(self.folder.read(session_id + SUFFIX, chain.size, chunks.HEAD))
        return chain, True
