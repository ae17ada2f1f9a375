"""The audit log under faults: an event that was acknowledged is there exactly once, every chain holds, and so does
every checkpoint of which a copy was given away."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teleport.base.audit_verify import copies
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.base.struct import decode
from teleport.model.events.access import AccessDenied
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki.authority import audit_signer
from teleport.pki.custody import Custody, FolderShelf
from teleport.store.audit import verify
from teleport.store.audit.checkpoint import Checkpoints, Signed
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query
from teleport.store.sqlite import SqliteBackend
from tests.faults.trial import Work
from tests.support import data_dir

_TASKS, _EACH, _CHECKPOINTS = 6, 4, 3


class Audit:
    """Tasks record events side by side, each to the log of one of two writers, while checkpoints are made."""

    name, acknowledges = "audit", "events"

    def prepare(self, root: Path) -> None:
        """Make a cluster, with its audit key."""
        data_dir.make(root / "data", items=1)

    def work(self, work: Work) -> None:
        """Record, and acknowledge the uid; a checkpoint is acknowledged with a copy of it."""
        asyncio.run(self._work(work))

    async def _work(self, work: Work) -> None:
        chance = random.Random(work.seed)
        backend = await SqliteBackend.open(work.root / "data" / "backend", SystemClock())
        try:
            logs = [_log(backend, writer) for writer in ("one", "two")]
            recording = [_record(logs[task % 2], work, task, chance) for task in range(_TASKS)]
            await asyncio.gather(*recording, _note(backend, work))
        finally:
            await backend.close()

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Verify everything against the copies, and look for every event."""
        uids = [line.removeprefix("event ") for line in acknowledged if line.startswith("event ")]
        given = [line.removeprefix("checkpoint ") for line in acknowledged if line.startswith("checkpoint ")]
        return asyncio.run(_examine(root, uids, given))


async def _record(log: AuditLog, work: Work, task: int, chance: random.Random) -> None:
    for number in range(_EACH):
        uid = f"{work.round}.{task}.{number}"
        event = AccessDenied(decision_id=uid, action="ssh", uid=uid, target="x" * chance.choice((5, 2000)))
        try:
            await log.record(event)
        except TeleportError:
            continue
        work.acknowledge(f"event {uid}")


async def _note(backend: SqliteBackend, work: Work) -> None:
    (item,) = [item async for item in backend.scan("/authorities/audit/")]
    key = audit_signer(decode(item.value, CertAuthority))
    custody = Custody(FolderShelf(work.root / "data" / "keys"), SystemEntropy())

    async def sign(document: bytes) -> Signed:
        return Signed(key.public, custody.sign(key.key_id, document))

    checkpoints = Checkpoints(backend, SystemClock(), data_dir.CLUSTER, sign)
    for _ in range(_CHECKPOINTS):
        with _failing():
            if made := await checkpoints.make():
                work.acknowledge(f"checkpoint {json.dumps(made.copy())}")


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except TeleportError:
        pass


def _log(backend: SqliteBackend, writer: str) -> AuditLog:
    return AuditLog(backend, writer, SystemClock(), SystemEntropy(), data_dir.CLUSTER)


async def _examine(root: Path, uids: list[str], given: list[str]) -> list[str]:
    backend = await SqliteBackend.open(root / "data" / "backend", SystemClock())
    try:
        log = _log(backend, "one")
        outside = [copy for line in given for copy in copies(line)]
        report = await backend.inspect(lambda reader: verify.check(reader, outside))
        problems = [f"half: {finding}" for finding in report.findings]
        if len(outside) != len(given):
            problems.append("a copy of a checkpoint cannot be read")
        entries = (await log.search(Query(limit=1000))).entries
        found = Counter(entry.event.uid for entry in entries if isinstance(entry.event, AccessDenied))
        problems += [f"lost: event {uid}" for uid in uids if not found[uid]]
        problems += [f"twice: event {uid}" for uid, times in found.items() if times > 1]
        await log.record(AccessDenied(decision_id="after", action="ssh"))
        return problems
    finally:
        await backend.close()
