"""Fellows: the proxies of the cluster, this one among them, as far as they are there.

Agents are told of them (`proxy.tunnels`), and other proxies are reached by what they say of themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from teleport.model.kinds.proxy import Proxy

LOOK_EVERY = 5.0
"""Seconds after which it is seen at the latest that a proxy's record has ended by itself."""
PAUSE = 0.3
"""Seconds between two looks at least: every heartbeat of a node changes the copy."""


class View(Protocol):
    """A live copy of the cluster's proxies."""

    def proxies(self) -> Sequence[Proxy]:
        """Return those that are there now."""
        ...

    async def changed(self, seen: int) -> int:
        """Return the number of the copy's state, once it is another than `seen`; states are numbered from 0."""
        ...


class Fellows:
    """Who they are, and when that is another."""

    def __init__(self, view: View, host_uuid: str) -> None:
        """`host_uuid` is this proxy's."""
        self._view = view
        self._own = host_uuid
        self._leaving = False
        self._ids = self._look()
        self._news = asyncio.Event()

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids, sorted."""
        return self._ids

    def find(self, host_uuid: str) -> Proxy | None:
        """Return the record of one that is there."""
        return next((proxy for proxy in self._view.proxies() if proxy.name == host_uuid), None)

    def leave(self) -> None:
        """Count this proxy no longer: it takes no more agents."""
        self._leaving = True
        self._tell()

    async def news(self, known: tuple[str, ...], within: float) -> tuple[str, ...]:
        """Return the ids, once they are others than `known`, or after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while self._ids == known:
                    await self._news.wait()
        except TimeoutError:
            pass
        return self._ids

    async def follow(self) -> None:
        """Keep the ids as they are in the cluster, until cancelled."""
        seen = 0
        while True:
            self._tell()
            await asyncio.sleep(PAUSE)
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    seen = await self._view.changed(seen)
            except TimeoutError:
                continue

    def _tell(self) -> None:
        found = self._look()
        if found != self._ids:
            self._ids = found
            self._news.set()
            self._news = asyncio.Event()

    def _look(self) -> tuple[str, ...]:
        known = {proxy.name for proxy in self._view.proxies()}
        return tuple(sorted(known - {self._own} if self._leaving else known | {self._own}))
