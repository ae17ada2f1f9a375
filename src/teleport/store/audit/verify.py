"""Checking the logs of a store: hash chains, signed checkpoints, and copies of checkpoints that were kept elsewhere.

What is looked for, and how, is `base.audit_verify`, which an auditor runs over an export; here is where it finds
things in a store, and why each problem matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from teleport.base import audit_verify
from teleport.base.audit_verify import CHECKPOINTS as CHECKPOINTS
from teleport.base.audit_verify import Report as Report
from teleport.base.errors import TeleportError
from teleport.base.struct import decode
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki.authority import audit_keys
from teleport.store.backend import LogReader, Record

PRUNED = "/audit_proof/pruned"
"""Key of the item that says up to where each log was pruned."""
_KEYS = "/authorities/audit/"
_CHUNK = 1000

REASONS = {
    "changed": ("content and digest do not fit: it was edited, replaced or moved",
                "compare the record with a backup; find out who could write the database since its time"),
    "missing": ("numbers have no gaps: what stood there was removed", "look for the records in a backup"),
    "misplaced": ("its number was used before: it was inserted, doubled or moved",
                  "compare the records around it with a backup"),
    "head": ("the stored end of the log is not its last record: one of the two was written by hand",
             "compare the last records with a backup"),
    "truncated": ("a signed checkpoint saw these records: they were cut off later", "look for them in a backup"),
    "rewritten": ("the chain is not the one that a signed checkpoint saw: it was computed anew from some record on",
                  "treat the whole range as unproven and compare it with a backup"),
    "prune": ("a signed checkpoint and an event audit.prune must say that what is gone was pruned",
              "look for the records in a backup"),
    "checkpoint": ("this is not what the audit key signed, or its place in the chain is another",
                   "compare it with the line of the server's log at that time"),
    "backward": ("an earlier checkpoint saw more of this log: records were cut off in between",
                 "look for them in a backup"),
    "outside": ("a copy that was kept elsewhere says otherwise: the store is forged, or was restored from a backup",
                "unless a backup was restored on purpose, trust nothing after the last checkpoint that agrees"),
    "copy": ("the copy is damaged, or was not signed by this cluster", "use another copy, of this cluster"),
}  # fmt: skip
"""By problem: why it matters, and what to do."""


class StoreSource:
    """What `base.audit_verify` asks of its source, out of a store."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._pruned = pruned_of(reader)

    def heads(self) -> Sequence[tuple[str, int, bytes]]:
        return self._reader.heads()

    def pages(self, log: str) -> Iterator[Sequence[tuple[int, bytes, bytes]]]:
        return self._reader.pages(log, self._pruned.get(log, (0, b""))[0])

    def pruned(self) -> dict[str, tuple[int, bytes]]:
        return self._pruned

    def public_keys(self) -> list[bytes]:
        return keys_of(self._reader)


def pruned_of(reader: LogReader) -> dict[str, tuple[int, bytes]]:
    """Return number and digest of the last record that was pruned, by log; of what cannot be read, nothing."""
    for key, value in reader.items(PRUNED):
        if key == PRUNED:
            try:
                told = msgspec.json.decode(value, type=dict[str, tuple[int, str]])
                return {log: (sequence, bytes.fromhex(digest)) for log, (sequence, digest) in told.items()}
            except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
                break
    return {}


def keys_of(reader: LogReader) -> list[bytes]:
    """Return the public audit keys of a store, 32 bytes each; of what cannot be read, nothing."""
    found: list[bytes] = []
    for _, value in reader.items(_KEYS):
        try:
            found += audit_keys(decode(value, CertAuthority))
        except (msgspec.MsgspecError, TeleportError, UnicodeDecodeError):
            continue
    return found


def check(reader: LogReader, copies: Sequence[dict[str, Any]] = (), over: Callable[[], bool] = bool) -> Report:
    """Check every log; `copies` of checkpoints are as `base.audit_verify.copies` reads them. Blocks; ends early,
    with a report of no worth, when `over()`."""
    report = audit_verify.verify(StoreSource(reader), copies, over)
    for found in report.findings:
        found["why"], found["fix"] = REASONS[found["problem"]]
    return report


class Logs(Protocol):
    """What a check of one log needs of a store: every `Backend` has it, and so has a copy of one."""

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
    """Digest of the last record; empty when the chain does not hold."""
    broken_at: int = 0
    """Sequence number of the first record that is not sound; 0 when all are."""
    reason: str = ""

    @property
    def intact(self) -> bool:
        """Whether the whole chain holds."""
        return self.broken_at == 0


async def verify_log(backend: Logs, head: Record) -> LogReport:
    """Check the chain of one log up to `head`, its last record as `Backend.logs` gave it, while others write."""
    report = Report()
    walk = audit_verify.Walk(report, head.log, (0, audit_verify.START), ())
    read = 0
    while not report.findings and read < head.sequence:
        records = await backend.read_log(head.log, after=read, limit=min(_CHUNK, head.sequence - read))
        walk.feed([(record.sequence, record.data, record.digest) for record in records])
        if not records:
            break
        read = records[-1].sequence
    if not report.findings:
        walk.end((head.sequence, head.digest), whole=True)
    if not report.findings and (beyond := await backend.read_log(head.log, after=head.sequence, limit=1)):
        heads = {record.log: record.sequence for record in await backend.logs()}  # it may have been appended just now
        if heads.get(head.log, 0) < beyond[0].sequence:
            report.add(head.log, head.sequence + 1, "head", "a record stands behind the stored head")
    await asyncio.sleep(0)
    if report.findings:
        found = report.findings[0]
        return LogReport(head.log, found["sequence"] - 1, b"", found["sequence"], found["what"])
    return LogReport(head.log, head.sequence, head.digest)
