"""Checking an audit log: a store of a million small events, its chain and its checkpoints. Part of `make bench`.

`python -m bench.audit [EVENTS]` measures this alone, one core.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.struct import encode
from teleport.pki import authority
from teleport.pki.signer import MemorySigner
from teleport.store.audit.checkpoint import Checkpoints, Signed
from teleport.store.audit.verify import check
from teleport.store.backend import Append, Put
from teleport.store.sqlite import SqliteBackend

EVENTS = 1_000_000
ROUNDS = 3
CLUSTER = "bench.example.com"
_GROUP = 1000


async def build(folder: Path, count: int) -> None:
    """Write `count` events, with a checkpoint after every thousand."""
    clock, entropy = SystemClock(), SystemEntropy()
    signer, backend = MemorySigner(entropy), await SqliteBackend.open(folder, clock)
    ca = await authority.create(signer, "audit", CLUSTER, now=clock.now(), entropy=entropy)
    key = authority.audit_signer(ca)

    async def sign(document: bytes) -> Signed:
        return Signed(key.public, await signer.sign(key.key_id, document))

    await backend.commit(Put(f"/authorities/audit/{CLUSTER}", encode(ca)))
    checkpoints = Checkpoints(backend, clock, CLUSTER, sign)
    for start in range(0, count, _GROUP):
        events = [
            {"event": "exec", "code": "T3002I", "time": "2026-01-02T03:04:05.678Z", "uid": f"{number:036d}",
             "user": "alice", "login": "root", "command": "true", "exit_code": "0", "server_id": "node-1"}
            for number in range(start, start + _GROUP)
        ]  # fmt: skip
        await backend.commit(*(Append("audit/bench", msgspec.json.encode(event)) for event in events))
        await checkpoints.make()
    await backend.close()


async def rate(folder: Path) -> tuple[float, float]:
    """Return how many events are checked, checkpoints and all, in a second of the wall's clock and of a core."""
    backend = await SqliteBackend.open(folder, SystemClock())
    try:
        began, busy = time.perf_counter(), time.process_time()
        report = await backend.inspect(check)
        taken, worked = time.perf_counter() - began, time.process_time() - busy
    finally:
        await backend.close()
    assert report.findings == []
    (records,) = [log["records"] for log in report.logs if log["log"] == "audit/bench"]
    return records / taken, records / worked


def rows(count: int = EVENTS) -> list[tuple[str, str]]:
    """Return the rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(build(Path(name), count))
        found = [asyncio.run(rate(Path(name))) for _ in range(ROUNDS)]
    wall, core = (statistics.median(each) for each in zip(*found, strict=True))
    return [(f"events of the audit log checked, of {count:,}", f"{wall:,.0f} /s ({core:,.0f} /s of a core)")]


if __name__ == "__main__":
    for what, figure in rows(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS):
        print(f"| {what} | {figure} |")
