"""Turns: what comes together is written together, and each part hears what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from teleport.base.append import MemoryFolder
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.prompt import PROOF
from teleport.store.journal import Journal
from teleport.store.turns import Turns, write

FULL = Unavailable("DISK-FULL", path="/spool")


class Counted(Journal):
    """Counts what is written at once; fails when told to."""

    def __init__(self) -> None:
        super().__init__(MemoryFolder(), owners=(b"a", b"b"))
        self.writes: list[list[bytes]] = []
        self.failure: Exception | None = None

    def append(self, records: Sequence[bytes]) -> str:
        if self.failure is not None:
            raise self.failure
        self.writes.append(list(records))
        return super().append(records)


class Part:
    """A part that notes what it is told."""

    def __init__(self, *records: bytes) -> None:
        self.records = records
        self.size = sum(map(len, records))
        self.told: list[object] = []

    def take(self) -> Sequence[bytes]:
        self.told.append("take")
        return self.records

    def kept(self, segment: str) -> None:
        self.told.append(segment)

    def failed(self, error: BaseException) -> None:
        self.told.append(error)


def run(story: Callable[[Counted, Turns], Awaitable[None]]) -> None:
    async def body() -> None:
        journal = Counted()
        await story(journal, Turns(journal))

    asyncio.run(body())


def test_what_comes_in_one_turn_is_one_write() -> None:
    async def story(journal: Counted, turns: Turns) -> None:
        part, empty = Part(b"b1"), Part()
        for _ in range(PROOF + 2):  # first in threads, then at once
            await asyncio.gather(turns.append([b"a1", b"a2"]), turns.keep(part), turns.keep(empty))
        assert journal.writes == [[b"a1", b"a2", b"b1"]] * (PROOF + 2)
        assert part.told == empty.told == ["take", "0000000000000001.journal"] * (PROOF + 2)

    run(story)


def test_those_who_learn_of_it_a_turn_later_come_along() -> None:
    async def story(journal: Counted, turns: Turns) -> None:
        async def later() -> None:
            await asyncio.sleep(0)
            await turns.append([b"b"])

        await asyncio.gather(turns.append([b"a"]), later())
        assert journal.writes == [[b"a", b"b"]]

    run(story)


def test_parts_without_records_wait_for_no_disk() -> None:
    journal, part = Counted(), Part()
    write(journal, [part])
    assert (journal.writes, part.told) == ([], ["take", ""])


def test_a_failure_is_told_to_each_and_the_next_write_is_tried() -> None:
    async def story(journal: Counted, turns: Turns) -> None:
        journal.failure, part = FULL, Part(b"b")
        caught, _ = await asyncio.gather(turns.append([b"a"]), turns.keep(part), return_exceptions=True)
        assert caught is FULL
        assert part.told == ["take", FULL]
        journal.failure = None
        await turns.append([b"a"])
        assert journal.writes == [[b"a"]]

    run(story)


def test_a_defect_is_told_to_each_and_holds_nobody_up() -> None:
    async def story(journal: Counted, turns: Turns) -> None:
        journal.failure = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            await turns.append([b"a"])
        journal.failure = None
        await turns.append([b"a"])
        assert journal.writes == [[b"a"]]

    run(story)


def test_who_is_cancelled_leaves_the_others_alone() -> None:
    async def story(journal: Counted, turns: Turns) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await turns.append([b"a"])
        await turns.append([b"b"])
        assert journal.writes == [[b"a", b"b"]]

    run(story)


def test_a_part_that_cannot_be_taken_fails_those_before_it() -> None:
    class Broken(Part):
        def take(self) -> Sequence[bytes]:
            raise FULL

    part = Part(b"a")
    write(Counted(), [part, Broken()])
    assert part.told == ["take", FULL]
    assert isinstance(part.told[-1], TeleportError)
