"""A bound on how often something may happen, for records that strangers can cause."""

from __future__ import annotations

import datetime as dt

from teleport.base.clock import Clock


class Throttle:
    """Admits at most `limit` in each `window`, counted from the first one in it."""

    def __init__(self, clock: Clock, *, limit: int, window: dt.timedelta) -> None:
        self._clock = clock
        self._limit = limit
        self._window = window
        self._began: dt.datetime | None = None
        self._admitted = 0

    def admit(self) -> bool:
        """Count one more and say whether it is within the bound."""
        now = self._clock.now()
        if self._began is None or not self._began <= now < self._began + self._window:
            self._began, self._admitted = now, 0
        self._admitted += 1
        return self._admitted <= self._limit
