"""The audit log: events made complete, committed with their change, found and checked."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.base import chain
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AlreadyExists, BadParameter
from teleport.model.events.base import Unknown, decode
from teleport.model.events.user import UserLogin
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query
from teleport.store.backend import Absent, Append, Put
from teleport.store.memory import MemoryBackend

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class Hall:
    """A store with the logs of two auth servers."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.backend = MemoryBackend(self.clock)
        entropy = SeededEntropy(1)
        self.one = AuditLog(self.backend, "auth-1", self.clock, entropy, "example.com")
        self.two = AuditLog(self.backend, "auth-2", self.clock, entropy, "example.com")


def play(body: Callable[[Hall], Awaitable[None]]) -> None:
    async def whole() -> None:
        hall = Hall()
        await body(hall)
        await hall.backend.close()

    asyncio.run(whole())


def login(user: str, **more: Any) -> UserLogin:
    return UserLogin(user=user, method="local", success=True, **more)


def test_an_event_is_completed_and_goes_with_its_change() -> None:
    async def body(hall: Hall) -> None:
        await hall.backend.commit(Put("/users/joe", b"", when=Absent()), hall.one.op(login("joe")))
        with pytest.raises(AlreadyExists):
            await hall.backend.commit(Put("/users/joe", b"", when=Absent()), hall.one.op(login("joe")))
        (entry,) = (await hall.one.search(Query())).entries
        assert isinstance(entry.event, UserLogin)
        assert (entry.log, entry.sequence, entry.event.user) == ("audit/auth-1", 1, "joe")
        assert (entry.event.time, entry.event.cluster_name) == (START, "example.com")
        assert len(entry.event.uid) == 36
        assert decode(entry.data) == entry.event

    play(body)


def test_what_an_event_says_of_itself_is_kept() -> None:
    async def body(hall: Hall) -> None:
        event = login("joe").stamped(time=START - dt.timedelta(hours=1), uid="u", cluster_name="leaf")
        await hall.one.record(event)
        assert (await hall.one.search(Query())).entries[0].event == event

    play(body)


def test_events_of_all_writers_are_found_in_order_of_time() -> None:
    async def body(hall: Hall) -> None:
        for number, log in enumerate([hall.one, hall.two, hall.two, hall.one]):
            await log.record(login(f"user-{number}"))
            hall.clock.advance(dt.timedelta(seconds=1))
        page = await hall.one.search(Query(limit=3))
        users = [getattr(entry.event, "user", "") for entry in page.entries]
        rest = await hall.two.search(Query(limit=3, continuation=page.continuation))
        users += [getattr(entry.event, "user", "") for entry in rest.entries]
        assert users == ["user-3", "user-2", "user-1", "user-0"]
        assert rest.continuation == ""
        found = await hall.one.search(Query(user="user-2", types=frozenset({"user.login"}), newest_first=False))
        assert [entry.log for entry in found.entries] == ["audit/auth-2"]

    play(body)


def test_a_record_that_cannot_be_read_is_shown_as_unknown() -> None:
    async def body(hall: Hall) -> None:
        await hall.backend.commit(Append("audit/auth-1", b"\xff"), Append("audit/auth-1", b'{"event":"new.thing"}'))
        new, damaged = (await hall.one.search(Query())).entries
        assert isinstance(new.event, Unknown)
        assert isinstance(damaged.event, Unknown)
        assert (new.event.fields["event"], damaged.data) == ("new.thing", b"\xff")

    play(body)


def test_every_writers_chain_is_checked_and_other_logs_are_not_audit() -> None:
    async def body(hall: Hall) -> None:
        await hall.one.record(login("a"))
        await hall.two.record(login("b"))
        await hall.two.record(login("c"))
        await hall.backend.commit(Append("other", b"x"))
        report = await hall.one.verify()
        assert report.findings == []
        found = {log["log"]: (log["records"], log["digest"]) for log in report.logs if log["log"].startswith("audit/")}
        heads = await hall.one.heads()
        assert [(head.log, head.sequence) for head in heads] == [("audit/auth-1", 1), ("audit/auth-2", 2)]
        assert found == {head.log: (head.sequence, head.digest.hex()) for head in heads}
        assert heads[0].digest == chain.link(chain.START, 1, heads[0].data)

    play(body)


@pytest.mark.parametrize("writer", ["", "a/b", "..", "a b", "a\n", "é", "x" * 129])
def test_a_writer_has_a_plain_name(writer: str) -> None:
    clock = ManualClock(START)
    with pytest.raises(BadParameter) as caught:
        AuditLog(MemoryBackend(clock), writer, clock, SeededEntropy(1), "example.com")
    assert caught.value.code == "STORE-AUDIT-WRITER"
