"""Events that come in quick succession, handed on together: a copied tree makes thousands, and the audit log takes a
hundred at once for little more than one.

They keep their order and their times. A crash of the service loses what the last PAUSE has brought, and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from teleport.base.clock import Clock
from teleport.model.events.base import Event

PAUSE = 0.25
"""Seconds that an event waits for others."""
MOST = 200
"""Events that wait at most: then they go at once."""


class EventBursts:
    """Takes events at any time; hands them on in bursts."""

    def __init__(
        self, emit: Callable[[Event], Coroutine[Any, Any, None]], clock: Clock,
        background: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:  # fmt: skip
        """`emit` writes one event and does not raise; `background` runs what the connection waits for at its end."""
        self._emit, self._clock, self._background = emit, clock, background
        self._waiting: list[Event] = []
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, event: Event) -> None:
        """Take an event that has just happened."""
        self._waiting.append(event.stamped(time=self._clock.now(), uid=event.uid, cluster_name=event.cluster_name))
        if self._task is None:
            self._task = self._background(self._hand_on())
        if len(self._waiting) >= MOST:
            self._hurry.set()

    async def flush(self) -> None:
        """Return when everything that was taken is written."""
        if self._task is not None:
            self._hurry.set()
            await asyncio.wait([self._task])

    async def _hand_on(self) -> None:
        while self._waiting:
            try:
                async with asyncio.timeout(PAUSE):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            events, self._waiting = self._waiting, []
            await asyncio.gather(*(self._emit(event) for event in events))
        self._task = None
