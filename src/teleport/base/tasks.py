"""The only place that starts tasks, so that no failure is lost and none outlives its owner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from teleport.base.entropy import Entropy, fraction

T = TypeVar("T")


def spawn(work: Coroutine[Any, Any, T], *, name: str, on_error: Callable[[BaseException], None]) -> asyncio.Task[T]:
    """Start `work` in the background. The caller keeps the task; a failure is handed to `on_error`."""
    task = asyncio.get_running_loop().create_task(work, name=name)

    def done(finished: asyncio.Task[T]) -> None:
        if not finished.cancelled() and (error := finished.exception()) is not None:
            on_error(error)

    task.add_done_callback(done)
    return task


async def every(
    interval: float, step: Callable[[], Awaitable[None]], *, entropy: Entropy, jitter: float = 0.1, first: float = 0.0
) -> None:
    """Run `step` after `first` seconds and then every `interval` seconds, each wait shortened by up to
    `jitter` of itself so that many processes do not act in step. Runs until cancelled; `step` handles
    its own failures."""
    await asyncio.sleep(first)
    while True:
        await step()
        await asyncio.sleep(interval * (1.0 - jitter * fraction(entropy)))


async def until(condition: Callable[[], bool], *, every: float) -> None:
    """Return when `condition()` holds; it is looked at every so many seconds. For what tells nobody when it changes."""
    while True:
        if condition():
            return
        await asyncio.sleep(every)


async def lull(changes: Callable[[], int], *, pause: float, most: float) -> None:
    """Return when `changes()`, a number that grows with what is done, has kept its value for `pause` seconds, but after
    `most` seconds at the latest: work that can wait leaves those in a hurry the processor, and comes together."""
    clock = asyncio.get_running_loop().time
    ends, seen, known = clock() + most, changes(), -1
    while seen != known and (left := ends - clock()) > 0:
        await asyncio.sleep(min(pause, left))
        known, seen = seen, changes()


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended, whatever it ends with."""
    task.cancel()
    await asyncio.wait([task])
