"""Events in bursts: all of them, in their order, with the times at which they happened."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from typing import Any

from teleport.agents.ssh.event_bursts import MOST, PAUSE, EventBursts
from teleport.base import tasks
from teleport.base.clock import ManualClock
from teleport.model.events.base import Event
from teleport.model.events.file_copy import Action, Sftp
from tests.support import virtual_loop

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def happened(number: int) -> Sftp:
    return Sftp(action=Action.REMOVE, path=f"/{number}")


class Log:
    """What was written: event by event, and how many at a time."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.times: list[dt.datetime | None] = []
        self.bursts: list[int] = []
        self._together = 0

    async def emit(self, event: Event) -> None:
        assert isinstance(event, Sftp)
        self.paths.append(event.path)
        self.times.append(event.time)
        self._together += 1
        await asyncio.sleep(0)
        if self._together:
            self.bursts.append(self._together)
            self._together = 0


def play(story: Callable[[EventBursts, ManualClock], Coroutine[Any, Any, None]]) -> Log:
    """Return what comes of a story, in virtual time."""
    log = Log()

    async def main() -> None:
        clock = ManualClock(START)

        def background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            return tasks.spawn(work, name="bursts", on_error=lambda error: None)

        told = EventBursts(log.emit, clock, background)
        await story(told, clock)

    virtual_loop.run(main(), seed=1)
    return log


def test_what_comes_together_goes_together() -> None:
    async def story(told: EventBursts, clock: ManualClock) -> None:
        for number in range(10):
            told.add(happened(number))
            clock.advance(dt.timedelta(milliseconds=1))
        await asyncio.sleep(PAUSE * 2)
        told.add(happened(10))
        await asyncio.sleep(PAUSE / 2)
        told.add(happened(11))
        await asyncio.sleep(PAUSE * 2)

    log = play(story)
    assert log.paths == [f"/{number}" for number in range(12)]
    assert log.bursts == [10, 2]
    assert log.times[:3] == [START + dt.timedelta(milliseconds=number) for number in range(3)]


def test_many_do_not_wait() -> None:
    async def story(told: EventBursts, clock: ManualClock) -> None:
        for number in range(MOST + 5):
            told.add(happened(number))
        await asyncio.sleep(PAUSE / 100)
        for number in range(MOST):
            told.add(happened(number))
        await asyncio.sleep(PAUSE / 100)

    assert play(story).bursts == [MOST + 5, MOST]


def test_at_the_end_nothing_is_left() -> None:
    async def story(told: EventBursts, clock: ManualClock) -> None:
        await told.flush()
        told.add(happened(1))
        await told.flush()
        told.add(happened(2))
        await told.flush()

    assert play(story).paths == ["/1", "/2"]
