"""Prompt: blocking work that is done before a thread would have begun it, and so is done at once.

A sync that finds its blocks in place takes a quarter of a millisecond; the way into a thread and back takes more,
because both threads hand the interpreter to each other. So it is worth holding the event loop for it, as
long as the disk is quick. One that was slow sends what follows to the threads, until some in a row were quick there.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SLOW = 0.002
"""Seconds after which work that was done at once counts as slow."""
SLOW_THERE = 0.01
"""The same in a thread, where work also waits for the interpreter."""
PROOF = 4
"""How often work has to be quick in a thread before it is done at once."""


class Prompt:
    """Remembers how quick one kind of work is. It begins with threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._owed = PROOF

    async def run(
        self, work: Callable[[], T], thread: Callable[[Callable[[], T]], Awaitable[T]], *, ready: bool = True
    ) -> T:
        """Do `work`, at once or by `thread`; in any case there unless `ready`. Raises what `work` raises."""
        if ready and not self._owed:
            return self._timed(work, SLOW)
        return await thread(lambda: self._timed(work, SLOW_THERE))

    def _timed(self, work: Callable[[], T], slow: float) -> T:
        began = self._now()
        try:
            return work()
        finally:
            self._owed = PROOF if self._now() - began > slow else max(self._owed - 1, 0)
