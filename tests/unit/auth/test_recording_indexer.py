"""The queue of recordings that wait for their index."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable

import pytest

from teleport.auth import recording_indexer
from teleport.auth.recording_index_key import IndexKey
from teleport.auth.recording_indexer import REST, Indexer
from teleport.base import tasks
from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import NotFound, Unavailable
from teleport.pki.signer import MemorySigner
from teleport.store.memory import MemoryBackend
from teleport.store.recordings import index_contents, index_file
from teleport.store.recordings.index_contents import Contents
from teleport.store.recordings.index_lines import find
from teleport.store.recordings.index_shelf import IndexShelf
from tests.recordings import planted
from tests.support import virtual_loop
from tests.support.until import until

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class World:
    """Recordings in memory; drawn in this process."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.entropy = SeededEntropy(1)
        self.backend = MemoryBackend(self.clock)
        self.signer = MemorySigner(self.entropy)
        self.shelf = IndexShelf(MemoryDisk(), "/records")
        self.recordings = {f"s-{number}": planted.write(number, 1, 2, number) for number in range(3)}
        self.failure: Callable[[str], None] = lambda session_id: None
        self.handle: tuple[str, bytes] | None = None
        self.indexer = Indexer(
            self.frames, self.known, self.shelf, self.key(), self.draw, self.clock, self.entropy
        )  # fmt: skip

    def key(self) -> IndexKey:
        return IndexKey(self.backend, self.signer, self.entropy, self.active)

    async def active(self) -> tuple[str, bytes]:
        if self.handle is None:
            made = await self.signer.generate("x25519", "recording")
            self.handle = made.key_id, made.spki
        return self.handle

    async def frames(self, session_id: str) -> AsyncIterator[bytes]:
        self.failure(session_id)
        yield session_id.encode()

    async def known(self) -> AsyncIterator[str]:
        for session_id in self.recordings:
            yield session_id

    async def draw(self, frames: AsyncIterator[bytes]) -> Contents:
        return index_contents.of(
            planted.draw(self.recordings[b"".join([part async for part in frames]).decode()].frames)
        )

    async def finds(self, session_id: str) -> bool:
        key = await self.key().get()
        lines = index_file.open_lines(self.shelf.sealed(session_id), key)
        return all(find(lines, plant.text, limit=1) for plant in self.recordings[session_id].plants)


def run(story: Callable[[World], object]) -> None:
    """Run a story beside a working indexer."""

    async def main() -> None:
        world = World()
        work = tasks.spawn(world.indexer.run(), name="indexer", on_error=lambda error: None)
        try:
            await story(world)  # type: ignore[misc]
        finally:
            await tasks.cancel(work)

    asyncio.run(main())


def test_what_is_there_and_what_comes_is_indexed() -> None:
    async def story(world: World) -> None:
        await until(lambda: world.shelf.names() == {"s-0", "s-1", "s-2"})
        world.recordings["new"] = planted.write(9, 1, 3, 4)
        world.indexer.completed("new")
        assert world.indexer.waiting == 1
        world.clock.advance(dt.timedelta(seconds=5))
        assert world.indexer.lag == 5
        await until(lambda: "new" in world.shelf.names() and world.indexer.waiting == 0)
        assert world.indexer.lag == 0
        for session_id in world.recordings:
            assert await world.finds(session_id)

    run(story)


def test_what_cannot_be_drawn_is_noted_and_others_go_on() -> None:
    async def story(world: World) -> None:
        def broken(session_id: str) -> None:
            if session_id == "s-1":
                raise Unavailable("INDEX-NOT-DRAWN", problem="it broke")
            if session_id == "s-2":
                raise NotFound("STORE-NOT-FOUND", key="x")

        world.failure = broken
        await until(lambda: len(world.shelf.names()) == 3)
        assert "it broke" in world.shelf.sealed("s-1").problem
        assert world.shelf.sealed("s-2").problem
        assert await world.finds("s-0")

    run(story)


def test_what_is_refused_for_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_indexer, "RETRY", 0.0)
    times = []

    async def story(world: World) -> None:
        def gone(session_id: str) -> None:
            times.append(session_id)
            if len(times) < 5:
                raise Unavailable("PKI-SIGNER-GONE")

        world.failure = gone
        await until(lambda: len(world.shelf.names()) == 3)
        assert all([await world.finds(session_id) for session_id in world.recordings])

    run(story)


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_indexer, "MOST_WAITING", 2)
    world = World()
    for number in range(5):
        world.indexer.completed(str(number))
    assert world.indexer.waiting == 2


def test_the_key_is_made_once_and_wrapped() -> None:
    async def story() -> None:
        world = World()
        first, again = await asyncio.gather(world.key().get(), world.key().get())
        assert first == again == await world.key().get()
        stored = (await world.backend.get("/recordings/index-key")).value
        assert first not in stored
        world.handle = None  # rotated: another recording key is active
        assert await world.key().get() == first

    asyncio.run(story())


def test_whoever_draws_is_told_to_rest() -> None:
    rests: list[str] = []

    async def body() -> None:
        world = World()

        async def rest() -> None:
            rests.append("rest")

        world.indexer._rest = rest
        work = tasks.spawn(world.indexer.run(), name="indexer", on_error=lambda _: None)
        await asyncio.sleep(REST / 2)
        assert rests == []
        await asyncio.sleep(REST)
        assert rests == ["rest"]
        await tasks.cancel(work)
        assert rests == ["rest", "rest"]

    virtual_loop.run(body())
