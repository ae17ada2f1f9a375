"""A node's places among limited connections: taken, renewed, given back, lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from teleport.agents.ssh.leases import PATIENCE, RENEW, Leases, Place
from teleport.base.counters import Counter
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import LimitExceeded, TeleportError, Unavailable
from teleport.base.tasks import cancel, spawn
from tests.support import virtual_loop


class World:
    """The auth service, and this node's places of alice."""

    def __init__(self) -> None:
        self.room = 2
        self.failure: BaseException | None = None
        self.slow = 0.0
        self.stored: tuple[str, ...] = ()
        self.writes: list[tuple[tuple[str, ...], int, float]] = []
        self.refused = Counter("refused_total", "")
        self.leases = Leases(self.hold, SeededEntropy(1), self.refused)
        self.lost: list[TeleportError] = []

    async def hold(self, user: str, leases: Sequence[str], most: int) -> None:
        await asyncio.sleep(self.slow)
        if self.failure is not None:
            raise self.failure
        if len(leases) > self.room and not {*leases} <= {*self.stored}:
            raise LimitExceeded("AUTH-LEASES", name=user, limit=most)
        self.stored = tuple(leases)
        self.writes.append((self.stored, most, asyncio.get_running_loop().time()))

    async def take(self, user: str = "alice", most: int = 2) -> Place:
        return await self.leases.take(user, most, self.lost.append)


def play(story: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world, failures = World(), list[BaseException]()
        running = spawn(world.leases.run(), name="leases", on_error=failures.append)
        await story(world)
        await cancel(running)
        assert failures == []

    virtual_loop.run(main())


def test_places_are_taken_until_there_is_none_and_given_back() -> None:
    async def story(world: World) -> None:
        first, second = await world.take(), await world.take()
        assert world.stored == (first.lease, second.lease)
        with pytest.raises(LimitExceeded) as caught:
            await world.take()
        assert caught.value.code == "SSH-LIMIT-CONNECTIONS"
        assert caught.value.what == "err-max-leases: 'alice' has no place for another ssh connection"
        assert world.refused.value == 1
        await world.leases.give_back(first)
        await world.leases.give_back(first)
        assert world.stored == (second.lease,)
        third = await world.take()
        assert world.stored == (second.lease, third.lease)

    play(story)


def test_places_are_renewed_while_they_are_held() -> None:
    async def story(world: World) -> None:
        place = await world.take()
        await asyncio.sleep(2.5 * RENEW)
        assert [(leases, at) for leases, _, at in world.writes] == [
            ((place.lease,), 0.0), ((place.lease,), RENEW), ((place.lease,), 2 * RENEW),
        ]  # fmt: skip
        await world.leases.give_back(place)
        count = len(world.writes)
        await asyncio.sleep(3 * RENEW)
        assert len(world.writes) == count

    play(story)


@pytest.mark.parametrize("failure", [Unavailable("API-UNAVAILABLE", problem="down"), None])
def test_without_the_auth_service_nobody_with_a_limit_gets_in(failure: TeleportError | None) -> None:
    async def story(world: World) -> None:
        held = await world.take()
        world.failure, world.slow = failure, 0.0 if failure else 1e6
        with pytest.raises(Unavailable) as caught:
            await world.take()
        assert caught.value.code == "SSH-LEASE"
        assert asyncio.get_running_loop().time() <= PATIENCE
        world.failure, world.slow = None, 0.0
        await asyncio.sleep(RENEW)
        assert world.stored == (held.lease,), "the failed one is not among those that are renewed"

    play(story)


def test_a_place_outlives_an_outage_unless_somebody_else_took_it() -> None:
    async def story(world: World) -> None:
        first, second = await world.take(), await world.take()
        world.failure = Unavailable("API-UNAVAILABLE", problem="down")
        await asyncio.sleep(5 * RENEW)
        assert world.lost == []
        world.failure, world.stored, world.room = None, (), 1
        await asyncio.sleep(RENEW)
        assert world.stored == (first.lease,)
        (error,) = world.lost
        assert (error.code, error.fields["limit"]) == ("SSH-LIMIT-CONNECTIONS", "2")
        await world.leases.give_back(second)
        assert world.stored == (first.lease,)

    play(story)


def test_a_connection_that_leaves_while_it_waits_holds_nothing() -> None:
    async def story(world: World) -> None:
        world.slow = 1.0
        waiting = asyncio.get_running_loop().create_task(world.take())
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.wait([waiting])
        world.slow = 0.0
        other = await world.take()
        assert world.stored == (other.lease,)
        world.failure = Unavailable("API-UNAVAILABLE", problem="down")
        await world.leases.give_back(other)

    play(story)
