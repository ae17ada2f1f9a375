"""What root prepares once for a bot that is not root: a folder with an empty file for everything that will be written.

The files say who may read what replaces them (`folder.Folder.access`), and the folder says it of files that come later.
With access lists the bot may write and one more user may read; without them, what counts is who owns the files.
Reference: machine identity, section 8, `tbot init`.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from typing import NamedTuple

from teleport.base.disk import PRIVATE, PRIVATE_DIR, map_errors
from teleport.base.errors import AccessDenied, BadParameter, NotSupported
from teleport.bot.destinations import accounts, acl
from teleport.bot.destinations.folder import Folder, open_folder
from teleport.bot.destinations.names import split

_OPENSSH = (".ssh_config", ".known_hosts")
"""Ends of files of which there is one for each cluster."""


class Parties(NamedTuple):
    """Who has to do with a destination, by number."""

    owner: int
    group: int
    bot: int | None = None
    """As whom tbot runs; None: nobody is said, and the owner is."""
    reader: int | None = None

    @property
    def named(self) -> bool:
        """Whether access lists are wanted."""
        return self.bot is not None or self.reader is not None


def prepare(
    path: str, names: Iterable[str], parties: Parties, *, acls: str = "try", links: bool = False, clean: bool = False
) -> bool:
    """Make or correct folder and files; return whether access lists were set. With `clean`, remove what else is there.

    Raises BadParameter (INIT-OWNER-READS, INIT-UNEXPECTED, INIT-PLAIN), AccessDenied (INIT-ROOT),
    NotSupported (DEST-ACLS), and what opening a folder raises.
    """
    names = sorted(names)
    lists = parties.named and acls != "off"
    if lists and parties.owner == parties.reader:
        raise BadParameter("INIT-OWNER-READS", user=parties.owner)
    with open_folder(path, links=links, make=True) as folder:
        _tidy(folder, names, clean=clean)
        try:
            _all(folder, names, parties, lists=lists)
        except NotSupported:
            if acls == "required":
                raise
            lists = False
            _all(folder, names, parties, lists=False)
    return lists


def _tidy(folder: Folder, names: list[str], *, clean: bool) -> None:
    """Remove what does not belong there, or refuse it."""
    folder.sweep()
    known = {split(name)[0] or name for name in names}
    extra = [name for name in folder.names() if name not in known]
    if "ssh_config" in known:
        extra = [name for name in extra if not name.endswith(_OPENSSH)]
    if extra and not clean:
        raise BadParameter("INIT-UNEXPECTED", path=folder.path, names=", ".join(extra[:20]))
    for name in extra:
        with map_errors(os.path.join(folder.path, name)):
            facts = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                shutil.rmtree(name, dir_fd=folder.descriptor)
            else:
                os.unlink(name, dir_fd=folder.descriptor)


def _all(folder: Folder, names: list[str], parties: Parties, *, lists: bool) -> None:
    if parties.named and not lists:
        _check_plain(folder.path, parties)
    _give(folder.descriptor, folder.path, parties, lists=lists)
    for name in names:
        inner, base = split(name)
        if not inner:
            _file(folder, base, parties, lists=lists)
            continue
        with folder.enter(inner, make=True) as below:
            _give(below.descriptor, below.path, parties, lists=lists)
            _file(below, base, parties, lists=lists)
    folder.sync()


def _file(folder: Folder, name: str, parties: Parties, *, lists: bool) -> None:
    path = os.path.join(folder.path, name)
    with map_errors(path):
        opened = folder.open_file(name, create=True)
        try:
            _give(opened, path, parties, lists=lists)
        finally:
            os.close(opened)


def _check_plain(path: str, parties: Parties) -> None:
    """Refuse what owner and group alone cannot say."""
    bot = parties.owner if parties.bot is None else parties.bot
    if bot != parties.owner or (parties.reader is not None and parties.group not in accounts.groups_of(parties.reader)):
        raise BadParameter("INIT-PLAIN", path=path)


def _give(descriptor: int, path: str, parties: Parties, *, lists: bool) -> None:
    """Set owner and rights of an open folder or file."""
    facts = os.fstat(descriptor)
    folder = stat.S_ISDIR(facts.st_mode)
    with map_errors(path):
        # The rights first: between the two, nobody may do what they may not do in the end.
        acl.clear(descriptor)
        os.fchmod(descriptor, PRIVATE_DIR if folder else PRIVATE)
        try:
            os.fchown(descriptor, parties.owner, parties.group)
        except PermissionError as error:
            raise AccessDenied("INIT-ROOT", path=path) from error
        if lists:
            _list(descriptor, path, parties, folder=folder)
        elif parties.reader is not None:
            # New files of such a folder have its group, whoever makes them.
            os.fchmod(descriptor, 0o2750 if folder else 0o640)


def _list(descriptor: int, path: str, parties: Parties, *, folder: bool) -> None:
    reader = frozenset() if parties.reader is None else frozenset({parties.reader})
    bot = frozenset() if parties.bot is None else frozenset({parties.bot})
    entries = acl.letting(
        acl.Readers(reader), parties.owner, writers=acl.Readers(bot), enter=acl.ENTER if folder else 0
    )
    try:
        acl.write(descriptor, entries)
        if folder:
            acl.write(descriptor, entries, acl.INHERITED)
    except OSError as error:
        if acl.supported(error):
            raise
        raise NotSupported("DEST-ACLS", path=path, problem="its file system keeps none") from error
