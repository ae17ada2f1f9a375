"""Several files and folders, from here to a server or back: what is copied to which name, and what goes wrong on the
way without ending the rest.

Links are followed, as cp -rL and scp -r do. Every name that a server lists is checked before it becomes a file here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from typing import Protocol

from teleport.base.errors import BadParameter, NotFound, TeleportError
from teleport.client.sftp import files
from teleport.client.sftp.files import PERMISSIONS, Manner, this_side
from teleport.client.sftp.names import base, is_pattern, join, matches, safe, shown
from teleport.client.sftp.session import Session
from teleport.wire.sftp import Attrs

DEPTH = 64
"""Folders within folders at most: links can make a circle."""
MATCHES = 100_000
"""Files that one pattern names at most."""
_LOST = ("CLIENT-COPY-LOST", "CLIENT-SSH", "CLIENT-NODE-REFUSED", "WIRE-", "NET-")
"""Beginnings of the codes of errors after which there is no connection."""


class Progress(Protocol):
    """What is told of a copy as it goes on."""

    def begin(self, name: str, size: int) -> None:
        """A file is begun."""
        ...

    def advance(self, size: int) -> None:
        """More of it has arrived."""
        ...

    def end(self) -> None:
        """It is whole, or has failed."""
        ...


class Copier:
    """Copies with one server. A file that fails is told to `failed`, and the others are copied."""

    def __init__(
        self, session: Session, manner: Manner, progress: Progress, failed: Callable[[TeleportError], None], *,
        recursive: bool,
    ) -> None:  # fmt: skip
        self._session, self._manner, self._progress = session, manner, progress
        self._failed, self._recursive = failed, recursive

    def upload(self, sources: Sequence[bytes], target: bytes) -> None:
        """Copy from this machine. A target that is a folder gets them under their own names.

        Raises BadParameter (CLIENT-COPY-TARGET) for several sources and no folder, and what ends the connection.
        """
        target = self._session.resolve(target) if target.startswith(b"~") or not target else target
        found = self._session.find(target)
        into = found is not None and stat.S_ISDIR(found.mode or 0)
        if not into and (len(sources) > 1 or target.endswith(b"/")):
            raise BadParameter("CLIENT-COPY-TARGET", path=shown(target))
        for source in sources:
            name = base(source) or base(os.path.realpath(source))
            self._guarded(self._send, source, join(target, name) if into and name else target, 0)

    def download(self, sources: Sequence[bytes], target: bytes) -> None:
        """Copy to this machine; sources may be patterns. Raises as `upload`."""
        into = os.path.isdir(target)
        wanted: list[bytes] = []
        for source in sources:
            self._guarded(lambda source: wanted.extend(self._meant(source)), source)
        if not into and (len(wanted) > 1 or target.endswith(b"/")):
            raise BadParameter("CLIENT-COPY-TARGET", path=shown(target))
        for source in wanted:
            self._guarded(self._take, source, target, into)

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        """Do one thing. What concerns it alone is told, and the next one follows."""
        try:
            work(*arguments)
        except TeleportError as error:
            if error.code.startswith(_LOST):
                raise
            self._failed(error)

    # -- to the server ----------------------------------------------------------------------------------------

    def _send(self, source: bytes, target: bytes, depth: int, fresh: bool = False) -> None:
        """Copy a file or folder; `fresh` says that nothing has the target's path."""
        with this_side(source):
            found = os.stat(source)
        if not stat.S_ISDIR(found.st_mode):
            self._progress.begin(shown(source), found.st_size)
            try:
                files.upload(self._session, source, target, self._manner, self._progress.advance, fresh=fresh)
            finally:
                self._progress.end()
            return
        self._check_folder(source, depth)
        with this_side(source):
            names = sorted(os.listdir(source))
        mode = found.st_mode & PERMISSIONS
        is_new = self._session.make_folder(target, mode | 0o700)
        for name in names:
            self._guarded(self._send, join(source, name), join(target, name), depth + 1, is_new)
        times = (int(found.st_atime), int(found.st_mtime)) if self._manner.preserve else (None, None)
        if self._manner.preserve or (is_new and mode | 0o700 != mode):
            self._session.change(target, Attrs(None, None, None, mode, *times))

    # -- from the server --------------------------------------------------------------------------------------

    def _meant(self, source: bytes) -> list[bytes]:
        """Return the paths that a source means: itself, or what fits it as a pattern."""
        source = self._session.resolve(source) if source.startswith(b"~") or not source else source
        if not is_pattern(source) or self._session.exists(source):
            return [source]
        found = [b"/" if source.startswith(b"/") else b""]
        for part in filter(None, source.split(b"/")):
            found = [path for folder in found for path in self._fitting(folder, part)]
            if len(found) > MATCHES:
                raise BadParameter("CLIENT-COPY-MANY", path=shown(source), limit=MATCHES)
        if not found:
            raise NotFound("CLIENT-COPY-REMOTE", path=shown(source), said="nothing there fits the pattern")
        return found

    def _fitting(self, folder: bytes, part: bytes) -> list[bytes]:
        if not is_pattern(part):
            path = join(folder, part)
            return [path] if self._session.exists(path) else []
        found = self._session.find(folder or b".")
        if found is None or not stat.S_ISDIR(found.mode or 0):
            return []
        names = [entry.name for entry in self._session.names(folder or b".") if matches(entry.name, part)]
        return sorted(join(folder, safe(name)) for name in names)

    def _take(self, source: bytes, target: bytes, into: bool) -> None:
        if into:
            name = base(source) or base(self._session.resolve(source))
            target = join(target, safe(name)) if name else target
        self._fetch(source, target, 0, None)

    def _fetch(self, source: bytes, target: bytes, depth: int, known: Attrs | None) -> None:
        """Copy a file or folder; what is `known` of it need not be asked, unless it is a link."""
        attrs = known if known and known.mode and not stat.S_ISLNK(known.mode) else self._session.stat(source)
        if attrs.mode is not None and not (stat.S_ISDIR(attrs.mode) or stat.S_ISREG(attrs.mode)):
            raise BadParameter("CLIENT-COPY-KIND", path=shown(source))  # opening a pipe stops some servers for good
        if not stat.S_ISDIR(attrs.mode or 0):
            self._progress.begin(shown(source), attrs.size or 0)
            try:
                files.download(self._session, source, target, self._manner, self._progress.advance, attrs)
            finally:
                self._progress.end()
            return
        self._check_folder(source, depth)
        entries = sorted({entry.name: entry.attrs for entry in self._session.names(source)}.items())
        mode = PERMISSIONS & (0o777 if attrs.mode is None else attrs.mode)
        with this_side(target):
            is_new = not os.path.isdir(target)
            if is_new:
                os.mkdir(target, mode | 0o700)
        for name, known in entries:
            self._guarded(self._fetch_named, source, target, name, depth + 1, known)
        with this_side(target):
            self._finish(target, mode, attrs, is_new)

    def _fetch_named(self, source: bytes, target: bytes, name: bytes, depth: int, known: Attrs) -> None:
        self._fetch(join(source, safe(name)), join(target, name), depth, known)

    def _finish(self, target: bytes, mode: int, attrs: Attrs, is_new: bool) -> None:
        if self._manner.preserve or (is_new and mode | 0o700 != mode):
            os.chmod(target, mode)
        if self._manner.preserve and attrs.atime is not None and attrs.mtime is not None:
            os.utime(target, (attrs.atime, attrs.mtime))

    def _check_folder(self, path: bytes, depth: int) -> None:
        if not self._recursive:
            raise BadParameter("CLIENT-COPY-FOLDER", path=shown(path))
        if depth >= DEPTH:
            raise BadParameter("CLIENT-COPY-DEEP", path=shown(path), limit=DEPTH)
