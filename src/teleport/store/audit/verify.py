"""Checking the hash chain of a log, record by record, against the digests that were stored with it.

What it finds: a record that was edited, removed, inserted or moved. What it cannot find by itself: that
the newest records were cut off together with the stored head, or that everything from one record on was
computed anew. Both show when the heads are compared with copies kept elsewhere (checkpoints).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from teleport.base import chain
from teleport.store.backend import Record

_CHUNK = 1000


class Logs(Protocol):
    """What a check needs of a store: every `Backend` has it, and so has a copy of one."""

    async def read_log(self, log: str, *, after: int = 0, limit: int = 1000) -> Sequence[Record]:
        """See Backend.read_log."""
        ...

    async def logs(self) -> Sequence[Record]:
        """See Backend.logs."""
        ...


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was found in the log of one writer."""

    log: str
    records: int
    """Records that are sound, counted from the first."""
    digest: bytes
    """Digest of the last sound record: compare it with a checkpoint."""
    broken_at: int = 0
    """Sequence number of the first record that is not sound; 0 when all are."""
    reason: str = ""

    @property
    def intact(self) -> bool:
        """Whether the whole chain holds."""
        return self.broken_at == 0


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in all logs, in order of name."""

    logs: tuple[LogReport, ...]

    @property
    def intact(self) -> bool:
        """Whether every chain holds."""
        return all(log.intact for log in self.logs)

    @property
    def records(self) -> int:
        """Sound records in all logs together."""
        return sum(log.records for log in self.logs)


async def verify_log(backend: Logs, head: Record) -> LogReport:
    """Check a log up to `head`, its last record as `Backend.logs` gave it. Later records are not looked at."""
    digest, sound = chain.START, 0
    while sound < head.sequence:
        records = await backend.read_log(head.log, after=sound, limit=min(_CHUNK, head.sequence - sound))
        if not records:
            reason = "the record is missing, and so is every later one"
            return LogReport(head.log, sound, digest, sound + 1, reason)
        digest, checked, reason = _check(digest, sound, records)
        sound += checked
        if reason:
            return LogReport(head.log, sound, digest, sound + 1, reason)
        await asyncio.sleep(0)
    if digest != head.digest:
        return LogReport(head.log, sound, digest, sound, "the stored head has another digest than the last record")
    if await _lies_beyond(backend, head):
        return LogReport(head.log, sound, digest, sound + 1, "a record was added behind the stored head")
    return LogReport(head.log, sound, digest)


def _check(digest: bytes, sound: int, records: Sequence[Record]) -> tuple[bytes, int, str]:
    """Return the digest of the last sound record, how many are sound, and what is wrong with the next one."""
    for checked, record in enumerate(records):
        expected = sound + checked + 1
        if record.sequence != expected:
            return digest, checked, f"the record is missing; the next one has the number {record.sequence}"
        following = chain.link(digest, expected, record.data)
        if following != record.digest:
            return digest, checked, "the content does not match the digest: this record was changed or replaced"
        digest = following
    return digest, len(records), ""


async def _lies_beyond(backend: Logs, head: Record) -> bool:
    beyond = await backend.read_log(head.log, after=head.sequence, limit=1)
    if not beyond:
        return False
    heads = {record.log: record.sequence for record in await backend.logs()}  # it may have been appended just now
    return heads.get(head.log, 0) < beyond[0].sequence
