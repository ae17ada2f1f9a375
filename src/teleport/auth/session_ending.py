"""Ending sessions: who may, and what the node is told.

The right is one on the session's tracker: `update` or `delete`. Everybody has it for sessions of their own (the
implicit role), others by a rule on `session_tracker`. A tracker that is hidden and one that is not there are refused
alike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.hooks import Hooks
from teleport.base.clock import Clock
from teleport.base.errors import TeleportError
from teleport.model.identity import Identity
from teleport.model.kinds.session_termination import SessionTermination
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.resource import Resource
from teleport.store.backend import Op
from teleport.store.resources import Resources as Store

LIFE = dt.timedelta(minutes=15)
"""How long a node that cannot be reached has to hear of it."""


class SessionTerminationHooks(Hooks):
    """Fills in who ends whose session, from what is stored and not from what is said."""

    def __init__(self, store: Store, authorizer: Authorizer, clock: Clock) -> None:
        self._store = store
        self._authorizer = authorizer
        self._clock = clock

    async def permit(self, rights: Rights, new: Resource[Any]) -> None:
        """Raises AccessDenied or NotFound (POL-*)."""
        tracker = await self._tracker(new.name)
        if tracker is None:
            raise await self._authorizer.absent(rights, "update", "session_tracker", new.name)
        if not rights.may("delete", tracker):
            await self._authorizer.demand(rights, "update", tracker, asked=new.name)

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, SessionTermination)  # noqa: S101 - the table of hooks pairs kind and hooks
        tracker, now = await self._tracker(new.name), self._clock.now()
        spec = msgspec.structs.replace(
            new.spec, server_id=tracker.spec.server_id if tracker else "",
            host_user=tracker.spec.host_user if tracker else "", created_by=by.name, created_at=now,
        )  # fmt: skip
        return msgspec.structs.replace(new, spec=spec).with_metadata(expires=now + LIFE), ()

    async def _tracker(self, name: str) -> SessionTracker | None:
        try:
            return await self._store.get(SessionTracker, name)
        except TeleportError as error:
            if error.code not in ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME"):
                raise
            return None
