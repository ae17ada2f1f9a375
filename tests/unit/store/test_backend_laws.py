"""Laws of the backend: any run of commits, on any driver, does what a dict would do."""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base import chain
from teleport.base.clock import ManualClock
from teleport.base.errors import TeleportError
from teleport.store.backend import Absent, Append, At, Check, Delete, Init, Item, Op, Present, Put, Removed
from teleport.store.conditions import end_of
from teleport.store.memory import MemoryBackend
from teleport.store.sqlite import SqliteBackend

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)

keys = st.sampled_from(["/a", "/a/b", "/b", "/ü"])
values = st.binary(max_size=3)
conditions = st.one_of(st.none(), st.just(Absent()), st.just(Present()), st.integers(1, 12).map(At))
expiries = st.one_of(st.none(), st.integers(1, 5).map(lambda minutes: START + minutes * MINUTE))
ops = st.one_of(
    st.builds(Put, keys, values, expiries, conditions),
    st.builds(Delete, keys, conditions),
    st.builds(Check, keys, conditions),
    st.builds(Append, st.sampled_from(["x", "y"]), values),
)
steps = st.lists(st.one_of(st.lists(ops, min_size=1, max_size=4), st.just("minute"), st.just("sweep")), max_size=14)


class Model:
    """The obvious storage: a dict of items and a dict of logs."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.logs: dict[str, list[bytes]] = {}
        self.revision = 0

    def alive(self, now: dt.datetime) -> dict[str, Item]:
        return {key: item for key, item in self.items.items() if item.expires is None or item.expires > now}

    def verdict(self, op: Op, now: dt.datetime) -> str:
        if isinstance(op, Append) or op.when is None:
            return ""
        found = self.alive(now).get(op.key)
        if isinstance(op.when, Absent):
            return "STORE-EXISTS" if found else ""
        if found is None:
            return "STORE-NOT-FOUND"
        return "STORE-COMPARE" if isinstance(op.when, At) and op.when.revision != found.revision else ""

    def apply(self, op: Op, revision: int) -> None:
        if isinstance(op, Put):
            self.items[op.key] = Item(op.key, op.value, revision, op.expires)
        elif isinstance(op, Delete):
            self.items.pop(op.key, None)
        elif isinstance(op, Append):
            self.logs.setdefault(op.log, []).append(op.data)


async def outcome(backend: Any, step: list[Op]) -> int | str:
    """Commit; return the revision, or the code of the error."""
    try:
        revision: int = await backend.commit(*step)
    except TeleportError as error:
        return error.code
    return revision


async def take(backend: Any, clock: ManualClock, model: Model, step: Any) -> None:
    """Do one step on the backend and on the model, and compare them."""
    if step == "minute":
        clock.advance(MINUTE)
    elif step == "sweep":
        await backend.sweep()
    else:
        expected = next((code for op in step if (code := model.verdict(op, clock.now()))), "")
        revision = await outcome(backend, step)
        if isinstance(revision, str) or expected:
            assert revision == expected
            return
        assert revision > model.revision
        model.revision = revision
        for op in step:
            model.apply(op, revision)


async def replay(events: Any) -> dict[str, Item]:
    """Return the state that the events up to `/~end` make."""
    mirror: dict[str, Item] = {}
    while True:
        event = await anext(events)
        if isinstance(event, Removed):
            del mirror[event.key]
        elif event.item.key == "/~end":
            return mirror
        else:
            mirror[event.item.key] = event.item


async def follow(backend: Any, clock: ManualClock, plan: list[Any]) -> None:
    """Do the plan; who replays the events of a watch, or reads the logs, must find the model."""
    model = Model()
    async with backend.watch("/") as events:
        assert isinstance(await anext(events), Init)
        for step in plan:
            await take(backend, clock, model, step)
            alive = model.alive(clock.now())
            assert [item async for item in backend.scan("/")] == [alive[key] for key in sorted(alive)]
        await backend.sweep()
        await backend.commit(Put("/~end", b""))
        assert await replay(events) == model.alive(clock.now())
    for log, datas in model.logs.items():
        digest = chain.START
        for number, (record, data) in enumerate(zip(await backend.read_log(log), datas, strict=True), start=1):
            digest = chain.link(digest, number, data)
            assert (record.sequence, record.data, record.digest) == (number, data, digest)


@pytest.mark.parametrize("driver", ["memory", "sqlite"])
@settings(max_examples=40, deadline=None)
@given(plan=steps)
def test_every_plan_ends_as_it_would_in_a_dict(driver: str, plan: list[Any]) -> None:
    async def whole(directory: Path) -> None:
        clock = ManualClock(START)
        backend: Any = (
            MemoryBackend(clock, sweep_every=1e6)
            if driver == "memory"
            else await SqliteBackend.open(directory, clock, sweep_every=1e6)
        )
        try:
            await follow(backend, clock, plan)
        finally:
            await backend.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(whole(Path(folder)))


@given(prefix=st.text(max_size=3), others=st.lists(st.text(max_size=4), max_size=5))
def test_the_end_of_a_prefix_divides_what_starts_with_it_from_what_does_not(prefix: str, others: list[str]) -> None:
    end = end_of(prefix)
    for other in [*others, *(prefix + other for other in others)]:
        inside = other >= prefix and (end == "" or other < end)
        assert inside == other.startswith(prefix)
