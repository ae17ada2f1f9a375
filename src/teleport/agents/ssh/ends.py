"""When the server itself ends a connection: its certificate is over, or nobody has used it for long.

What counts as use is data of a session, in either direction: keep-alives are no use, and a command that prints is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from teleport.access.roleset import Options
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.struct import Duration
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfigSpec

LOOK = 30.0
"""Seconds between two looks at the time until a certificate ends: a machine that slept has not counted them."""
IDLE_WARNING = 30.0
"""Seconds before the end for idleness at which a user is warned; a quarter of short times."""
LISTEN = 5.0
"""Seconds until the next warning when nobody at a terminal was there to hear it."""
CERTIFICATE_WARNING = 60.0
"""Seconds before the end of a certificate at which a user is warned."""


@dataclass(frozen=True)
class Ends:
    """What the cluster's configuration says about it."""

    with_certificate: bool = False
    """Whether a connection ends with the certificate that it was made with."""
    idle: float = 0.0
    """Seconds without use after which it ends; 0: never."""
    idle_message: str = ""
    """What the client is told then; empty: a text that names the time."""

    @classmethod
    def of(cls, networking: ClusterNetworkingConfigSpec, *, with_certificate: bool) -> Ends:
        """Return what the cluster's settings say."""
        return cls(
            with_certificate=with_certificate, idle=float(networking.client_idle_timeout),
            idle_message=networking.client_idle_timeout_message,
        )  # fmt: skip

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
        self, ends: Ends, clock: Clock, end: Callable[[str, str], None], warn: Callable[[str], bool],
        failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """`end` is called once, with the reason for the record and the text for the client; `warn` before it, once
        for each time that an end comes near; it says whether anybody was there to hear it."""
        self._ends = ends
        self._clock = clock
        self._end = end
        self._warn = warn
        self._warned_of_use: float | None = None
        """The last use when the user was warned: used again, the next silence is worth another warning."""
        self._warned_of_expiry = False
        self._over = False
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
        while True:
            waits = [self._look_at_certificate(expires), self._look_at_use()]
            if self._over:
                return
            await asyncio.sleep(min(wait for wait in waits if wait is not None))

    def _look_at_certificate(self, expires: dt.datetime) -> float | None:
        """End or warn when it is time; return the seconds until the next look."""
        if not self._ends.with_certificate:
            return None
        left = (expires - self._clock.now()).total_seconds()
        if left <= 0:
            self._finish("client certificate expired", "client certificate expired: sign in again with tsh login")
        elif left <= CERTIFICATE_WARNING and not self._warned_of_expiry:
            self._warned_of_expiry = self._warn(
                f"this connection ends in {Duration(math.ceil(left))} with your certificate: "
                "save your work, sign in again with tsh login, and connect anew"
            )
            return left if self._warned_of_expiry else min(left, LISTEN)
        return min(left - CERTIFICATE_WARNING if left > CERTIFICATE_WARNING else left, LOOK)

    def _look_at_use(self) -> float | None:
        """As `_look_at_certificate`, for idleness."""
        idle = self._ends.idle
        if not idle or self._over:
            return None
        left = self._used + idle - asyncio.get_running_loop().time()
        if left <= 0:
            reason = f"client exceeded idle timeout of {Duration(idle)}"
            self._finish(reason, self._ends.idle_message or f"{reason}; connect again to go on")
            return None
        warning = min(IDLE_WARNING, idle / 4)
        if left > warning:
            return left - warning
        text = f"nobody uses this connection: it ends in {Duration(math.ceil(left))}. Press a key to keep it"
        if self._warned_of_use != self._used:
            if not self._warn(text):
                return min(left, LISTEN)
            self._warned_of_use = self._used
        return left

    def _finish(self, reason: str, text: str) -> None:
        self._over = True
        self._end(reason, text)
