"""Semaphores: how many places of something are held in the whole cluster, decided in one place.

A service writes the leases of its host, all of them, each time that one comes or goes and before they end. What it
says of others is not looked at. Two services that want the last place write over the same revision: one of them
is told to try again (`resources`), and finds the place taken.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.access.system import keeper_id
from teleport.auth.hooks import Hooks
from teleport.base.clock import Clock
from teleport.base.errors import LimitExceeded
from teleport.model.identity import Identity
from teleport.model.kinds.semaphore import Lease, Semaphore
from teleport.model.resource import Resource
from teleport.store.backend import Op

LIFE = dt.timedelta(minutes=2)
"""How long a lease lasts that is not renewed."""


class SemaphoreHooks(Hooks):
    """Merges the leases of hosts, and refuses one too many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        """Raises LimitExceeded (AUTH-LEASES) when a lease that the host did not hold yet is one too many."""
        assert isinstance(new, Semaphore)  # noqa: S101 - the table of hooks pairs kind and hooks
        now, holder = self._clock.now(), keeper_id(by)
        before = old.spec.leases if isinstance(old, Semaphore) else ()
        held = [lease for lease in before if lease.expires is not None and lease.expires > now]
        others = [lease for lease in held if lease.holder != holder]
        known = {lease.lease_id for lease in held if lease.holder == holder}
        wanted = dict.fromkeys(lease.lease_id for lease in new.spec.leases)
        most = new.spec.max_leases
        if 0 < most < len(others) + len(wanted) and not wanted.keys() <= known:
            raise LimitExceeded("AUTH-LEASES", name=new.name, limit=most)
        own = [Lease(lease_id=id, holder=holder, expires=now + LIFE) for id in wanted]
        spec = msgspec.structs.replace(new.spec, leases=(*others, *own))
        return msgspec.structs.replace(new, spec=spec).with_metadata(expires=now + LIFE), ()
