"""Files, injected: what the programs need of a disk, on the machine's own and in memory.

Here: bounded reads, atomic writes that survive a power cut, private files, locks, and the mapping of the
operating system's errors to ours. Not here: the database (`store.sqlite` opens its own files).

A write goes to a temporary file beside the target, is synced, is renamed over it, and the folder is synced;
so a reader sees the old or the new content, never half of one. Secrets are never read or written through
a symbolic link: who controls the link would choose where the key goes.
"""

from __future__ import annotations

import errno
import os
import stat

from teleport.base.entropy import Entropy, SystemEntropy
from teleport.base.errors import (
    AccessDenied,
    AlreadyExists,
    BadParameter,
    LimitExceeded,
    NotFound,
    TeleportError,
    Unavailable,
)
from teleport.base.lean import Iterator, Protocol, contextmanager, suppress

PRIVATE = 0o600
PRIVATE_DIR = 0o700
READ_LIMIT = 16 * 1024 * 1024
"""Bytes that `read` returns at most unless told otherwise: no file of ours is larger."""


class Lock(Protocol):
    """A held lock. It ends with `release` or with the process."""

    def release(self) -> None:
        """Let the next one have it. Doing so twice is no error."""


class Disk(Protocol):
    """A disk. Paths are absolute; every method raises NotFound (DISK-MISSING), AccessDenied (DISK-DENIED), BadParameter
    (DISK-FOLDER) or Unavailable (DISK-FULL, DISK-IO), and what it names itself."""

    def read(self, path: str, *, limit: int = READ_LIMIT, private: bool = False) -> bytes:
        """Return the content. With `private`, refuse a file that others may read or a symbolic link
        (BadParameter DISK-PERMISSIONS, DISK-LINK). More than `limit` bytes: LimitExceeded (DISK-TOO-LARGE)."""

    def write(self, path: str, data: bytes, *, mode: int = PRIVATE, exclusive: bool = False) -> None:
        """Replace the content at once and durably. An existing symbolic link is refused (DISK-LINK);
        with `exclusive` anything existing is (AlreadyExists DISK-EXISTS)."""

    def make_dir(self, path: str, *, mode: int = PRIVATE_DIR) -> None:
        """Make a folder and its parents. An existing one stays as it is."""

    def remove(self, path: str) -> None:
        """Remove a file durably."""

    def list_dir(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""

    def exists(self, path: str) -> bool:
        """Say whether something stands at the path."""

    def mode(self, path: str) -> int:
        """Return the permission bits."""

    def lock(self, path: str) -> Lock:
        """Take an exclusive lock, made of a file with our process id. Taken: Unavailable (DISK-LOCKED)."""


@contextmanager
def map_errors(path: str) -> Iterator[None]:
    """Turn the operating system's errors into ours; `path` is the file that the user knows of."""
    try:
        yield
    except OSError as error:
        raise _mapped(error, path) from error


def _mapped(error: OSError, path: str) -> TeleportError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Unavailable("DISK-FULL", path=path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessDenied("DISK-DENIED", path=path, problem=_words(error))
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound("DISK-MISSING", path=path)
    if error.errno == errno.EEXIST:
        return AlreadyExists("DISK-EXISTS", path=path)
    if error.errno == errno.EISDIR:
        return BadParameter("DISK-FOLDER", path=path)
    if error.errno == errno.ELOOP:
        return BadParameter("DISK-LINK", path=path)
    return Unavailable("DISK-IO", path=path, problem=_words(error))


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class SystemDisk:
    """The machine's disk."""

    def __init__(self, entropy: Entropy | None = None) -> None:
        self._entropy = entropy or SystemEntropy()

    def read(self, path: str, *, limit: int = READ_LIMIT, private: bool = False) -> bytes:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if private else 0)
        with map_errors(path), os.fdopen(os.open(path, flags), "rb") as file:
            # The open file is asked, not the path: what we check is what we read.
            if private and (permissions := stat.S_IMODE(os.fstat(file.fileno()).st_mode)) & 0o077:
                raise BadParameter("DISK-PERMISSIONS", path=path, mode=f"{permissions:04o}")
            data = file.read(limit + 1)
        return _within(data, limit, path)

    def write(self, path: str, data: bytes, *, mode: int = PRIVATE, exclusive: bool = False) -> None:
        folder, name = os.path.split(path)
        temporary = os.path.join(folder, f".{name}.{self._entropy.token(8).hex()}.new")
        with map_errors(path):
            if os.path.islink(path):
                raise BadParameter("DISK-LINK", path=path)
            try:
                _write_synced(temporary, data, mode)
                if exclusive:
                    os.link(temporary, path)  # unlike rename, fails when something is there
                    os.unlink(temporary)
                else:
                    os.rename(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
            _sync_folder(folder)

    def make_dir(self, path: str, *, mode: int = PRIVATE_DIR) -> None:
        with map_errors(path):
            missing = []
            while not os.path.isdir(path):
                missing.append(path)
                path = os.path.dirname(path)
            for folder in reversed(missing):
                with suppress(FileExistsError):
                    os.mkdir(folder, mode)
                    os.chmod(folder, mode)  # the umask may have taken bits away
                _sync_folder(os.path.dirname(folder))

    def remove(self, path: str) -> None:
        with map_errors(path):
            os.unlink(path)
            _sync_folder(os.path.dirname(path))

    def list_dir(self, path: str) -> list[str]:
        with map_errors(path):
            return sorted(os.listdir(path))

    def exists(self, path: str) -> bool:
        with map_errors(path):
            return os.path.lexists(path)

    def mode(self, path: str) -> int:
        with map_errors(path):
            return stat.S_IMODE(os.stat(path).st_mode)

    def lock(self, path: str) -> Lock:
        import fcntl  # commands take no locks

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with map_errors(path):
            handle = os.open(path, flags, PRIVATE)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
                os.close(handle)
                raise Unavailable("DISK-LOCKED", path=path, holder=holder) from None
            # The file stays when the lock ends: removing it would let two processes lock two files.
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return _FileLock(handle)


class _FileLock:
    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def _within(data: bytes, limit: int, path: str) -> bytes:
    if len(data) > limit:
        raise LimitExceeded("DISK-TOO-LARGE", path=path, limit=limit)
    return data


def _write_synced(path: str, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, PRIVATE), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: str) -> None:
    """Make a rename or removal durable: the folder is what changed."""
    handle = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class MemoryDisk:
    """A disk for simulations, and for secrets that shall not touch one.

    `crash()` is the power cut: what was not synced is gone, locks are free. Our own writes sync at once, so that a
    crash keeps them whole; `write_unsynced` is for whoever does not. `fail_next` makes the next operation fail as a
    full or broken disk would.
    """

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, int]] = {}
        self._durable: dict[str, tuple[bytes, int]] = {}
        self._folders: dict[str, int] = {"/": 0o755}
        self._locks: dict[str, _MemoryLock] = {}
        self._failure: OSError | None = None

    def fail_next(self, number: int) -> None:
        """Let the next operation fail with this `errno`."""
        self._failure = OSError(number, os.strerror(number))

    def crash(self) -> None:
        """Forget everything that was not synced, and every lock."""
        self._files = dict(self._durable)
        self._locks.clear()

    def write_unsynced(self, path: str, data: bytes) -> None:
        """Write as a program does that forgets to sync."""
        self._put(path, data, PRIVATE)

    def read(self, path: str, *, limit: int = READ_LIMIT, private: bool = False) -> bytes:
        data, mode = self._find(path)
        if private and mode & 0o077:
            raise BadParameter("DISK-PERMISSIONS", path=path, mode=f"{mode:04o}")
        return _within(data, limit, path)

    def write(self, path: str, data: bytes, *, mode: int = PRIVATE, exclusive: bool = False) -> None:
        if exclusive and path in self._files:
            raise AlreadyExists("DISK-EXISTS", path=path)
        self._put(path, data, mode)
        self._durable[path] = self._files[path]

    def make_dir(self, path: str, *, mode: int = PRIVATE_DIR) -> None:
        self._may_fail(path)
        while path not in self._folders:
            self._folders[path] = mode
            path = os.path.dirname(path)

    def remove(self, path: str) -> None:
        self._find(path)
        del self._files[path]
        self._durable.pop(path, None)

    def list_dir(self, path: str) -> list[str]:
        self._may_fail(path)
        if path not in self._folders:
            raise NotFound("DISK-MISSING", path=path)
        inside = [p for p in (*self._files, *self._folders) if p != path and os.path.dirname(p) == path]
        return sorted(os.path.basename(p) for p in inside)

    def exists(self, path: str) -> bool:
        self._may_fail(path)
        return path in self._files or path in self._folders

    def mode(self, path: str) -> int:
        return self._folders[path] if path in self._folders else self._find(path)[1]

    def lock(self, path: str) -> Lock:
        self._may_fail(path)
        if path in self._locks:
            raise Unavailable("DISK-LOCKED", path=path, holder=os.getpid())
        held = self._locks[path] = _MemoryLock(self._locks, path)
        return held

    def _find(self, path: str) -> tuple[bytes, int]:
        self._may_fail(path)
        if path not in self._files:
            raise NotFound("DISK-MISSING", path=path)
        return self._files[path]

    def _put(self, path: str, data: bytes, mode: int) -> None:
        self._may_fail(path)
        if os.path.dirname(path) not in self._folders:
            raise NotFound("DISK-MISSING", path=path)
        self._files[path] = (bytes(data), mode)

    def _may_fail(self, path: str) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise _mapped(failure, path) from failure


class _MemoryLock:
    def __init__(self, locks: dict[str, _MemoryLock], path: str) -> None:
        self._locks, self._path = locks, path

    def release(self) -> None:
        if self._locks.get(self._path) is self:
            del self._locks[self._path]
