"""Recording that waits for the Auth Service: what counts, and what happens when it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from teleport.agents.recording import recorder as module
from teleport.agents.recording import tape
from teleport.agents.recording.recorder import SpoolRecorder
from teleport.agents.recording.uploader import Uploader
from teleport.api.recording_messages import WholeRecording
from teleport.base import tasks
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.base.retry import Backoff
from teleport.model.events.recording import RecordingFailed
from teleport.pki.envelope import DataKey
from teleport.store.recordings.files import RecordingFiles
from teleport.wire.recording import END, HEADER, OUTPUT
from tests.support.recordings import START
from tests.unit.agents.recording.test_tape import KEY, SID, World, setting, until


class Archive:
    """An Auth Service, which is away as told."""

    def __init__(self, world: World) -> None:
        self.files = RecordingFiles(type(world.disk)())
        self.away = False
        self.done: list[str] = []

    async def store(self, session_id: str, index: int, chunk: bytes) -> bytes:
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("API-UNAVAILABLE", address="auth", problem="away")
        return self.files.store(session_id, chunk)

    async def store_whole(self, whole: Sequence[WholeRecording]) -> set[str]:
        for each in whole:
            for number, chunk in enumerate(each.chunks):
                await self.store(each.session_id, number, chunk)
            await self.complete(each.session_id, len(each.chunks), each.digest)
        return {each.session_id for each in whole}

    async def complete(self, session_id: str, chunks: int, digest: bytes) -> int:
        if self.away:
            raise Unavailable("API-UNAVAILABLE", address="auth", problem="away")
        self.done.append(session_id)
        return self.files.chain(session_id).size

    @property
    def chunks(self) -> int:
        return self.files.chain(SID).count


def run(story: Callable[[World, Archive], Awaitable[None]], monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(tape, "INTERVAL", 0.001)

    async def body() -> None:
        world = World()
        world.config = setting("node-sync")
        archive = Archive(world)
        world.uploader = Uploader(
            world.spool, archive, emit=world.emit, entropy=SeededEntropy(1), pace=3600.0,
            backoff=Backoff(first=0.001, most=0.002),
        )  # fmt: skip
        world.recorder = SpoolRecorder(
            world.spool, world.uploader, config=lambda: world.config, emit=world.emit, clock=ManualClock(START),
            entropy=SeededEntropy(2), **more,
        )  # fmt: skip
        sending = tasks.spawn(world.uploader.run(lambda: None), name="uploader", on_error=world.failures.append)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(60):
                await story(world, archive)
        finally:
            await tasks.cancel(sending)
            await world.recorder.settle()
            world.spool.close()

    asyncio.run(body())


def test_what_is_recorded_counts_when_the_auth_service_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        running = await world.begin()
        assert running.mode == "node-sync"
        assert archive.chunks == 1, "the session has not begun before its first chunk is there"
        running.output(b"one")
        await until(lambda: archive.chunks == 2)
        await running.close({"status": 0})
        assert archive.files.chain(SID).final
        await until(lambda: archive.done == [SID])
        assert world.events == []

    run(story, monkeypatch)


def test_a_strict_session_does_not_begin_without_the_auth_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        archive.away = True
        with pytest.raises(Unavailable) as caught:
            await world.begin(on_failure="deny")
        assert caught.value.code == "REC-IMPOSSIBLE"
        await world.recorder.settle()
        (event,) = world.events
        assert isinstance(event, RecordingFailed)
        assert event.ended
        archive.away = False
        await until(lambda: archive.done == [SID])

    run(story, monkeypatch)


def test_a_strict_session_ends_when_the_auth_service_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        running = await world.begin(on_failure="deny")
        archive.away = True
        running.output(b"lost?")
        await until(lambda: bool(world.failures))
        assert world.failures[0].code == "REC-LOST"
        archive.away = False
        await until(lambda: archive.done == [SID])
        assert archive.chunks == 2, "what was on the disk arrives all the same"

    run(story, monkeypatch)


def test_others_go_on_as_if_they_did_not_have_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        archive.away = True
        running = await world.begin()
        running.output(b"kept")
        await until(lambda: len(world.chunks()) == 2)
        await running.close({"status": 0})
        assert [frame.kind for frame in world.frames()] == [HEADER, OUTPUT, END]
        await world.recorder.settle()
        assert [isinstance(event, RecordingFailed) and not event.ended for event in world.events] == [True]
        assert world.failures == []
        archive.away = False
        await until(lambda: archive.done == [SID])

    run(story, monkeypatch)


def test_others_are_told_of_once_when_it_goes_away_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        running = await world.begin()
        archive.away = True
        for number in range(3):
            running.output(b"more")
            await until(lambda number=number: len(world.chunks()) == 2 + number)  # type: ignore[misc]
        await running.close({"status": 0})
        await world.recorder.settle()
        assert len(world.events) == 1
        archive.away = False
        await until(lambda: archive.done == [SID])

    run(story, monkeypatch)


def test_a_proxy_says_that_it_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        assert (await world.begin()).mode == "proxy-sync"
        world.config = setting()
        assert (await world.begin(session_id=SID[:-1] + "9")).mode == "proxy"

    run(story, monkeypatch, proxy="proxy-1")


def test_a_node_that_was_reached_directly_says_that_it_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        for number, (mode, told) in enumerate((("proxy", "node"), ("proxy-sync", "node-sync"))):
            world.config = setting(mode)
            assert (await world.begin(session_id=SID[:-1] + str(number))).mode == told

    run(story, monkeypatch)


def test_a_data_key_is_ready_for_the_next_recording_under_the_key_of_that_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World, archive: Archive) -> None:
        made: list[DataKey] = []

        def make(*about: Any) -> DataKey:
            made.append(DataKey(*about))
            return made[-1]

        monkeypatch.setattr(module, "DataKey", make)
        for number in range(3):
            recording = await world.begin(session_id=f"{SID[:-1]}{number}")
            await until(lambda: bool(world.recorder._ready))
            await recording.close({})
        assert len(made) == 4, "the first on the spot, and one after the beginning of each"
        world.config = setting("node-sync", (msgspec.structs.replace(KEY, id="f" * 32),))
        recording = await world.begin(session_id=f"{SID[:-1]}3")
        assert [key.key_id for key in made[:5]] == [KEY.id] * 4 + ["f" * 32]
        await recording.close({})

    run(story, monkeypatch)
