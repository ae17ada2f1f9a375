"""Users and groups of this machine, by name or number."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Sequence

from teleport.base.errors import NotFound
from teleport.bot.destinations.acl import Readers
from teleport.model.config.tbot_destinations import Reader


def user(who: str | int) -> int:
    """Return a user's number. Raises NotFound (DEST-ACCOUNT)."""
    return _number(who, "user", lambda name: pwd.getpwnam(name).pw_uid)


def group(who: str | int) -> int:
    """Return a group's number. Raises NotFound (DEST-ACCOUNT)."""
    return _number(who, "group", lambda name: grp.getgrnam(name).gr_gid)


def groups_of(number: int) -> frozenset[int]:
    """Return the groups that a user is in; none for a number without a user."""
    try:
        entry = pwd.getpwuid(number)
    except KeyError:
        return frozenset()
    return frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))


def first_group(number: int) -> int:
    """Return the group that a user's files have; for a number without a user, the group of the same number."""
    try:
        return pwd.getpwuid(number).pw_gid
    except KeyError:
        return number


def readers(listed: Sequence[Reader]) -> Readers:
    """Return readers by number. Raises NotFound (DEST-ACCOUNT)."""
    return Readers(
        frozenset(user(reader.user) for reader in listed if reader.user is not None),
        frozenset(group(reader.group) for reader in listed if reader.group is not None),
    )


def _number(who: str | int, what: str, find: Callable[[str], int]) -> int:
    try:
        return int(who) if isinstance(who, int) or who.isdecimal() else find(who)
    except KeyError:
        raise NotFound("DEST-ACCOUNT", what=what, name=who) from None
