"""Host users: whether a caller's login is to be made on a node, and as what.

Every role whose labels reach the node has a word: one that does not ask for it prevents it. Roles that do not reach
the node are not asked. What is given adds up; what any role denies is taken away, wherever it was given.

Not here: making the account (`agents.ssh.host_user_tools`), and whether its name and groups are fit for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from teleport.access.predicate import Value
from teleport.access.roleset import HeldRole, RoleSet
from teleport.access.traits import expand
from teleport.model.identity import Traits
from teleport.model.role_spec import RoleOptions, Side

KEEP, DROP, OFF = "keep", "insecure-drop", "off"


class HostUser(NamedTuple):
    """The account that a login gets."""

    mode: str
    """KEEP: it stays after the last session; DROP: it goes."""
    groups: tuple[str, ...] = ()
    sudoers: tuple[str, ...] = ()
    """Lines of sudoers(5) without the user, in the order of the roles' names."""
    uid: str = ""
    gid: str = ""
    shell: str = ""


class Prevented(NamedTuple):
    """No account is made."""

    role: str
    """The role that does not ask for it; empty: no role reaches the node."""


def host_user(roles: RoleSet, labels: Mapping[str, str], user: Value) -> HostUser | Prevented:
    """Say what the roles want of a node with these labels. `user` is as predicates see the caller. Never raises."""
    reaching = [role for role in roles.roles if role.allow.selects(labels, user)]
    modes = {role.name: mode_of(role.options) for role in reaching}
    preventing = next((name for name, mode in modes.items() if mode == OFF), None)
    if preventing is not None or not reaching:
        return Prevented(preventing or "")
    shells = (role.options.create_host_user_default_shell for role in reaching)
    return HostUser(
        mode=KEEP if KEEP in modes.values() else DROP,
        groups=tuple(sorted(_given(reaching, roles, "host_groups"))),
        sudoers=_given(reaching, roles, "host_sudoers"),
        uid=_first(roles.traits, "host_user_uid"),
        gid=_first(roles.traits, "host_user_gid"),
        shell=next((shell for shell in shells if shell), ""),
    )


def mode_of(options: RoleOptions) -> str:
    """Return the mode that a role asks for; the old switch without a mode means that the account goes."""
    if options.create_host_user_mode in ("", OFF):
        return DROP if options.create_host_user else OFF
    return KEEP if options.create_host_user_mode == KEEP else DROP


def _given(reaching: Iterable[HeldRole], roles: RoleSet, field: str) -> tuple[str, ...]:
    """Return what the roles that reach the node give, without what any role denies."""
    denied = {item for role in roles.roles for item in _items(role, "deny", field, roles.traits)}
    if "*" in denied:
        return ()
    given = (item for role in reaching for item in _items(role, "allow", field, roles.traits))
    return tuple(dict.fromkeys(item for item in given if item not in denied))


def _items(role: HeldRole, side: Side, field: str, traits: Traits) -> Iterable[str]:
    for item in getattr(role.conditions(side), field):
        yield from expand(item, traits)


def _first(traits: Traits, name: str) -> str:
    return next(iter(traits.get(name, ())), "")
