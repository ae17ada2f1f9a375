"""Lock-out: five failures, half an hour, no way around it by asking many times at once."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest

from teleport.auth import attempts
from teleport.auth.attempts import LIMIT, LOCKOUT, WINDOW, Attempts
from teleport.base.clock import ManualClock
from teleport.base.errors import LimitExceeded
from teleport.store.memory import MemoryBackend


def run(story: Callable[[Attempts, MemoryBackend, ManualClock], Awaitable[None]]) -> None:
    async def body() -> None:
        clock = ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
        backend = MemoryBackend(clock)
        await story(Attempts(backend, clock), backend, clock)
        await backend.close()

    asyncio.run(body())


async def fail(counter: Attempts, name: str = "alice", *, known: bool = True) -> bool:
    """Try once; say whether the attempt was allowed."""
    try:
        async with counter.attempt(name, known=known):
            return True
    except LimitExceeded:
        return False


@pytest.mark.parametrize("known", [True, False])
def test_after_five_failures_a_name_is_shut_out_for_half_an_hour(known: bool) -> None:
    async def story(counter: Attempts, backend: MemoryBackend, clock: ManualClock) -> None:
        assert [await fail(counter, known=known) for _ in range(LIMIT + 2)] == [True] * LIMIT + [False] * 2
        assert await fail(counter, "bob", known=known)
        clock.advance(LOCKOUT - dt.timedelta(seconds=1))
        assert not await fail(counter, known=known)
        clock.advance(dt.timedelta(seconds=2))
        assert await fail(counter, known=known)

    run(story)


def test_the_message_is_that_of_the_specification() -> None:
    assert str(LimitExceeded("AUTH-LOCKED-OUT")) == "user has exceeded maximum failed login attempts"


def test_old_failures_do_not_count() -> None:
    async def story(counter: Attempts, backend: MemoryBackend, clock: ManualClock) -> None:
        for _ in range(3 * LIMIT):
            assert await fail(counter)
            clock.advance(WINDOW / (LIMIT - 1) + dt.timedelta(seconds=1))

    run(story)


def test_a_success_forgets_failures() -> None:
    async def story(counter: Attempts, backend: MemoryBackend, clock: ManualClock) -> None:
        for _ in range(LIMIT - 1):
            await fail(counter)
        await backend.commit(counter.clear_op("alice"))
        assert [await fail(counter) for _ in range(LIMIT)] == [True] * LIMIT

    run(story)


def test_many_at_once_get_no_more_than_five() -> None:
    async def story(counter: Attempts, backend: MemoryBackend, clock: ManualClock) -> None:
        assert sum(await asyncio.gather(*(fail(counter) for _ in range(100)))) == LIMIT

    run(story)


def test_failures_survive_a_restart() -> None:
    async def story(counter: Attempts, backend: MemoryBackend, clock: ManualClock) -> None:
        for _ in range(LIMIT):
            await fail(counter)
        assert not await fail(Attempts(backend, clock))

    run(story)


def test_unknown_names_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_UNKNOWN_NAMES", 10)

    async def story(counter: Attempts, backend: MemoryBackend, clock: ManualClock) -> None:
        for number in range(100):
            await fail(counter, f"name-{number}", known=False)
        assert len(counter._unknown) == 10
        assert [item async for item in backend.scan("/")] == []

    run(story)
