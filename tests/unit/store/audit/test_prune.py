"""Pruning: what goes, what stays, and that checks, searches and copies go on over the rest."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from teleport.base import audit_verify
from teleport.base.audit_verify import CHECKPOINTS
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.base.struct import encode as encode_document
from teleport.model.events.audit import AuditPrune
from teleport.model.events.user import UserLogin
from teleport.store.audit.checkpoint import Checkpoints, Signed
from teleport.store.audit.export import pieces
from teleport.store.audit.log import AuditLog
from teleport.store.audit.prune import Plan, plan, prune
from teleport.store.audit.search import Query
from teleport.store.audit.verify import PRUNED, check, pruned_of
from teleport.store.backend import Append, Prune, Put
from teleport.store.memory import MemoryBackend
from teleport.store.sqlite import SqliteBackend
from tests.audit.world import authority
from tests.unit.store.audit.test_checkpoint import KEY, PUBLIC

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class Hall:
    """A store with two writers, whose clock goes an hour on at each step."""

    def __init__(self, backend: Any, clock: ManualClock) -> None:
        self.backend, self.clock = backend, clock
        self.one, self.two = (
            AuditLog(backend, name, clock, SeededEntropy(3), "example.com") for name in ("one", "two")
        )

        async def sign(document: bytes) -> Signed:
            return Signed(PUBLIC, KEY.sign(document))

        self.checkpoints = Checkpoints(backend, clock, "example.com", sign)

    async def step(self, one: int, two: int) -> None:
        for log, count in ((self.one, one), (self.two, two)):
            for _ in range(count):
                await log.record(UserLogin(user="alice", success=True))
        await self.checkpoints.make()
        self.clock.advance(dt.timedelta(hours=1))

    def event(self, found: Plan) -> Append:
        return self.one.op(AuditPrune(checkpoint=found.checkpoint, records=found.records, logs=found.cuts))

    async def prune(self, hours: float) -> Plan:
        return await prune(self.backend, START + dt.timedelta(hours=hours), self.event)

    async def findings(self) -> list[Any]:
        return (await self.backend.inspect(check)).findings


@pytest.fixture(params=["memory", "sqlite"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Hall], Awaitable[None]]], None]:
    async def whole(body: Callable[[Hall], Awaitable[None]]) -> None:
        clock = ManualClock(START)
        backend: Any = MemoryBackend(clock)
        if request.param == "sqlite":
            backend = await SqliteBackend.open(tmp_path / "store", clock)
        await backend.commit(Put("/authorities/audit/example.com", encode_document(authority(PUBLIC))))
        try:
            await body(Hall(backend, clock))
        finally:
            await backend.close()

    return lambda body: asyncio.run(whole(body))


def test_what_a_checkpoint_saw_in_time_goes(play: Any) -> None:
    async def body(hall: Hall) -> None:
        for _ in range(3):
            await hall.step(4, 2)
        found = await hall.prune(1.5)
        assert found.checkpoint == 2
        assert found.removed == {"audit/one": (1, 8), "audit/two": (1, 4)}
        assert found.records == 12
        assert [record.sequence for record in await hall.backend.read_log("audit/one")] == [9, 10, 11, 12, 13]
        assert len(await hall.backend.read_log(CHECKPOINTS)) == 3  # they stay
        assert await hall.findings() == []
        assert len((await hall.one.search(Query())).entries) == 4 + 2 + 1
        await hall.step(1, 1)
        assert await hall.findings() == []

    play(body)


def test_a_second_pruning_goes_on_where_the_first_ended(play: Any) -> None:
    async def body(hall: Hall) -> None:
        await hall.step(4, 2)
        await hall.step(4, 2)
        assert (await hall.prune(0.5)).removed == {"audit/one": (1, 4), "audit/two": (1, 2)}
        await hall.step(4, 0)
        await hall.step(1, 0)
        assert (await hall.prune(3.5)).removed == {"audit/one": (5, 13)}  # the event of the first one with it
        assert await hall.findings() == []
        assert (await hall.prune(3.5)).removed == {"audit/one": (14, 14)}  # it is not the last record any more
        assert (await hall.prune(3.5)).removed == {}

    play(body)


def test_nothing_goes_that_no_checkpoint_saw_and_no_log_is_emptied(play: Any) -> None:
    async def body(hall: Hall) -> None:
        await hall.one.record(UserLogin(user="alice", success=True))
        assert (await hall.prune(100)).removed == {}
        await hall.step(3, 1)
        await hall.two.record(UserLogin(user="alice", success=True))
        found = await hall.prune(100)
        assert found.removed == {"audit/two": (1, 1)}  # the last record of the other log was seen, and stays
        assert await hall.findings() == []

    play(body)


def test_a_plan_changes_nothing(play: Any) -> None:
    async def body(hall: Hall) -> None:
        await hall.step(3, 3)
        await hall.step(3, 3)
        before = await hall.backend.logs()
        found = await hall.backend.inspect(lambda reader: plan(reader, START + dt.timedelta(hours=0.5)))
        assert found.records == 6
        assert await hall.backend.logs() == before

    play(body)


def test_records_that_go_without_a_word_are_missed(play: Any) -> None:
    async def body(hall: Hall) -> None:
        await hall.step(3, 3)
        await hall.step(3, 3)
        await hall.backend.commit(Prune("audit/one", 2))
        (found,) = await hall.findings()
        assert (found["log"], found["sequence"], found["until"], found["problem"]) == ("audit/one", 1, 2, "missing")
        assert found["why"]
        assert found["fix"]

    play(body)


def test_what_a_crash_left_of_a_pruning_goes_with_the_next(play: Any) -> None:
    async def body(hall: Hall) -> None:
        await hall.step(3, 3)
        await hall.step(3, 3)
        found = await hall.backend.inspect(lambda reader: plan(reader, START + dt.timedelta(hours=0.5)))
        bases = {cut.log: (cut.sequence, cut.digest) for cut in found.cuts}
        await hall.backend.commit(Put(PRUNED, msgspec.json.encode(bases)), hall.event(found))
        assert await hall.findings() == []
        await hall.prune(0.5)
        assert (await hall.backend.read_log("audit/one"))[0].sequence == 4
        assert await hall.findings() == []

    play(body)


async def drain(series: AsyncIterator[Any]) -> None:
    async for _ in series:
        pass


def test_an_export_of_a_pruned_log_can_be_checked_and_one_that_was_overtaken_is_refused(
    play: Any, tmp_path: Path
) -> None:
    async def body(hall: Hall) -> None:
        for _ in range(3):
            await hall.step(4, 2)
        await hall.prune(0.5)
        await hall.backend.commit(Append("audit/one", b"\xff no text"))
        await hall.checkpoints.make()
        folder = tmp_path / "export"
        folder.mkdir()
        async for name, data in pieces(hall.backend, "example.com", hall.clock.now()):
            with open(folder / name, "ab") as file:
                file.write(data)
        report = audit_verify.verify(audit_verify.Export(str(folder)))
        assert report.findings == []
        assert {log["log"]: log["pruned"] for log in report.logs}["audit/one"] == 4
        overtaken = pieces(hall.backend, "example.com", hall.clock.now())
        await anext(overtaken)
        await hall.prune(1.5)
        with pytest.raises(Unavailable) as caught:
            await drain(overtaken)
        assert caught.value.code == "STORE-AUDIT-PRUNED"

    play(body)


def test_a_note_that_cannot_be_read_is_none(play: Any) -> None:
    async def body(hall: Hall) -> None:
        await hall.backend.commit(Put("/audit_proof/pruned", b"\xff"), Put("/audit_proof/pruned_x", b"1"))
        assert await hall.backend.inspect(pruned_of) == {}
        await hall.backend.commit(Put("/authorities/audit/damaged", b"{"))
        await hall.step(1, 1)
        assert await hall.findings() == []

    play(body)
