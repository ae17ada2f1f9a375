"""Locks: is this caller, or this target, shut out at the moment?

A lock names one or more things; all of them must be in play for it to be in force. Expired locks are not.
A field that this file does not know is never in play; `model.kinds.lock` refuses to store such locks.
"""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterable, Mapping

from teleport.access.action import Target, kind_of, name_of, utc
from teleport.model.identity import Identity
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.session_tracker import SessionTracker

MAX_AGE = dt.timedelta(minutes=5)
"""With `lock: strict`, how old a list of locks may be."""


def in_force(
    identity: Identity, roles: Iterable[str], login: str, target: Target, locks: Iterable[Lock], now: dt.datetime
) -> Lock | None:
    """Return the first lock, by name, that is in force on the caller acting so; None if there is none."""
    current = [lock for lock in locks if not _expired(lock, now)]
    if not current:
        return None
    in_play = _in_play(identity, roles, login, target)
    found = [lock for lock in current if _hits(lock, in_play)]
    return min(found, key=lambda lock: lock.name, default=None)


def _in_play(identity: Identity, roles: Iterable[str], login: str, target: Target) -> dict[str, frozenset[str]]:
    servers = {name_of(target)} if kind_of(target) == "node" else set()
    if isinstance(target, SessionTracker):
        servers = {target.spec.server_id}
    if identity.is_host:
        servers |= {identity.name.removesuffix(f".{identity.cluster}")}
    return {
        "user": frozenset({identity.name}),
        "role": frozenset({*roles, *identity.roles, *identity.system_roles}),
        "login": frozenset({login}),
        "server_id": frozenset(servers),
        "join_token": frozenset({identity.join_token}),
        "bot_instance_id": frozenset({identity.bot_instance_id}),
    }


def _hits(lock: Lock, in_play: Mapping[str, frozenset[str]]) -> bool:
    named = lock.spec.target.named()
    return bool(named) and all(value in in_play.get(field, ()) for field, value in named.items())


def _expired(lock: Lock, now: dt.datetime) -> bool:
    ends = [end for end in (lock.spec.expires, lock.metadata.expires) if end is not None]
    return any(utc(end) <= utc(now) for end in ends)


def fields(lock: Lock, identity: Identity) -> dict[str, str]:
    """Return what page POL-LOCKED tells of a lock that is in force on `identity`: also how it is lifted.

    To remove a lock that the cluster made because of a bot's certificates is not enough: who goes on with them locks
    the bot again."""
    message, unlock = lock.spec.message, f"tctl rm lock/{lock.name}"
    if identity.bot_name and is_of_mismatch(lock):
        bot = shlex.quote(identity.bot_name)
        unlock = (
            f"tctl bots recover {bot} (it removes lock/{lock.name} and makes a new token), after a look at who else "
            "used its certificates; then restart tbot with the new token"
        )
    return {
        "lock": str(lock.spec.target), "message": f": {message}" if message else "", "lock_name": lock.name,
        "unlock": unlock,
    }  # fmt: skip


def is_of_mismatch(lock: Lock) -> bool:
    """Whether the cluster itself made the lock, because certificates of a bot were not the last ones."""
    return lock.spec.created_by == "Auth" and "certificate generation mismatch" in lock.spec.message


def is_about_target(lock: Lock) -> bool:
    """Whether telling of the lock would tell of a server."""
    return "server_id" in lock.spec.target.named()
