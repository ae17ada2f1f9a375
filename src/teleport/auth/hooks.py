"""Hooks: what a kind needs beside being stored: references that must hold, fields that the server fills,
things that go with it.

`auth.resources` knows no kind; it finds the hooks of one in the table that is built here. A kind without
an entry has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from teleport.access import roleset
from teleport.auth.attempts import Attempts
from teleport.auth.authorize import Rights
from teleport.auth.invites import Invites
from teleport.auth.mfa_devices import Devices
from teleport.auth.passwords import Passwords
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import BadParameter, NotFound
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from teleport.model.kinds.role import Role
from teleport.model.kinds.user import Author, CreatedBy, User
from teleport.model.resource import Resource
from teleport.store.backend import Check, Op, Present
from teleport.store.resources import Resources, info_of, key_of

_SHOWN_USERS = 5


class Hooks:
    """What happens around a change of one kind. The defaults do nothing."""

    refers: bool = False
    """Whether changes of this kind make or break references: then they are made one at a time."""

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        """Return what is stored for `new`, over `old`, and operations for the same commit. May refuse."""
        return new, ()

    async def permit(self, rights: Rights, new: Resource[Any]) -> None:
        """Refuse what the caller's rights on something else do not cover; those on the object itself do."""

    async def before_delete(self, old: Resource[Any]) -> Sequence[Op]:
        """Return operations for the commit that removes `old`. May refuse."""
        return ()


class UserHooks(Hooks):
    """Roles of a user must exist; a user's password, devices and links go with the user."""

    refers = True

    def __init__(
        self, clock: Clock, passwords: Passwords, devices: Devices, attempts: Attempts, invites: Invites
    ) -> None:  # fmt: skip
        self._clock = clock
        self._passwords = passwords
        self._devices = devices
        self._attempts = attempts
        self._invites = invites

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, User)  # noqa: S101 - the table below pairs kind and hooks
        if isinstance(old, User):
            made = old.spec.created_by
        else:
            made = CreatedBy(time=self._clock.now(), user=Author(name=by.name))
        spec = msgspec.structs.replace(new.spec, created_by=made)
        ops: list[Op] = [Check(key_of(info_of(Role), role), Present()) for role in dict.fromkeys(spec.roles)]
        if isinstance(old, User) and old.spec.status.is_locked and not spec.status.is_locked:
            ops.append(self._attempts.clear_op(new.name))
        return msgspec.structs.replace(new, spec=spec), ops

    async def before_delete(self, old: Resource[Any]) -> Sequence[Op]:
        links = await self._invites.forget_ops(old.name)
        devices = await self._devices.delete_ops(old.name)
        return (self._passwords.delete_op(old.name), self._attempts.clear_op(old.name), *devices, *links)


class RoleHooks(Hooks):
    """Expressions of a role must be readable; a role that a user holds stays."""

    refers = True

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, Role)  # noqa: S101 - the table below pairs kind and hooks
        roleset.check(new)
        return new, ()

    async def before_delete(self, old: Resource[Any]) -> Sequence[Op]:
        holders = [user.name for user in await self._resources.list(User) if old.name in user.spec.roles]
        if holders:
            more = f" and {len(holders) - _SHOWN_USERS} more" if len(holders) > _SHOWN_USERS else ""
            raise BadParameter("AUTH-ROLE-IN-USE", role=old.name, users=", ".join(holders[:_SHOWN_USERS]) + more)
        return ()


class LockHooks(Hooks):
    """A lock says who made it and when."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, Lock)  # noqa: S101 - the table below pairs kind and hooks
        made = new.made(self._clock.now(), by.name)
        return made.with_metadata(name=new.name or new_uuid(self._entropy)), ()


class NodeHooks(Hooks):
    """People write servers without an agent; a node with one is written by its agent, and by nobody else."""

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, Node)  # noqa: S101 - the table below pairs kind and hooks
        for node in (new, old):
            if isinstance(node, Node) and node.agentless is by.is_host:
                raise BadParameter("AUTH-NODE-AGENT", node=node.spec.hostname or node.name)
        return new, ()


class AuthorityHooks(Hooks):
    """The cluster's own authorities stay: without them no certificate is valid any more."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster

    async def before_delete(self, old: Resource[Any]) -> Sequence[Op]:
        if old.name == self._cluster:
            raise BadParameter("AUTH-OWN-AUTHORITY", type=old.sub_kind, cluster=self._cluster)
        return ()


def missing_reference(error: NotFound, resource: Resource[Any]) -> NotFound | None:
    """Return what to say when a `Check` of a reference did not hold; None if the error is about something else."""
    prefix = f"/{info_of(Role).key}/"
    key = error.fields.get("key", "")
    if not key.startswith(prefix):
        return None
    return NotFound("AUTH-NO-ROLE", role=key.removeprefix(prefix), kind=resource.info.name, name=resource.name)


def table(
    resources: Resources,
    clock: Clock,
    entropy: Entropy,
    passwords: Passwords,
    devices: Devices,
    attempts: Attempts,
    invites: Invites,
    cluster: str,
) -> Mapping[str, Hooks]:
    """Return the hooks of each kind that has some."""
    return {
        User.info.name: UserHooks(clock, passwords, devices, attempts, invites),
        Role.info.name: RoleHooks(resources),
        Lock.info.name: LockHooks(clock, entropy),
        Node.info.name: NodeHooks(),
        CertAuthority.info.name: AuthorityHooks(cluster),
    }
