"""Recording on a node: tapes, the recorder's policy, and what a full or broken disk does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from teleport.agents.recording import tape as module
from teleport.agents.recording.recorder import SpoolRecorder
from teleport.agents.recording.spool import Spool
from teleport.agents.recording.tape import SpoolTape
from teleport.agents.recording.uploader import Uploader
from teleport.agents.ssh.recorder import Facts, NoTape, Tape, Watcher
from teleport.api.recording_messages import WholeRecording
from teleport.base.append import AppendFile, MemoryFolder
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.model.events.base import Event
from teleport.model.events.recording import RecordingFailed
from teleport.model.kinds.session_recording_config import (
    SealingKey,
    SessionRecordingConfig,
    SessionRecordingConfigSpec,
    Status,
)
from teleport.model.recorded_session import decode_facts
from teleport.pki import envelope
from teleport.wire import recording, recording_chunk
from teleport.wire.recording import END, ERROR, HEADER, MARKER, OUTPUT, RESIZE, Frame
from tests.support.recordings import START, session_id

SID = session_id(1)
NAME = f"{SID}.rec"
PRIVATE = envelope.make_key(SeededEntropy(1))
KEY = SealingKey(id="0" * 32, public_key=base64.b64encode(envelope.spki(PRIVATE)).decode(), created=START)


class Disk(MemoryFolder):
    """Fails when told to, and keeps writers waiting when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: TeleportError | None = None
        self.room = 1 << 40
        self.syncs = 0

    def create(self, name: str) -> AppendFile:
        return _Checked(super().create(name), self)

    def free(self) -> int:
        return self.room


class _Checked:
    def __init__(self, file: AppendFile, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def append(self, data: bytes) -> None:
        if self._disk.failure is not None:
            self._file.append(data[:7])
            raise self._disk.failure
        self._file.append(data)

    def sync(self) -> None:
        self._disk.syncs += 1

    def close(self) -> None:
        self._file.close()


class NoArchive:
    """An Auth Service that is away."""

    async def store(self, session_id: str, index: int, chunk: bytes) -> bytes:
        raise Unavailable("API-UNAVAILABLE", address="auth", problem="away")

    async def store_whole(self, whole: Sequence[WholeRecording]) -> set[str]:
        raise Unavailable("API-UNAVAILABLE", address="auth", problem="away")

    async def complete(self, session_id: str, chunks: int, digest: bytes) -> int:
        raise Unavailable("API-UNAVAILABLE", address="auth", problem="away")


class World:
    """A node with a spool."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.spool = Spool(self.disk, path="/spool", set_aside="/aside", low_water=1000)
        self.events: list[Event] = []
        self.held: list[bool] = []
        self.failures: list[TeleportError] = []
        self.config: SessionRecordingConfig | None = setting()
        self.uploader = Uploader(self.spool, NoArchive(), emit=self.emit, entropy=SeededEntropy(1))
        self.recorder = SpoolRecorder(
            self.spool, self.uploader, config=lambda: self.config, emit=self.emit, clock=ManualClock(START),
            entropy=SeededEntropy(2),
        )  # fmt: skip

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    async def begin(self, **changes: Any) -> Tape:
        fields = {
            "session_id": SID, "user": "alice", "login": "root", "server_id": "node", "hostname": "node-1",
            "cluster": "c", "client": "192.0.2.1:9",
        }  # fmt: skip
        watcher = Watcher(self.held.append, self.failures.append)
        return await self.recorder.begin(Facts(**{**fields, **changes}), watcher)

    def chunks(self) -> list[recording_chunk.Chunk]:
        return list(recording_chunk.scan(self.disk.read(NAME, 0, 1 << 26)))

    def frames(self) -> list[Frame]:
        found = self.chunks()
        _, wrapped = envelope.split_key_part(found[0].key)
        opener = envelope.Opener(envelope.unwrap(wrapped, PRIVATE))
        return [frame for chunk in found for frame in recording.decode(opener.open(chunk))]


def setting(mode: str = "node", keys: tuple[SealingKey, ...] = (KEY,)) -> SessionRecordingConfig:
    return SessionRecordingConfig(spec=SessionRecordingConfigSpec(mode=mode), status=Status(keys=keys))


def run(story: Callable[[World], Awaitable[None]]) -> None:
    async def body() -> None:
        world = World()
        try:
            await asyncio.wait_for(story(world), 60)
        finally:
            await world.recorder.settle()
            world.spool.close()

    asyncio.run(body())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a state of the object under test, which tells nobody
        await asyncio.sleep(0)


def test_a_session_is_recorded_from_its_facts_to_its_end() -> None:
    async def story(world: World) -> None:
        tape = await world.begin(command="ls", participants=("alice",))
        assert world.disk.syncs == 1  # before anything has happened, so that nothing happens unrecorded
        assert tape.notice == ""
        tape.output(b"out")
        tape.output(b"err", error=True)
        tape.resize(100, 30)
        tape.mark("good bye")
        await tape.close({"status": 0})
        await tape.close({"status": 1})
        tape.output(b"late")
        frames = world.frames()
        assert [(frame.kind, frame.data) for frame in frames[1:]] == [
            (OUTPUT, b"out"), (ERROR, b"err"), (RESIZE, b"100x30"), (MARKER, b"good bye"), (END, b'{"status":0}'),
        ]  # fmt: skip
        facts = decode_facts(frames[0].data)
        assert (frames[0].kind, facts.user, facts.start, facts.command) == (HEADER, "alice", START, "ls")
        assert world.chunks()[-1].head.final
        assert world.uploader.waiting == 1
        assert b"out" not in world.disk.read(NAME, 0, 1 << 20)

    run(story)


def test_output_is_written_by_size_and_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.001)

    async def story(world: World) -> None:
        tape = await world.begin()
        tape.output(b"prompt$ ")
        await until(lambda: len(world.chunks()) == 2)
        tape.output(bytes(module.CHUNK))
        await until(lambda: len(world.chunks()) == 3)
        tape.output(b"x" * (2 * module.CHUNK + 5))
        await tape.close({})
        assert sum(len(frame.data) for frame in world.frames() if frame.kind == OUTPUT) == 8 + 3 * module.CHUNK + 5
        assert max(len(frame.data) for frame in world.frames()) == module.CHUNK

    run(story)


def test_a_fast_session_is_held_until_the_disk_has_it() -> None:
    async def story(world: World) -> None:
        tape = await world.begin()
        for _ in range(20):
            tape.output(bytes(module.CHUNK))
        assert world.held == [True]
        await until(lambda: world.held == [True, False])
        await tape.close({})
        assert sum(len(frame.data) for frame in world.frames() if frame.kind == OUTPUT) == 20 * module.CHUNK
        assert not world.chunks()[2].head.compressed
        assert max(chunk.head.payload_size for chunk in world.chunks()) < 2 * module.PIECE

    run(story)


@pytest.mark.parametrize("strict", [True, False])
def test_a_disk_that_fails_in_the_middle_ends_the_recording_and_strict_sessions(strict: bool) -> None:
    async def story(world: World) -> None:
        tape = await world.begin(on_failure="deny" if strict else "best_effort")
        world.disk.failure = Unavailable("DISK-IO", path="x", problem="broken")
        tape.output(bytes(5 * module.CHUNK))
        await until(lambda: bool(world.events))
        await tape.close({})
        (event,) = world.events
        assert isinstance(event, RecordingFailed)
        assert (event.sid, event.ended) == (SID, strict)
        assert [failure.code for failure in world.failures] == (["REC-LOST"] if strict else [])
        assert world.held[-1:] in ([], [False])
        size = world.disk.size(NAME)
        world.disk.failure = None
        tape.output(b"more")
        assert world.disk.size(NAME) == size  # never written again
        assert len(world.chunks()) == 1

    run(story)


def test_a_disk_that_fails_at_the_very_end_is_told() -> None:
    async def story(world: World) -> None:
        tape = await world.begin(on_failure="deny")
        world.disk.failure = Unavailable("DISK-FULL", path="x")
        await tape.close({})
        assert [failure.code for failure in world.failures] == ["REC-LOST"]

    run(story)


@pytest.mark.parametrize("strict", [True, False])
def test_what_cannot_be_recorded_begins_only_where_roles_allow_it(strict: bool) -> None:
    async def story(world: World) -> None:
        world.disk.failure = Unavailable("DISK-IO", path="x", problem="broken")
        on_failure = "deny" if strict else "best_effort"
        if strict:
            with pytest.raises(Unavailable) as caught:
                await world.begin(on_failure=on_failure)
            assert caught.value.code == "REC-IMPOSSIBLE"
        else:
            tape = await world.begin(on_failure=on_failure)
            assert isinstance(tape, NoTape)
            assert "not recorded" in tape.notice
        await world.recorder.settle()
        (event,) = world.events
        assert isinstance(event, RecordingFailed)
        assert event.ended == strict
        assert world.disk.names() == []
        assert world.uploader.waiting == 0

    run(story)


@pytest.mark.parametrize("how", ["low", "written", "unknown"])
def test_a_full_disk_lets_no_session_begin(how: str) -> None:
    async def story(world: World) -> None:
        if how == "low":
            world.disk.room = 999
        elif how == "written":
            world.disk.failure = Unavailable("DISK-FULL", path="x")
        else:

            def free() -> int:
                raise Unavailable("DISK-IO", path="x", problem="gone")

            world.disk.free = free  # type: ignore[method-assign]
        with pytest.raises(Unavailable) as caught:
            await world.begin(on_failure="best_effort")
        assert caught.value.code == "REC-DISK-FULL"

    run(story)


def test_the_cluster_says_whether_and_to_which_key() -> None:
    async def story(world: World) -> None:
        world.config = setting("off")
        tape = await world.begin()
        assert isinstance(tape, NoTape)
        assert tape.notice == ""
        for missing in (None, setting(keys=())):
            world.config = missing
            with pytest.raises(Unavailable, match="no key"):
                await world.begin(on_failure="deny")
            assert "no key" in (await world.begin()).notice
        world.config = setting()
        assert isinstance(await world.begin(), SpoolTape)

    run(story)


def test_a_defect_ends_the_recording_like_a_broken_disk() -> None:
    async def story(world: World) -> None:
        tape = await world.begin(on_failure="deny")
        world.disk.failure = ValueError("a defect")  # type: ignore[assignment]
        tape.output(bytes(module.CHUNK))
        await until(lambda: bool(world.failures))
        assert world.failures[0].code == "REC-LOST"

    run(story)
