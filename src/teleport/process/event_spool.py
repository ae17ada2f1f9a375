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
from teleport.process.place import Place, name
from teleport.store.journal import Journal

log = logger("AUDIT")

LOOK_EVERY = 0.5
"""Seconds between two looks whether what another process has left is sent."""


@asynccontextmanager
async def event_spool(
    client: AuthClient, data_dir: Path, service: str, *, clock: Clock, entropy: Entropy, place: Place | None = None
) -> AsyncIterator[EventOutbox]:
    """Yield the outbox of `service`, whose spool is `log/spool/events/<service>`, while it sends in the background.
    With a `place` it has the name of that place, and what ended processes have left in others is sent as well."""
    spools = data_dir / "log" / "spool" / "events"

    def journal(number: int) -> Journal:
        return Journal(SystemFolder(str(spools / name(service, number))))

    def made(number: int) -> EventOutbox:
        return EventOutbox(AuditQueryCalls(client).deliver, journal(number), clock=clock, entropy=entropy)

    def found(number: int) -> bool:
        return (spools / name(service, number)).exists() and not journal(number).empty()

    async def send(number: int) -> None:
        left = made(number)
        sending = tasks.spawn(left.run(), name=f"{service}: audit events left", on_error=_ended)
        try:
            await tasks.until(lambda: sending.done() or not found(number), every=LOOK_EVERY)
        finally:
            await tasks.cancel(sending)
            await left.close()

    outbox = made(place.number if place is not None else 1)
    running = [tasks.spawn(outbox.run(), name=f"{service}: audit events", on_error=_ended)]
    if place is not None:
        running.append(tasks.spawn(place.inherit(found, send), name=f"{service}: events left", on_error=_ended))
    try:
        yield outbox
    finally:
        for task in running:
            await tasks.cancel(task)
        await outbox.close()


def _ended(error: BaseException) -> None:
    log.error("Audit events on the disk are no longer sent", error=error)
