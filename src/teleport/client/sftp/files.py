"""One file from here to there, or back: it stands under its name only when it is whole.

A copy is written beside its place under a name that ends in `.part`, and takes the place at the end. Where that would
change more than the contents (another owner's file, a device, a folder that takes no new names) it is written in
place, and an error says that it is incomplete.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from teleport.base.errors import AccessDenied, BadParameter, TeleportError, Unavailable
from teleport.base.escape import escape
from teleport.client.sftp.contents import Advance, Fetch, store
from teleport.client.sftp.names import part_of, shown
from teleport.client.sftp.session import Session
from teleport.wire.sftp import Attrs, Open

PERMISSIONS = 0o777
"""Bits of a mode that are copied: who becomes whom (setuid and its like) is never."""
_NEW = Open.WRITE | Open.CREATE
_HERE = os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True)
class Manner:
    """How files are copied."""

    preserve: bool = False
    """Whether times and exact permissions are kept."""
    mark: str = "tsh"
    """In the names of parts: tells this copy from others."""


@contextlib.contextmanager
def this_side(path: bytes) -> Iterator[None]:
    """Turn an OSError about a file of this machine into BadParameter (CLIENT-COPY-LOCAL)."""
    try:
        yield
    except OSError as error:
        problem = escape(error.strerror or str(error))
        raise BadParameter("CLIENT-COPY-LOCAL", path=shown(path), problem=problem) from None


def upload(
    session: Session, source: bytes, target: bytes, manner: Manner, advance: Advance, *, fresh: bool = False
) -> None:
    """Copy a file of this machine to a path of the server; `fresh` says that nothing has this path.

    Raises BadParameter (CLIENT-COPY-LOCAL, CLIENT-COPY-KIND), what Session's methods raise, and Unavailable
    (CLIENT-COPY-INCOMPLETE) when a file was damaged in its place.
    """
    with this_side(source):
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | _HERE)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise BadParameter("CLIENT-COPY-KIND", path=shown(source))
            _Upload(session, descriptor, found, manner, advance).to(target, None if fresh else session.find(target))
        finally:
            os.close(descriptor)


class _Upload:
    def __init__(
        self, session: Session, descriptor: int, found: os.stat_result, manner: Manner, advance: Advance
    ) -> None:
        self._session, self._descriptor, self._advance = session, descriptor, advance
        self._found, self._manner = found, manner

    def to(self, target: bytes, existing: Attrs | None) -> None:
        """Write beside the target and replace it, or else in its place."""
        session = self._session
        if existing is not None:
            target = session.resolve(target)
        part = part_of(target, self._manner.mark)
        mode = self._found.st_mode & PERMISSIONS
        if existing is not None and existing.mode is not None and not self._manner.preserve:
            mode = existing.mode & PERMISSIONS
        if existing is None:
            handle = session.open(part, _NEW | Open.EXCLUSIVE, Attrs(mode=mode), meant=target)  # less the umask there
            self._beside(part, handle, target, mode if self._manner.preserve else None)
            return
        if stat.S_ISREG(existing.mode or 0):
            handle = self._open_like(part, existing)
            if handle:
                self._beside(part, handle, target, mode)
                return
        self._in_place(target, mode)

    def _open_like(self, part: bytes, existing: Attrs) -> bytes:
        """Open a new file with the owner and group of the one that it is to replace; nothing if there can be none."""
        try:
            handle = self._session.open(part, _NEW | Open.EXCLUSIVE, Attrs(mode=0o600))
        except (AccessDenied, Unavailable):
            return b""
        mine = self._session.attributes(part, handle)
        if (mine.uid, mine.gid) == (existing.uid, existing.gid):
            return handle
        self._drop(part, handle)
        return b""

    def _drop(self, part: bytes, handle: bytes) -> None:
        """Remove a part. That it fails is not told: what has failed before is."""
        with contextlib.suppress(TeleportError):
            self._session.close(part, handle)
        with contextlib.suppress(TeleportError):
            self._session.remove(part)

    def _beside(self, part: bytes, handle: bytes, target: bytes, mode: int | None) -> None:
        try:
            store(self._session, target, handle, self._descriptor, self._advance, self._attrs(mode))
            self._session.replace(part, target)
        except (TeleportError, OSError, KeyboardInterrupt):
            self._drop(part, handle)
            raise

    def _in_place(self, target: bytes, mode: int) -> None:
        handle = self._session.open(target, _NEW | Open.TRUNCATE, Attrs(mode=mode))
        try:
            keeps = self._manner.preserve and self._is_file(target, handle)
            store(
                self._session, target, handle, self._descriptor, self._advance, self._attrs(mode) if keeps else Attrs()
            )
        except TeleportError as error:
            with contextlib.suppress(TeleportError):
                self._session.drop(handle)
            raise Unavailable("CLIENT-COPY-INCOMPLETE", path=shown(target), problem=error) from error

    def _is_file(self, target: bytes, handle: bytes) -> bool:
        """Whether permissions and times may be changed: those of a device are everybody's."""
        found = self._session.attributes(target, handle).mode
        return found is not None and stat.S_ISREG(found)

    def _attrs(self, mode: int | None) -> Attrs:
        times = (int(self._found.st_atime), int(self._found.st_mtime)) if self._manner.preserve else (None, None)
        return Attrs(None, None, None, mode, *times)


def download(
    session: Session, source: bytes, target: bytes, manner: Manner, advance: Advance, attrs: Attrs | None = None
) -> None:
    """Copy a file of the server to a path of this machine; `attrs` are its attributes, where they are known.

    Raises as `upload`."""
    handle = session.open(source, Open.READ, Attrs())
    try:
        attrs = attrs or session.attributes(source, handle)
        if attrs.mode is not None and not stat.S_ISREG(attrs.mode):
            raise BadParameter("CLIENT-COPY-KIND", path=shown(source))
        with this_side(target):
            _Download(session, source, handle, attrs, manner, advance).to(target)
    finally:
        with contextlib.suppress(TeleportError):
            session.drop(handle)


class _Download:
    def __init__(
        self, session: Session, source: bytes, handle: bytes, attrs: Attrs, manner: Manner, advance: Advance
    ) -> None:
        self._session, self._source, self._handle, self._advance = session, source, handle, advance
        self._attrs, self._manner = attrs, manner

    def to(self, target: bytes) -> None:
        try:
            existing = os.stat(target)
        except FileNotFoundError:
            existing = None
        mode = PERMISSIONS & (0o666 if self._attrs.mode is None else self._attrs.mode)
        if existing is None:
            self._beside(target, mode, exact=self._manner.preserve)
        elif stat.S_ISREG(existing.st_mode) and existing.st_nlink == 1 and self._may_replace(target, existing):
            if not self._manner.preserve:
                mode = stat.S_IMODE(existing.st_mode)
            self._beside(os.path.realpath(target), mode, exact=True)
        else:
            self._in_place(target, mode, regular=stat.S_ISREG(existing.st_mode))

    def _may_replace(self, target: bytes, existing: os.stat_result) -> bool:
        """Whether a new file would be like the old one in all but contents."""
        folder = os.path.dirname(os.path.realpath(target))
        return (existing.st_uid, existing.st_gid) == (os.geteuid(), os.getegid()) and os.access(folder, os.W_OK)

    def _beside(self, target: bytes, mode: int, *, exact: bool) -> None:
        part = part_of(target, self._manner.mark)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _HERE, 0o600 if exact else mode)
        try:
            try:
                self._fetch(descriptor)
                self._finish(descriptor, mode if exact else None)
            finally:
                os.close(descriptor)
            os.replace(part, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise

    def _in_place(self, target: bytes, mode: int, *, regular: bool) -> None:
        descriptor = os.open(target, os.O_WRONLY | (os.O_TRUNC if regular else 0) | _HERE)
        try:
            self._fetch(descriptor, in_order=not regular)
            if regular and self._manner.preserve:
                self._finish(descriptor, mode)
        except (TeleportError, OSError) as error:
            problem = error if isinstance(error, TeleportError) else escape(error.strerror or str(error))
            raise Unavailable("CLIENT-COPY-INCOMPLETE", path=shown(target), problem=problem) from error
        finally:
            os.close(descriptor)

    def _fetch(self, descriptor: int, *, in_order: bool = False) -> None:
        fetch = Fetch(self._session, self._source, self._handle, descriptor, self._advance)
        fetch.run(self._attrs.size or 0, in_order=in_order)

    def _finish(self, descriptor: int, mode: int | None) -> None:
        if mode is not None:
            os.fchmod(descriptor, mode)
        if self._manner.preserve and self._attrs.atime is not None and self._attrs.mtime is not None:
            os.utime(descriptor, (self._attrs.atime, self._attrs.mtime))
