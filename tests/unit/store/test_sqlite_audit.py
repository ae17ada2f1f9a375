"""The index of the audit logs: whatever is asked, the answer is that of reading the logs."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.clock import SystemClock
from teleport.store import sqlite_audit, sqlite_finder, sqlite_index
from teleport.store.audit.probe import Found, Probe
from teleport.store.audit.search import Query, search
from teleport.store.backend import Append
from teleport.store.memory import MemoryBackend
from teleport.store.sqlite import SqliteBackend
from teleport.store.sqlite_schema import FILE
from tests.support.until import until

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
USERS = ("alice", "bob", 'ca"rol', "\u0130stanbul", "", "straße")
TYPES = ("user.login", "exec", "session.start", "rare.event")
TEXTS = (
    "", "", "ngi", "NGINX", 'quo"te', "back\\sl", "a", "zz", "i\u0307st", "k elvin", "nul\0nul", "STRASSE",
    "\U0001f600x", "no such text", "alice",
)  # fmt: skip
WORDS = (
    "nginx",
    "NGINX",
    "\u212a elvin",
    "tab\there",
    "nul\0nul",
    'quo"te',
    "back\\slash",
    "a",
    "zz top",
    "\U0001f600x",
)


def record(random: Random, minute: int) -> bytes:
    """An event, or now and then something that is none."""
    if random.random() < 0.05:
        return random.choice((b"\xff\xfe nginx", b"[]", b"", b"nul\0nginx", b'{"time": "soon", "user": "alice"}'))
    moment = START + dt.timedelta(minutes=minute + random.choice((0, 0, 0, -50)), milliseconds=random.randrange(1000))
    return msgspec.json.encode(
        {
            "event": random.choices(TYPES, (10, 10, 5, 1))[0],
            "time": moment,
            "user": random.choice(USERS),
            "command": " ".join(random.sample(WORDS, 2)),
        },
        order="sorted",
    )


def filled(seed: int, logs: int, most: int) -> list[Append]:
    random = Random(seed)
    names = [f"audit/{number}" for number in range(logs)]
    return [Append(random.choice(names), record(random, minute)) for minute in range(random.randrange(most))]


async def whole(backend: Any, query: Query, limit: int, steps: int) -> list[bytes]:
    """Every page of an answer, one after the other."""
    heads = {head.log: head.sequence for head in await backend.logs()}
    found: list[bytes] = []
    after = ""
    for _ in range(10_000):
        wanted = Query(
            since=query.since, until=query.until, types=query.types, user=query.user, text=query.text,
            newest_first=query.newest_first, limit=limit, continuation=after, steps=steps,
        )  # fmt: skip
        hits, after = await search(backend, heads, wanted)
        assert len(hits) <= limit
        found += [hit.record.data for hit in hits]
        if not after:
            return found
    raise AssertionError("the pages never end")


queries = st.builds(
    Query,
    since=st.none() | st.integers(-60, 300).map(lambda m: START + dt.timedelta(minutes=m)),
    until=st.none() | st.integers(-60, 300).map(lambda m: START + dt.timedelta(minutes=m)),
    types=st.frozensets(st.sampled_from((*TYPES, "unheard.of")), max_size=3),
    user=st.sampled_from(("", "", *USERS, "nobody")),
    text=st.sampled_from(TEXTS),
    newest_first=st.booleans(),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def small() -> Any:
    """Windows, blocks and batches of a few records, so that short logs have many."""
    patch = pytest.MonkeyPatch()
    patch.setattr(sqlite_finder, "WINDOW", 48)
    patch.setattr(sqlite_finder, "_OFFER", 5)
    patch.setattr(sqlite_finder, "_FEW", 5)
    patch.setattr(sqlite_finder, "_MANY", 12)
    patch.setattr(sqlite_finder, "BLOCK", 16)
    patch.setattr(sqlite_index, "BLOCK", 16)
    patch.setattr(sqlite_index, "_BATCH", 30)
    patch.setattr(sqlite_index, "_SLICE", 7)
    yield
    patch.undo()


async def built(backend: SqliteBackend) -> None:
    backend.index.build()
    await until(lambda: not backend.index.building)


def opened(path: Path, body: Callable[[SqliteBackend], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        backend = await SqliteBackend.open(path, SystemClock())
        try:
            return await body(backend)
        finally:
            await backend.close()

    return asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1 << 32), logs=st.integers(1, 3), later=st.integers(0, 30), limit=st.sampled_from((1, 3, 1000)),
    steps=st.sampled_from((0, 0, 1, 4)), asked=st.lists(queries, min_size=1, max_size=12),
)  # fmt: skip
def test_the_index_answers_as_the_logs_do(
    seed: int, logs: int, later: int, limit: int, steps: int, asked: list[Query]
) -> None:
    appends = filled(seed, logs, 300)

    async def story(backend: SqliteBackend) -> None:
        plain = MemoryBackend(SystemClock())
        for store in (plain, backend):
            for at in range(0, len(appends) - later, 100):
                await store.commit(*appends[at : min(at + 100, len(appends) - later)])
        await built(backend)
        for store in (plain, backend):
            if appends[-later:] and 0 < later < len(appends):
                await store.commit(*appends[-later:])
        for query in asked:
            assert await whole(backend, query, limit, steps) == await whole(plain, query, 1000, 0), query
        await plain.close()

    with tempfile.TemporaryDirectory() as folder:
        opened(Path(folder, "store"), story)


def appends(count: int, log: str = "audit/a", **fields: Any) -> list[Append]:
    moments = [START + dt.timedelta(seconds=second) for second in range(count)]
    return [
        Append(log, msgspec.json.encode({"event": "exec", "time": moment, "user": "alice", "n": n, **fields}))
        for n, moment in enumerate(moments)
    ]


PROBE = Probe(user="alice")


async def answer(backend: SqliteBackend) -> Found | None:
    return await backend.find("audit/a", PROBE, 40, backward=True)


def test_a_short_log_has_no_index_and_a_long_one_gets_it_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_audit, "LAG", 50)

    async def story(backend: SqliteBackend) -> None:
        await backend.commit(*appends(40))
        assert await answer(backend) is None
        assert not (tmp_path / sqlite_index.FILE).exists()
        await backend.commit(*appends(10))
        await until(lambda: not backend.index.building)
        assert await answer(backend) is not None
        assert (tmp_path / sqlite_index.FILE).stat().st_mode & 0o777 == 0o600

    opened(tmp_path, story)


def test_an_older_store_gets_its_index_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def older(backend: SqliteBackend) -> None:
        await backend.commit(*appends(60))

    async def newer(backend: SqliteBackend) -> None:
        await until(lambda: not backend.index.building)
        assert await answer(backend) is not None

    opened(tmp_path, older)
    monkeypatch.setattr(sqlite_audit, "LAG", 50)
    opened(tmp_path, newer)


@pytest.mark.parametrize("harm", ["removed", "garbage", "other build"])
def test_the_index_can_be_lost_or_damaged(tmp_path: Path, harm: str) -> None:
    async def make(backend: SqliteBackend) -> None:
        await backend.commit(*appends(60))
        await built(backend)

    async def again(backend: SqliteBackend) -> None:
        await built(backend)
        heads = {"audit/a": 60}
        hits, _ = await search(backend, heads, Query(user="alice", limit=100))
        assert len(hits) == 60
        await built(backend)
        assert await answer(backend) is not None

    opened(tmp_path, make)
    if harm == "removed":
        sqlite_index.remove(tmp_path)
    elif harm == "garbage":
        (tmp_path / sqlite_index.FILE).write_bytes(b"no database" * 1000)
    else:
        with sqlite3.connect(tmp_path / sqlite_index.FILE) as index:
            index.execute("PRAGMA user_version=77")
        index.close()
    opened(tmp_path, again)


def test_an_index_of_another_history_begins_anew(tmp_path: Path) -> None:
    async def one(backend: SqliteBackend) -> None:
        await backend.commit(*appends(60))
        await built(backend)

    async def other(backend: SqliteBackend) -> None:
        await backend.commit(*appends(60, user="mallory"))
        await built(backend)
        hits, _ = await search(backend, {"audit/a": 60}, Query(user="mallory", limit=100))
        assert len(hits) == 60
        assert await answer(backend) == Found([], 0)

    opened(tmp_path, one)
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    opened(tmp_path, other)


def test_rows_of_removed_records_harm_nothing_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def make(backend: SqliteBackend) -> None:
        await backend.commit(*appends(60))
        await built(backend)

    async def look(backend: SqliteBackend) -> None:
        await built(backend)
        for newest_first in (True, False):
            query = Query(user="alice", limit=4, newest_first=newest_first)
            assert len(await whole(backend, query, 4, 0)) == 20

    opened(tmp_path, make)
    with sqlite3.connect(tmp_path / FILE) as store:
        store.execute("DELETE FROM log_records WHERE sequence <= 40")
    store.close()
    opened(tmp_path, look)
    monkeypatch.setattr(sqlite_index, "WORTH", 10)
    opened(tmp_path, look)
    with sqlite3.connect(tmp_path / sqlite_index.FILE) as index:
        assert index.execute("SELECT count(*) FROM events").fetchone() == (20,)
    index.close()


def test_an_index_that_breaks_while_it_is_used_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(backend: SqliteBackend) -> None:
        await backend.commit(*appends(60))
        await built(backend)

        def fail(*_: Any, **__: Any) -> Found:
            raise sqlite3.DatabaseError("malformed")

        with monkeypatch.context() as patch:
            patch.setattr(sqlite_finder.Index, "find", fail)
            hits, _ = await search(backend, {"audit/a": 60}, Query(user="alice", limit=100))
            assert len(hits) == 60
        assert await answer(backend) is None
        await built(backend)
        assert await answer(backend) is not None

    opened(tmp_path, story)


def test_closing_ends_the_building(tmp_path: Path) -> None:
    async def story(backend: SqliteBackend) -> None:
        await backend.commit(*appends(200))
        backend.index.build()

    opened(tmp_path, story)
    opened(tmp_path, built)


def test_an_index_that_is_found_damaged_while_it_is_built_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(backend: SqliteBackend) -> None:
        await backend.commit(*appends(60))
        await built(backend)
        assert await answer(backend) is not None

        def fail(*_: Any) -> bool:
            raise sqlite3.DatabaseError("malformed")

        with monkeypatch.context() as patch:
            patch.setattr(sqlite_index, "_sound", fail)
            await built(backend)
        assert await answer(backend) is None
        assert not (tmp_path / sqlite_index.FILE).exists()
        await backend.commit(*appends(60, user="bob"))
        await built(backend)
        found = await backend.find("audit/a", Probe(user="bob"), 120, backward=True)
        assert found is not None
        assert found.records[0].sequence == 120

    opened(tmp_path, story)


def test_building_rests_often_and_long_where_something_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[int] = []
    monkeypatch.setattr(sqlite_index.Builder, "_rest", lambda builder, records: rests.append(records))

    async def story(backend: SqliteBackend) -> None:
        await backend.commit(*appends(100))
        await built(backend)
        assert (max(rests), sum(rests)) == (7, 100)
        assert backend.index._pace() == sqlite_audit.SHARE
        await backend.commit(*appends(1))
        assert backend.index._pace() == sqlite_audit.BUSY_SHARE
        assert backend.index._pace() == sqlite_audit.SHARE

    opened(tmp_path / "store", story)
