"""Wall time, injected. Nothing outside this file reads the machine's clock."""

from __future__ import annotations

from teleport.base.lean import Protocol, dt


class Clock(Protocol):
    """Says what time it is. Sleeping is plain asyncio: in simulations the loop itself is virtual."""

    def now(self) -> dt.datetime:
        """Return the current time, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


class ManualClock:
    """A clock that stands still until it is moved: for tests and for replaying decisions."""

    def __init__(self, start: dt.datetime) -> None:
        self._now = start

    def now(self) -> dt.datetime:
        return self._now

    def advance(self, by: dt.timedelta) -> None:
        """Move the clock forward."""
        self._now += by
