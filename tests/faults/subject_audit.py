"""The audit log under faults: an event that was acknowledged is there exactly once, and every chain holds."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.model.events.access import AccessDenied
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query
from teleport.store.sqlite import SqliteBackend
from tests.faults.trial import Work

_TASKS, _EACH = 8, 4


class Audit:
    """Tasks record events side by side, each to the log of one of two writers."""

    name, acknowledges = "audit", "events"

    def prepare(self, root: Path) -> None:
        """Make a log with one event."""

        async def used() -> None:
            backend = await SqliteBackend.open(root / "store", SystemClock())
            await _log(backend, "one").record(AccessDenied(decision_id="before", action="ssh", uid="before"))
            await backend.close()

        asyncio.run(used())

    def work(self, work: Work) -> None:
        """Record, and acknowledge the uid."""
        asyncio.run(self._work(work))

    async def _work(self, work: Work) -> None:
        chance = random.Random(work.seed)
        backend = await SqliteBackend.open(work.root / "store", SystemClock())
        logs = [_log(backend, writer) for writer in ("one", "two")]

        async def record(task: int) -> None:
            for number in range(_EACH):
                uid = f"{work.round}.{task}.{number}"
                try:
                    await logs[task % 2].record(
                        AccessDenied(decision_id=uid, action="ssh", uid=uid, target="x" * chance.choice((5, 2000)))
                    )
                except TeleportError:
                    continue
                work.acknowledge(uid)

        try:
            await asyncio.gather(*[record(task) for task in range(_TASKS)])
        finally:
            await backend.close()

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Verify all chains, and look for every event."""
        return asyncio.run(_examine(root, ["before", *acknowledged]))


def _log(backend: SqliteBackend, writer: str) -> AuditLog:
    return AuditLog(backend, writer, SystemClock(), SystemEntropy(), "faults")


async def _examine(root: Path, acknowledged: list[str]) -> list[str]:
    backend = await SqliteBackend.open(root / "store", SystemClock())
    try:
        log = _log(backend, "one")
        report = await log.verify()
        found = Counter(entry.event.uid for entry in (await log.search(Query(limit=1000))).entries)
        problems = [] if report.intact else [f"half: {report}"]
        problems += [f"lost: event {uid}" for uid in acknowledged if not found[uid]]
        problems += [f"twice: event {uid}" for uid, times in found.items() if times > 1]
        if report.records != found.total():
            problems.append(f"half: {report.records} records under the chains, {found.total()} found")
        await log.record(AccessDenied(decision_id="after", action="ssh"))
        return problems
    finally:
        await backend.close()
