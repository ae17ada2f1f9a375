"""Trying again: exponential back-off with full jitter, bounded by a deadline.

Waits are plain `asyncio.sleep`, so that they pass in virtual time under simulation. What counts as worth
another try is the caller's choice; nothing is retried by default but Unavailable and TimedOut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from teleport.base.entropy import Entropy, fraction
from teleport.base.errors import TimedOut, Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits in seconds: a random part of `first * factor**n`, never more than `most`.

    Full jitter: the whole wait is random, so that a thousand agents that lost the same proxy do not come
    back in the same instant.
    """

    first: float = 0.5
    factor: float = 2.0
    most: float = 60.0

    def waits(self, entropy: Entropy) -> Iterator[float]:
        """Yield the waits between attempts, without end."""
        ceiling = min(self.first, self.most)
        while True:
            yield ceiling * fraction(entropy)
            ceiling = min(ceiling * self.factor, self.most)


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    entropy: Entropy,
    within: float | None = None,
    backoff: Backoff = Backoff(),
    again: tuple[type[Exception], ...] = (Unavailable, TimedOut),
    on_failure: Callable[[Exception, float], None] | None = None,
) -> T:
    """Call `attempt` until it succeeds, fails with something not in `again`, or `within` seconds are over.

    The last failure is raised, not a time-out of ours: it says what is wrong. An attempt that itself takes
    longer than the time left is cancelled. `on_failure(error, wait)` hears of each failure before its wait.
    Raises whatever `attempt` raises; TimedOut (RETRY-TIMEOUT) when the first attempt never ended.
    """
    loop = asyncio.get_running_loop()
    deadline = None if within is None else loop.time() + within
    last: Exception | None = None
    waits = backoff.waits(entropy)
    while True:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await attempt()
        except Exception as error:
            if limit.expired() and isinstance(error, TimeoutError):
                raise last or TimedOut("RETRY-TIMEOUT", seconds=f"{within:g}") from None
            if not isinstance(error, again):
                raise
            last = error
        wait = next(waits)
        if deadline is not None and loop.time() + wait >= deadline:
            raise last
        if on_failure is not None:
            on_failure(last, wait)
        await asyncio.sleep(wait)
