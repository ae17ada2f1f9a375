"""Folders as SFTP shows them: names with attributes, and a line for people as `ls -l` would write it."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator
from itertools import islice

from teleport.wire.sftp import Attrs, Entry

BATCH = 128
"""Names of one answer at most: with names of 255 bytes they fill a third of a packet."""
_HALF_YEAR = 182 * 86400
_NAMES = 1024
"""Names of users or groups that are remembered."""


def attrs_of(found: os.stat_result) -> Attrs:
    """Return the attributes of a file; times are whole seconds, and those that 32 bits cannot say are the nearest."""
    return Attrs(
        found.st_size, found.st_uid & 0xFFFFFFFF, found.st_gid & 0xFFFFFFFF, found.st_mode,
        _seconds(found.st_atime), _seconds(found.st_mtime),
    )  # fmt: skip


def _seconds(moment: float) -> int:
    return min(max(int(moment), 0), 0xFFFFFFFF)


class Names:
    """Users and groups by number, as the machine calls them; asked once."""

    def __init__(self) -> None:
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}

    def user(self, number: int) -> str:
        """Return the name of a user; the number if there is none."""
        return _cached(self._users, number, lambda: pwd.getpwuid(number).pw_name)

    def group(self, number: int) -> str:
        """Return the name of a group; the number if there is none."""
        return _cached(self._groups, number, lambda: grp.getgrgid(number).gr_name)


def _cached(known: dict[int, str], number: int, find: Callable[[], str]) -> str:
    name = known.get(number)
    if name is None:
        if len(known) >= _NAMES:
            known.clear()
        try:
            name = find()
        except (KeyError, OverflowError):
            name = str(number)
        known[number] = name
    return name


def longname(name: bytes, found: os.stat_result, names: Names, now: float) -> bytes:
    """Return the line of `ls -l` for a file; `now` in seconds since 1970 decides between hour and year.

    Columns as OpenSSH's sftp-server makes them, because some clients cut them out.
    """
    recent = now - _HALF_YEAR < found.st_mtime <= now
    try:
        date = time.strftime("%b %e %H:%M" if recent else "%b %e  %Y", time.localtime(found.st_mtime))
    except (OverflowError, ValueError, OSError):
        date = "?"  # some file systems keep years that no calendar has
    line = (
        f"{stat.filemode(found.st_mode)}  {found.st_nlink:>3} {names.user(found.st_uid):<8} "
        f"{names.group(found.st_gid):<8} {found.st_size:>8} {date} "
    )
    return line.encode(errors="replace") + name


class Folder:
    """An open folder that is read bit by bit. It is known by its descriptor: renaming it changes nothing."""

    def __init__(self, path: bytes) -> None:
        """Open a folder. Raises OSError."""
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._scan = os.scandir(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            raise
        self._entries = self._read()

    def _read(self) -> Iterator[tuple[bytes, os.stat_result]]:
        for name in (b".", b".."):
            with contextlib.suppress(OSError):  # what is above may be closed to the account
                yield name, os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        for entry in self._scan:
            with contextlib.suppress(OSError):  # it has gone meanwhile
                yield os.fsencode(entry.name), entry.stat(follow_symlinks=False)

    def next(self, names: Names, now: float) -> list[Entry]:
        """Return the next names; none are left when there is none. Raises OSError."""
        batch = islice(self._entries, BATCH)
        return [Entry(name, longname(name, found, names, now), attrs_of(found)) for name, found in batch]

    def close(self) -> None:
        """Close the folder. Never raises."""
        self._scan.close()
        os.close(self.descriptor)
