"""Events of services, each stored once: a service numbers them and sends again what it is not sure of.

The number of the last one stored stands beside the log and is written in the commit of the events, so whatever is
lost or repeated on the way - a request, a reply, either side - the log has each event once and in order. Numbers count
within a writer: one run of one service on one host.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.access.system import host_id
from teleport.api.caller import Caller
from teleport.auth.audit import EVENT, of_service
from teleport.auth.authorize import Authorizer
from teleport.base.clock import Clock
from teleport.base.errors import AlreadyExists, BadParameter, CompareFailed, NotFound
from teleport.base.log import logger
from teleport.model.events.base import decode as read_event
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Absent, At, Backend, Put

log = logger("AUDIT")

REMEMBERED = dt.timedelta(days=90)
"""How long after its last event a writer is known; one that comes back later begins as a new one."""
_WRITER = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TRIES = 5


class _Place(msgspec.Struct):
    """What stands beside the log."""

    last: int = 0


class Delivery:
    """Takes events of services."""

    def __init__(self, backend: Backend, trail: AuditLog, authorizer: Authorizer, clock: Clock) -> None:
        self._backend = backend
        self._trail = trail
        self._authorizer = authorizer
        self._clock = clock

    async def deliver(
        self, caller: Caller, writer: str, first: int, events: Sequence[dict[str, Any]], *, after_gap: bool = False
    ) -> None:
        """Store what was not stored yet of `events`, which are numbered from `first` on.

        Raises AccessDenied (AUTH-ESCALATION), BadParameter (AUTH-AUDIT-WRITER), CompareFailed (AUTH-AUDIT-GAP) when
        earlier ones are missing, unless the service says with `after_gap` that they are lost.
        """
        await self._authorizer.require(caller, "create", EVENT)
        service = caller.known()
        host = host_id(service)
        if _WRITER.fullmatch(writer) is None or first < 1:
            raise BadParameter("AUTH-AUDIT-WRITER", writer=writer[:64])
        found = [of_service(read_event(msgspec.json.encode(event)), service) for event in events]
        key = f"/audit_writers/{host}/{writer}"
        for tried in range(_TRIES):
            place, when = await self._place(key)
            if first > place.last + 1:
                self._missed(host, writer, place.last + 1, first, accepted=after_gap)
            fresh = found[max(place.last + 1 - first, 0) :]
            if not fresh:
                return
            last = _Place(first + len(found) - 1)
            expires = self._clock.now() + REMEMBERED
            try:
                note = Put(key, msgspec.json.encode(last), expires, when)
                await self._backend.commit(note, *(self._trail.op(event) for event in fresh))
                return
            except (AlreadyExists, CompareFailed, NotFound):
                if tried == _TRIES - 1:
                    raise  # the same events came on several connections at once

    async def _place(self, key: str) -> tuple[_Place, Absent | At]:
        try:
            item = await self._backend.get(key)
        except NotFound:
            return _Place(), Absent()
        return msgspec.json.decode(item.value, type=_Place), At(item.revision)

    @staticmethod
    def _missed(host: str, writer: str, expected: int, first: int, *, accepted: bool) -> None:
        if not accepted:
            raise CompareFailed("AUTH-AUDIT-GAP", host=host, expected=expected, first=first)
        log.error("Events of a service are missing", host=host, writer=writer, first=expected, last=first - 1)
