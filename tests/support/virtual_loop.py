"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready.

`run(main(), seed=7)` runs a simulation: days pass in milliseconds, the same order every time, and a program in
which everybody waits for everybody ends with `Deadlock` instead of hanging. Threads run inline.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from teleport.base.entropy import SeededEntropy

T = TypeVar("T")

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class Deadlock(AssertionError):
    """Nothing is ready and no timer is set: no task of the simulation can ever go on."""


class LoopClock:
    """A `base.clock.Clock` that follows the loop's time."""

    def __init__(self, loop: VirtualLoop, start: dt.datetime) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> dt.datetime:
        return self._start + dt.timedelta(seconds=self._loop.time())


class _Selector(selectors.SelectSelector):
    """Never sleeps: what would be sleep is handed to `advance`."""

    def __init__(self) -> None:
        super().__init__()
        self.advance: Callable[[float | None], None] = lambda seconds: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and (timeout is None or timeout > 0):
            self.advance(timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `clock` and `entropy` are what a simulation hands to the code under test."""

    def __init__(self, *, seed: int = 0, start: dt.datetime = START) -> None:
        selector = _Selector()
        self._virtual_time = 0.0
        super().__init__(selector)
        self._clock_resolution = 1e-9
        self.seed = seed
        self.clock = LoopClock(self, start)
        self.entropy = SeededEntropy(seed)
        self.failures: list[BaseException] = []
        selector.advance = self._advance
        self.set_exception_handler(self._on_failure)

    def time(self) -> float:
        return self._virtual_time

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run at once: a thread's real time would make the order of events differ from run to run."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _advance(self, seconds: float | None) -> None:
        if seconds is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self))
            raise Deadlock(f"every task waits and no timer is set: {', '.join(waiting)}")
        self._virtual_time += seconds

    def _on_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(context.get("exception") or AssertionError(context["message"]))


def run(main: Coroutine[Any, Any, T], *, seed: int = 0, start: dt.datetime = START) -> T:
    """Run `main` in virtual time from `start` and return its result.

    `seed` makes `loop.entropy`; a failure names it. A failure that nobody awaited fails the simulation too.
    """
    loop = VirtualLoop(seed=seed, start=start)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            result = runner.run(main)
        if loop.failures:
            raise loop.failures[0]
    except BaseException as error:
        error.add_note(f"virtual time {loop.time():.3f} s, seed={seed}")
        raise
    return result


def current() -> VirtualLoop:
    """Return the running virtual loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
