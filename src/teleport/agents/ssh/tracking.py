"""The tracker of one session: written when it begins, prolonged while it does, taken away at its end.

A tracker is what `tsh sessions ls` shows. When the auth service cannot be reached the session runs all the same:
the evidence of it is the audit log and the recording, and who must not run unrecorded is held by `record_session`.
The tracker is then written as soon as it can be.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import msgspec

from teleport.agents.ssh.authority import Authority
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.model.kinds.session_tracker import Participant, SessionTracker

log = logger("NODE")

LIFE = dt.timedelta(minutes=30)
"""How long a tracker outlives its last prolongation."""
RENEW = LIFE.total_seconds() / 3
"""Seconds between prolongations."""
RETRY = 30.0
"""Seconds until the next try after one that failed."""


class Tracking:
    """Keeps one tracker."""

    def __init__(self, authority: Authority, clock: Clock, tracker: SessionTracker) -> None:
        self._authority = authority
        self._clock = clock
        self._tracker = tracker
        self._turn = asyncio.Lock()
        self._over = False
        self._ending = asyncio.Event()
        self._written = False
        self._renewal: asyncio.Task[None] | None = None

    async def begin(self, *, after: float = 0.0) -> None:
        """Write the tracker, unless the session is over within `after` seconds, and keep it alive from now on."""
        if after and await self._ends_within(after):
            return
        kept = await self._write()
        if not self._over:
            self._renewal = tasks.spawn(self._renew(kept), name="ssh-tracker", on_error=self._failed)

    @property
    def tracker(self) -> SessionTracker:
        """The tracker as it was last to be written."""
        return self._tracker

    @property
    def written(self) -> bool:
        """Whether there is something to take away."""
        return self._written

    async def change(self, participants: Sequence[Participant]) -> None:
        """Write who takes part now, beside the owner: the participant with the session's own id."""
        known, spec = self._tracker.name, self._tracker.spec
        owner = (each for each in spec.participants if each.id == known)
        spec = msgspec.structs.replace(spec, participants=(*owner, *participants))
        self._tracker = msgspec.structs.replace(self._tracker, spec=spec)
        if self._written:
            await self._write()

    async def end(self) -> None:
        """Take the tracker away. One that cannot be ends by itself."""
        self._ending.set()
        async with self._turn:  # a write under way must not arrive behind the removal
            self._over = True
            if self._renewal is not None:
                await tasks.cancel(self._renewal)
            try:
                if self._written:
                    await self._authority.untrack(self._tracker.name)
            except TeleportError as error:
                log.warn("A session tracker stays until it expires", error=error, sid=self._tracker.name)

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._ending.wait()
        except TimeoutError:
            return False

    async def _renew(self, kept: bool) -> None:
        while True:
            await asyncio.sleep(RENEW if kept else RETRY)
            kept = await self._write()

    async def _write(self) -> bool:
        async with self._turn:
            if self._over:
                return True
            self._written = True
            try:
                await self._authority.track(self._tracker.with_metadata(expires=self._clock.now() + LIFE))
            except TeleportError as error:
                log.warn("A session tracker was not written", error=error, sid=self._tracker.name)
                return False
            return True

    def _failed(self, error: BaseException) -> None:
        log.error("A session tracker is no longer prolonged", error=error, sid=self._tracker.name)
