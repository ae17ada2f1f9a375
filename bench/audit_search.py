"""Pages of searches in an audit log of a million events: `python -m bench.audit_search [EVENTS]`.

The log is made once per size and kept in the temporary folder; the same seed gives the same events. Each kind of
search is asked many times with other users, times and texts; the table shows the middle and the 95th of 100. Then
events are appended, each with its own commit of many at a time, without an index and while one is being built.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import msgspec

from teleport.auth.audit_query import AuditQueries, _Token
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.text import table
from teleport.model.event_query_parser import parse
from teleport.store import sqlite_audit
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query, search
from teleport.store.backend import Append
from teleport.store.sqlite import SqliteBackend

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TYPES = {
    "cert.create": 20, "auth": 15, "session.start": 15, "exec": 25, "session.end": 15, "user.login": 6,
    "role.created": 1, "client.disconnect": 3,
}  # fmt: skip
COMMANDS = ("ls -la /srv", "systemctl restart nginx", "journalctl -u app", "cat /var/log/messages", "uptime", "df -h")
PAGES = 60
SECONDS_APART = 30
APPENDED = 15_000


def user(random: Random) -> str:
    """Some people are busy, most are not: 500 of them."""
    return f"user{min(int(random.expovariate(0.01)), 499)}@example.com"


def event(random: Random, number: int) -> dict[str, object]:
    """One event of a busy cluster."""
    name = random.choices(list(TYPES), list(TYPES.values()))[0]
    fields: dict[str, object] = {
        "event": name, "code": f"T{2000 + len(name)}I", "time": BEGIN + dt.timedelta(seconds=number * SECONDS_APART),
        "uid": random.randbytes(16).hex(), "user": user(random), "user_kind": 1, "cluster_name": "bench.example.com",
        "addr.remote": f"10.{random.randrange(256)}.{random.randrange(256)}.7:{random.randrange(1024, 65535)}",
    }  # fmt: skip
    if name in ("session.start", "exec", "session.end"):
        fields |= {
            "sid": random.randbytes(16).hex(), "login": "root", "server_hostname": f"node-{random.randrange(1000)}",
            "server_id": f"11111111-2222-4333-8444-{random.randrange(1000):012d}",
            "server_labels": {"env": random.choice(("prod", "test")), "region": "eu-west-1"},
        }  # fmt: skip
    if name == "exec":
        fields |= {"command": random.choice(COMMANDS), "exitCode": "0"}
    if number % 100_000 == 4242:
        fields |= {"message": "the needle in the haystack"}
    return fields


async def filled(folder: Path, events: int) -> SqliteBackend:
    """Open the log of the benchmark; make it when it is not there."""
    sqlite_audit.SHARE = sqlite_audit.BUSY_SHARE = 1.0
    backend = await SqliteBackend.open(folder / "store", SystemClock())
    have = sum(head.sequence for head in await backend.logs())
    random, began = Random(1), time.perf_counter()
    for at in range(0, events, 1000):
        batch = [
            Append("audit/auth-1", msgspec.json.encode(event(random, n), order="sorted")) for n in range(at, at + 1000)
        ]
        if at >= have:
            await backend.commit(*batch)
    print(f"{events} events are there after {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    for _ in range(2):  # one may have begun while events were still written
        while backend.index.building:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        backend.index.build()
    while backend.index.building:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    sizes = {name: (folder / "store" / name).stat().st_size / 1e6 for name in ("sqlite.db", "audit-index.db")}
    print(f"indexed after {time.perf_counter() - began:.0f} s more; " + str(sizes), flush=True)
    return backend


def kinds(random: Random, events: int) -> Iterator[tuple[str, Callable[[], Query]]]:
    """Yield what is asked: a name, and what makes one question of the kind."""
    span = events * SECONDS_APART

    def moment() -> dt.datetime:
        return BEGIN + dt.timedelta(seconds=random.randrange(span))

    def window() -> Query:
        since = moment()
        return Query(since=since, until=since + dt.timedelta(days=1))

    yield "newest", Query
    yield "time window (1 day)", window
    yield "time window, oldest first", lambda: replace(window(), newest_first=False)
    yield "user", lambda: Query(user=user(random))
    yield "user who is not there", lambda: Query(user="nobody@example.com")
    yield "type", lambda: Query(types=frozenset({random.choice(list(TYPES))}))
    yield "type and user", lambda: Query(types=frozenset({random.choice(list(TYPES))}), user=user(random))
    yield "type, user, window", lambda: replace(window(), types=frozenset({"exec"}), user=user(random))
    yield "rare text", lambda: Query(text="needle in the hay")
    yield "text of some users", lambda: Query(text=f"user{random.randrange(500)}@")
    yield "frequent text", lambda: Query(text="NGINX")
    yield "text not present", lambda: Query(text=random.randbytes(8).hex())
    yield "text and user", lambda: Query(text="nginx", user=user(random))
    yield "text of two letters", lambda: Query(text="zz", steps=10)


QUERIES = (
    "SELECT time, user, event FROM events WHERE user = 'user7@example.com' AND time > '2026-06-01' AND event IN"
    " ('user.login', 'exec') AND code LIKE 'T2%' ORDER BY time DESC LIMIT 50",
    "SELECT * FROM events WHERE event = 'exec' AND server_labels.env = 'prod' AND command LIKE '%nginx'",
    "SELECT * FROM events WHERE message LIKE '%needle%'",
    "SELECT COUNT(*) FROM events WHERE event = 'role.created' AND time BETWEEN '2026-03-01' AND '2026-04-01'",
    "SELECT * FROM events WHERE user_kind = 3",
)


async def queries(backend: SqliteBackend) -> list[tuple[str, ...]]:
    """Pages of queries as the Auth Service answers them."""
    clock, rows = SystemClock(), []
    trail = AuditLog(backend, "auth-1", clock, SystemEntropy(), "bench.example.com")
    for text in QUERIES:
        asked, samples, hits = parse(text), [], 0
        for _ in range(PAGES // 2):
            token = _Token(asked.limit, clock.now(), "")
            began = time.perf_counter()
            found, _next = await AuditQueries(trail, cast(Any, None), clock)._find(asked, token, asked.limit or 100)
            samples.append((time.perf_counter() - began) * 1e3)
            hits += len(found)
        rows.append(_row(text[:60], samples, hits))
    return rows


async def measure(backend: SqliteBackend, events: int) -> list[tuple[str, ...]]:
    """Ask each kind many times."""
    random, rows = Random(2), []
    heads = {head.log: head.sequence for head in await backend.logs()}
    for name, make in kinds(random, events):
        samples, hits = [], 0
        for _ in range(PAGES):
            began = time.perf_counter()
            found, _next = await search(backend, heads, make())
            samples.append((time.perf_counter() - began) * 1e3)
            hits += len(found)
        rows.append(_row(name, samples, hits))
    rows.append(await deep(backend, heads))
    return rows


async def deep(backend: SqliteBackend, heads: dict[str, int]) -> tuple[str, ...]:
    """The pages 11 to 70 of all events of one type."""
    samples, hits, after = [], 0, ""
    for number in range(PAGES + 10):
        began = time.perf_counter()
        found, after = await search(backend, heads, Query(types=frozenset({"role.created"}), continuation=after))
        if number >= 10:
            samples.append((time.perf_counter() - began) * 1e3)
            hits += len(found)
        if not after:
            break
    return _row("deep pages of a rare type", samples, hits)


def _row(name: str, samples: list[float], hits: int) -> tuple[str, ...]:
    ordered = sorted(samples)
    worst = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return name, f"{statistics.median(ordered):.1f}", f"{worst:.1f}", f"{hits / max(len(samples), 1):.0f}"


async def appending(folder: Path, *, indexed: bool) -> float:
    """Events per second, one in each commit, 64 at a time."""
    backend = await SqliteBackend.open(folder, SystemClock())
    if not indexed:
        backend.index._closed = True
    random = Random(3)
    left = [msgspec.json.encode(event(random, n), order="sorted") for n in range(APPENDED)]
    began = time.perf_counter()

    async def one() -> None:
        while left:
            await backend.commit(Append("audit/a", left.pop()))

    await asyncio.gather(*(one() for _ in range(64)))
    took = time.perf_counter() - began
    await backend.close()
    return APPENDED / took


async def main(events: int) -> None:
    folder = Path(tempfile.gettempdir()) / f"teleport-bench-audit-{events}"
    folder.mkdir(mode=0o700, exist_ok=True)
    backend = await filled(folder, events)
    rows = [*await measure(backend, events), *await queries(backend)]
    await backend.close()
    sqlite_audit.SHARE, sqlite_audit.BUSY_SHARE = 0.5, 0.1
    for line in table(["Page of", "p50 ms", "p95 ms", "Hits"], rows):
        print(line)
    with tempfile.TemporaryDirectory() as scratch:
        speeds: dict[bool, list[float]] = {False: [], True: []}
        for number in range(7):
            for indexed in (False, True):
                speeds[indexed].append(await appending(Path(scratch, f"{number}{indexed}"), indexed=indexed))
        for indexed, found in speeds.items():
            words = "while indexing" if indexed else "without index "
            print(f"append {words}: {statistics.median(found):.0f} events/s, the best {max(found):.0f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
