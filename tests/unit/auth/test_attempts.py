"""Lock-out: five failures, half an hour, no way around it by asking many times at once."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from teleport.auth import attempts
from teleport.auth.attempts import LIMIT, LOCKOUT, WINDOW, Attempts
from teleport.base.clock import ManualClock
from teleport.base.errors import LimitExceeded
from teleport.model.kinds.user import User, UserSpec
from teleport.model.resource import Metadata
from teleport.store.resources import Resources
from tests.support.auth_cluster import YieldingBackend


def run(story: Callable[[Attempts, Resources, ManualClock], Awaitable[None]]) -> None:
    async def body() -> None:
        clock = ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
        backend = YieldingBackend(clock)
        resources = Resources(backend, clock)
        await resources.create(User(version="v2", metadata=Metadata(name="alice")))
        await story(Attempts(backend, resources, clock), resources, clock)
        await backend.close()

    asyncio.run(body())


async def fail(counter: Attempts, name: str = "alice") -> bool:
    """Try once and fail; say whether the attempt was allowed."""
    try:
        async with counter.attempt(name) as turn:
            await counter._backend.commit(*counter.failure_ops(turn))
            return True
    except LimitExceeded:
        return False


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_after_five_failures_a_name_is_shut_out_for_half_an_hour(name: str) -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        assert [await fail(counter, name) for _ in range(LIMIT + 2)] == [True] * LIMIT + [False] * 2
        assert await fail(counter, "bob")
        clock.advance(LOCKOUT - dt.timedelta(seconds=1))
        assert not await fail(counter, name)
        clock.advance(dt.timedelta(seconds=2))
        assert await fail(counter, name)

    run(story)


def test_the_message_is_that_of_the_specification() -> None:
    assert str(LimitExceeded("AUTH-LOCKED-OUT")) == "user has exceeded maximum failed login attempts"


def test_old_failures_do_not_count() -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        for _ in range(3 * LIMIT):
            assert await fail(counter)
            clock.advance(WINDOW / (LIMIT - 1) + dt.timedelta(seconds=1))

    run(story)


def test_a_success_forgets_failures() -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        for _ in range(LIMIT - 2):
            await fail(counter)
        async with counter.attempt("alice") as turn:
            await counter._backend.commit(*counter.success_ops(turn))
        assert [await fail(counter) for _ in range(LIMIT)] == [True] * LIMIT

    run(story)


def test_many_at_once_get_no_more_than_five() -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        assert sum(await asyncio.gather(*(fail(counter) for _ in range(100)))) == LIMIT

    run(story)


def test_failures_survive_a_restart() -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        for _ in range(LIMIT - 1):
            await fail(counter)
        again = Attempts(counter._backend, resources, clock)
        assert [await fail(again) for _ in range(2)] == [True, False]
        assert not await fail(Attempts(counter._backend, resources, clock))

    run(story)


def test_unknown_names_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_UNKNOWN_NAMES", 10)

    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        for number in range(100):
            await fail(counter, f"name-{number}")
        assert len(counter._unknown) == 10
        assert [item.key async for item in counter._backend.scan("/web/")] == []

    run(story)


def test_the_lock_out_stands_in_the_status_where_it_can_be_ended() -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        for _ in range(LIMIT):
            await fail(counter)
        locked = await resources.get(User, "alice")
        assert locked.spec.status.is_locked == True  # noqa: E712 - a Switch
        assert locked.spec.status.lock_expires == clock.now() + LOCKOUT
        await resources.update(msgspec.structs.replace(locked, spec=UserSpec()))
        assert await fail(counter)

    run(story)


def test_a_lock_out_that_is_over_goes_with_the_next_success() -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        for _ in range(LIMIT):
            await fail(counter)
        clock.advance(LOCKOUT)
        async with counter.attempt("alice") as turn:
            await counter._backend.commit(*counter.success_ops(turn))
        assert not (await resources.get(User, "alice")).spec.status.is_locked

    run(story)


def test_when_the_lock_out_cannot_be_stored_the_count_still_refuses() -> None:
    async def story(counter: Attempts, resources: Resources, clock: ManualClock) -> None:
        for _ in range(LIMIT):
            async with counter.attempt("alice"):
                pass
        assert not await fail(counter)

    run(story)
