"""A service's way for audit events: to the Auth Service, or to a spool under the data directory until it can be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from teleport.api.audit_query_calls import AuditQueryCalls
from teleport.api.client import AuthClient
from teleport.api.event_outbox import EventOutbox
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.store.journal import Journal

log = logger("AUDIT")


@asynccontextmanager
async def event_spool(
    client: AuthClient, data_dir: Path, service: str, *, clock: Clock, entropy: Entropy
) -> AsyncIterator[EventOutbox]:
    """Yield the outbox of `service`, whose spool is `log/spool/events/<service>`, while it sends in the background."""
    folder = SystemFolder(str(data_dir / "log" / "spool" / "events" / service))
    outbox = EventOutbox(AuditQueryCalls(client).deliver, Journal(folder), clock=clock, entropy=entropy)
    sending = tasks.spawn(outbox.run(), name=f"{service}: audit events", on_error=_ended)
    try:
        yield outbox
    finally:
        await tasks.cancel(sending)
        await outbox.close()


def _ended(error: BaseException) -> None:
    log.error("Audit events on the disk are no longer sent", error=error)
