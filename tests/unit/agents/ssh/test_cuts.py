"""Locks against live connections: whom they end, when, and with which words."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

from teleport.access.denial import Denial
from teleport.access.locks import MAX_AGE
from teleport.access.roleset import RoleSet
from teleport.agents.ssh.cuts import LOOK, Cuts, Standing
from teleport.base.errors import Unavailable
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.session_termination import SessionTermination, SessionTerminationSpec
from teleport.model.resource import Metadata
from tests.support import policy, virtual_loop

STRICT = RoleSet.build([policy.role("dev", options={"lock": "strict"})], {})
LENIENT = RoleSet.build([policy.role("dev")], {})


class World:
    """The part of an `Authority` that is asked; written in virtual time."""

    def __init__(self) -> None:
        self.held: tuple[Lock, ...] = ()
        self.as_of: dt.datetime | None = None
        self.recorded: list[Denial] = []
        self.reachable = True
        self.endings: list[SessionTermination] = []
        self._revision, self._news = 0, asyncio.Event()

    def tell(self, *held: Lock, as_of: dt.datetime | None = None) -> None:
        self.held, self.as_of, self._revision = held, as_of, self._revision + 1
        self._news.set()
        self._news = asyncio.Event()

    async def changed(self, seen: int) -> int:
        while self._revision == seen:
            await self._news.wait()
        return self._revision

    def locks(self) -> tuple[Lock, ...]:
        return self.held

    def locks_as_of(self) -> dt.datetime | None:
        return self.as_of

    def terminations(self) -> list[SessionTermination]:
        return self.endings

    def node(self) -> Any:
        return policy.node("uuid-7", "node-7")

    async def record_denial(self, denial: Denial, identity: object, client: str) -> str:
        if not self.reachable:
            raise Unavailable("API-UNAVAILABLE", problem="it is down")
        self.recorded.append(denial)
        return "the-id"


class Connection:
    def __init__(self, standing: Standing | None) -> None:
        self.who = standing
        self.cuts: list[tuple[str, str, float]] = []
        self.ended: list[tuple[str, str, str]] = []

    def standing(self) -> Standing | None:
        return self.who

    def end_session(self, session_id: str, reason: str, text: str) -> None:
        self.ended.append((session_id, reason, text))

    def cut(self, reason: str, text: str) -> None:
        self.cuts.append((reason, text, asyncio.get_running_loop().time()))
        self.who = None


def somebody(roles: RoleSet = LENIENT, login: str = "root", **changes: Any) -> Standing:
    expires = virtual_loop.START + dt.timedelta(hours=1)
    who = policy.caller("dev", expires=expires, **changes)
    return Standing(who, roles, login, "198.51.100.4:50000", "198.51.100.4")


def play(story: Callable[[World, Cuts], Awaitable[None]]) -> World:
    async def main() -> World:
        loop, world = virtual_loop.current(), World()
        cuts = Cuts(world, loop.clock, loop.entropy, policy.CLUSTER)  # type: ignore[arg-type]
        running = loop.create_task(cuts.run())
        await asyncio.sleep(1)
        await story(world, cuts)
        running.cancel()
        await asyncio.wait([running])
        return world

    return virtual_loop.run(main())


def test_a_lock_ends_whom_it_meets_and_nobody_else() -> None:
    async def story(world: World, cuts: Cuts) -> None:
        met, other, gone, new = (
            Connection(somebody()), Connection(somebody(name="dave")), Connection(somebody()), Connection(None),
        )  # fmt: skip
        for each in (met, other, gone, new):
            cuts.join(each)
        cuts.leave(gone)
        now = asyncio.get_running_loop().time()
        world.tell(policy.lock("lock-1", "stop", user="carol"))
        await asyncio.sleep(0.5)
        ((reason, text, at),) = met.cuts
        assert reason == 'lock targeting User:"carol" is in force: stop'
        assert text.startswith(f"{reason}; ")
        assert text.endswith(" [id the-id]")
        assert at == now
        assert (other.cuts, gone.cuts, new.cuts) == ([], [], [])

    assert [denial.code for denial in play(story).recorded] == ["POL-LOCKED"]


def test_neither_an_expired_certificate_nor_a_role_that_is_gone_hides_a_lock() -> None:
    async def story(world: World, cuts: Cuts) -> None:
        expired, without = Connection(somebody()), Connection(somebody(RoleSet.build([], {}), login="alice"))
        for each in (expired, without):
            cuts.join(each)
        await asyncio.sleep(2 * 3600)
        world.tell(policy.lock("lock-1", user="carol"))
        await asyncio.sleep(0.5)
        assert [len(each.cuts) for each in (expired, without)] == [1, 1]

    play(story)


def test_a_list_that_ages_ends_those_whose_roles_are_strict() -> None:
    async def story(world: World, cuts: Cuts) -> None:
        strict, lenient = Connection(somebody(STRICT)), Connection(somebody())
        for each in (strict, lenient):
            cuts.join(each)
        began = asyncio.get_running_loop().time()
        world.reachable = False
        world.tell(as_of=virtual_loop.current().clock.now())
        await asyncio.sleep(MAX_AGE.total_seconds() + 2 * LOOK)
        ((reason, text, at),) = strict.cuts
        assert MAX_AGE.total_seconds() < at - began <= MAX_AGE.total_seconds() + LOOK
        assert text.startswith(reason)
        assert lenient.cuts == []

    assert play(story).recorded == []


def test_a_connection_that_comes_back_in_time_ends_nobody() -> None:
    async def story(world: World, cuts: Cuts) -> None:
        strict = Connection(somebody(STRICT))
        cuts.join(strict)
        world.tell(as_of=virtual_loop.current().clock.now())
        await asyncio.sleep(MAX_AGE.total_seconds() - 10)
        world.tell()
        await asyncio.sleep(MAX_AGE.total_seconds() * 3)
        assert strict.cuts == []

    play(story)


def test_a_refusal_that_nobody_records_has_an_id_all_the_same() -> None:
    async def story(world: World, cuts: Cuts) -> None:
        met = Connection(dataclasses.replace(somebody()))
        cuts.join(met)
        world.reachable = False
        world.tell(policy.lock("lock-1", user="carol"))
        await asyncio.sleep(0.5)
        ((_, text, _),) = met.cuts
        assert len(text.rpartition("[id ")[2]) > 20

    play(story)


def test_who_wants_a_session_ended_is_named_in_it() -> None:
    async def story(world: World, cuts: Cuts) -> None:
        connection = Connection(somebody())
        cuts.join(connection)
        world.endings = [
            SessionTermination(
                version="v1", metadata=Metadata(name=name),
                spec=SessionTerminationSpec(message=message, created_by="bob", host_user="carol"),
            )
            for name, message in (("s-1", "maintenance\nat noon"), ("s-2", ""))
        ]  # fmt: skip
        world.tell()
        await asyncio.sleep(0.5)
        said = "session terminated by bob: maintenance at noon"
        assert connection.ended == [
            ("s-1", said, f"{said}; ask bob before you go on"),
            ("s-2", "session terminated by bob", "session terminated by bob; ask bob before you go on"),
        ]
        assert connection.cuts == []

    play(story)
