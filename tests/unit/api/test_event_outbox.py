"""EventOutbox against a real Auth Service in memory, over a line that loses requests and replies."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import struct
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.api.audit_query_calls import AuditQueryCalls
from teleport.api.event_outbox import LARGEST, LINGER, EventOutbox
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, BadParameter, Unavailable
from teleport.model.events.session import Exec
from teleport.model.events.user import UserLogin
from teleport.store.backend import Delete
from teleport.store.journal import Journal
from teleport.store.turns import Turns
from tests.support import auth_cluster, virtual_loop
from tests.support.auth_cluster import Cluster

DOWN = Unavailable("API-UNAVAILABLE", problem="down")


class Line:
    """The way to the Auth Service. `fate` says of a call: "" well, "request" or "reply" lost, "hang", "slow"."""

    def __init__(self, cluster: Cluster) -> None:
        self._calls = AuditQueryCalls(cluster.client(cluster.host("Node")))
        self.fate: Callable[[], str] = lambda: ""
        self.past: list[tuple[str, int, list[dict[str, Any]]]] = []

    async def deliver(
        self, writer: str, first: int, events: Sequence[dict[str, Any]], *, after_gap: bool = False
    ) -> None:
        fate = self.fate()
        if fate == "request":
            raise DOWN
        if fate == "hang":
            await asyncio.sleep(1e6)
        if fate == "slow":
            await asyncio.sleep(2)
        await self._calls.deliver(writer, first, events, after_gap=after_gap)
        self.past.append((writer, first, list(events)))
        if fate == "reply":
            raise DOWN

    async def repeat(self, which: int) -> None:
        """Let a call of the past arrive once more."""
        writer, first, events = self.past[which % len(self.past)]
        await self._calls.deliver(writer, first, events)


class World:
    """A node that is killed and started again on the same disk."""

    def __init__(self, cluster: Cluster, path: Path) -> None:
        self.cluster = cluster
        self.line = Line(cluster)
        self.path = path
        self.bounds: dict[str, int] = {}
        self._seed = 0
        self._sending: asyncio.Task[None] | None = None
        self.start()

    def start(self) -> None:
        self._seed += 1
        journal = Journal(SystemFolder(str(self.path / "spool")), **self.bounds)
        entropy = SeededEntropy(self._seed)
        self.outbox = EventOutbox(self.line.deliver, Turns(journal), clock=self.cluster.clock, entropy=entropy)
        self._sending = tasks.spawn(self.outbox.run(), name="sending", on_error=self.cluster.failures.append)

    async def kill(self) -> None:
        """End without a last word."""
        assert self._sending is not None
        await tasks.cancel(self._sending)

    async def stop(self) -> None:
        await self.kill()
        await self.outbox.close()

    async def emit(self, *names: str) -> None:
        for name in names:
            await self.outbox.emit(ran(name))

    async def stored(self) -> list[str]:
        return [event["command"] for event in await self.cluster.events("exec")]

    async def caught_up(self) -> None:
        while self.outbox.behind:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(1)


def started(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return tasks.spawn(work, name="emit", on_error=lambda _: None)


def ran(command: str) -> Exec:
    return Exec(command=command, exit_code="0", user="alice", login="root")


def run(story: Callable[[World], Awaitable[None]], path: Path) -> None:
    async def body() -> None:
        async with auth_cluster.running(clock=virtual_loop.current().clock) as cluster:
            world = World(cluster, path)
            try:
                await story(world)
            finally:
                await world.stop()

    virtual_loop.run(body())


def test_events_arrive_once_and_in_order(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(250):
                group.create_task(world.emit(str(number)))
        await world.caught_up()
        assert await world.stored() == [str(number) for number in range(250)]
        assert len(world.line.past) < 10  # those that wait go together
        assert Journal(SystemFolder(str(world.path / "spool"))).empty()

    run(story, tmp_path)


def test_those_who_go_on_emitting_do_not_send_each_event_alone(tmp_path: Path) -> None:
    """What comes while events are sent waits for its own turn."""

    async def story(world: World) -> None:
        for number in range(200):
            await world.emit(str(number))
            await asyncio.sleep(0.02)
        assert len(world.line.past) <= 200 * 0.02 / LINGER + 1
        await world.caught_up()
        assert await world.stored() == [str(number) for number in range(200)]

    run(story, tmp_path)


def test_what_happens_while_auth_is_away_arrives_later_with_its_own_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        began = world.cluster.clock.now()
        await world.emit("before")
        await world.caught_up()
        world.line.fate = lambda: "request"
        await world.emit("one", "two")
        await asyncio.sleep(3600)
        assert world.outbox.behind
        assert await world.stored() == ["before"]
        world.line.fate = lambda: ""
        await world.emit("three")
        await world.caught_up()
        await world.emit("four")
        await world.caught_up()
        assert await world.stored() == ["before", "one", "two", "three", "four"]
        times = [dt.datetime.fromisoformat(e["time"]) - began for e in await world.cluster.events("exec")]
        assert max(times[:3]) < dt.timedelta(minutes=1)
        assert min(times[3:]) >= dt.timedelta(hours=1)

    run(story, tmp_path)


def test_a_call_that_hangs_does_not_hold_up_its_events(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.line.fate = lambda: "hang"
        async with asyncio.timeout(20):
            await world.emit("one", "two")
        world.line.fate = lambda: ""
        await world.caught_up()
        assert await world.stored() == ["one", "two"]

    run(story, tmp_path)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_each_event_is_stored_once_whatever_is_lost_repeated_or_killed(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random = Random(seed)

    async def story(world: World) -> None:
        world.line.fate = lambda: random.choice(("", "", "request", "reply", "hang"))
        world.bounds = {"segment": 300}
        kept: list[str] = []
        for number in range(40):
            await world.emit(str(number))
            kept.append(str(number))
            if random.random() < 0.15:
                await world.kill()
                world.start()
            if random.random() < 0.2:
                await asyncio.sleep(random.random() * 30)
            if random.random() < 0.2 and world.line.past:
                await world.line.repeat(random.randrange(100))
        world.line.fate = lambda: ""
        await world.emit("last")
        await world.caught_up()
        stored = await world.stored()
        assert len(stored) == len(set(stored))
        assert set(stored) == {*kept, "last"}
        assert stored == [*kept, "last"]

    run(story, tmp_path_factory.mktemp("spool"))


def test_a_caller_that_is_cancelled_loses_nothing_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        with monkeypatch.context() as patch:
            without_disk(patch)
            world.line.fate = lambda: "slow"
            first = started(world.emit("cancelled"))
            second = started(world.emit("stays"))
            await asyncio.sleep(1)
            first.cancel()
            await asyncio.sleep(0)
            world.line.fate = lambda: ""
            await second
            assert await world.stored() == ["cancelled", "stays"]
            world.line.fate = lambda: "slow"
            last = started(world.emit("nobody waits"))
            await asyncio.sleep(1)
            last.cancel()
            await asyncio.wait([last])
        world.line.fate = lambda: ""
        await world.stop()
        world.start()
        await world.emit("again")
        await world.caught_up()
        assert await world.stored() == ["cancelled", "stays", "nobody waits", "again"]

    run(story, tmp_path)


def test_a_defect_is_told_to_who_emits_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", broken)
            with pytest.raises(ZeroDivisionError):
                await world.emit("defect")
        await world.emit("later")
        await world.caught_up()
        assert await world.stored() == ["later"]

    run(story, tmp_path)


def without_disk(patch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Unavailable("DISK-FULL", path="/spool")

    patch.setattr(Journal, "append", full)


def test_what_the_disk_does_not_take_the_auth_service_has_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        await world.emit("on the disk")
        with monkeypatch.context() as patch:
            without_disk(patch)
            await world.emit("not")
            assert await world.stored() == ["on the disk", "not"]
            world.line.fate = lambda: "reply"
            with pytest.raises(Unavailable) as caught:
                await world.emit("told as lost")
            assert caught.value.code == "DISK-FULL"
        world.line.fate = lambda: ""
        await world.emit("next")
        await world.caught_up()
        assert await world.stored() == ["on the disk", "not", "told as lost", "next"]

    run(story, tmp_path)


def test_a_disk_that_lets_nothing_go_keeps_no_event_from_the_auth_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending was once taken for broken when only the removal of what was sent had failed: the next event was lost."""

    async def story(world: World) -> None:
        def full(*_: object) -> None:
            raise Unavailable("DISK-FULL", path="/spool")

        await world.emit("on the disk")
        with monkeypatch.context() as patch:
            without_disk(patch)
            patch.setattr(Journal, "drop", full)
            await asyncio.sleep(2 * LINGER)
            for name in ("one", "two"):
                await world.emit(name)
            assert await world.stored() == ["on the disk", "one", "two"]
        await world.emit("next")
        await world.caught_up()
        assert await world.stored() == ["on the disk", "one", "two", "next"]

    run(story, tmp_path)


def test_what_is_left_at_the_end_is_sent(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.emit("last")
        assert await world.stored() == []
        await world.stop()
        assert await world.stored() == ["last"]
        world.start()
        world.line.fate = lambda: "hang"
        await world.emit("not now")
        async with asyncio.timeout(20):
            await world.stop()
        world.line.fate = lambda: ""
        world.start()
        await world.emit("again")
        await world.caught_up()
        assert await world.stored() == ["last", "not now", "again"]

    run(story, tmp_path)


def test_an_event_that_is_never_taken_harms_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        async def forged() -> None:
            with pytest.raises(AccessDenied) as caught:
                await world.outbox.emit(UserLogin(user="eve", success=True))
            assert caught.value.code == "AUTH-ESCALATION"

        await world.emit("begin")
        with monkeypatch.context() as patch:
            without_disk(patch)
            async with asyncio.TaskGroup() as group:
                group.create_task(world.emit("one"))
                group.create_task(forged())
                group.create_task(world.emit("two"))
        with pytest.raises(BadParameter) as large:
            await world.emit("x" * LARGEST)
        assert large.value.code == "EVENT-TOO-LARGE"
        assert await world.stored() == ["begin", "one", "two"]
        await world.emit("three")
        await world.outbox.emit(UserLogin(user="eve", success=True))
        await world.emit("four")
        await world.caught_up()
        assert await world.stored() == ["begin", "one", "two", "three", "four"]
        assert await world.cluster.events("user.login") == []

    run(story, tmp_path)


def test_a_full_spool_says_so_and_what_follows_is_stored(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.stop()
        world.bounds = {"bound": 1000}
        world.start()
        world.line.fate = lambda: "reply"
        kept = []
        for number in range(20):
            with contextlib.suppress(Unavailable):
                await world.emit(str(number))
                kept.append(str(number))
        with pytest.raises(Unavailable) as caught:
            await world.emit("x" * 1000)
        assert caught.value.code == "STORE-JOURNAL-FULL"
        assert 2 < len(kept) < 20
        world.line.fate = lambda: ""
        await world.caught_up()
        await world.emit("after")
        await world.caught_up()
        assert await world.stored() == [*kept, "after"]

    run(story, tmp_path)


def test_a_full_disk_is_told_and_gets_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        def full(*_: object) -> None:
            raise Unavailable("DISK-FULL", path="/spool")

        world.line.fate = lambda: "reply"
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", full)
            with pytest.raises(Unavailable) as caught:
                await world.emit("told as lost, and yet there")
            assert caught.value.code == "DISK-FULL"
        world.line.fate = lambda: ""
        await world.emit("next")
        await world.caught_up()
        assert await world.stored() == ["told as lost, and yet there", "next"]

    run(story, tmp_path)


def test_a_damaged_spool_is_sent_as_far_as_it_goes(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.bounds = {"segment": 1}
        await world.stop()
        world.start()
        world.line.fate = lambda: "request"
        await world.emit("one", "two", "three", "four")
        await world.kill()
        files = sorted((tmp_path / "spool").iterdir())
        files[1].write_bytes(files[1].read_bytes()[:-3])
        files[2].write_bytes(b"TPJRNL1\n" + struct.pack(">II", 2, zlib.crc32(b"[]")) + b"[]")
        world.line.fate = lambda: ""
        world.start()
        await world.emit("five")
        await world.caught_up()
        assert await world.stored() == ["one", "four", "five"]

    run(story, tmp_path)


def test_auth_going_back_to_a_backup_does_not_stop_the_events(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.emit("one", "two")
        async for item in world.cluster.backend.scan("/audit_writers/"):
            await world.cluster.backend.commit(Delete(item.key))
        await world.emit("three")
        await world.caught_up()
        assert await world.stored() == ["one", "two", "three"]

    run(story, tmp_path)
