"""Pulse: how late the event loop is, and since when each task has been waiting for the same thing.

One task beats once a second; whoever looks from another thread sees by the time of the last beat whether the
loop is stuck. Every tenth beat notes what each task waits for, so that a dump can say for how long.
Not here: how that is shown (`process.dump`, `process.metrics`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

BEAT = 1.0
"""Seconds between two beats."""
NOTE_EVERY = 10
"""Beats between two notes of what tasks wait for."""

Mark = tuple[int, int]
"""What a task waits for, and where in its code: both change when it makes progress."""


class Pulse:
    """Measures one event loop. Numbers may be read from any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is a monotonic clock in seconds; durations are measured with it, never times of day."""
        self._now = now
        self._waits: WeakKeyDictionary[asyncio.Task[Any], tuple[Mark, float]] = WeakKeyDictionary()
        self.last = now()
        """When the loop last beat."""
        self.lag = 0.0
        """Seconds by which the last beat came late."""
        self.worst = 0.0
        """Seconds by which any beat came late at most."""

    async def run(self) -> None:
        """Beat until cancelled."""
        beats = 0
        self.last = self._now()
        while True:
            if beats % NOTE_EVERY == 0:
                self.note(asyncio.all_tasks())
            await asyncio.sleep(BEAT)
            self.beat()
            beats += 1

    def beat(self) -> None:
        """Note that the loop runs."""
        now = self._now()
        self.lag = max(0.0, now - self.last - BEAT)
        self.worst = max(self.worst, self.lag)
        self.last = now

    @property
    def silence(self) -> float:
        """Seconds since the loop should have beaten; 0 while it does."""
        return max(0.0, self._now() - self.last - 2 * BEAT)

    def note(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Note what each task waits for; those that still wait for the same thing keep their first moment."""
        now = self._now()
        noted: WeakKeyDictionary[asyncio.Task[Any], tuple[Mark, float]] = WeakKeyDictionary()
        for task in tasks:
            mark = _mark(task)
            before = self._waits.get(task)
            noted[task] = before if before is not None and before[0] == mark else (mark, now)
        self._waits = noted  # replaced at once: another thread may be reading the former one

    def waited(self, task: asyncio.Task[Any]) -> float:
        """Return for how many seconds at least `task` has waited for the same thing; 0 if that is not known."""
        known = self._waits.get(task)
        return self._now() - known[1] if known is not None and known[0] == _mark(task) else 0.0


def _mark(task: asyncio.Task[Any]) -> Mark:
    awaited: Any = task.get_coro()
    place = 0
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        place = frame.f_lasti
        awaited = getattr(awaited, "cr_await", None)
    return id(getattr(task, "_fut_waiter", None)), place
