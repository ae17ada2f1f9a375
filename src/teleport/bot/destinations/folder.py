"""A folder held open, and files in it that are replaced whole: nothing here follows a path twice.

Whoever can write to a folder above, or to the folder itself, can put a link or another folder in the place of what tbot
looked at a moment ago; and tbot may be root. So the path is walked once, name by name, without links (`O_NOFOLLOW` from
the descriptor of the folder before: what openat2 does with RESOLVE_NO_SYMLINKS, on every kernel), and all that follows
is relative to the descriptor at its end. A file is written under a name nobody knows, made readable to whom it is for
while it is empty, filled, synced and renamed. A key can so never come to stand in a place that somebody chose for it,
except a folder of that somebody's own, where it is as unreadable to them.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from teleport.base.disk import PRIVATE, PRIVATE_DIR, READ_LIMIT, map_errors
from teleport.base.errors import AccessDenied, BadParameter, LimitExceeded, NotFound, NotSupported
from teleport.bot.destinations import acl

_HERE = os.O_DIRECTORY | os.O_CLOEXEC
_WAY = getattr(os, "O_PATH", os.O_RDONLY) | _HERE | os.O_NOFOLLOW
"""A folder on the way need not be readable."""
_DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{16}\.new\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a file beside its owner."""

    readers: acl.Readers = acl.NOBODY
    group: int | None = None
    """Number of the file's group, which may read it; None: it may not."""


ALONE = Access()


class Folder:
    """An open folder. Methods raise DISK-* errors; names have no folder in them."""

    def __init__(self, descriptor: int, path: str, *, safe: bool = False) -> None:
        """`path` is for errors; `safe`: only root and this user can exchange the folder for another one."""
        self.descriptor = descriptor
        self.path = path
        self._safe = safe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    @property
    def facts(self) -> os.stat_result:
        """Owner, mode and device."""
        return os.fstat(self.descriptor)

    def enter(self, name: str, *, make: bool) -> Folder:
        """Open a folder in this one. Raises NotFound (DISK-MISSING), and DEST-LINK, -NOT-FOLDER."""
        path = os.path.join(self.path, name)
        with map_errors(path):
            descriptor = _step(self.descriptor, name, path, os.O_RDONLY | _HERE | os.O_NOFOLLOW, make=make)
        return Folder(descriptor, path, safe=self._safe)

    def names(self) -> list[str]:
        """Return what stands in the folder, sorted."""
        with map_errors(self.path):
            return sorted(os.listdir(self.descriptor))

    def read(self, name: str, *, limit: int = READ_LIMIT) -> bytes | None:
        """Return a file's content; None when there is none. Raises DEST-LINK, DISK-TOO-LARGE."""
        path = os.path.join(self.path, name)
        with map_errors(path):
            try:
                opened = self.open_file(name)
            except FileNotFoundError:
                return None
            with os.fdopen(opened, "rb") as file:
                data = file.read(limit + 1)
        if len(data) > limit:
            raise LimitExceeded("DISK-TOO-LARGE", path=path, limit=limit)
        return data

    def open_file(self, name: str, *, create: bool = False) -> int:
        """Open a regular file to read; with `create`, make it if there is none, and take no second name of a file that
        stands elsewhere. Raises OSError, BadParameter (DEST-LINK, DEST-NOT-FILE)."""
        path = os.path.join(self.path, name)
        self._refuse_link(name, path)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        opened = os.open(name, flags, PRIVATE, dir_fd=self.descriptor)
        facts = os.fstat(opened)
        if not stat.S_ISREG(facts.st_mode) or (create and facts.st_nlink != 1):
            os.close(opened)
            raise BadParameter("DEST-NOT-FILE", path=path)
        return opened

    def draft(self, name: str, data: bytes, access: Access, *, random: bytes, lists: bool = True) -> str:
        """Write and sync a file that will replace `name`; return its name until then. `lists`: whether access lists are
        to be set, or let be. Raises DEST-LINK where `name` is a link."""
        path, draft = os.path.join(self.path, name), f".{name}.{random.hex()}.new"
        with map_errors(path):
            self._refuse_link(name, path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            opened = os.open(draft, flags, PRIVATE, dir_fd=self.descriptor)
            try:
                with os.fdopen(opened, "wb") as file:
                    _let_read(file.fileno(), path, access, lists=lists)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                self.discard(draft)
                raise
        return draft

    def replace(self, draft: str, name: str) -> None:
        """Put a draft in its place."""
        with map_errors(os.path.join(self.path, name)):
            os.rename(draft, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def discard(self, name: str) -> None:
        """Remove a file if it can be."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Make renames durable."""
        with map_errors(self.path):
            os.fsync(self.descriptor)

    def let_in(self, readers: acl.Readers) -> None:
        """Let readers enter the folder and list it, and nobody else beside its owner. Raises NotSupported
        (DEST-ACLS)."""
        with map_errors(self.path):
            wanted = acl.letting(readers, self.facts.st_uid, enter=acl.ENTER)
            if acl.read(self.descriptor) != wanted:
                _list(self.descriptor, wanted, self.path)

    def sweep(self) -> None:
        """Remove drafts that a killed process has left."""
        for name in self.names():
            if _DRAFT.match(name):
                self.discard(name)

    def access(self, name: str) -> Access:
        """Return who could read the file so far, as far as somebody said so who has a say: whoever may write to a
        folder could put a file there that lets them read what replaces it."""
        with map_errors(os.path.join(self.path, name)):
            try:
                opened = self.open_file(name)
            except FileNotFoundError:
                return self._handed_down()
            except PermissionError:
                return ALONE
            try:
                return self._said(os.fstat(opened), acl.read(opened))
            finally:
                os.close(opened)

    def _said(self, facts: os.stat_result, entries: tuple[acl.Entry, ...] | None) -> Access:
        trusted = {0, os.geteuid()} | ({self.facts.st_uid} if self._safe else set())
        if facts.st_uid not in trusted or facts.st_nlink != 1:
            return ALONE
        named = acl.readers_of(entries or ())
        former = named.users | ({facts.st_uid} - {0, os.geteuid()})
        # With a list the group bits of the mode are the mask's.
        own = next((e.allowed for e in entries or () if e.kind == acl.GROUP_OF_FILE), facts.st_mode >> 3 & 7)
        return Access(acl.Readers(former, named.groups), facts.st_gid if own & facts.st_mode >> 3 & acl.READ else None)

    def _handed_down(self) -> Access:
        """Return who may read new files, as the folder says it."""
        if self.facts.st_uid not in (0, os.geteuid()) and not self._safe:
            return ALONE
        return Access(acl.readers_of(acl.read(self.descriptor, acl.INHERITED) or ()))

    def _refuse_link(self, name: str, path: str) -> None:
        """Say what is wrong. What keeps us safe is that nothing follows a link that comes a moment later."""
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mode):
                raise BadParameter("DEST-LINK", path=path)


def _let_read(descriptor: int, path: str, access: Access, *, lists: bool) -> None:
    """Set who may read an empty file of ours."""
    group = access.group is not None and _given(descriptor, access.group)
    if lists and access.readers:
        _list(descriptor, acl.letting(access.readers, os.geteuid(), group=group), path)
        return
    if lists:
        acl.clear(descriptor)  # one that the folder makes new files inherit
    os.fchmod(descriptor, PRIVATE | (stat.S_IRGRP if group else 0))


def _list(descriptor: int, entries: tuple[acl.Entry, ...], path: str) -> None:
    """Set an access list. Raises NotSupported (DEST-ACLS) where the file system keeps none."""
    try:
        acl.write(descriptor, entries)
    except OSError as error:
        if acl.supported(error):
            raise
        raise NotSupported("DEST-ACLS", path=path, problem="its file system keeps none") from error


def _given(descriptor: int, group: int) -> bool:
    """Give the file to a group: root and the group's members can; for others the group loses the file."""
    with suppress(PermissionError):
        os.fchown(descriptor, -1, group)
    return os.fstat(descriptor).st_gid == group


def open_folder(path: str, *, links: bool, make: bool) -> Folder:
    """Open the folder at an absolute path, and make what is missing of it (0700). With `links`, links on the way are
    followed, once.

    Raises NotFound (DEST-MISSING), BadParameter (DEST-LINK, DEST-NOT-FOLDER, DEST-NOT-MADE), AccessDenied
    (DEST-DENIED), DISK-*.
    """
    names = [name for name in (os.path.realpath(path) if links else path).split("/") if name]
    with _teaching(path, make=make), map_errors(path):
        way = os.open("/", _WAY)
        safe = True
        try:
            for index, name in enumerate(names):
                safe = safe and _only_ours(os.fstat(way))
                here = "/" + "/".join(names[: index + 1])
                last = index == len(names) - 1
                flags = os.O_RDONLY | _HERE | os.O_NOFOLLOW if last else _WAY
                way, former = _step(way, name, here, flags, make=make), way
                os.close(former)
            return Folder(way, path, safe=safe)
        except BaseException:
            os.close(way)
            raise


def _step(way: int, name: str, path: str, flags: int, *, make: bool) -> int:
    """Open a folder from the one before; make it if it may be made. Raises OSError and DEST-*."""
    made = False
    if make:
        with suppress(FileExistsError):
            made = _make(way, name)
    try:
        opened = os.open(name, flags, dir_fd=way)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise _no_folder(way, name, path) from None
        raise
    if made and os.fstat(opened).st_uid != os.geteuid():
        os.close(opened)
        raise BadParameter("DEST-EXCHANGED", path=path)
    return opened


def _make(way: int, name: str) -> bool:
    """Make a folder; say whether there was none."""
    try:
        os.mkdir(name, PRIVATE_DIR, dir_fd=way)
    except OSError as error:
        # A file system that cannot be written to, or a folder of others, may say so before it says that there is one.
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            with suppress(OSError):
                os.stat(name, dir_fd=way, follow_symlinks=False)
                return False
        raise
    with suppress(OSError):
        parent = os.open(".", os.O_RDONLY | _HERE, dir_fd=way)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    return True


def _no_folder(way: int, name: str, path: str) -> BadParameter:
    with suppress(OSError):
        if stat.S_ISLNK(os.stat(name, dir_fd=way, follow_symlinks=False).st_mode):
            return BadParameter("DEST-LINK", path=path)
    return BadParameter("DEST-NOT-FOLDER", path=path)


def _only_ours(facts: os.stat_result) -> bool:
    """Say whether nobody but root and us can exchange what stands in a folder."""
    closed = not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or bool(facts.st_mode & stat.S_ISVTX)
    return closed and facts.st_uid in (0, os.geteuid())


@contextmanager
def _teaching(path: str, *, make: bool) -> Iterator[None]:
    try:
        yield
    except AccessDenied as error:
        raise AccessDenied("DEST-DENIED", path=path, problem=error.fields["problem"], user=os.geteuid()) from error
    except NotFound as error:
        raise (BadParameter("DEST-NOT-MADE", path=path) if make else NotFound("DEST-MISSING", path=path)) from error
