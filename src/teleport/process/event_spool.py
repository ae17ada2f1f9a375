"""A service's way for audit events: to the Auth Service, or to a spool under the data directory until it can be.

The journal of a service is one for its events and for the beginnings of its recordings (`process.recording`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from teleport.api.audit_query_calls import AuditQueryCalls
from teleport.api.client import AuthClient
from teleport.api.event_outbox import OWNER as EVENTS
from teleport.api.event_outbox import EventOutbox
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.store.brief_files import OWNER as GROWTHS
from teleport.store.journal import Journal
from teleport.store.turns import Turns

log = logger("AUDIT")

JOURNALS = ("log", "spool", "events")
"""Where the journals of services are, each a folder by the service's name."""


def service_journal(data_dir: Path, service: str) -> Turns:
    """Return the way into the journal of `service`, which is `log/spool/events/<service>`."""
    folder = SystemFolder(str(data_dir.joinpath(*JOURNALS, service)))
    return Turns(Journal(folder, owners=(EVENTS, GROWTHS)))


@asynccontextmanager
async def event_spool(
    client: AuthClient, turns: Turns, service: str, *, clock: Clock, entropy: Entropy
) -> AsyncIterator[EventOutbox]:
    """Yield the outbox of `service`, over its journal, while it sends in the background."""
    outbox = EventOutbox(AuditQueryCalls(client).deliver, turns, clock=clock, entropy=entropy, owner=EVENTS)
    sending = tasks.spawn(outbox.run(), name=f"{service}: audit events", on_error=_ended)
    try:
        yield outbox
    finally:
        await tasks.cancel(sending)
        await outbox.close()


def _ended(error: BaseException) -> None:
    log.error("Audit events on the disk are no longer sent", error=error)
