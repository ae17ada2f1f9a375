"""One tbot for each storage: the lock on a folder's file `lock`, and what may be wrong with the folder's file system.

The lock is the kernel's and ends with the process; the file stays, because removing it would let two processes lock two
files. It says who holds it: process id and host id, because the folder may be seen from several machines.
"""

from __future__ import annotations

import fcntl
import os

from teleport.base.disk import PRIVATE, Lock, map_errors
from teleport.base.errors import Unavailable
from teleport.bot.destinations.directory import Directory
from teleport.bot.parts import Destination

LOCK = "lock"
_LONGEST = 300
"""Bytes of the file that are read."""


def hold(storage: Destination, *, host: str) -> Lock:
    """Take a storage for this process; `host` identifies the machine. A storage that is no folder is nobody else's.

    Call it after `prepare`. Raises Unavailable (BOT-DIR-SHARED) when another tbot has it, and what opening a folder
    raises.
    """
    if not isinstance(storage, Directory):
        return _Held(-1)
    path = os.path.join(storage.folder, LOCK)
    with storage.open() as folder, map_errors(path):
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(LOCK, flags, PRIVATE, dir_fd=folder.descriptor)
        try:
            _take(handle, storage.folder, host)
        except BaseException:
            os.close(handle)
            raise
    return _Held(handle)


def _take(handle: int, folder: str, host: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, other = os.pread(handle, _LONGEST, 0).decode(errors="replace").strip().partition(" ")
        where = f"host {other}" if other and other != host else "this host"
        raise Unavailable("BOT-DIR-SHARED", path=folder, holder=pid or "unknown", where=where) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()} {host}\n".encode(), 0)


class _Held:
    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def shared_storage(storage: Destination) -> Unavailable | None:
    """Return the warning BOT-DIR-NFS when a storage is a folder that other machines can write to as well; None when it
    is not. Raises what opening a folder raises."""
    kind = storage.shared_type() if isinstance(storage, Directory) else ""
    return Unavailable("BOT-DIR-NFS", path=storage.folder, kind=kind) if kind else None
