"""A folder of this machine as a destination: `directory` of tbot.yaml.

Files are private to the user that tbot runs as, and to the `readers` of the section, by access lists that are set anew
with each write. Without readers, who could read a file so far can read the one that replaces it: `tbot init` and
administrators decide there. How files are written safely is in `folder`.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, NotFound, NotSupported
from teleport.base.log import logger
from teleport.bot.destinations import accounts, acl, mounts
from teleport.bot.destinations.folder import Access, Folder, open_folder
from teleport.bot.destinations.names import WRITE_TEST, keep_off, split, testing
from teleport.model.config.tbot_destinations import DirectoryDestination

_WALKS = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_LISTS = hasattr(os, "setxattr")


class Directory:
    """A folder. What each method raises is in `bot.parts.Destination`."""

    def __init__(
        self,
        section: DirectoryDestination,
        *,
        entropy: Entropy,
        mountinfo: Callable[[], str] = mounts.table,
        walks: bool = _WALKS,
    ) -> None:
        """`walks`: whether this system opens folders relative to others. Raises NotSupported
        (DEST-SYMLINKS), BadParameter (DEST-ACLS-OFF)."""
        if section.symlinks == "secure" and not walks:
            raise NotSupported("DEST-SYMLINKS")
        if section.readers and section.acls == "off":
            raise BadParameter("DEST-ACLS-OFF", path=section.path)
        self._section = section
        self._entropy = entropy
        self._mountinfo = mountinfo
        self._links = section.symlinks == "insecure" or not walks
        path = os.path.abspath(section.path)
        self._path = os.path.realpath(path) if self._links else path
        self._lists = _LISTS and section.acls != "off"
        self._readers = acl.NOBODY
        self._log = logger("tbot")

    @property
    def folder(self) -> str:
        """Absolute path, without links."""
        return self._path

    def __str__(self) -> str:
        return str(self._section)

    async def prepare(self, names: Sequence[str]) -> None:
        """Make the folder, see that it is nobody else's and no bot's storage, and that readers can be let in."""
        for name in names:
            split(name)
        await asyncio.to_thread(self._prepare, names)

    async def check(self) -> None:
        """Correct who may read, and write `.write-test`. Raises DEST-WRITE."""
        await asyncio.to_thread(self._check)

    async def read(self, name: str) -> bytes | None:
        """Return a file's content."""
        return await asyncio.to_thread(self._read, name)

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Replace files."""
        await asyncio.to_thread(self._write, dict(files))

    def open(self, *, make: bool = False) -> Folder:
        """Open the folder, for what belongs to it but is no file of a service."""
        return open_folder(self._path, links=self._links, make=make)

    def shared_type(self) -> str:
        """Return the type of the file system when several machines share it, else an empty text."""
        with self.open() as folder:
            return mounts.shared_type(self._path, folder.facts.st_dev, self._mountinfo)

    # In a thread

    def _prepare(self, names: Sequence[str]) -> None:
        self._readers = accounts.readers(self._section.readers)
        with self.open(make=True) as folder:
            keep_off(self, names, {*folder.names()}.__contains__)
            if not self._links and folder.facts.st_mode & stat.S_IWOTH:
                raise BadParameter("DEST-OPEN", path=self._path, mode=f"{stat.S_IMODE(folder.facts.st_mode):04o}")
            folder.sweep()
            self._test_lists(folder)
            self._correct(folder)

    def _test_lists(self, folder: Folder) -> None:
        """See by a file whether access lists hold here."""
        needed = self._section.acls == "required"
        if not (self._readers or needed):
            return
        somebody = self._readers or acl.Readers(frozenset({os.geteuid() ^ 1}))
        try:
            if not _LISTS:
                raise NotSupported("DEST-ACLS", path=self._path, problem="this system has none of this form")
            folder.discard(folder.draft(".acl-test", b"", Access(somebody), random=self._entropy.token(8)))
        except NotSupported as error:
            if needed:
                raise
            self._lists = False
            self._log.warn("Readers of a destination cannot be let in", destination=str(self), error=error)

    def _correct(self, folder: Folder) -> None:
        """Let the readers into the folder. Their way to its files comes with each file."""
        if not (self._readers and self._lists):
            return
        try:
            folder.let_in(self._readers)
        except AccessDenied as error:
            if self._section.acls == "required":
                raise
            self._log.warn("Who may enter a destination is not ours to say", destination=str(self), error=error)

    def _check(self) -> None:
        with testing(self):
            self._write({WRITE_TEST: b""})

    def _read(self, name: str) -> bytes | None:
        inner, base = split(name)
        with ExitStack() as opened:
            try:
                place = opened.enter_context(self.open())
                place = opened.enter_context(place.enter(inner, make=False)) if inner else place
            except NotFound:
                return None
            return place.read(base)

    def _write(self, files: Mapping[str, bytes]) -> None:
        with ExitStack() as opened:
            folder = opened.enter_context(self.open())
            self._correct(folder)
            places, drafts = {"": folder}, []
            try:
                for name, data in files.items():
                    inner, base = split(name)
                    if inner not in places:
                        places[inner] = opened.enter_context(folder.enter(inner, make=True))
                        self._correct(places[inner])
                    drafts.append((places[inner], self._draft(places[inner], base, data), base))
                for place, draft, base in drafts:
                    place.replace(draft, base)
                for place in places.values():
                    place.sync()
            except BaseException:
                for place, draft, _ in drafts:
                    place.discard(draft)
                raise

    def _draft(self, place: Folder, base: str, data: bytes) -> str:
        managed = self._readers and self._lists
        access = Access(self._readers) if managed else place.access(base)
        return place.draft(base, data, access, random=self._entropy.token(8), lists=self._lists)
