"""Supervisor: starts services in order, says when each is ready, and stops them in reverse.

A service is built without I/O, then run. A *critical* service that fails ends the process; another one
is started again after a back-off. Stopping is cancellation: a service has until the grace period ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from teleport.base.entropy import Entropy
from teleport.base.errors import Internal, TimedOut
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.base.tasks import spawn

log = logger("PROC:1")

READY_WITHIN = 60.0
"""Seconds that a service may take until it is ready."""


class Service(Protocol):
    """Something that runs in the process."""

    @property
    def name(self) -> str:
        """Shown in logs and in readiness."""
        ...

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until cancelled; call `ready` once when others may rely on it."""
        ...


@dataclass
class Entry:
    """A service and how its failure is treated."""

    service: Service
    critical: bool = True
    patience: float | None = READY_WITHIN
    """Seconds until it must be ready; None: however long it takes."""
    ready: bool = False
    failure: str = ""


class Supervisor:
    """Runs services until stopped or until a critical one fails."""

    def __init__(self, entries: Sequence[Entry], *, entropy: Entropy, grace: float = 10.0) -> None:
        self.entries = list(entries)
        self._entropy = entropy
        self._grace = grace
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._ready = asyncio.Event()

    def stop(self) -> None:
        """Ask for an orderly end. May be called from a signal handler."""
        self._stop.set()
        self._ready.set()  # wakes who waits for a service that is still starting

    @property
    def is_ready(self) -> bool:
        """Whether every service is ready."""
        return all(entry.ready for entry in self.entries)

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start every service in order, wait for the end, stop them in reverse order.

        Nobody relies on a service that is not critical: the next one starts without waiting for it. Raises
        what a critical service raised, or TimedOut (PROC-NOT-READY).
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            for entry in self.entries:
                tasks.append(spawn(self._keep(entry), name=entry.service.name, on_error=self._failed))
                if entry.critical:
                    await self._until_ready(entry)
                if self._stop.is_set():
                    break
            else:
                on_ready()
            await self._stop.wait()
        finally:
            await self._end(tasks)
        if self._failure is not None:
            raise self._failure

    async def _until_ready(self, entry: Entry) -> None:
        try:
            async with asyncio.timeout(entry.patience):
                while not (entry.ready or self._stop.is_set()):
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            raise TimedOut("PROC-NOT-READY", service=entry.service.name, seconds=f"{entry.patience:g}") from None

    async def _keep(self, entry: Entry) -> None:
        """Run a service; start it again if it is not critical. Raises what a critical one failed with."""

        def ready() -> None:
            entry.ready, entry.failure = True, ""
            self._ready.set()

        waits = Backoff().waits(self._entropy)
        while True:
            error = await _outcome(entry.service, ready)
            if entry.critical:
                raise error
            if entry.ready:
                waits = Backoff().waits(self._entropy)  # it has worked: this is no series of failed starts
            entry.ready, entry.failure = False, getattr(error, "what", "") or type(error).__name__
            log.error("Service failed, it will be started again", service=entry.service.name, error=error)
            await asyncio.sleep(next(waits))

    def _failed(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._stop.set()
        self._ready.set()

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in reversed(tasks):
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=self._grace)
            if not done:
                log.warn("Service did not stop in time", service=task.get_name(), seconds=self._grace)


async def _outcome(service: Service, ready: Callable[[], None]) -> Exception:
    """Run a service and return why it ended: a service that ends by itself has failed too."""
    try:
        await service.run(ready)
    except Exception as error:
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # of a task group, in which one part failed and ended the others
        return error
    return Internal("PROC-ENDED", service=service.name)
