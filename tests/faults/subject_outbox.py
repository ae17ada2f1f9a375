"""Events of services under faults: what `emit` has returned for is in the audit log exactly once, whatever was cut off.

The service and the Auth Service are one child here and meet the fault together; the way between them loses calls
and replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from teleport.api.caller import Caller
from teleport.api.event_outbox import EventOutbox
from teleport.auth.audit_delivery import Delivery
from teleport.auth.authorize import Authorizer
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.model.events.session import SessionStart
from teleport.model.identity import Identity
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query
from teleport.store.journal import Journal
from teleport.store.sqlite import SqliteBackend
from teleport.store.turns import Turns
from tests.faults.trial import Work

_TASKS, _EACH = 4, 6
_CLUSTER = "faults"


class _Anybody:
    async def require(self, *_: object) -> None:
        """Let everybody."""


class _Way:
    """The calls of a service: some do not arrive, of some the reply does not."""

    def __init__(self, delivery: Delivery, chance: random.Random | None) -> None:
        self._delivery = delivery
        self._chance = chance
        expires = SystemClock().now() + dt.timedelta(hours=1)
        self._caller = Caller(Identity(name=f"node.{_CLUSTER}", cluster=_CLUSTER, kind="host", expires=expires))

    async def __call__(
        self, writer: str, first: int, events: Sequence[dict[str, Any]], *, after_gap: bool = False
    ) -> None:
        fate = self._chance.random() if self._chance else 1.0
        if fate < 0.2:
            raise Unavailable("API-UNAVAILABLE", problem="the call was lost")
        await self._delivery.deliver(self._caller, writer, first, events, after_gap=after_gap)
        if fate < 0.4:
            raise Unavailable("API-UNAVAILABLE", problem="the reply was lost")


class Outbox:
    """Tasks emit events side by side, while the journal is sent behind them."""

    name, acknowledges = "outbox", "events"

    def prepare(self, root: Path) -> None:
        """Make the store of the Auth Service."""

        async def made() -> None:
            async with _open(root, None):
                pass

        asyncio.run(made())

    def work(self, work: Work) -> None:
        """Emit, and acknowledge when that has returned."""
        asyncio.run(self._work(work))

    async def _work(self, work: Work) -> None:
        async with _open(work.root, random.Random(work.seed)) as (outbox, _):
            sending = tasks.spawn(outbox.run(), name="outbox", on_error=lambda _: None)

            async def emit(task: int) -> None:
                for number in range(_EACH):
                    token = f"{work.round}.{task}.{number}"
                    try:
                        await outbox.emit(SessionStart(size=token))
                    except TeleportError:
                        continue
                    work.acknowledge(token)

            await asyncio.gather(*[emit(task) for task in range(_TASKS)])
            await tasks.cancel(sending)

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Send what waits, then look for every event."""
        return asyncio.run(_examine(root, acknowledged))


@asynccontextmanager
async def _open(root: Path, chance: random.Random | None) -> AsyncIterator[tuple[EventOutbox, AuditLog]]:
    clock, entropy = SystemClock(), SystemEntropy()
    backend = await SqliteBackend.open(root / "auth", clock)
    try:
        trail = AuditLog(backend, "auth", clock, entropy, _CLUSTER)
        way = _Way(Delivery(backend, trail, cast(Authorizer, _Anybody()), clock), chance)
        journal = Journal(SystemFolder(str(root / "node" / "events")), segment=1500)
        outbox = EventOutbox(way, Turns(journal), clock=clock, entropy=entropy)
        try:
            yield outbox, trail
        finally:
            with contextlib.suppress(TeleportError):
                await outbox.close()
    finally:
        await backend.close()


async def _examine(root: Path, acknowledged: list[str]) -> list[str]:
    async with _open(root, None) as (outbox, trail):
        await outbox._drain()
        report = await trail.verify()
        entries = (await trail.search(Query(limit=1000))).entries
        found = Counter(entry.event.size for entry in entries if isinstance(entry.event, SessionStart))
        problems = [f"half: {finding}" for finding in report.findings]
        problems += [f"lost: event {token}" for token in acknowledged if not found[token]]
        return problems + [f"twice: event {token}" for token, times in found.items() if times > 1]
