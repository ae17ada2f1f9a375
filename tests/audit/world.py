"""An audit log as plain rows, built by the code of the product, and the three places it can be checked in."""

from __future__ import annotations

import asyncio
import base64
import copy
import datetime as dt
import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from teleport.base.clock import ManualClock, SystemClock
from teleport.base.struct import encode as encode_document
from teleport.model.events.audit import AuditPrune
from teleport.model.events.base import encode
from teleport.model.kinds.cert_authority import AuditKey, CertAuthority, CertAuthoritySpec, KeySet
from teleport.model.resource import Metadata
from teleport.pki import keys as pki_keys
from teleport.store.audit.checkpoint import Checkpoints, Signed
from teleport.store.audit.prune import Plan, prune
from teleport.store.audit.verify import PRUNED
from teleport.store.backend import Append
from teleport.store.memory import MemoryBackend
from teleport.store.sqlite import SqliteBackend

Row = tuple[int, bytes, bytes]
START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
LOGS = ("audit/one", "audit/two")


@dataclass
class World:
    """What stands in a store, and one copy of a checkpoint that was kept elsewhere."""

    logs: dict[str, list[Row]]
    heads: dict[str, tuple[int, bytes]]
    pruned: dict[str, tuple[int, bytes]]
    keys: list[bytes]
    outside: list[dict[str, Any]]
    private: Ed25519PrivateKey

    def clone(self) -> World:
        """Return a copy whose rows can be changed."""
        logs = {name: list(rows) for name, rows in self.logs.items()}
        return World(logs, dict(self.heads), dict(self.pruned), list(self.keys), self.outside, self.private)

    def same(self, other: World) -> bool:
        """Whether both would be stored alike."""
        ours, theirs = (
            (self.logs, self.heads, self.pruned, self.keys),
            (other.logs, other.heads, other.pruned, other.keys),
        )
        return ours == theirs

    def covered(self, log: str) -> int:
        """Return the last record of a log that the copy kept elsewhere speaks of."""
        return int(self.outside[-1]["checkpoint"]["logs"].get(log, {"sequence": 0})["sequence"])


class WorldSource:
    """A world as `base.audit_verify` asks for it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def heads(self) -> list[tuple[str, int, bytes]]:
        return [(name, *head) for name, head in self._world.heads.items()]

    def pages(self, log: str) -> Iterator[Sequence[Row]]:
        rows = self._world.logs.get(log, [])
        for start in range(0, len(rows), 64):
            yield rows[start : start + 64]

    def pruned(self) -> dict[str, tuple[int, bytes]]:
        return self._world.pruned

    def public_keys(self) -> list[bytes]:
        return self._world.keys


def build(seed: int) -> World:
    """Make a world: two logs, about ten checkpoints, every second time a pruning."""
    return asyncio.run(_build(random.Random(seed)))


async def _build(chance: random.Random) -> World:
    clock, private = ManualClock(START), Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    public, backend = private.public_key().public_bytes_raw(), MemoryBackend(clock)

    async def sign(document: bytes) -> Signed:
        return Signed(public, private.sign(document))

    checkpoints, made = Checkpoints(backend, clock, "example.com", sign), []
    for step in range(chance.randint(6, 12)):
        for number in range(chance.randint(2, 24)):
            data = {"event": "exec", "uid": f"{step}-{number}-{chance.random()}", "time": "2030-01-01T00:00:00.000Z"}
            await backend.commit(Append(chance.choice(LOGS), msgspec.json.encode(data)))
        clock.advance(dt.timedelta(minutes=1))
        checkpoint = await checkpoints.make()
        made += [checkpoint] if checkpoint is not None else []
        if step == 3 and chance.random() < 0.5:
            await prune(backend, START + dt.timedelta(minutes=chance.randint(2, 4)), lambda plan: _event(plan, clock))
    for _ in range(chance.randint(0, 5)):
        await backend.commit(Append(chance.choice(LOGS), b'{"event":"exec","uid":"tail"}'))
    outside = made[chance.randint(max(len(made) - 3, 4), len(made) - 1)].copy()
    logs = {head.log: [(r.sequence, r.data, r.digest) for r in await backend.read_log(head.log, limit=10**6)]
            for head in await backend.logs()}  # fmt: skip
    heads = {head.log: (head.sequence, head.digest) for head in await backend.logs()}
    pruned = {}
    async for item in backend.scan(PRUNED):
        told = msgspec.json.decode(item.value)
        pruned = {log: (sequence, bytes.fromhex(digest)) for log, (sequence, digest) in told.items()}
    await backend.close()
    return World(logs, heads, pruned, [public], [copy.deepcopy(outside)], private)


def _event(plan: Plan, clock: ManualClock) -> Append:
    event = AuditPrune(checkpoint=plan.checkpoint, records=plan.records, logs=plan.cuts)
    return Append(LOGS[0], encode(event.stamped(time=clock.now(), uid="prune", cluster_name="example.com")))


def authority(public: bytes) -> CertAuthority:
    """Return the resource that holds an audit key."""
    pem = pki_keys.public_pem(Ed25519PublicKey.from_public_bytes(public))
    return CertAuthority(
        version="v2", sub_kind="audit", metadata=Metadata(name="example.com"),
        spec=CertAuthoritySpec(type="audit", cluster_name="example.com",
                               active_keys=KeySet(audit=(AuditKey(public_key=pem),))),
    )  # fmt: skip


def write_store(world: World, folder: Path) -> None:
    """Write a world into a SQLite store, as somebody with an editor for it would."""

    async def make() -> None:
        await (await SqliteBackend.open(folder, SystemClock())).close()

    asyncio.run(make())
    file = sqlite3.connect(folder / "sqlite.db")
    with file:
        for number, (name, rows) in enumerate(sorted(world.logs.items()), 1):
            if name in world.heads:
                file.execute("INSERT INTO log_heads VALUES (?, ?, ?, ?)", (number, name, *world.heads[name]))
            file.executemany("INSERT INTO log_records VALUES (?, ?, ?, ?)", [(number, *row) for row in rows])
        told = {log: (sequence, digest.hex()) for log, (sequence, digest) in world.pruned.items()}
        items = [(PRUNED, msgspec.json.encode(told))]
        items += [(f"/authorities/audit/{i}", encode_document(authority(key))) for i, key in enumerate(world.keys)]
        file.executemany("INSERT INTO items VALUES (?, ?, 1, NULL)", items)
    file.close()


def write_export(world: World, folder: Path) -> None:
    """Write a world as the files of an export."""
    folder.mkdir(exist_ok=True)
    names = {log: f"{log.replace('/', '-')}.jsonl" for log in world.logs}
    logs: dict[str, dict[str, Any]] = {
        log: {"file": names[log], "sequence": sequence, "digest": digest.hex()}
        for log, (sequence, digest) in world.heads.items()
    }
    for log, (sequence, digest) in world.pruned.items():
        logs.setdefault(log, {"file": names.get(log, ""), "sequence": 0, "digest": ""})
        logs[log]["pruned"] = {"sequence": sequence, "digest": digest.hex()}
    (folder / "audit-heads.json").write_text(json.dumps({"cluster": "example.com", "logs": logs}))
    told = [
        {"key": hashlib.sha256(key).hexdigest(), "public_key": base64.b64encode(key).decode()} for key in world.keys
    ]
    (folder / "audit-keys.json").write_text(json.dumps(told))
    for log, rows in world.logs.items():
        with open(folder / names[log], "w", encoding="utf-8") as file:
            for sequence, data, digest in rows:
                try:
                    content = {"data": data.decode()}
                except UnicodeDecodeError:
                    content = {"base64": base64.b64encode(data).decode()}
                file.write(json.dumps({"sequence": sequence, "digest": digest.hex(), **content}) + "\n")
