"""The uploader: what is durable is sent, what has arrived is removed, and nothing is lost between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from teleport.agents.recording.spool import Spool
from teleport.agents.recording.uploader import Uploader
from teleport.api.recording_messages import WholeRecording
from teleport.base import tasks
from teleport.base.append import AppendFile, MemoryFolder
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AlreadyExists, BadParameter, TeleportError, Unavailable
from teleport.base.retry import Backoff
from teleport.model.events.base import Event
from teleport.model.events.recording import RecordingSetAside
from teleport.pki import envelope
from teleport.store.recordings.files import RecordingFiles
from tests.support.recordings import facts, sealed, session_id

KEY = envelope.make_key(SeededEntropy(1))


def chunks(number: int, count: int = 2, *, whole: bool = True) -> list[bytes]:
    return sealed(facts(number), "0" * 32, envelope.spki(KEY), texts=[b"text"] * count, whole=whole)


class Archive:
    """An Auth Service, which fails as told."""

    def __init__(self) -> None:
        self.folder = MemoryFolder()
        self.files = RecordingFiles(self.folder)
        self.complete_ones: dict[str, int] = {}
        self.failures: list[TeleportError | Exception] = []
        self.lies = 0
        self.calls = 0
        self.bundles: list[int] = []
        self.at_once = self.most_at_once = 0

    async def store(self, session_id: str, index: int, chunk: bytes) -> bytes:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.failures:
            raise self.failures.pop()
        digest = self.files.store(session_id, chunk)
        if self.lies:
            self.lies -= 1
            return bytes(32)
        return digest

    async def store_whole(self, whole: Sequence[WholeRecording]) -> set[str]:
        self.bundles.append(len(whole))
        for each in whole:
            for number, chunk in enumerate(each.chunks):
                await self.store(each.session_id, number, chunk)
            await self.complete(each.session_id, len(each.chunks), each.digest)
        return {each.session_id for each in whole}

    async def complete(self, session_id: str, chunks: int, digest: bytes) -> int:
        chain = self.files.chain(session_id)
        if (chain.count, chain.digest) != (chunks, digest):
            raise BadParameter("REC-INCOMPLETE", session=session_id, stored=chain.count, said=chunks)
        self.complete_ones[session_id] = chunks
        return chain.size


class World:
    def __init__(self) -> None:
        self.disk = MemoryFolder()
        self.spool = Spool(self.disk, path="/spool", set_aside="/aside")
        self.archive = Archive()
        self.events: list[Event] = []
        self.running: AppendFile
        self.uploader = Uploader(
            self.spool, self.archive, emit=self.emit, entropy=SeededEntropy(1), pace=0.001,
            backoff=Backoff(first=0.001, most=0.002),
        )  # fmt: skip

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    def put(self, number: int, parts: Sequence[bytes]) -> str:
        file = self.disk.create(f"{session_id(number)}.rec")
        file.append(b"".join(parts))
        return session_id(number)

    def all_sent(self) -> bool:
        return self.uploader.waiting == 0


def run(story: Callable[[World], Awaitable[None]], *, before: Callable[[World], None] = lambda _: None) -> None:
    async def body() -> None:
        world = World()
        before(world)
        ready, defects = asyncio.Event(), list[BaseException]()
        task = tasks.spawn(world.uploader.run(ready.set), name="uploader", on_error=defects.append)
        try:
            async with asyncio.timeout(60):
                await ready.wait()
                await story(world)
        finally:
            await tasks.cancel(task)
            world.spool.close()
        assert not defects

    asyncio.run(body())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a state of the object under test, which tells nobody
        await asyncio.sleep(0)


def test_what_an_earlier_run_left_is_sent_and_removed() -> None:
    def before(world: World) -> None:
        for number in range(25):
            world.put(number, chunks(number, whole=bool(number % 2)))
        world.disk.create("notes.txt")

    async def story(world: World) -> None:
        await until(world.all_sent)
        assert world.disk.names() == ["notes.txt"]
        assert world.archive.complete_ones == {session_id(n): 4 if n % 2 else 3 for n in range(25)}
        assert world.archive.most_at_once <= 10

    run(story, before=before)


def test_a_session_that_begins_before_is_not_taken_for_one_that_was_left() -> None:
    """Its file would be closed and removed under it, and the rest of its recording be lost."""
    first, *rest = chunks(2)

    def before(world: World) -> None:
        world.put(1, chunks(1))
        world.running = world.spool.begin(session_id(2), first, brief=True)

    async def story(world: World) -> None:
        await until(world.all_sent)
        assert world.archive.complete_ones == {session_id(1): 4}
        assert world.disk.names() == [f"{session_id(2)}.rec"]
        for chunk in rest:
            world.running.append(chunk)
        world.uploader.grown(session_id(2), sum(map(len, (first, *rest))))
        world.uploader.ended(session_id(2))
        await until(world.all_sent)
        assert world.archive.complete_ones == {session_id(1): 4, session_id(2): 4}

    run(story, before=before)


def test_a_torn_tail_is_left_behind_and_a_file_that_never_began_is_removed() -> None:
    def before(world: World) -> None:
        made = chunks(1)
        world.put(1, [*made[:2], made[2][:50]])
        world.put(2, [])
        world.put(3, [chunks(3)[0][:60]])
        made = chunks(4)
        world.put(4, [made[0], bytes(200)])

    async def story(world: World) -> None:
        await until(world.all_sent)
        assert world.archive.complete_ones == {session_id(1): 2, session_id(4): 1}
        assert world.disk.names() == []
        assert world.events == []

    run(story, before=before)


def test_what_is_no_recording_is_set_aside_and_told() -> None:
    def before(world: World) -> None:
        world.put(1, [b"not a recording at all" * 10])

    async def story(world: World) -> None:
        await until(lambda: bool(world.events))
        assert list(world.disk.moved) == [f"/aside/{session_id(1)}.rec"]
        assert world.disk.names() == []
        (event,) = world.events
        assert event.event_name == "session.recording.set_aside"

    run(story, before=before)


def test_of_a_file_that_is_damaged_in_the_middle_nothing_is_thrown_away() -> None:
    made = chunks(1, 4)

    def before(world: World) -> None:
        world.put(1, [*made[:2], made[2][:30] + b"?" + made[2][31:], *made[3:]])

    async def story(world: World) -> None:
        await until(lambda: bool(world.events))
        assert world.archive.complete_ones == {session_id(1): 2}
        assert list(world.disk.moved) == [f"/aside/{session_id(1)}.rec"]
        (event,) = world.events
        assert isinstance(event, RecordingSetAside)
        assert f"from byte {len(made[0] + made[1])} on" in event.reason

    run(story, before=before)


def test_a_running_session_is_sent_as_it_grows() -> None:
    async def story(world: World) -> None:
        made = chunks(1, 5)
        sid = world.put(1, made)
        size = 0
        for number, chunk in enumerate(made, 1):
            size += len(chunk)
            world.uploader.grown(sid, size)
            await until(lambda number=number: world.archive.files.chain(sid).count == number)  # type: ignore[misc]
        assert world.archive.complete_ones == {}
        world.uploader.ended(sid)
        await until(world.all_sent)
        assert world.archive.complete_ones == {sid: 7}
        assert world.archive.calls == 7
        assert world.disk.names() == []

    run(story)


def test_only_what_is_durable_is_sent() -> None:
    async def story(world: World) -> None:
        made = chunks(1)
        sid = world.put(1, [*made[:2], b"what a failed write left"])
        world.uploader.grown(sid, len(made[0]) + len(made[1]))
        world.uploader.ended(sid)
        await until(world.all_sent)
        assert world.archive.complete_ones == {sid: 2}

    run(story)


@pytest.mark.parametrize(
    "failure",
    [
        Unavailable("API-UNAVAILABLE", address="x", problem="away"), ValueError("a defect"),
        BadParameter("REC-GAP", session="s", number=1, expected=0),
    ],
)  # fmt: skip
def test_it_is_tried_until_it_succeeds(failure: Exception) -> None:
    async def story(world: World) -> None:
        sid = world.put(1, chunks(1))
        world.archive.failures = [failure] * 20
        world.archive.lies = 3
        world.uploader.grown(sid, world.disk.size(f"{sid}.rec"))
        world.uploader.ended(sid)
        await until(world.all_sent)
        assert world.archive.complete_ones == {sid: 4}
        assert world.disk.names() == []
        assert world.events == []

    run(story)


def test_an_auth_service_that_lost_it_gets_it_again() -> None:
    async def story(world: World) -> None:
        made = chunks(1)
        sid = world.put(1, made)
        world.uploader.grown(sid, len(made[0]) + len(made[1]))
        await until(lambda: world.archive.files.chain(sid).count == 2)
        world.archive.folder.remove(f"{sid}.rec")  # restored from an older backup
        world.archive.files = RecordingFiles(world.archive.folder)
        world.uploader.grown(sid, sum(map(len, made)))
        world.uploader.ended(sid)
        await until(world.all_sent)
        assert world.archive.complete_ones == {sid: 4}

    run(story)


def test_what_can_never_be_stored_is_set_aside_when_its_session_is_over() -> None:
    async def story(world: World) -> None:
        made = chunks(1)
        sid = world.put(1, made)
        world.archive.failures = [AlreadyExists("REC-DIFFERS", session=sid, number=0)] * 1000
        world.uploader.grown(sid, len(made[0]))
        await until(lambda: len(world.archive.failures) < 998)
        assert world.events == []
        world.uploader.ended(sid)
        await until(lambda: bool(world.events))
        assert list(world.disk.moved.values()) == [b"".join(made)]
        assert world.uploader.waiting == 0

    run(story)


def test_a_file_that_somebody_removed_is_given_up() -> None:
    async def story(world: World) -> None:
        world.uploader.grown(session_id(1), 100)
        await until(world.all_sent)

    run(story)


def test_a_spool_that_cannot_be_read_keeps_nobody_waiting() -> None:
    def before(world: World) -> None:
        def names() -> list[str]:
            raise Unavailable("DISK-IO", path="x", problem="broken")

        world.disk.names = names  # type: ignore[method-assign]

    async def story(world: World) -> None:
        assert world.uploader.waiting == 0

    run(story, before=before)


def test_short_recordings_that_end_soon_are_sent_together() -> None:
    async def story(world: World) -> None:
        world.uploader._bundles._linger = 0.2
        made = {number: chunks(number) for number in range(20)}
        for number, parts in made.items():
            sid = world.put(number, parts)
            world.uploader.grown(sid, len(parts[0]))
            world.uploader.grown(sid, sum(map(len, parts)))
            world.uploader.ended(sid)
        await until(world.all_sent)
        assert world.archive.complete_ones == {session_id(number): 4 for number in made}
        assert world.archive.bundles == [16, 4]
        assert world.disk.names() == []

    run(story)


@pytest.mark.parametrize("failure", [Unavailable("REC-NO-KEY"), ValueError("a defect")])
def test_what_cannot_be_sent_together_goes_alone(failure: Exception) -> None:
    async def story(world: World) -> None:
        whole = world.archive.store_whole

        async def partly(sent: Sequence[WholeRecording]) -> set[str]:
            if world.archive.failures:
                raise world.archive.failures.pop()
            return await whole(sent[:1])

        world.uploader._bundles._store = partly
        for number in range(3):
            sid = world.put(number, chunks(number))
            world.uploader.grown(sid, world.disk.size(f"{sid}.rec"))
            world.uploader.ended(sid)
        await until(world.all_sent)
        world.archive.failures = [failure]
        sid = world.put(7, chunks(7))
        world.uploader.grown(sid, world.disk.size(f"{sid}.rec"))
        world.uploader.ended(sid)
        await until(world.all_sent)
        assert world.archive.complete_ones == {session_id(number): 4 for number in (0, 1, 2, 7)}
        assert world.disk.names() == []

    run(story)
