"""The loop of a task, in virtual time: when rounds are, and what becomes of failures."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import pytest

from teleport.base import tasks
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, Unavailable
from teleport.bot.health import Health, Tally
from teleport.bot.loop import JITTER, Bell, Loop, pause, wait
from tests.support.log_lines import said
from tests.support.virtual_loop import current, run

__all__ = ["said"]

INTERVAL = 1200.0


class Work:
    """Notes when it is called; `fails` says which calls fail with what."""

    def __init__(self, fails: Callable[[int], Exception | None] = lambda call: None, takes: float = 0.0) -> None:
        self.times: list[float] = []
        self._fails = fails
        self._takes = takes

    async def __call__(self) -> None:
        self.times.append(current().time())
        await asyncio.sleep(self._takes)
        if (error := self._fails(len(self.times))) is not None:
            raise error


def nobody(call: int) -> Exception:
    return Unavailable("NET-REFUSED", address="127.0.0.1:1")


def loop(work: Work, health: Health | None = None, **more: Any) -> Loop:
    settings: dict[str, Any] = {"interval": INTERVAL, "attempts": 5, "tally": Tally(), **more}
    return Loop("output", "output-renewal", work, entropy=current().entropy, health=health or Health(), **settings)


async def during(seconds: float, made: Loop, bell: Bell | None = None) -> None:
    task = tasks.spawn(made.run(bell or Bell()), name="loop", on_error=lambda error: None)
    await asyncio.sleep(seconds)
    await tasks.cancel(task)


def test_rounds_follow_at_the_interval_whatever_they_take(said: io.StringIO):
    """S1-35: twenty minutes from the beginning of one round to that of the next, a tenth less at most."""
    work = Work(takes=300.0)

    async def main() -> None:
        await during(20 * INTERVAL, loop(work))

    run(main(), seed=3)
    gaps = [later - earlier for earlier, later in zip(work.times, work.times[1:], strict=False)]
    assert len(gaps) >= 19
    assert all(INTERVAL * (1 - JITTER) <= gap <= INTERVAL for gap in gaps)
    assert len({round(gap) for gap in gaps}) > 10
    assert "Attempting task service:output task:output-renewal attempt:1 retry_limit:5" in said.getvalue()
    assert "Task succeeded. Waiting interval service:output task:output-renewal interval:20m0s" in said.getvalue()


def test_failures_are_tried_again_after_twice_as_long_each_time_and_then_at_the_next_interval(said: io.StringIO):
    work, health, tally = Work(nobody), Health(), Tally()

    async def main() -> None:
        await during(INTERVAL / 2, loop(work, health, tally=tally))
        assert len(work.times) == 5
        assert health.conditions["output"].state == "unhealthy"

    run(main())
    gaps = [later - earlier for earlier, later in zip(work.times, work.times[1:], strict=False)]
    assert all(2.0**n / 2 <= gap <= 2.0**n for n, gap in enumerate(gaps))
    assert (tally.rounds, tally.failed, tally.retries.count) == (1, 1, 0)
    text = said.getvalue()
    assert text.count("Task failed. Backing off and retrying") == 4
    assert text.count("All retry attempts exhausted. Will wait for next interval") == 1


def test_a_retry_that_succeeds_ends_the_round():
    work, health, tally = Work(lambda call: nobody(call) if call < 3 else None), Health(), Tally()

    async def main() -> None:
        await during(60.0, loop(work, health, tally=tally))

    run(main())
    assert len(work.times) == 3
    assert health.conditions["output"].state == "healthy"
    assert tally.retries.counts == [0, 0, 1, 1, 1, 1]


def test_a_bell_begins_a_round_at_once_and_ends_a_pause(said: io.StringIO):
    work, rung = Work(), list[bool]()

    async def main() -> None:
        bell = Bell()
        task = tasks.spawn(loop(work, after=rung.append).run(bell), name="loop", on_error=lambda error: None)
        await asyncio.sleep(10.0)
        bell.ring()
        await asyncio.sleep(0)
        await asyncio.sleep(1.0)
        await tasks.cancel(task)

    run(main())
    assert work.times == [0.0, 10.0]
    assert rung == [False, True]

    failing = Work(lambda call: nobody(call) if call < 5 else None)

    async def in_a_pause() -> None:
        bell = Bell()
        task = tasks.spawn(loop(failing).run(bell), name="loop", on_error=lambda error: None)
        for _ in range(4):
            await asyncio.sleep(0.01)
            bell.ring()
        await asyncio.sleep(0.05)
        await tasks.cancel(task)

    run(in_a_pause())
    assert len(failing.times) >= 5


def test_what_no_attempt_mends_ends_the_process():
    work = Work(lambda call: AccessDenied("AUTH-BOT-GENERATION", stored=3, presented=2, bot="b", lock="l"))

    async def main() -> None:
        with pytest.raises(AccessDenied):
            await loop(work, ends=lambda error: error.code == "AUTH-BOT-GENERATION").run(Bell())

    run(main())
    assert len(work.times) == 1


def test_a_defect_is_a_failure_of_that_service_alone(said: io.StringIO):
    work, health = Work(lambda call: ZeroDivisionError()), Health()

    async def main() -> None:
        await during(60.0, loop(work, health))

    run(main())
    assert len(work.times) == 5
    assert "ZeroDivisionError" in health.conditions["output"].reason


def test_waits_are_spread_and_never_longer_than_they_may_be():
    entropy = SeededEntropy(5)
    waits = [wait(100.0, entropy) for _ in range(1000)]
    assert min(waits) < 91.0 < 99.0 < max(waits) <= 100.0
    for attempt in range(1, 8):
        assert all(2.0 ** (attempt - 2) <= pause(attempt, entropy) <= 2.0 ** (attempt - 1) for _ in range(50))
