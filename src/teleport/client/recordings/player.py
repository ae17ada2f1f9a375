"""The clock of a playback: which frames are due, after pauses, jumps and changes of speed.

No terminal, no waiting: whoever plays asks `due` and waits as long as `wait` says. Time comes in with each call, so
that a playback of hours is tested in no time.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from teleport.wire.recording import Frame

SLOWEST, FASTEST = 0.1, 100.0
_STEP = 2.0 ** (1 / 2)
LONGEST_IDLE = 1000
"""Milliseconds that nothing may happen when idle time is skipped."""


class Player:
    """A playback of frames. Positions are milliseconds of the recording, `now` is seconds of any steady clock."""

    def __init__(
        self, frames: Sequence[Frame], *, speed: float = 1.0, skip_idle: bool = False, now: float = 0.0
    ) -> None:
        """`frames` in the order of time."""
        self.frames = frames
        self.speed = min(max(speed, SLOWEST), FASTEST)
        self.paused = False
        self._skip_idle = skip_idle
        self._next = 0
        """Number of the first frame that has not been shown."""
        self._position, self._since = 0.0, now
        """Where the playback was, and when."""

    @property
    def length(self) -> int:
        """Milliseconds of the whole recording."""
        return self.frames[-1].at if self.frames else 0

    @property
    def ended(self) -> bool:
        """Whether every frame has been shown."""
        return self._next >= len(self.frames)

    def begin(self, now: float) -> None:
        """Play from the very beginning."""
        self._position, self._since, self._next = 0.0, now, 0

    def position(self, now: float) -> int:
        """Return where the playback is."""
        self._advance(now)
        return int(self._position)

    def _advance(self, now: float) -> None:
        if not self.paused:
            self._position += max(now - self._since, 0.0) * 1000 * self.speed
            if self._skip_idle and not self.ended:
                self._position = max(self._position, float(self.frames[self._next].at - LONGEST_IDLE))
            self._position = min(self._position, float(self.length))
        self._since = now

    def due(self, now: float) -> Sequence[Frame]:
        """Return the frames whose time has come, and count them as shown."""
        if self.paused:
            return ()
        self._advance(now)
        first = self._next
        while self._next < len(self.frames) and self.frames[self._next].at <= self._position:
            self._next += 1
        return self.frames[first : self._next]

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next frame is due; nothing while paused and at the end."""
        if self.paused or self.ended:
            return None
        self._advance(now)
        return max((self.frames[self._next].at - self._position) / 1000 / self.speed, 0.0)

    def toggle(self, now: float) -> None:
        """Pause, or go on."""
        self._advance(now)
        self.paused = not self.paused

    def seek(self, position: float, now: float) -> int:
        """Jump to a position; return the number of frames that are before it, which make its screen."""
        self._position, self._since = min(max(position, 0.0), float(self.length)), now
        self._next = bisect.bisect_right(self.frames, self._position, key=lambda frame: frame.at)
        return self._next

    def faster(self, now: float, *, times: float = _STEP) -> None:
        """Play faster, or slower with `times` below 1."""
        self._advance(now)
        self.speed = min(max(self.speed * times, SLOWEST), FASTEST)

    def slower(self, now: float) -> None:
        """Play slower."""
        self.faster(now, times=1 / _STEP)
