"""The life of a process after its start: pulse, signals, draining, reloading.

`process.run` builds the parts; here they meet. SIGTERM and SIGINT end at once, SIGQUIT when the last session
has ended, SIGHUP reloads - with a process that takes over, where there can be one -, SIGUSR2 starts a process that
serves beside this one, SIGUSR1 shows what the process does.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

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


class Starts(Protocol):
    """Starts the next process (`process.handover.Successor`)."""

    async def start(self) -> int:
        """Return the id of the new process, which is ready. Raises TeleportError."""
        ...

    async def ended(self) -> None:
        """Wait for the end of that process."""
        ...


class Life:
    """What signals do to one running process."""

    def __init__(
        self, *, stop: Callable[[], None], network: DrainableNetwork, reloader: Reloader, bound: float = DRAIN_BOUND,
        successor: Starts | None = None, duty: Duty | None = None, back: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`stop` ends all services. `bound` is how many seconds draining may take. `successor` starts the process that
        takes over; None: the running process takes what it can of a new configuration. `back` is called when a process
        that served beside this one has ended."""
        self._stop = stop
        self._successor = successor
        self._duty = duty or Duty()
        self._back = back
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
                signal.SIGUSR2: self.share,
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

    def _drain(self) -> None:
        """Where another process has the listeners too, none stays open here."""
        self._network.drain(self._bound, _failed, everywhere=not self._duty.on)
        self._draining = tasks.spawn(self._wait(), name="drain", on_error=_failed)

    def reload(self) -> None:
        """Bring the configuration, as it is now, into use without ending a session."""
        if self._successor is None:
            self._reloader.reload()
        else:
            self._hand_over(self._successor, "hangup", self._leave)

    def share(self) -> None:
        """Start another process that serves beside this one, until one of them is told to end."""
        if self._successor is None:
            log.info('Got signal "user defined signal 2", which a process with the Auth Service ignores.')
        else:
            self._hand_over(self._successor, "user defined signal 2", self._serve_beside)

    def _hand_over(self, successor: Starts, signal: str, then: Callable[[Starts, int], Awaitable[None]]) -> None:
        if self._draining is not None or (self._handing is not None and not self._handing.done()):
            line = f'Got signal "{signal}", but another process is there already or this one ends.'
            log.info(line)
            return
        line = f'Got signal "{signal}", starting another process with the configuration as it is now.'
        log.info(line)
        self._handing = tasks.spawn(self._start(successor, then), name="hand over", on_error=_failed)

    async def _start(self, successor: Starts, then: Callable[[Starts, int], Awaitable[None]]) -> None:
        if not self._reloader.check():
            return
        try:
            pid = await successor.start()
        except TeleportError as error:
            log.error(NOT_RELOADED, error=error)
            return
        self._duty.hand_over()
        await then(successor, pid)

    async def _leave(self, successor: Starts, pid: int) -> None:
        """Accept no more, and stop when the last session has ended."""
        log.info("Another process has taken over, this one waits for its sessions to finish", successor=pid)
        self._drain()

    async def _serve_beside(self, successor: Starts, pid: int) -> None:
        """Go on serving; be the only one again when the other one ends first."""
        log.info("Another process serves beside this one, which SIGQUIT ends in order", successor=pid)
        await successor.ended()
        if self._draining is None:
            log.info("The other process has ended, this one serves alone again")
            self._back()
            self._duty.take_back()

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
