"""Duty: whether this process is the one that speaks for its host, or another one has taken over.

While one process hands its listeners to the next, both run: one of them announces the node and attends the inventory,
so that neither takes back what the other said and nobody takes the two for a copied machine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator


class Duty:
    """On from the start. Used by one event loop."""

    def __init__(self) -> None:
        self._on = asyncio.Event()
        self._on.set()
        self._told: set[Callable[[], None]] = set()

    @property
    def on(self) -> bool:
        """Whether this process speaks for its host."""
        return self._on.is_set()

    def hand_over(self) -> None:
        """Leave it to another process from here on."""
        self._on.clear()
        for tell in tuple(self._told):
            tell()

    def take_back(self) -> None:
        """Speak for the host again."""
        self._on.set()

    async def wait(self) -> None:
        """Return when this process speaks for its host."""
        await self._on.wait()

    @contextlib.contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call `tell` when the duty is handed over, for the time of a block."""
        self._told.add(tell)
        try:
            yield
        finally:
            self._told.discard(tell)
