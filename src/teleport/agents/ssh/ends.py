"""When the server itself ends a connection: its certificate is over, or nobody has used it for long.

What counts as use is data of a session, in either direction: keep-alives are no use, and a command that prints is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from teleport.access.roleset import Options
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.struct import Duration

LOOK = 30.0
"""Seconds between two looks at the time until a certificate ends: a machine that slept has not counted them."""


@dataclass(frozen=True)
class Ends:
    """What the cluster's configuration says about it."""

    with_certificate: bool = False
    """Whether a connection ends with the certificate that it was made with."""
    idle: float = 0.0
    """Seconds without use after which it ends; 0: never."""
    idle_message: str = ""
    """What the client is told then; empty: a text that names the time."""

    def with_roles(self, options: Options) -> Ends:
        """Return what holds for somebody whose roles say more: the shorter time, and either's word on certificates."""
        times = [time for time in (self.idle, float(options.client_idle_timeout)) if time > 0]
        return replace(
            self,
            with_certificate=self.with_certificate or options.disconnect_expired_cert,
            idle=min(times, default=0.0),
        )


class Watch:
    """Watches one connection."""

    def __init__(
        self, ends: Ends, clock: Clock, end: Callable[[str, str], None],
        failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """`end` is called once, with the reason for the record and the text for the client."""
        self._ends = ends
        self._clock = clock
        self._end = end
        self._failed = failed
        self._used = 0.0
        self._expires: dt.datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def used(self) -> None:
        """Note that data of a session went by."""
        self._used = asyncio.get_running_loop().time()

    async def begin(self, expires: dt.datetime) -> None:
        """Watch for the end of a certificate, and from now on for use."""
        self._expires = expires
        self.used()
        await self._watch_anew()

    async def change(self, ends: Ends) -> None:
        """Other ends hold from now on; what counts as use so far still does."""
        if ends != self._ends:
            self._ends = ends
            await self._watch_anew()

    async def _watch_anew(self) -> None:
        await self.stop()
        if self._expires is not None and (self._ends.with_certificate or self._ends.idle):
            self._task = tasks.spawn(self._run(self._expires), name="ssh-end", on_error=self._failed)

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            await tasks.cancel(self._task)
            self._task = None

    async def _run(self, expires: dt.datetime) -> None:
        ends, loop = self._ends, asyncio.get_running_loop()
        while True:
            waits = []
            if ends.with_certificate:
                left = (expires - self._clock.now()).total_seconds()
                if left <= 0:
                    reason = "client certificate expired"
                    return self._end(reason, f"{reason}: sign in again with tsh login")
                waits.append(min(left, LOOK))
            if ends.idle:
                left = self._used + ends.idle - loop.time()
                if left <= 0:
                    reason = f"client exceeded idle timeout of {Duration(ends.idle)}"
                    return self._end(reason, ends.idle_message or f"{reason}; connect again to go on")
                waits.append(left)
            await asyncio.sleep(min(waits))
