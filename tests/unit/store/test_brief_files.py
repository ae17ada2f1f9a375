"""BriefFolder: what is durable survives, whatever becomes of journal, folder and process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.append import AppendFile, MemoryFolder
from teleport.base.errors import AlreadyExists, NotFound, TeleportError, Unavailable
from teleport.store.brief_files import GROWTHS, LARGEST, OWNER, SEGMENTS, BriefFolder
from teleport.store.journal import Journal
from teleport.store.turns import Turns

FULL = Unavailable("DISK-FULL", path="/spool")


class Disk(MemoryFolder):
    """Fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: TeleportError | None = None

    def create(self, name: str) -> AppendFile:
        if self.failure is not None:
            raise self.failure
        return super().create(name)


class World:
    """A folder over disks that outlive it."""

    def __init__(self, segment: int = 1 << 20) -> None:
        self.disk, self.spool, self._segment = Disk(), Disk(), segment
        self.start()

    def start(self) -> None:
        """Begin anew, as after a crash."""
        self.folder = BriefFolder(self.disk, Turns(Journal(self.spool, segment=self._segment)))

    def content(self) -> dict[str, bytes]:
        """Everything that can be read."""
        return {name: self.folder.read(name, 0, 1 << 20) for name in self.folder.names()}


def grow(file: AppendFile, data: bytes) -> None:
    file.append(data)
    file.sync()


def test_a_short_file_is_never_in_the_folder() -> None:
    world = World()
    file = world.folder.begin("a", b"one")
    grow(file, b"two")
    assert (world.folder.read("a", 1, 4), world.folder.size("a")) == (b"netw", 6)
    assert world.folder.names() == ["a"]
    file.close()
    world.folder.remove("a")
    assert world.disk.names() == world.folder.names() == []
    assert Journal(world.spool).empty()
    with pytest.raises(NotFound):
        world.folder.read("a", 0, 1)


def test_what_was_not_synced_cannot_be_read() -> None:
    world = World()
    world.folder.begin("a", b"one").append(b"two")
    assert world.content() == {"a": b"one"}


@pytest.mark.parametrize("pieces", [[b"x"] * (GROWTHS + 2), [b"x" * LARGEST, b"y", b"z"]])
def test_one_that_is_not_short_goes_on_in_the_folder(pieces: list[bytes]) -> None:
    world = World()
    file = world.folder.begin("a", b"begin")
    for piece in pieces:
        grow(file, piece)
    assert world.disk.read("a", 0, 1 << 20) == b"begin" + b"".join(pieces) == world.content()["a"]
    world.start()
    assert world.content() == {"a": b"begin" + b"".join(pieces)}


def test_after_a_crash_it_is_in_the_folder() -> None:
    world = World()
    grow(world.folder.begin("a", b"one"), b"two")
    world.folder.begin("b", b"other")
    world.start()
    assert world.folder.names() == world.disk.names() == ["a", "b"]
    assert world.content() == {"a": b"onetwo", "b": b"other"}
    assert Journal(world.spool).empty()


def test_one_that_was_written_out_only_in_part_is_mended() -> None:
    world = World()
    grow(world.folder.begin("a", b"one"), b"two")
    world.disk.create("a").append(b"on\0\0\0")
    world.start()
    assert world.content() == {"a": b"onetwo"}


def test_one_that_was_written_out_and_removed_does_not_come_back() -> None:
    world = World()
    world.folder.begin("needs the segment", b"x")
    file = world.folder.begin("a", b"one")
    for piece in range(GROWTHS):
        grow(file, b"%d" % piece)
    other = world.folder.begin("b", b"one")
    world.folder.modified("b")
    grow(other, b"two")
    world.folder.remove("a")
    world.folder.move("b", "/aside")
    assert world.disk.moved == {"/aside/b": b"onetwo"}
    world.start()
    assert world.folder.names() == ["needs the segment"]


def test_a_file_that_stays_keeps_few_segments() -> None:
    world = World(segment=100)
    world.folder.begin("stays", b"x")
    for number in range(60):
        world.folder.begin(f"{number}", b"y" * 60)
        world.folder.remove(f"{number}")
        assert len(world.spool.names()) <= SEGMENTS + 1  # with the next one
    assert world.content() == {"stays": b"x"}
    assert world.disk.names() == ["stays"]


def test_closing_leaves_the_journal_empty() -> None:
    world = World()
    file = world.folder.begin("a", b"one")
    world.folder.close()
    assert (world.disk.names(), world.spool.names()) == (["a"], [])
    file.close()


def test_where_the_journal_cannot_grow_files_go_to_the_folder() -> None:
    world = World()
    world.spool.failure = FULL
    grow(world.folder.begin("a", b"one"), b"two")
    assert world.disk.read("a", 0, 9) == b"onetwo"


def test_a_full_disk_is_told_and_leaves_nothing() -> None:
    world = World()
    world.spool.failure = world.disk.failure = FULL
    with pytest.raises(Unavailable) as refused:
        world.folder.begin("a", b"one")
    assert refused.value.code == "DISK-FULL"
    world.spool.failure = world.disk.failure = None
    assert world.folder.names() == []
    file = world.folder.begin("a", b"one")
    with pytest.raises(AlreadyExists):
        world.folder.begin("a", b"one")
    world.folder.remove("a")
    file = world.folder.begin("a", b"one")
    world.spool.failure = world.disk.failure = FULL
    for problem in ("DISK-FULL", "DISK-IO"):
        file.append(b"x" * LARGEST)
        with pytest.raises(Unavailable) as refused:
            file.sync()
        assert refused.value.code == problem
    assert world.content() == {"a": b"one"}


def test_others_are_in_the_folder_from_the_start() -> None:
    world = World()
    file = world.folder.create("a")
    grow(file, b"one")
    file.close()
    grow(world.folder.open("a", 1), b"two")
    world.folder.settle("a")
    assert world.disk.read("a", 0, 9) == b"otwo"
    assert world.folder.free() == world.disk.free()
    world.folder.reserve("r", b"1", 2).close()
    assert world.disk.read("r", 0, 9) == b"1\0"
    world.folder.remove("r")
    world.folder.begin("b", b"three")
    world.folder.settle("b")
    world.folder.open("b", 2).close()
    assert world.content() == {"a": b"otwo", "b": b"th"}


def test_files_grow_from_several_threads_at_once() -> None:
    world = World(segment=1000)

    def work(seed: int) -> None:
        for number in range(20):
            file = world.folder.begin(f"{seed}-{number}", b"one")
            grow(file, b"two")
            file.close()
            if number % 3 == seed % 3:
                world.folder.remove(f"{seed}-{number}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {f"{seed}-{number}" for seed in range(4) for number in range(20) if number % 3 != seed % 3}
    assert set(world.folder.names()) == wanted
    assert set(world.content().values()) == {b"onetwo"}
    world.start()
    assert wanted <= set(world.folder.names())


def test_in_the_loop_files_grow_with_others_in_one_write() -> None:
    world = World()
    appended: list[int] = []

    class Counted(Journal):
        def append(self, records: Sequence[bytes]) -> str:
            appended.append(len(records))
            return super().append(records)

    async def story() -> None:
        turns = Turns(Counted(world.spool, owners=(b"[", OWNER)))
        folder = world.folder = BriefFolder(world.disk, turns, owner=OWNER)
        files = [folder.begin(name, b"one") for name in "ab"]
        for file in files:
            file.append(b"two")
        await asyncio.gather(turns.append([b"[event]"]), *(folder.synced(file) for file in files))
        assert appended == [1, 1, 3]
        assert world.content() == {"a": b"onetwo", "b": b"onetwo"}
        folder.remove("a")
        folder.remove("b")

    asyncio.run(story())
    journal = Journal(world.spool, owners=(b"[", OWNER))
    waiting = journal.oldest(b"[")
    assert waiting is not None
    assert waiting.records == [b"[event]"]


def test_in_the_loop_a_full_disk_is_told_too() -> None:
    world = World()

    async def story() -> None:
        file = world.folder.begin("a", b"one")
        file.append(b"two")
        world.spool.failure = world.disk.failure = FULL
        file.append(b"x" * LARGEST)
        with pytest.raises(Unavailable) as refused:
            await world.folder.synced(file)
        assert refused.value.code == "DISK-FULL"
        with pytest.raises(Unavailable) as refused:
            await world.folder.synced(file)
        assert refused.value.code == "DISK-IO"

    asyncio.run(story())
    assert world.content() == {"a": b"one"}


def test_in_the_loop_a_long_one_goes_on_in_the_folder() -> None:
    world = World()

    async def story() -> None:
        file = world.folder.begin("a", b"begin")
        for piece in (b"x" * LARGEST, b"y"):
            file.append(piece)
            await world.folder.synced(file)

    asyncio.run(story())
    assert world.disk.read("a", 0, 1 << 20) == b"begin" + b"x" * LARGEST + b"y"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([40, 200, 1 << 20]))
def test_law_what_was_synced_is_there(seed: int, segment: int) -> None:
    """Against a dictionary. After a crash a file that was removed may be back, whole, if it never was in the folder."""
    world, random, known, gone = World(segment), Random(seed), dict[str, bytes](), dict[str, bytes]()
    files = dict[str, AppendFile]()
    for step in range(40):
        what, name = (
            random.choice(["begin", "grow", "grow", "remove", "crash", "look", "close"]),
            f"{random.randrange(6)}",
        )
        data = bytes([step]) * random.choice([1, 30, LARGEST // 2])
        if what == "begin" and name not in known and name not in gone:
            files[name], known[name] = world.folder.begin(name, data), data
        elif what == "grow" and name in files:
            grow(files[name], data)
            known[name] += data
        elif what == "remove" and name in known:
            files.pop(name, None)
            world.folder.remove(name)
            gone[name] = known.pop(name)
        elif what in ("crash", "close"):
            if what == "close":
                world.folder.close()
            world.start()
            files.clear()
            for back in [each for each in world.folder.names() if each not in known]:
                assert world.content()[back] == gone[back]
                world.folder.remove(back)
        assert {each: data for each, data in world.content().items() if each not in gone} == known
        gone = {} if what == "crash" else gone
