"""Pruning: old records go, the proof of what is left stays.

Logs are cut where a checkpoint saw them end, so that the number and digest of the last record that went, which are
kept, are under a signature. The event that tells of it names every log that was ever cut: a check demands both.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from teleport.base.audit_verify import CHECKPOINTS
from teleport.base.errors import NotFound
from teleport.model.events.audit import Cut
from teleport.model.events.base import rfc3339
from teleport.store.audit.checkpoint import decode
from teleport.store.audit.verify import PRUNED, pruned_of
from teleport.store.backend import Absent, Append, At, Backend, Condition, LogReader, Prune, Put

_STEP = 5000
"""Records removed in one transaction."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pruning would remove."""

    cuts: tuple[Cut, ...]
    """Every log that is cut or was cut before, up to where."""
    removed: dict[str, tuple[int, int]]
    """First and last record to go, of the logs that lose some now."""
    checkpoint: int
    """The newest checkpoint that is older than the limit; 0 when there is none."""

    @property
    def records(self) -> int:
        """How many go."""
        return sum(last - first + 1 for first, last in self.removed.values())


def plan(reader: LogReader, before: dt.datetime) -> Plan:
    """Find the last checkpoint made before `before`: what it saw may go, but for the last record of each log."""
    limit, number = rfc3339(before), 0
    heads = {log: sequence for log, sequence, _ in reader.heads()}
    base = pruned_of(reader)
    cuts = dict(base)
    for page in reader.pages(CHECKPOINTS):
        for _, data, _ in page:
            found = decode(data)
            if found is None or str(found.document["time"]) >= limit:
                continue
            number = found.number
            logs = {
                log: (head["sequence"], bytes.fromhex(head["digest"])) for log, head in found.document["logs"].items()
            }
            # A log that has not grown since keeps its last record: it is cut where an earlier checkpoint saw it.
            cuts.update((log, at) for log, at in logs.items() if cuts.get(log, (0, b""))[0] < at[0] < heads.get(log, 0))
    removed = {
        log: (base.get(log, (0, b""))[0] + 1, sequence)
        for log, (sequence, _) in cuts.items()
        if sequence > base.get(log, (0, b""))[0]
    }
    return Plan(
        tuple(Cut(log=log, sequence=at, digest=digest.hex()) for log, (at, digest) in sorted(cuts.items())),
        removed, number,
    )  # fmt: skip


async def prune(backend: Backend, before: dt.datetime, record: Callable[[Plan], Append]) -> Plan:
    """Remove what may go, with the event that `record` makes in the same commit as the decision.

    Raises CompareFailed (STORE-COMPARE) when another pruning came in between. What a crash leaves of the removed
    records is looked at by no check, and goes with the next pruning.
    """
    when: Condition
    try:
        when = At((await backend.get(PRUNED)).revision)
    except NotFound:
        when = Absent()
    found = await backend.inspect(lambda reader: plan(reader, before))
    if found.removed:
        kept = {cut.log: (cut.sequence, cut.digest) for cut in found.cuts}
        await backend.commit(Put(PRUNED, msgspec.json.encode(kept), when=when), record(found))
    for cut in found.cuts:
        await _remove(backend, cut.log, cut.sequence)
    return found


async def _remove(backend: Backend, log: str, through: int) -> None:
    before = 0
    while records := await backend.read_log(log, limit=1):
        first = records[0].sequence
        if not before < first <= through:  # nothing is left, or what is left stays: it is the last record
            return
        before = first
        await backend.commit(Prune(log, min(first + _STEP - 1, through)))
        await asyncio.sleep(0)
