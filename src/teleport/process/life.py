"""The life of a process after its start: pulse, signals, draining, reloading.

`process.run` builds the parts; here they meet. SIGTERM and SIGINT end at once, SIGQUIT when the last session
has ended, SIGHUP reloads - with a process that takes over, where there can be one -, SIGUSR1 shows what the process
does.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.process.drain import DrainableNetwork
from teleport.process.duty import Duty
from teleport.process.pulse import Pulse
from teleport.process.reload import NOT_RELOADED, Reloader
from teleport.process.signals import Signals

log = logger("PROC:1")

DRAIN_BOUND = 30 * 3600.0
"""Seconds that SIGQUIT waits for sessions: as long as the longest certificate lives."""
TELL_EVERY = 10.0
"""Seconds between two lines that say what is waited for."""
LOOK_EVERY = 0.2
"""Seconds between two looks whether all connections have ended."""


class Life:
    """What signals do to one running process."""

    def __init__(
        self, *, stop: Callable[[], None], network: DrainableNetwork, reloader: Reloader, bound: float = DRAIN_BOUND,
        successor: Callable[[], Awaitable[int]] | None = None, duty: Duty | None = None,
    ) -> None:  # fmt: skip
        """`stop` ends all services. `bound` is how many seconds draining may take. `successor` starts the process that
        takes over and returns its id; None: the running process takes what it can of a new configuration."""
        self._stop = stop
        self._successor = successor
        self._duty = duty or Duty()
        self._handing: asyncio.Task[None] | None = None
        self._network = network
        self._reloader = reloader
        self._bound = bound
        self._draining: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(
        self, signals: Signals, pulse: Pulse, *upkeep: Coroutine[Any, Any, None]
    ) -> AsyncIterator[None]:  # fmt: skip
        """Beat, obey signals and do `upkeep`, which runs until cancelled, for the time of a block."""
        running = [tasks.spawn(pulse.run(), name="pulse", on_error=_failed)]
        running += [tasks.spawn(work, name="upkeep", on_error=_failed) for work in upkeep]
        signals.attach(
            {
                signal.SIGTERM: self._stop,
                signal.SIGINT: self._stop,
                signal.SIGQUIT: self.drain,
                signal.SIGHUP: self.reload,
            }
        )
        try:
            yield
        finally:
            for task in (*running, self._handing, self._draining):
                if task is not None:
                    await tasks.cancel(task)

    def drain(self) -> None:
        """Accept no more connections and stop when the last one has ended."""
        if self._draining is not None:
            log.info('Got signal "quit" again, already waiting for sessions; SIGTERM ends them.')
            return
        log.info('Got signal "quit", waiting for sessions to finish.', seconds=int(self._bound))
        self._drain()

    def _drain(self, *, everywhere: bool = False) -> None:
        self._network.drain(self._bound, _failed, everywhere=everywhere)
        self._draining = tasks.spawn(self._wait(), name="drain", on_error=_failed)

    def reload(self) -> None:
        """Bring the configuration, as it is now, into use without ending a session."""
        if self._successor is None:
            self._reloader.reload()
        elif self._draining is not None or (self._handing is not None and not self._handing.done()):
            log.info('Got signal "hangup" again, another process is taking over already or this one ends.')
        else:
            self._handing = tasks.spawn(self._hand_over(self._successor), name="hand over", on_error=_failed)

    async def _hand_over(self, successor: Callable[[], Awaitable[int]]) -> None:
        """Start the process that takes over; then accept no more and stop when the last session has ended."""
        if not self._reloader.check():
            return
        try:
            pid = await successor()
        except TeleportError as error:
            log.error(NOT_RELOADED, error=error)
            return
        log.info("Another process has taken over, this one waits for its sessions to finish", successor=pid)
        self._duty.hand_over()
        self._drain(everywhere=True)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._bound
        tell = loop.time()
        while (waiting := self._network.open()) and loop.time() < end:
            if loop.time() >= tell:
                tell += TELL_EVERY
                named = ", ".join(f"{address} ({count})" for address, count in waiting.items())
                line = f"Waiting for services: {named} to finish."
                log.info(line)
            await asyncio.sleep(LOOK_EVERY)
        log.info("Sessions are cut after the longest wait." if waiting else "All sessions have finished, exiting.")
        self._stop()


def _failed(error: BaseException) -> None:
    log.error("A part of the process's own upkeep failed", error=error)
