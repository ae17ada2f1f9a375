"""What was decoded is decoded once, is never older than the store, and takes a bounded amount of memory."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from teleport.base.clock import ManualClock
from teleport.base.errors import Internal
from teleport.model.kinds.role import Role
from teleport.model.resource import Resource, load
from teleport.store.backend import Item, Put
from teleport.store.decoded import Decoded
from teleport.store.memory import MemoryBackend
from teleport.store.resources import ResourceChanged, Resources


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, item: Item) -> Resource[Any]:
        self.calls += 1
        return load({"kind": "role", "metadata": {"name": "r"}, "spec": {}})


def item(key: str, revision: int, size: int = 10) -> Item:
    return Item(key, b"x" * size, revision)


def test_the_same_revision_is_decoded_once() -> None:
    kept, decode = Decoded(), Counting()
    first = kept.get(item("/a", 1), decode)
    assert kept.get(item("/a", 1), decode) is first
    assert kept.get(item("/a", 2), decode) is not first
    kept.get(item("/b", 2), decode)
    assert (decode.calls, len(kept)) == (3, 2)


def test_what_was_not_used_for_longest_makes_room() -> None:
    kept, decode = Decoded(30), Counting()
    for key in ("/a", "/b", "/c", "/a", "/d"):
        kept.get(item(key, 1), decode)
    assert decode.calls == 4
    kept.get(item("/a", 1), decode)
    assert decode.calls == 4
    kept.get(item("/b", 1), decode)
    assert decode.calls == 5


def test_a_value_that_grows_is_counted_anew_and_one_that_is_too_large_is_not_kept() -> None:
    kept, decode = Decoded(30), Counting()
    for revision in range(1, 10):
        kept.get(item("/a", revision, size=revision), decode)
    assert (len(kept), kept._bytes) == (1, 9)
    kept.get(item("/huge", 1, size=100), decode)
    assert (len(kept), kept._bytes) == (0, 0)


def test_what_cannot_be_decoded_is_not_kept() -> None:
    async def story() -> None:
        backend = MemoryBackend(ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC)))
        store = Resources(backend, ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC)))
        await backend.commit(Put("/roles/r", b"{"))
        for _ in range(2):
            with pytest.raises(Internal):
                await store.get(Role, "r")
        await store.upsert(load({"kind": "role", "metadata": {"name": "r"}, "spec": {}}))
        first = await store.get(Role, "r")
        assert await store.get(Role, "r") is first
        assert (await store.list(Role))[0] is first
        await store.upsert(first)
        assert (await store.get(Role, "r")).metadata.revision != first.metadata.revision

    asyncio.run(story())


def test_what_comes_and_goes_leaves_nothing() -> None:
    async def story() -> None:
        clock = ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
        store = Resources(MemoryBackend(clock), clock)
        async with store.watch(Role) as events:
            await anext(events)
            for number in range(20):
                await store.upsert(load({"kind": "role", "metadata": {"name": f"r{number}"}, "spec": {}}))
                await store.get(Role, f"r{number}")
                await store.delete(Role, f"r{number}")
                assert (len(store._decoded), store._decoded._bytes) == (0, 0)
            for _ in range(20):
                assert isinstance(await anext(events), ResourceChanged)  # decoded anew, behind the removal
                await anext(events)
        assert (len(store._decoded), store._decoded._bytes) == (0, 0)

    asyncio.run(story())
