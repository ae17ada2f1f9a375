"""ClusterView: a live copy of what a service decides with: authorities, roles, locks, nodes.

The copy is made once and then follows a watch. When the connection is lost the last known state stays in
use and its age is known, so that a strict decision can refuse to rest on it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

from teleport.access.roleset import RoleSet
from teleport.api.client import AuthClient
from teleport.api.messages import Change
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.model.identity import Identity
from teleport.model.kinds.role import Role
from teleport.model.resource import Resource

log = logger("CACHE")

R = TypeVar("R", bound=Resource[Any])
_Key = tuple[str, str, str]
_Holder = tuple[frozenset[str], tuple[tuple[str, tuple[str, ...]], ...]]
"""Names of roles, and traits."""
COMPILED = 1000
"""Role sets that are kept at most."""
_NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)
LONGEST_WAIT = 6.0
"""Seconds between two attempts to follow the Auth Service again at most: new locks must not wait for long."""
ROLE_PATIENCE = 2.0
"""Seconds a decision waits for a role that a certificate names and the copy does not hold: whoever signed in the
moment after the role was made arrives before the news of it."""


class _Compiled(NamedTuple):
    """A role set, and for how long it holds."""

    revision: int
    ends: dt.datetime
    roles: RoleSet


class ClusterView:
    """Resources of some kinds, kept equal to the auth service's."""

    def __init__(self, client: AuthClient, kinds: Sequence[str], *, clock: Clock, entropy: Entropy) -> None:
        self._client = client
        self._kinds = tuple(kinds)
        self._clock = clock
        self._entropy = entropy
        self._held: dict[_Key, Resource[Any]] = {}
        self._compiled: dict[_Holder, _Compiled] = {}
        self._connected = False
        self._changed = asyncio.Event()
        self._revision = 0
        self._last_contact = clock.now()

    async def run(self, ready: Callable[[], None]) -> None:
        """Follow the auth service until cancelled; `ready` is called when the first copy is complete."""
        backoff = Backoff(first=0.2, most=LONGEST_WAIT)
        waits = backoff.waits(self._entropy)
        told = False
        while True:
            try:
                await self._follow(ready)
            except TeleportError as error:
                tell = log.debug if told and not self._connected else log.warn  # it is tried again every few seconds
                tell("Lost the auth service, the last known state stays in use", error=error)
                told = True
            finally:
                if self._connected:  # until now, however long ago the last change was
                    self._connected, self._last_contact = False, self._clock.now()
                    self._tell()
                    waits = backoff.waits(self._entropy)
            await asyncio.sleep(next(waits))

    async def _follow(self, ready: Callable[[], None]) -> None:
        """Watch first and list then: what changes in between arrives twice, but is never missed."""
        async with aclosing(self._client.watch(*self._kinds)) as changes:
            async for change in changes:
                if change.type == "init":
                    await self._copy()
                    self._connected = True
                    ready()
                else:
                    self._apply(change)
        raise Unavailable("API-UNAVAILABLE", problem="the watch ended")

    async def _copy(self) -> None:
        fresh: dict[_Key, Resource[Any]] = {}
        for kind in self._kinds:
            async for resource in self._client.list(kind):
                fresh[_key(resource)] = resource
        self._held = fresh
        self._tell()

    def _apply(self, change: Change) -> None:
        if change.resource is not None:
            self._held[_key(change.resource)] = change.resource
        elif change.gone is not None:
            self._held.pop((change.gone.kind, change.gone.sub_kind, change.gone.name), None)
        self._tell()

    def _tell(self) -> None:
        """Wake whoever waits for a change."""
        self._revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seen: int) -> int:
        """Return the number of the present state, once it is another than `seen`. States are numbered from 0; the
        loss of the connection makes a new one too."""
        while self._revision == seen:
            await self._changed.wait()
        return self._revision

    def all(self, cls: type[R]) -> list[R]:
        """Return every resource of a kind that has not expired."""
        now = self._clock.now()
        return [
            resource
            for resource in self._held.values()
            if isinstance(resource, cls) and (resource.metadata.expires is None or resource.metadata.expires > now)
        ]

    async def role_set(self, identity: Identity) -> RoleSet:
        """Compile the roles that the identity names; one that is gone is left out, which the checker sees."""
        named = frozenset(identity.roles)
        key = named, tuple(sorted(identity.traits.items()))
        known = self._compiled.get(key)
        if known is not None and known.revision == self._revision and self._clock.now() < known.ends:
            return known.roles
        try:
            async with asyncio.timeout(ROLE_PATIENCE):
                while self._connected and not named <= {role.name for role in self.all(Role)}:
                    await self._changed.wait()
        except TimeoutError:
            pass
        roles = [role for role in self.all(Role) if role.name in named]
        found = RoleSet.build(roles, identity.traits)
        if len(roles) == len(named):
            self._remember(key, roles, found)
        return found

    def _remember(self, key: _Holder, roles: Sequence[Role], found: RoleSet) -> None:
        """Keep a role set until something changes or one of its roles ends: each channel asks for it."""
        if len(self._compiled) >= COMPILED:
            self._compiled.clear()
        ends = min((role.metadata.expires for role in roles if role.metadata.expires is not None), default=_NEVER)
        self._compiled[key] = _Compiled(self._revision, ends, found)

    @property
    def age(self) -> float:
        """Seconds since the view was last known to be true; 0 while the watch is open."""
        return 0.0 if self._connected else (self._clock.now() - self._last_contact).total_seconds()


def _key(resource: Resource[Any]) -> _Key:
    return type(resource).info.name, resource.sub_kind, resource.name
