"""BriefFolder: a folder of growing files, of which many are short and gone soon: those share one journal.

A file of its own costs two syncs before it counts, one with each growth and one when it is removed. A file that begins
here stands in memory and, durable, in a journal (`store.journal`) with all others: one sync for those that grow at the
same time, and none when it is removed. One that is not short after all is written to the folder and goes on there; so
is what is left when the folder is closed, and what a crash has left in the journal. A segment of the journal goes when
none of its files needs it. Files that somebody may want to see at once are made with `create`, which is the folder's.

What a crash brings back may have been removed already: whoever removes a file has to cope with seeing it again, whole.
Methods block; several threads may use a folder at once.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import msgspec

from teleport.base.append import AppendFile, Folder
from teleport.base.errors import AlreadyExists, NotFound, TeleportError, Unavailable
from teleport.store.turns import Turns, write

LARGEST = 64 * 1024
"""Bytes of a file that counts as short."""
GROWTHS = 3
"""How often a file grows in the journal at most, its beginning included."""
SEGMENTS = 16
"""Segments of the journal at most: files that still need the oldest are then written to the folder."""
OWNER = b"\x93"
"""What every record begins with: an array of three, as MessagePack writes it."""
_REMOVED = -1
_ROOM = 1024
"""Bytes that a growth takes in the journal beside its own."""


class _Record(msgspec.Struct, array_like=True):
    """What stands in the journal: a growth of a file, or at _REMOVED that it is gone."""

    name: str
    offset: int
    data: bytes = b""


class _Brief:
    """A file. Its owner appends, syncs and closes it; the folder has it written out when it must be."""

    def __init__(self, folder: BriefFolder, name: str) -> None:
        self._folder = folder
        self.name = name
        self.content = bytearray()
        self.durable = 0
        self.growths = 0
        self.real: AppendFile | None = None
        self.failure: TeleportError | None = None

    @property
    def short(self) -> bool:
        """Whether it may grow in the journal."""
        return self.real is None and self.growths < GROWTHS and len(self.content) <= LARGEST

    def append(self, data: bytes) -> None:
        with self._folder.lock:
            if self.real is None:
                self.content += data
                return
        self.real.append(data)

    def sync(self) -> None:
        if self.failure is not None:
            raise Unavailable("DISK-IO", path=self.name, problem="an earlier write to this file has failed")
        if self.real is None:
            self._folder.keep(self)
        else:
            self.real.sync()

    def close(self) -> None:
        if self.real is not None:
            self.real.close()


class _Growth:
    """What some files have grown by: a part of a write to the journal. The folder is locked from `take` on."""

    def __init__(self, folder: BriefFolder, files: list[_Brief]) -> None:
        self._folder = folder
        self._files = files
        self._short: list[_Brief] = []

    @property
    def size(self) -> int:
        return sum(len(file.content) - file.durable + _ROOM for file in self._files)

    def take(self) -> list[bytes]:
        self._folder.lock.acquire()
        self._short = [file for file in self._files if file.short]
        records = (_Record(file.name, file.durable, bytes(file.content[file.durable :])) for file in self._short)
        return [msgspec.msgpack.encode(record) for record in records]

    def kept(self, segment: str) -> None:
        self._folder.noted(self._files, self._short, segment)
        self._folder.lock.release()

    def failed(self, error: BaseException) -> None:
        self._folder.noted(self._files, [], "")  # each for itself: where the disk is at fault, that says so
        self._folder.lock.release()


class BriefFolder:
    """Implements `base.append.Folder` over another folder, which belongs to it alone, and a journal."""

    def __init__(self, folder: Folder, turns: Turns, *, owner: bytes = b"") -> None:
        """`owner`: what our records begin with, where the journal has others."""
        self._folder = folder
        self._turns = turns
        self._journal = turns.journal
        self._owner = owner
        self.lock = threading.RLock()
        self._files: dict[str, _Brief] = {}
        """Files that are not in the folder."""
        self._needed: dict[str, set[str]] = {}
        """Segments of the journal, and the files that stand in them; of those in the folder alone, too."""
        self._waiting: list[_Brief] = []
        self._queue = threading.Lock()
        self._dropping = threading.Lock()
        """Taken before `lock`: segments go in their order, and nobody who writes waits for that."""
        self._looked = False

    def ready(self, size: int) -> bool:
        """Say whether a short file can grow by `size` bytes without waiting for more than one sync."""
        return self._looked and self._journal.ready(size + _ROOM)

    # -- files in the journal

    def begin(self, name: str, data: bytes) -> AppendFile:
        with self.lock:
            self._look()
            if name in self._files:
                raise AlreadyExists("DISK-EXISTS", path=name)
            made = self._files[name] = _Brief(self, name)
        made.append(data)
        try:
            made.sync()
        except TeleportError:
            with suppress(TeleportError):
                self.remove(name)
            raise
        return made

    def keep(self, file: _Brief) -> None:
        """Make what was appended to a file durable, with what others wait for. Raises what the disk raises."""
        with self._queue:
            self._waiting.append(file)
        with self.lock:
            with self._queue:
                batch, self._waiting = self._waiting, []
            if batch:
                write(self._journal, [_Growth(self, batch)])
        if file.failure is not None:
            raise file.failure

    async def synced(self, file: AppendFile) -> None:
        """As `sync` of the file, in the event loop: with what others write to the journal in the same turn."""
        if not isinstance(file, _Brief) or file.real is not None or file.failure is not None:
            await asyncio.to_thread(file.sync)
            return
        await self._turns.keep(_Growth(self, [file]))
        if file.failure is not None:
            raise file.failure

    def noted(self, files: list[_Brief], short: list[_Brief], segment: str) -> None:
        """Those of `files` that are `short` stand in a segment now; write out the others. The folder is locked."""
        for file in short:
            file.durable, file.growths = len(file.content), file.growths + 1
            self._needed.setdefault(segment, set()).add(file.name)
        for file in files:
            if file not in short:
                self._try_to_write_out(file)
        self._bound_segments()

    def _try_to_write_out(self, file: _Brief) -> None:
        try:
            self._write_out(file)
        except TeleportError as error:
            file.failure = error

    def _write_out(self, file: _Brief) -> None:
        """From here on a file is in the folder. Its records stay until it is removed, or their segment goes."""
        if file.real is None:
            file.real = self._folder.begin(file.name, bytes(file.content))
            self._files.pop(file.name, None)
            file.content.clear()
        else:
            file.real.sync()

    def _bound_segments(self) -> None:
        while len(self._needed) > SEGMENTS:
            self._empty(min(self._needed))

    def _empty(self, segment: str) -> None:
        """Write out what needs a segment, and drop it."""
        for name in list(self._needed[segment]):
            if (file := self._files.get(name)) is not None:
                self._try_to_write_out(file)
        self._drop(segment)

    def _drop(self, segment: str) -> None:
        self._needed.pop(segment, None)
        self._journal.release(segment, self._owner)

    def _forget(self, name: str) -> None:
        """A file that is in the folder is about to leave it: nothing brings back the part that is in the journal."""
        if any(name in names for names in self._needed.values()):
            segment = self._journal.append([msgspec.msgpack.encode(_Record(name, _REMOVED))])
            self._needed.setdefault(segment, set())

    def _let_go(self, name: str) -> list[str]:
        """Return segments that nobody needs: the oldest first, because a later one may say what of it is gone."""
        over: list[str] = []
        for names in self._needed.values():
            names.discard(name)
        while self._needed and not self._needed[oldest := min(self._needed)]:
            self._journal.end(oldest)
            self._needed.pop(oldest)
            over.append(oldest)
        return over

    def _drop_all(self, segments: list[str]) -> None:
        for segment in segments:
            self._journal.release(segment, self._owner)
        if segments:
            self._prepare()

    def _prepare(self) -> None:
        """Have the next segment made before a file needs it. Where that fails, writing the file says why."""
        with suppress(TeleportError):
            self._journal.prepare()

    # -- what an earlier run left, and what this one leaves

    def _look(self) -> None:
        """Once: bring what stands in the journal to the folder."""
        if self._looked:
            return
        while (waiting := self._journal.oldest(self._owner)) is not None:
            for record in waiting.records:
                self._replay(msgspec.msgpack.decode(record, type=_Record))
            self._journal.drop(waiting, self._owner)
        self._prepare()
        self._looked = True

    def _replay(self, record: _Record) -> None:
        if record.offset == _REMOVED:
            with suppress(NotFound):
                self._folder.remove(record.name)
            return
        try:
            size = self._folder.size(record.name)
        except NotFound:
            if not record.offset:
                self._folder.begin(record.name, record.data).close()
            return
        end = record.offset + len(record.data)
        whole = size >= end and self._folder.read(record.name, record.offset, len(record.data)) == record.data
        if not whole and size >= record.offset:
            file = self._folder.open(record.name, record.offset)
            file.append(record.data)
            file.sync()
            file.close()

    def close(self) -> None:
        """Write out what is left, and release the journal. Raises nothing: what could not be stays in the journal."""
        with self.lock, suppress(TeleportError):
            for segment in sorted(self._needed):
                self._empty(segment)
        with suppress(TeleportError):
            self._journal.close()

    # -- the folder

    def create(self, name: str) -> AppendFile:
        return self._folder.create(name)

    def reserve(self, name: str, data: bytes, size: int) -> AppendFile:
        return self._folder.reserve(name, data, size)

    def open(self, name: str, size: int) -> AppendFile:
        self._have_written(name)
        return self._folder.open(name, size)

    def settle(self, name: str) -> None:
        if self._durable(name) is None:
            self._folder.settle(name)

    def read(self, name: str, offset: int, size: int) -> bytes:
        content = self._durable(name)
        return self._folder.read(name, offset, size) if content is None else content[offset : offset + size]

    def size(self, name: str) -> int:
        content = self._durable(name)
        return self._folder.size(name) if content is None else len(content)

    def modified(self, name: str) -> float:
        self._have_written(name)
        return self._folder.modified(name)

    def names(self) -> list[str]:
        with self.lock:
            self._look()
            return sorted({*self._folder.names(), *self._files})

    def remove(self, name: str) -> None:
        with self._dropping:
            with self.lock:
                if self._files.pop(name, None) is None:
                    self._forget(name)
                    self._folder.remove(name)
                over = self._let_go(name)
            self._drop_all(over)

    def move(self, name: str, other: str) -> None:
        with self._dropping:
            with self.lock:
                self._have_written(name)
                self._forget(name)
                self._folder.move(name, other)
                over = self._let_go(name)
            self._drop_all(over)

    def free(self) -> int:
        return self._folder.free()

    def _durable(self, name: str) -> bytes | None:
        """Return what is durable of a file; None for one that is in the folder."""
        with self.lock:
            self._look()
            file = self._files.get(name)
            return None if file is None else bytes(file.content[: file.durable])

    def _have_written(self, name: str) -> None:
        with self.lock:
            self._look()
            if (file := self._files.get(name)) is not None:
                self._write_out(file)
