"""Audit: events that services saw, searching, and checking the chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.access.system import host_id, system_roles
from teleport.api.caller import PROXY, Caller
from teleport.api.messages import EventPage, EventQuery, LogReport
from teleport.api.rpc import LARGEST_MESSAGE
from teleport.auth.authorize import Authorizer
from teleport.base.audit_verify import CHECKPOINTS
from teleport.base.errors import AccessDenied
from teleport.model.events.access import AccessDenied as DeniedEvent
from teleport.model.events.base import Event, document
from teleport.model.events.base import decode as read_event
from teleport.model.events.session import ServerEvent
from teleport.model.identity import Identity
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query
from teleport.store.backend import Backend

EVENT = "event"
"""Name of events in rules."""
DEFAULT_LIMIT = 100
LARGEST_PAGE = 5000
STEPS = 100
"""Reads of the log (500 records) or of the index in one page."""
_ROOM = LARGEST_MESSAGE - 65536


class Audit:
    """Implements `api.services.audit.Audit`."""

    def __init__(self, backend: Backend, log: AuditLog, authorizer: Authorizer) -> None:
        self._backend = backend
        self._log = log
        self._authorizer = authorizer

    async def emit(self, caller: Caller, events: Sequence[dict[str, Any]]) -> None:
        """Store what a service saw, in its own name: it cannot speak for another, nor of the Auth Service's acts."""
        await self._authorizer.require(caller, "create", EVENT)
        service = caller.known()
        found = [of_service(read_event(msgspec.json.encode(event)), service) for event in events]
        await self._backend.commit(*(self._log.op(event) for event in found))

    async def search(self, caller: Caller, query: EventQuery) -> EventPage:
        rights = await self._authorizer.rights(caller)
        for verb in ("list", "read"):
            await self._authorizer.demand(rights, verb, EVENT)
        limit = min(query.limit or DEFAULT_LIMIT, LARGEST_PAGE)
        while True:
            page = await self._log.search(
                Query(
                    since=query.since, until=query.until, types=frozenset(query.types), user=query.user,
                    text=query.text, newest_first=query.descending, limit=limit, continuation=query.after,
                    steps=STEPS,
                )
            )  # fmt: skip
            if limit == 1 or sum(len(entry.data) for entry in page.entries) < _ROOM:
                return EventPage(tuple(document(entry.event) for entry in page.entries), page.continuation)
            limit = max(limit // 2, 1)  # a page has to fit into a message

    async def verify(self, caller: Caller) -> tuple[LogReport, ...]:
        await self._authorizer.require(caller, "read", EVENT)
        report = await self._log.verify()
        wrong = {found["log"]: f"record {found['sequence']}: {found['what']}" for found in reversed(report.findings)}
        logs = {log["log"]: (int(log["records"]), bytes.fromhex(log["digest"])) for log in report.logs}
        return tuple(
            LogReport(name, *logs.get(name, (0, b"")), wrong.get(name, ""))
            for name in sorted({*logs, *wrong} - {CHECKPOINTS} | ({CHECKPOINTS} & {*wrong}))
        )


def of_service(event: Event, service: Identity) -> ServerEvent:
    """Return an event in the name of the service's host. A proxy that ends connections to servers tells of these, the
    node of its own host among them, and says so (`forwarded_by`). Raises AccessDenied (AUTH-ESCALATION) for an event
    that is not a service's to tell."""
    if not isinstance(event, ServerEvent) or isinstance(event, DeniedEvent):
        raise AccessDenied("AUTH-ESCALATION", event=event.event_name)
    host, server, by = host_id(service), event.server_id, ""
    if PROXY in system_roles(service) and (server not in ("", host) or event.forwarded_by):
        by = host
    else:
        server = host
    return msgspec.structs.replace(event, server_id=server, forwarded_by=by, uid="", cluster_name="")
