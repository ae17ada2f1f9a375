"""The compliance suite: what every driver promises, tried on each of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from teleport.base import chain, tasks
from teleport.base.clock import ManualClock
from teleport.base.errors import AlreadyExists, BadParameter, CompareFailed, NotFound, TeleportError, Unavailable
from teleport.store.backend import (
    Absent,
    Append,
    At,
    Changed,
    Check,
    Delete,
    Init,
    Item,
    LogReader,
    Op,
    Present,
    Prune,
    Put,
    Removed,
)
from teleport.store.sqlite import SqliteBackend

Run = Callable[..., Any]
HOUR = dt.timedelta(hours=1)


async def code_of(work: Any) -> str:
    """Return the code of the error that `work` ends with."""
    with pytest.raises(TeleportError) as caught:
        await work
    return caught.value.code


async def keys(backend: Any, prefix: str, **bounds: Any) -> list[str]:
    return [item.key async for item in backend.scan(prefix, **bounds)]


def test_an_item_is_returned_as_it_was_put(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        ends = clock.now() + HOUR + dt.timedelta(microseconds=1)
        revision = await backend.commit(Put("/a/ü", b"\x00\xff", ends), Put("/a/b", b""))
        assert await backend.get("/a/ü") == Item("/a/ü", b"\x00\xff", revision, ends)
        assert await backend.get("/a/b") == Item("/a/b", b"", revision)

    run(body)


def test_revisions_grow_with_every_commit(run: Run) -> None:
    async def body(backend: Any) -> None:
        seen = [await backend.commit(op) for op in (Put("/a", b""), Append("log", b"x"), Delete("/a"), Delete("/a"))]
        assert seen == sorted(set(seen))

    run(body)


@pytest.mark.parametrize("key", ["", "a", "/a\n", "/a\x00", "/\ud800"], ids=ascii)
def test_keys_that_cannot_be_kept_are_refused(run: Run, key: str) -> None:
    async def body(backend: Any) -> None:
        with pytest.raises(BadParameter, match="storage key"):
            await backend.commit(Put(key, b""))
        with pytest.raises(NotFound):
            await backend.get(key)

    run(body)


def test_an_expiry_without_a_time_zone_is_refused(run: Run) -> None:
    async def body(backend: Any) -> None:
        assert await code_of(backend.commit(Put("/a", b"", dt.datetime(2031, 1, 1)))) == "STORE-VALUE"

    run(body)


CONDITIONS = [
    (Put("/there", b"new", when=Absent()), AlreadyExists, "STORE-EXISTS"),
    (Put("/none", b"new", when=Present()), NotFound, "STORE-NOT-FOUND"),
    (Put("/none", b"new", when=At(1)), NotFound, "STORE-NOT-FOUND"),
    (Put("/there", b"new", when=At(999)), CompareFailed, "STORE-COMPARE"),
    (Delete("/none", when=Present()), NotFound, "STORE-NOT-FOUND"),
    (Delete("/there", when=At(999)), CompareFailed, "STORE-COMPARE"),
    (Check("/there", Absent()), AlreadyExists, "STORE-EXISTS"),
    (Check("/none", Present()), NotFound, "STORE-NOT-FOUND"),
]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("op", "cls", "code"), CONDITIONS)
def test_a_condition_that_does_not_hold_leaves_no_trace(
    run: Run, op: Op, cls: type[TeleportError], code: str, first: bool
) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(Put("/there", b"old"), Append("log", b"1"))
        others: list[Op] = [Put("/other", b""), Delete("/there"), Append("log", b"2"), Append("new", b"1")]
        with pytest.raises(cls) as caught:
            await backend.commit(*([op, *others] if first else [*others, op]))
        assert caught.value.code == code
        assert (await backend.get("/there")).value == b"old"
        assert await keys(backend, "/") == ["/there"]
        assert [(head.log, head.sequence) for head in await backend.logs()] == [("log", 1)]

    run(body)


def test_conditions_that_hold_let_the_change_through(run: Run) -> None:
    async def body(backend: Any) -> None:
        first = await backend.commit(Put("/a", b"1", when=Absent()))
        second = await backend.commit(Put("/a", b"2", when=At(first)), Check("/a", Present()))
        assert await backend.get("/a") == Item("/a", b"2", second)
        await backend.commit(Delete("/a", when=At(second)), Check("/b", Absent()))
        assert await keys(backend, "/") == []

    run(body)


def test_conditions_are_judged_before_the_first_change(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(Put("/a", b"1"), Check("/a", Absent()))
        assert await code_of(backend.commit(Delete("/a"), Put("/a", b"2", when=Absent()))) == "STORE-EXISTS"

    run(body)


def test_a_scan_is_in_order_of_key_and_takes_the_prefix_literally(run: Run) -> None:
    async def body(backend: Any) -> None:
        names = ["b", "a", "a/b", "%", "_", "*", "é", "\U0010ffff", "\U0010ffffz", "Z", "a-", "\ud7ff", "\ue000"]
        await backend.commit(*(Put(f"/r/{name}", b"") for name in names))
        await backend.commit(Put("/r", b""), Put("/r0", b""), Put("/R/x", b""), Put("/q/z", b""), Put("/s/a", b""))
        assert await keys(backend, "/r/") == sorted(f"/r/{name}" for name in names)
        assert await keys(backend, "/r/%") == ["/r/%"]
        assert await keys(backend, "/r/_") == ["/r/_"]
        assert await keys(backend, "/r/a") == ["/r/a", "/r/a-", "/r/a/b"]
        assert await keys(backend, "/r/\ud7ff") == ["/r/\ud7ff"]
        assert await keys(backend, "/r/\U0010ffff") == ["/r/\U0010ffff", "/r/\U0010ffffz"]
        assert len(await keys(backend, "")) == len(names) + 5
        assert await keys(backend, "\U0010ffff") == []

    run(body)


def test_a_scan_starts_after_a_key_and_ends_at_its_limit(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(*(Put(f"/r/{number:04}", b"") for number in range(2500)))
        every = [f"/r/{number:04}" for number in range(2500)]
        assert await keys(backend, "/r/") == every
        assert await keys(backend, "/r/", limit=3) == every[:3]
        assert await keys(backend, "/r/", limit=1500) == every[:1500]
        assert await keys(backend, "/r/", after="/r/0001", limit=2) == every[2:4]
        assert await keys(backend, "/r/", after="/r/00015") == every[2:]
        assert await keys(backend, "/r/", after="/a") == every
        assert await keys(backend, "/r/", after="/r/2499") == []
        assert await keys(backend, "/r/", after="/z") == []

    run(body)


def test_a_scan_may_be_left_and_the_store_changed_meanwhile(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(*(Put(f"/r/{number:04}", b"old") for number in range(1200)))
        seen = []
        async for item in backend.scan("/r/"):
            seen.append(item.key)
            if item.key == "/r/0000":
                await backend.commit(*(Delete(f"/r/{number:04}") for number in range(1100)))
                assert await code_of(backend.get("/r/0500")) == "STORE-NOT-FOUND"
        assert seen == sorted(set(seen))
        assert {"/r/1100", "/r/1199"} <= set(seen)

    run(body)


def test_what_has_expired_is_gone_at_once(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(Put("/a", b"1", clock.now() + HOUR), Put("/b", b"2"))
        clock.advance(HOUR - dt.timedelta(microseconds=1))
        assert (await backend.get("/a")).value == b"1"
        clock.advance(dt.timedelta(microseconds=1))
        assert await code_of(backend.get("/a")) == "STORE-NOT-FOUND"
        assert await keys(backend, "/") == ["/b"]
        assert await code_of(backend.commit(Check("/a", Present()))) == "STORE-NOT-FOUND"
        assert await code_of(backend.commit(Put("/a", b"2", when=At(1)))) == "STORE-NOT-FOUND"
        await backend.commit(Put("/a", b"2", when=Absent()))
        assert await backend.sweep() == 0
        assert (await backend.get("/a")).value == b"2"

    run(body, sweep_every=1e6)


def test_a_sweep_tells_watches_what_has_expired(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(Put("/w/later", b"", clock.now() + 2 * HOUR))
        await backend.commit(*(Put(f"/w/{number:04}", b"", clock.now() + HOUR) for number in range(1500)))
        clock.advance(HOUR)
        async with backend.watch("/w/") as events:
            start = await anext(events)
            assert await backend.sweep() == 1500
            gone = [await anext(events) for _ in range(1500)]
            assert {event.key for event in gone} == {f"/w/{number:04}" for number in range(1500)}
            assert all(isinstance(event, Removed) and event.revision > start.revision for event in gone)
        assert await backend.sweep() == 0

    run(body, sweep_every=1e6)


def test_the_store_sweeps_by_itself(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(Put("/w/a", b"", clock.now() + HOUR))
        async with backend.watch("/w/") as events:
            await anext(events)
            clock.advance(HOUR)
            assert isinstance(await asyncio.wait_for(anext(events), 30), Removed)

    run(body, sweep_every=0.01)


def test_a_watch_begins_with_init_and_follows_the_order_of_commits(run: Run) -> None:
    async def body(backend: Any) -> None:
        before = await backend.commit(Put("/w/before", b""))
        async with backend.watch("/w/", "/v/") as events:
            assert await anext(events) == Init(before)
            first = await backend.commit(Put("/w/a", b"1"), Put("/x/no", b""), Append("log", b"x"), Put("/v/b", b"2"))
            second = await backend.commit(Delete("/w/a"), Delete("/w/never"), Put("/w/c", b"3"))
            with pytest.raises(NotFound):
                await backend.commit(Put("/w/d", b""), Check("/none", Present()))
            third = await backend.commit(Delete("/v/b"))
            assert [await anext(events) for _ in range(5)] == [
                Changed(Item("/w/a", b"1", first)),
                Changed(Item("/v/b", b"2", first)),
                Removed("/w/a", second),
                Changed(Item("/w/c", b"3", second)),
                Removed("/v/b", third),
            ]
            waiting = tasks.spawn(anext(events), name="reader", on_error=lambda _: None)
            fourth = await backend.commit(Put("/w/e", b""))
            assert await waiting == Changed(Item("/w/e", b"", fourth))

    run(body)


def test_a_watch_that_falls_behind_is_told_and_others_are_not(run: Run) -> None:
    async def body(backend: Any) -> None:
        async with backend.watch("/w/") as slow, backend.watch("/w/") as quick:
            await anext(quick)
            for number in range(12):
                await backend.commit(Put(f"/w/{number}", b""))
                assert (await anext(quick)).item.key == f"/w/{number}"
            with pytest.raises(Unavailable, match="more than 10 events") as caught:
                await anext(slow)
            assert caught.value.code == "STORE-WATCH-BEHIND"
            assert await code_of(anext(slow)) == "STORE-WATCH-BEHIND"
        async with backend.watch("/w/") as again:
            assert isinstance(await anext(again), Init)

    run(body, watch_bound=10)


def test_a_watch_opened_during_writes_misses_nothing_after_its_init(run: Run) -> None:
    async def body(backend: Any) -> None:
        async def write(number: int) -> None:
            for step in range(20):
                await backend.commit(Put(f"/w/{number}/{step}", b""))

        async def follow() -> None:
            await backend.commit(Put("/other", b""))
            async with backend.watch("/w/") as events:
                init = await anext(events)
                known = {item.key async for item in backend.scan("/w/")}
                assert {key for key in known if key.startswith("/w/")} == known
                while len(known) < 200:
                    event = await asyncio.wait_for(anext(events), 30)
                    assert event.item.revision > init.revision
                    known.add(event.item.key)

        await asyncio.gather(*(write(number) for number in range(10)), follow(), follow())

    run(body)


def test_logs_are_numbered_without_gaps_and_chained(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(Append("b", b"1"), Append("a", b"x"), Append("b", b"2"))
        await asyncio.gather(*(backend.commit(Append("b", str(number).encode())) for number in range(50)))
        records = await backend.read_log("b")
        assert [record.sequence for record in records] == list(range(1, 53))
        digest = chain.START
        for record in records:
            digest = chain.link(digest, record.sequence, record.data)
            assert (record.log, record.digest) == ("b", digest)
        assert await backend.logs() == [(await backend.read_log("a"))[-1], records[-1]]
        assert await backend.read_log("b", after=50) == records[50:]
        assert await backend.read_log("b", after=3, limit=2) == records[3:5]
        assert await backend.read_log("b", after=52) == await backend.read_log("none") == []

    run(body)


def test_of_many_who_claim_one_key_exactly_one_wins(run: Run) -> None:
    async def body(backend: Any) -> None:
        claims = [
            backend.commit(Put("/leader", str(n).encode(), when=Absent()), Append("won", b"")) for n in range(200)
        ]
        results = await asyncio.gather(*claims, return_exceptions=True)
        assert sum(isinstance(result, int) for result in results) == 1
        assert sum(isinstance(result, AlreadyExists) for result in results) == 199
        assert len(await backend.read_log("won")) == 1

    run(body)


def test_a_counter_loses_no_step_under_compare_and_swap(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(Put("/n", b"0"))

        async def step() -> None:
            while True:
                item = await backend.get("/n")
                try:
                    await backend.commit(Put("/n", str(int(item.value) + 1).encode(), when=At(item.revision)))
                    return
                except CompareFailed:
                    continue

        await asyncio.gather(*(step() for _ in range(40)))
        assert (await backend.get("/n")).value == b"40"

    run(body)


def test_a_cancelled_caller_loses_nothing_and_doubles_nothing(run: Run) -> None:
    async def body(backend: Any) -> None:
        def commit(number: int) -> asyncio.Task[int]:
            work = backend.commit(Put(f"/c/{number:03}", b""), Append("log", str(number).encode()))
            return tasks.spawn(work, name="caller", on_error=lambda _: None)

        callers = [commit(number) for number in range(300)]
        await asyncio.sleep(0)
        for caller in callers[::2]:
            caller.cancel()
        await asyncio.wait(callers)
        await backend.commit(Append("log", b"last"))
        *records, last = [record.data for record in await backend.read_log("log")]
        there = [int(key.removeprefix("/c/")) for key in await keys(backend, "/c/")]
        assert last == b"last"
        assert set(range(1, 300, 2)) <= set(there)
        assert sorted(int(data) for data in records) == there  # a change and its record: both or neither, once

    run(body)


def test_values_belong_to_the_store_once_they_are_put(run: Run) -> None:
    async def body(backend: Any) -> None:
        value = bytearray(b"before")
        await backend.commit(Put("/a", value), Append("log", value))
        value[:] = b"after!"
        assert (await backend.get("/a")).value == b"before"
        assert (await backend.read_log("log"))[0].data == b"before"

    run(body)


def test_closing_finishes_what_was_accepted_and_refuses_the_rest(run: Run) -> None:
    async def body(backend: Any) -> None:
        work = backend.commit(Put("/a", b""))
        accepted = tasks.spawn(work, name="caller", on_error=lambda _: None)
        await asyncio.sleep(0)
        async with backend.watch("/") as events:
            await backend.close()
            assert isinstance(await accepted, int)
            assert isinstance(await anext(events), Init)
            if isinstance(backend, SqliteBackend):  # the memory store had made its change before the watch
                assert isinstance(await anext(events), Changed)
            assert await code_of(anext(events)) == "STORE-CLOSED"
        await backend.close()
        for refused in (backend.get("/a"), backend.commit(Put("/b", b"")), backend.logs(), keys(backend, "/")):
            assert await code_of(refused) == "STORE-CLOSED"
        with pytest.raises(Unavailable, match="closed"):
            async with backend.watch("/"):
                pass

    run(body)


def test_pruning_removes_the_oldest_records_and_nothing_else(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(*(Append("log", b"%d" % number) for number in range(1, 10)), Append("other", b"x"))
        before = await backend.read_log("log")
        await backend.commit(Prune("log", 4), Append("log", b"10"))
        assert await backend.read_log("log", limit=5) == before[4:]
        assert [record.sequence for record in await backend.read_log("log", after=2, limit=2)] == [5, 6]
        assert [record.sequence for record in await backend.read_log("log", after=8)] == [9, 10]
        assert (await backend.read_log("log"))[-1].digest == chain.link(before[-1].digest, 10, b"10")
        await backend.commit(Prune("log", 99), Prune("other", 99), Prune("none", 1))  # a last record always stays
        assert [(head.log, head.sequence, head.data) for head in await backend.logs()] == [
            ("log", 10, b"10"), ("other", 1, b"x"),
        ]  # fmt: skip
        assert [record.sequence for record in await backend.read_log("log")] == [10]
        with pytest.raises(BadParameter):
            await backend.commit(Prune("", 1))

    run(body)


def test_logs_are_inspected_as_they_are_at_one_moment(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.commit(*(Append("log", b"%d" % number) for number in range(2500)), Put("/a/1", b"1"))
        heads = await backend.logs()

        def work(reader: LogReader) -> None:
            assert [(*head,) for head in reader.heads()] == [(h.log, h.sequence, h.digest) for h in heads]
            pages = list(reader.pages("log", 10))
            assert [row[0] for page in pages for row in page] == list(range(11, 2501))
            assert len(pages) > 1
            assert pages[-1][-1] == (2500, b"2499", heads[0].digest)
            assert list(reader.pages("none")) == []
            assert [(*item,) for item in reader.items("/a/")] == [("/a/1", b"1")]
            raise LookupError

        with pytest.raises(LookupError):
            await backend.inspect(work)

    run(body)


def test_a_closed_store_is_not_inspected(run: Run) -> None:
    async def body(backend: Any) -> None:
        await backend.close()
        with pytest.raises(Unavailable):
            await backend.inspect(lambda reader: None)

    run(body)
