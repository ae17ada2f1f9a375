"""Folders of files that only grow: what is appended and synced survives a power cut, and nothing else counts.

For recordings, on the node and at the Auth Service. `base.disk` writes whole files at once; here a file grows while
others may already rely on its beginning. A file whose write or sync has failed is never written again: what the
kernel kept of it is unknown (a second fsync may report success for pages that were dropped), so its owner ends it
and whoever comes later reads how far it goes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from teleport.base.disk import PRIVATE, PRIVATE_DIR, map_errors
from teleport.base.errors import AlreadyExists, NotFound, TeleportError, Unavailable


class AppendFile(Protocol):
    """A growing file. Methods raise what `base.disk` raises: Unavailable (DISK-FULL, DISK-IO) and so on."""

    def append(self, data: bytes) -> None:
        """Write all of `data` at the end; it is not durable yet."""
        ...

    def sync(self) -> None:
        """Return when everything that was appended would survive a power cut."""
        ...

    def close(self) -> None:
        """Release the file; closing twice is allowed."""
        ...


class Folder(Protocol):
    """A folder of growing files, only ours to read. Names are single names; methods raise as those of AppendFile,
    and NotFound (DISK-MISSING)."""

    def create(self, name: str) -> AppendFile:
        """Make a file. Raises AlreadyExists (DISK-EXISTS)."""
        ...

    def begin(self, name: str, data: bytes) -> AppendFile:
        """Make a file that begins with `data`, durably; where that fails there is none. Raises AlreadyExists
        (DISK-EXISTS)."""
        ...

    def reserve(self, name: str, data: bytes, size: int) -> AppendFile:
        """Make a file of `size` bytes, durably: `data` and then zeros, over which what is appended is written. As long
        as it fits, a sync has nothing to tell the file system but the bytes themselves. Raises as `begin`."""
        ...

    def open(self, name: str, size: int) -> AppendFile:
        """Open a file to append after its first `size` bytes; what is behind them is cut off."""
        ...

    def settle(self, name: str) -> None:
        """Make a file and its name durable, as far as a process that has ended has left them. All of it is written
        again: where a sync of that process failed, the system takes for written what is not (fsync(2), EIO)."""
        ...

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on."""
        ...

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        ...

    def modified(self, name: str) -> float:
        """Return when the file was last written, in seconds since 1970."""
        ...

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file durably."""
        ...

    def move(self, name: str, other: str) -> None:
        """Move a file durably into the folder at the path `other`, over one of the same name."""
        ...

    def free(self) -> int:
        """Return how many bytes can still be written here."""
        ...


_REWRITTEN = 1 << 20
"""Bytes that are written again at a time."""


class SystemFolder:
    """A folder of the machine's disk, made with its parents when a file is first created in it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create(self, name: str) -> AppendFile:
        return self.begin(name, b"")

    def begin(self, name: str, data: bytes) -> AppendFile:
        return self._make(name, data, os.O_APPEND)

    def reserve(self, name: str, data: bytes, size: int) -> AppendFile:
        # Zeros are written: blocks that are only set apart change their state, and so the journal of the file system,
        # when something is written to them.
        made = self._make(name, data + bytes(size - len(data)), 0)
        made.overwrite(len(data))
        return made

    def _make(self, name: str, data: bytes, flags: int) -> _File:
        path = self._path(name)
        with map_errors(path):
            make_private(self.path)
            flags |= os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            made = _File(os.open(path, flags, PRIVATE), path)
        with map_errors(path):
            try:
                if data:  # first, so that the file system has one thing to write and not two
                    made.append(data)
                    made.sync()
                _sync_folder(self.path)
            except (OSError, TeleportError):
                made.close()
                with suppress(OSError):
                    os.unlink(path)
                raise
        return made

    def open(self, name: str, size: int) -> AppendFile:
        path = self._path(name)
        with map_errors(path):
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if os.fstat(handle).st_size > size:
                    os.ftruncate(handle, size)
                    os.fsync(handle)
            except OSError:
                os.close(handle)
                raise
        return _File(handle, path)

    def settle(self, name: str) -> None:
        path = self._path(name)
        with map_errors(path):
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                offset = 0
                while part := os.pread(handle, _REWRITTEN, offset):
                    offset += os.pwrite(handle, part, offset)
                os.fsync(handle)
            finally:
                os.close(handle)
            _sync_folder(self.path)

    def read(self, name: str, offset: int, size: int) -> bytes:
        path = self._path(name)
        with map_errors(path):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                parts: list[bytes] = []
                while size and (part := os.pread(handle, size, offset)):
                    parts.append(part)
                    offset, size = offset + len(part), size - len(part)
            finally:
                os.close(handle)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def size(self, name: str) -> int:
        return self._stat(name).st_size

    def modified(self, name: str) -> float:
        return self._stat(name).st_mtime

    def names(self) -> list[str]:
        with map_errors(self.path):
            try:
                with os.scandir(self.path) as entries:
                    return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            except FileNotFoundError:
                return []

    def remove(self, name: str) -> None:
        path = self._path(name)
        with map_errors(path):
            os.unlink(path)
            _sync_folder(self.path)

    def move(self, name: str, other: str) -> None:
        path = self._path(name)
        with map_errors(path):
            make_private(other)
            os.rename(path, os.path.join(other, name))
            _sync_folder(other)
            _sync_folder(self.path)

    def free(self) -> int:
        place = self.path
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        with map_errors(place):
            facts = os.statvfs(place)
        return facts.f_bavail * facts.f_frsize

    def _path(self, name: str) -> str:
        if not name or name != os.path.basename(name) or name in (".", ".."):
            raise NotFound("DISK-MISSING", path=name[:80])
        return os.path.join(self.path, name)

    def _stat(self, name: str) -> os.stat_result:
        path = self._path(name)
        with map_errors(path):
            return os.stat(path, follow_symlinks=False)


class _File:
    def __init__(self, handle: int, path: str) -> None:
        self._handle = handle
        self._path = path
        self._broken = False
        self._in_place = False

    def overwrite(self, at: int) -> None:
        """From now on write from `at` on, over what is there."""
        os.lseek(self._handle, at, os.SEEK_SET)
        self._in_place = True

    def append(self, data: bytes) -> None:
        with self._writing():
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]

    def sync(self) -> None:
        with self._writing():
            (os.fdatasync if self._in_place else os.fsync)(self._handle)

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with suppress(OSError):  # what counts was synced before
                os.close(handle)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._broken or self._handle < 0:
            raise Unavailable("DISK-IO", path=self._path, problem="an earlier write to this file has failed")
        try:
            with map_errors(self._path):
                yield
        except BaseException:
            self._broken = True
            raise


class MemoryFolder:
    """A folder for simulations. Everything is durable at once, and there is always room."""

    def __init__(self) -> None:
        self._files: dict[str, bytearray] = {}
        self.moved: dict[str, bytes] = {}
        """What was moved elsewhere, by path."""

    def create(self, name: str) -> AppendFile:
        if name in self._files:
            raise AlreadyExists("DISK-EXISTS", path=name)
        self._files[name] = bytearray()
        return _MemoryFile(self._files[name])

    def reserve(self, name: str, data: bytes, size: int) -> AppendFile:
        self.begin(name, data + bytes(size - len(data))).close()
        return _MemoryFile(self._files[name], len(data))

    def begin(self, name: str, data: bytes) -> AppendFile:
        made = self.create(name)
        try:
            made.append(data)
            made.sync()
        except TeleportError:
            made.close()
            with suppress(TeleportError):
                self.remove(name)
            raise
        return made

    def open(self, name: str, size: int) -> AppendFile:
        content = self._find(name)
        del content[size:]
        return _MemoryFile(content, len(content))

    def settle(self, name: str) -> None:
        self._find(name)

    def read(self, name: str, offset: int, size: int) -> bytes:
        return bytes(self._find(name)[offset : offset + size])

    def size(self, name: str) -> int:
        return len(self._find(name))

    def modified(self, name: str) -> float:
        self._find(name)
        return 0.0

    def names(self) -> list[str]:
        return sorted(self._files)

    def remove(self, name: str) -> None:
        self._find(name)
        del self._files[name]

    def move(self, name: str, other: str) -> None:
        self.moved[os.path.join(other, name)] = bytes(self._find(name))
        del self._files[name]

    def free(self) -> int:
        return 1 << 40

    def _find(self, name: str) -> bytearray:
        if name not in self._files:
            raise NotFound("DISK-MISSING", path=name)
        return self._files[name]


class _MemoryFile:
    def __init__(self, content: bytearray, at: int = 0) -> None:
        self._content = content
        self._at = at

    def append(self, data: bytes) -> None:
        self._content[self._at : self._at + len(data)] = data
        self._at += len(data)

    def sync(self) -> None:
        return None

    def close(self) -> None:
        return None


def make_private(path: str) -> None:
    """Make a folder and its parents, readable for us alone, and durable. Raises OSError."""
    missing: list[str] = []
    at = path
    while not os.path.isdir(at):
        missing.append(at)
        at = os.path.dirname(at)
    for folder in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(folder, PRIVATE_DIR)
        _sync_folder(os.path.dirname(folder))


def _sync_folder(path: str) -> None:
    """Make a new, renamed or removed name durable: the folder is what changed."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
