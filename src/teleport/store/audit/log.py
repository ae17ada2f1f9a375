"""AuditLog: where events of the audit log are made complete, kept, found and checked.

Every writer (an auth server) has its own log, `audit/<writer>`, with its own hash chain; readers see the
logs of all writers. An event about a change is committed with the change: take `op(event)` into the
commit. `record(event)` is for what changes nothing.

Not here: which events exist (`model.events`), who may read them (`auth`), checkpoints (`store.audit.checkpoint`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import BadParameter
from teleport.model.events.base import Event, Unknown, decode, encode
from teleport.store.audit import search, verify
from teleport.store.audit.search import Hit, Query
from teleport.store.backend import Append, Backend, Op, Record

PREFIX = "audit/"
_WRITER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it was found. `data` are the bytes under the chain, `event` is what they mean."""

    log: str
    sequence: int
    data: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the answer to a search. `continuation` is empty when there is nothing more."""

    entries: tuple[Entry, ...]
    continuation: str


class AuditLog:
    """Writes the log of one writer and reads the logs of all."""

    def __init__(self, backend: Backend, writer: str, clock: Clock, entropy: Entropy, cluster: str) -> None:
        if _WRITER.fullmatch(writer) is None:
            raise BadParameter("STORE-AUDIT-WRITER", writer=writer[:60])
        self._backend = backend
        self._log = PREFIX + writer
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster
        self.appended: Callable[[], None] = _nobody
        """Told of every event that is to be appended."""

    def op(self, event: Event) -> Append:
        """Return the operation that appends `event`, with time, uid and cluster filled in where they are empty."""
        self.appended()
        complete = event.stamped(
            time=event.time or self._clock.now(),
            uid=event.uid or new_uuid(self._entropy),
            cluster_name=event.cluster_name or self._cluster,
        )
        return Append(self._log, encode(complete))

    async def record(self, event: Event, *extra: Op) -> None:
        """Append `event` durably, in one commit with `extra`. Raises Unavailable (STORE-UNAVAILABLE, STORE-DISK-FULL),
        and what the conditions of `extra` raise."""
        await self._backend.commit(self.op(event), *extra)

    async def search(self, query: Query) -> Page:
        """Return the events that `query` asks for. Raises BadParameter (STORE-AUDIT-CONTINUE)."""
        hits, continuation = await self.find(query)
        return Page(tuple(_entry(hit.record) for hit in hits), continuation)

    async def find(self, query: Query) -> tuple[list[Hit], str]:
        """Return the records that `query` asks for, not read any further, and the continuation."""
        heads = {head.log: head.sequence for head in await self.heads()}
        return await search.search(self._backend, heads, query)

    async def verify(self) -> verify.Report:
        """Check the logs of all writers, and the checkpoints that were made of them."""
        return await self._backend.inspect(verify.check)

    async def heads(self) -> Sequence[Record]:
        """Return the last record of every writer's log: what an external checkpoint has to keep."""
        return [record for record in await self._backend.logs() if record.log.startswith(PREFIX)]


def _nobody() -> None:
    pass


def _entry(record: Record) -> Entry:
    try:
        event = decode(record.data)
    except BadParameter:
        event = Unknown()  # a damaged record must not hide the others; `verify` says what happened to it
    return Entry(record.log, record.sequence, record.data, event)
