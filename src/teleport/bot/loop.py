"""The loop of a task: again after every interval, with attempts that back off, and at once when somebody asks.

`wait` and `pause` are all that decides when: the simulation of a thousand bots uses them, and finds neither drift nor a
herd. A round is counted from its beginning, so that what it takes is not added to the interval. Reference: machine
identity, section 9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from teleport.base.entropy import Entropy, fraction
from teleport.base.errors import Internal, TeleportError
from teleport.base.log import logger
from teleport.base.struct import Duration
from teleport.bot.health import Health, Tally

log = logger("TBOT")

IDENTITY_ATTEMPTS = 7
OUTPUT_ATTEMPTS = 5
JITTER = 0.1
"""Part of the interval by which a wait is shortened at most: bots that were started together drift apart."""
_LONGEST_REASON = 256
"""Bytes of a reason that the Auth Service takes."""

Work = Callable[[], Awaitable[None]]


def wait(interval: float, entropy: Entropy) -> float:
    """Return how many seconds after the beginning of a round the next one begins."""
    return interval * (1.0 - JITTER * fraction(entropy))


def pause(attempt: int, entropy: Entropy) -> float:
    """Return how many seconds are between attempt number `attempt`, from 1, and the next one: half of it by chance."""
    return 2.0 ** (attempt - 1) * (1.0 - 0.5 * fraction(entropy))


class Bell:
    """Wakes those who wait, all at once."""

    def __init__(self) -> None:
        self.rung = 0
        """How often it has been rung."""
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits."""
        self.rung += 1
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def within(self, seconds: float, seen: int) -> bool:
        """Wait for so long; return at once, and say so, when the bell was rung since it had been `seen` times."""
        if self.rung != seen:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class Loop:
    """One task, for the life of the process."""

    def __init__(
        self, service: str, task: str, work: Work, *, interval: float, attempts: int, entropy: Entropy, health: Health,
        tally: Tally, ends: Callable[[TeleportError], bool] = lambda error: False,
        after: Callable[[bool], None] = lambda rung: None,
    ) -> None:  # fmt: skip
        """`service` and `task` name it in logs and metrics. `ends` says of an error that no attempt can mend it, and
        that the process ends with it. `after` is called after each round, with whether it was asked for."""
        self._service = service
        self._task = task
        self._work = work
        self._interval = interval
        self._attempts = attempts
        self._entropy = entropy
        self._health = health
        self._tally = tally
        self._ends = ends
        self._after = after
        health.expect(service)

    async def run(self, bell: Bell, *, at_once: bool = True) -> None:
        """Work until cancelled; `at_once`: the first round begins now. Raises what ends the process."""
        clock, seen, rung = asyncio.get_running_loop().time, bell.rung, False
        began = clock()
        while True:
            if at_once:
                began = clock()
                await self.round(bell, seen)
                self._after(rung)
            at_once = True
            due = began + wait(self._interval, self._entropy)
            rung = await bell.within(max(due - clock(), 0.0), seen)
            seen = bell.rung

    async def round(self, bell: Bell, seen: int) -> bool:
        """Make attempts until one succeeds; return whether one did. Raises what ends the process."""
        clock = asyncio.get_running_loop().time
        began = clock()
        self._tally.rounds += 1
        succeeded = await self._attempt_all(bell, seen)
        self._tally.seconds.observe(clock() - began)
        if not succeeded:
            self._tally.failed += 1
        return succeeded

    async def _attempt_all(self, bell: Bell, seen: int) -> bool:
        told = {"service": self._service, "task": self._task}
        for attempt in range(1, self._attempts + 1):
            log.info("Attempting task", **told, attempt=attempt, retry_limit=self._attempts)
            error = await self._attempt()
            if error is None:
                self._tally.retries.observe(attempt - 1)
                self._health.report(self._service, "healthy")
                log.info("Task succeeded. Waiting interval", **told, interval=Duration(self._interval))
                return True
            self._health.report(self._service, "unhealthy", error.what[:_LONGEST_REASON])
            if attempt < self._attempts:
                seconds = pause(attempt, self._entropy)
                log.warn("Task failed. Backing off and retrying", **told, attempt=attempt,
                         retry_limit=self._attempts, backoff=Duration(round(seconds, 3)), error=error)  # fmt: skip
                await bell.within(seconds, seen)
                seen = bell.rung
            else:
                log.error("All retry attempts exhausted. Will wait for next interval", **told,
                          retry_limit=self._attempts, interval=Duration(self._interval), error=error)  # fmt: skip
        return False

    async def _attempt(self) -> TeleportError | None:
        try:
            await self._work()
        except TeleportError as error:
            if self._ends(error):
                raise
            return error
        except Exception as error:  # a defect in one service must not stop the others
            log.error("A task failed unexpectedly", service=self._service, error=error)
            return Internal("BOT-TASK", service=self._service, kind=type(error).__name__)
        return None
