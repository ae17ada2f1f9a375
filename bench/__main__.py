"""Measures and prints the table of docs/performance.md: `make bench`.

Figures are medians of several rounds on this machine; ratios against a peer in the same run say more than
absolute numbers. Nothing here is a test: machines differ.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import api, audit, edge, walk
from teleport.access.checker import Conditions, Connect, decide
from teleport.access.roleset import RoleSet
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.model.identity import Identity
from teleport.model.kinds.node import Node, NodeSpec
from teleport.model.resource import Metadata, load
from teleport.pki import authority, issue, keys
from teleport.pki.signer import SignerProcess
from teleport.store.backend import Append, Put
from teleport.store.sqlite import SqliteBackend

ROUNDS = 5
NOW = SystemClock().now().replace(microsecond=0)
CLUSTER = "bench.example.com"


def median(measure: Callable[[], float]) -> float:
    """Return the median of some rounds after one that does not count."""
    measure()
    return statistics.median(measure() for _ in range(ROUNDS))


def identity(**changes: object) -> Identity:
    """Return a user of the benchmark."""
    fields: dict[str, object] = {
        "name": "alice", "cluster": CLUSTER, "roles": ("role-0",), "principals": ("root", "-teleport-internal-join"),
        "expires": NOW + dt.timedelta(hours=12), **changes,
    }  # fmt: skip
    return Identity(**fields)  # type: ignore[arg-type]


def decision() -> float:
    """Microseconds of one decision, the 99th of 100, over 1,000 roles of which the last one fits."""
    roles = [
        load(
            {
                "kind": "role", "version": "v7", "metadata": {"name": f"role-{number}"},
                "spec": {"allow": {"logins": ["root"], "node_labels": {"env": [f"e{number}"]}}},
            }
        )
        for number in range(1000)
    ]  # fmt: skip
    caller = identity(roles=tuple(role.name for role in roles))
    compiled = RoleSet.build(roles, {})  # type: ignore[arg-type]
    node = Node(version="v2", metadata=Metadata(name="n", labels={"env": "e999"}), spec=NodeSpec(hostname="n"))
    conditions = Conditions(now=NOW, cluster=CLUSTER)
    samples = []
    for _ in range(100):
        began = time.perf_counter()
        decide(caller, compiled, Connect("root"), node, conditions)
        samples.append((time.perf_counter() - began) * 1e6)
    return sorted(samples)[98]


def start(command: list[str]) -> float:
    """Milliseconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=False, capture_output=True)
    return (time.perf_counter() - began) * 1e3


async def rate(work: Callable[[], Awaitable[object]], *, at_once: int, count: int) -> float:
    """Return how many times a second `work` is done by `at_once` tasks."""

    async def worker() -> None:
        for _ in range(count // at_once):
            await work()

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return count // at_once * at_once / (time.perf_counter() - began)


async def certificates(folder: Path) -> tuple[float, float]:
    """SSH and X.509 certificates a second through the signer process, 32 under way."""
    entropy, signer = SystemEntropy(), SignerProcess(folder)
    try:
        ca = await authority.create(signer, "user", CLUSTER, now=NOW, entropy=entropy)
        blob = keys.ssh_blob(keys.make_ed25519(entropy).public_key())
        spki = keys.spki(keys.make_p256(entropy).public_key())

        async def ssh() -> None:
            await issue.ssh_certificate(signer, ca, identity(), key=blob, now=NOW, entropy=entropy)

        async def tls() -> None:
            await issue.tls_certificate(signer, ca, identity(), spki=spki, now=NOW, entropy=entropy)

        first = statistics.median([await rate(ssh, at_once=32, count=640) for _ in range(ROUNDS)])
        return first, statistics.median([await rate(tls, at_once=32, count=640) for _ in range(ROUNDS)])
    finally:
        await signer.close()


async def commits(folder: Path) -> tuple[float, float]:
    """Commits a second of a put with an audit record: one task, and 256 tasks."""
    backend = await SqliteBackend.open(folder, SystemClock())
    number = 0

    async def put() -> None:
        nonlocal number
        number += 1
        await backend.commit(Put(f"/bench/{number}", b"x" * 300), Append("audit/bench", b"y" * 300))

    try:
        one = statistics.median([await rate(put, at_once=1, count=500) for _ in range(ROUNDS)])
        many = statistics.median([await rate(put, at_once=256, count=5120) for _ in range(ROUNDS)])
        return one, many
    finally:
        await backend.close()


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        ssh, tls = asyncio.run(certificates(Path(name, "signer")))
        one, many = asyncio.run(commits(Path(name, "store")))
    python, tsh = sys.executable, str(Path(sys.executable).parent / "tsh")
    bare = median(lambda: start([python, "-c", "pass"]))
    rows = [
        ("decide() over 1,000 roles, p99", f"{median(decision):.0f} us"),
        ("SSH certificates through the signer process", f"{ssh:.0f} /s"),
        ("X.509 certificates through the signer process", f"{tls:.0f} /s"),
        ("commits of a put and an audit record, 1 task", f"{one:.0f} /s"),
        ("commits of a put and an audit record, 256 tasks", f"{many:.0f} /s"),
        ("python -c pass", f"{bare:.0f} ms"),
        ("tsh version, over python -c pass", f"{median(lambda: start([tsh, 'version'])) - bare:.0f} ms"),
        ("tsh status (not signed in), over python -c pass", f"{median(lambda: start([tsh, 'status'])) - bare:.0f} ms"),
    ]
    rows += [*api.rows(), *edge.rows(), *walk.rows(), *audit.rows()]
    print("| what | median |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
