"""Archives: plain tar files whose contents go from file to file inside the kernel.

`sendfile` copies without the bytes ever being in a process's memory: that is how private keys of authorities
get into a backup and out of it. Only regular files; a name is one or more plain words joined by slashes.
Written and read by this module alone, so everything else in an archive is refused.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from teleport.base.disk import map_errors
from teleport.base.errors import BadParameter

BLOCK = tarfile.BLOCKSIZE
NAME = re.compile(r"(?!\.)[A-Za-z0-9_.@:+-]+(?:/(?!\.)[A-Za-z0-9_.@:+-]+)*", re.ASCII)
"""Names of members: nothing begins with a dot, so nothing leads out of the folder or hides in it."""
MEMBERS = 100_000
MODES = 0o755
"""Permissions that a file keeps: others may never write."""
_CHUNK = 1 << 20


class Member(NamedTuple):
    """Where the content of a file lies in the archive."""

    offset: int
    size: int
    mode: int = 0o600


class ArchiveWriter:
    """Writes members one after the other to an open file."""

    def __init__(self, file: int) -> None:
        self._file = file

    def add(self, name: str, source: Path) -> Member:
        """Copy a file inside the kernel. Raises BadParameter (DISK-LINK, BACKUP-NAME) and DISK-* errors."""
        with map_errors(str(source)):
            opened = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return self.add_open(name, opened, str(source))
            finally:
                os.close(opened)

    def add_open(self, name: str, source: int, shown: str) -> Member:
        """Copy an open regular file, as long as it is now."""
        facts = os.fstat(source)
        if not stat.S_ISREG(facts.st_mode):
            raise BadParameter("BACKUP-ARCHIVE", path=shown, problem="it is not a regular file")
        member = self._head(name, facts.st_size, stat.S_IMODE(facts.st_mode) & MODES)
        _send(self._file, source, 0, facts.st_size, shown)
        self._pad(facts.st_size)
        return member

    def add_bytes(self, name: str, data: bytes) -> Member:
        """Write a member from memory."""
        member = self._head(name, len(data))
        _write(self._file, data)
        self._pad(len(data))
        return member

    def finish(self) -> None:
        """Write the end of the archive and wait until all of it is on the disk."""
        _write(self._file, bytes(2 * BLOCK))
        os.fsync(self._file)

    def _head(self, name: str, size: int, mode: int = 0o600) -> Member:
        if not NAME.fullmatch(name):
            raise BadParameter("BACKUP-NAME", name=name[:120])
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, mode
        try:
            _write(self._file, entry.tobuf(tarfile.USTAR_FORMAT))
        except ValueError:  # the format ends at 256 characters and 8 GiB
            raise BadParameter("BACKUP-NAME", name=name[:120]) from None
        return Member(os.lseek(self._file, 0, os.SEEK_CUR), size, mode)

    def _pad(self, size: int) -> None:
        _write(self._file, bytes(-size % BLOCK))


def members(file: int, path: str) -> dict[str, Member]:
    """Return the members of an archive; contents are not read. Raises BadParameter (BACKUP-ARCHIVE)."""
    found: dict[str, Member] = {}
    position, end = 0, os.fstat(file).st_size
    while True:
        head = os.pread(file, BLOCK, position)
        if head == bytes(BLOCK):
            return found
        try:
            entry = tarfile.TarInfo.frombuf(head, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError):
            raise _bad(path, "it is no backup, or its end is missing") from None
        member = Member(position + BLOCK, entry.size, entry.mode & MODES)
        if not entry.isreg() or not NAME.fullmatch(entry.name) or entry.name in found or len(found) >= MEMBERS:
            raise _bad(path, f"it holds {entry.name[:120]!a}, which no backup holds")
        if entry.size < 0 or member.offset + entry.size > end:
            raise _bad(path, f"{entry.name} is cut off")
        found[entry.name] = member
        position = member.offset + entry.size + -entry.size % BLOCK


def read(file: int, member: Member) -> Iterator[bytes]:
    """Yield the content of a member."""
    position, end = member.offset, member.offset + member.size
    while position < end and (data := os.pread(file, min(_CHUNK, end - position), position)):
        position += len(data)
        yield data


def extract(file: int, member: Member, target: Path) -> None:
    """Copy a member inside the kernel to a new file, durably. Raises DISK-* errors."""
    with map_errors(str(target)):
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            _send(made, file, member.offset, member.size, str(target))
            os.fchmod(made, member.mode)
            os.fsync(made)
        finally:
            os.close(made)


def _send(target: int, source: int, offset: int, size: int, shown: str) -> None:
    end = offset + size
    while offset < end:
        sent = os.sendfile(target, source, offset, end - offset)
        if not sent:
            raise BadParameter("BACKUP-ARCHIVE", path=shown, problem="it became shorter while it was copied")
        offset += sent


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _bad(path: str, problem: str) -> BadParameter:
    return BadParameter("BACKUP-ARCHIVE", path=path, problem=problem)
