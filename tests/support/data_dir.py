"""A data directory as a server leaves it: store with a cluster in it, keys of its authorities, small files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from teleport.auth import bootstrap
from teleport.auth.authorize import Authorizer
from teleport.auth.denials import Denials
from teleport.auth.recording_keys import RecordingKeys
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.pki.custody import Custody, FolderShelf
from teleport.pki.signer import MemorySigner
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Append, Put
from teleport.store.resources import Resources
from teleport.store.sqlite import SqliteBackend

CLUSTER = "example.com"
UUID = "11111111-2222-4333-8444-555555555555"


def make(path: Path, *, items: int = 10) -> Path:
    """Make the directory, with `items` values under /test/ and as many records in one more audit log."""
    path.mkdir(mode=0o700)
    (path / "host_uuid").write_text(UUID + "\n")
    os.chmod(path / "host_uuid", 0o600)
    (path / "webproxy_cert.pem").write_text("certificate\n")
    os.chmod(path / "webproxy_cert.pem", 0o644)
    asyncio.run(_fill(path, items))
    return path


async def _fill(path: Path, items: int) -> None:
    clock, entropy = SystemClock(), SystemEntropy()
    backend = await SqliteBackend.open(path / "backend", clock)
    signer = MemorySigner(entropy)
    signer._custody = Custody(FolderShelf(path / "keys"), entropy)  # keys in files, without a process
    try:
        audit = AuditLog(backend, UUID, clock, entropy, CLUSTER)
        store = Resources(backend, clock)
        await bootstrap.ensure(backend, store, audit, signer, clock, entropy, CLUSTER)
        authorizer = Authorizer(store, Denials(backend, audit, clock, entropy), clock, CLUSTER)
        await RecordingKeys(store, signer, audit, authorizer, clock).ensure("")
        for number in range(items):
            await put(backend, number)
    finally:
        await backend.close()


async def put(backend: SqliteBackend, number: int) -> None:
    """Write a value and its record in one commit."""
    await backend.commit(Put(f"/test/{number:06}", b"x" * 100), Append("audit/test", b"%d" % number))


def content(path: Path) -> dict[str, bytes]:
    """Return every regular file below a folder, but those that a process makes for itself."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "lock" and not file.name.endswith(("-wal", "-shm"))
    }
