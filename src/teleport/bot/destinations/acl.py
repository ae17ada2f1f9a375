"""Access lists of files (POSIX 1003.1e draft 17), as Linux keeps them in the attribute `system.posix_acl_access`.

Here: the binary form (linux/posix_acl_xattr.h: a version, then eight bytes for each entry, all little-endian), and
lists that let somebody beside the owner read. Not here: who the readers are, and when a list is set.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable
from typing import NamedTuple

ATTRIBUTE = "system.posix_acl_access"
INHERITED = "system.posix_acl_default"
"""What new files in a folder get."""

READ, WRITE, ENTER = 4, 2, 1
OWNER, USER, GROUP_OF_FILE, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
"""Whom an entry is about, as the kernel numbers it; its order is that of the numbers."""

_VERSION = 2
_NONE = 0xFFFFFFFF
"""In the place of a number, where an entry needs none."""
_HEAD, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_KINDS = frozenset({OWNER, USER, GROUP_OF_FILE, GROUP, MASK, OTHER})


class Entry(NamedTuple):
    """One line of a list."""

    kind: int
    number: int
    """Of the user or the group, for USER and GROUP."""
    allowed: int
    """READ, WRITE and ENTER, added."""


class Readers(NamedTuple):
    """Who may read beside the owner, by number."""

    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.users or self.groups)


NOBODY = Readers()


class Malformed(ValueError):
    """The attribute does not hold a list."""


def encode(entries: Iterable[Entry]) -> bytes:
    """Return what the attribute holds."""
    ordered = sorted(entries)
    return _HEAD.pack(_VERSION) + b"".join(_ENTRY.pack(kind, allowed, number) for kind, number, allowed in ordered)


def decode(data: bytes) -> tuple[Entry, ...]:
    """Read the attribute. Raises Malformed."""
    if len(data) < _HEAD.size or (len(data) - _HEAD.size) % _ENTRY.size:
        raise Malformed("length")
    if _HEAD.unpack_from(data)[0] != _VERSION:
        raise Malformed("version")
    entries = tuple(Entry(kind, number, allowed) for kind, allowed, number in _ENTRY.iter_unpack(data[_HEAD.size :]))
    if any(entry.kind not in _KINDS or entry.allowed & ~7 for entry in entries):
        raise Malformed("entry")
    return entries


def letting(
    readers: Readers, owner: int, *, writers: Readers = NOBODY, enter: int = 0, group: bool = False
) -> tuple[Entry, ...]:
    """Return the list of something that its owner and `writers` may write, and `readers` may read; `enter` is ENTER for
    a folder, and `group` says whether the file's own group may read as well.

    The owner is left out of the others: OpenSSH refuses keys that more than their owner may read only to the owner.
    """
    allowed = READ | enter
    named = {Entry(USER, number, allowed) for number in readers.users - writers.users - {owner}}
    named |= {Entry(GROUP, number, allowed) for number in readers.groups - writers.groups}
    named |= {Entry(USER, number, allowed | WRITE) for number in writers.users - {owner}}
    named |= {Entry(GROUP, number, allowed | WRITE) for number in writers.groups}
    most = allowed | WRITE if any(entry.allowed & WRITE for entry in named) else allowed
    mask = {Entry(MASK, _NONE, most)} if named else set()
    own = {
        Entry(OWNER, _NONE, allowed | WRITE),
        Entry(GROUP_OF_FILE, _NONE, allowed if group else 0),
        Entry(OTHER, _NONE, 0),
    }
    return tuple(sorted(own | named | mask))


def readers_of(entries: Iterable[Entry]) -> Readers:
    """Return whom a list lets read by name; what the mask takes away is taken away."""
    listed = tuple(entries)
    mask = next((entry.allowed for entry in listed if entry.kind == MASK), 7)
    able = [entry for entry in listed if entry.allowed & mask & READ]
    return Readers(
        frozenset(entry.number for entry in able if entry.kind == USER),
        frozenset(entry.number for entry in able if entry.kind == GROUP),
    )


def supported(error: OSError) -> bool:
    """Say whether a failure is something else than a file system without access lists."""
    return error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS)


def read(descriptor: int, attribute: str = ATTRIBUTE) -> tuple[Entry, ...] | None:
    """Return the list of an open file; None when it has none beyond its mode, or the file system keeps none.

    Raises OSError.
    """
    try:
        return decode(os.getxattr(descriptor, attribute))
    except Malformed:
        return None
    except OSError as error:
        if error.errno == errno.ENODATA or not supported(error):
            return None
        raise


def write(descriptor: int, entries: Iterable[Entry], attribute: str = ATTRIBUTE) -> None:
    """Give an open file this list. Raises OSError."""
    os.setxattr(descriptor, attribute, encode(entries))


def clear(descriptor: int) -> None:
    """Take the list from an open file, inherited ones too: the mode alone counts then. Raises OSError."""
    try:
        os.removexattr(descriptor, ATTRIBUTE)
    except OSError as error:
        if error.errno != errno.ENODATA and supported(error):
            raise
