"""Watches: how changes that are committed reach those who asked for them.

A feed belongs to one backend and one event loop. Drivers call `publish` in order of commit; every
watch has its own bounded queue, so that a slow reader costs a bounded amount of memory and nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from teleport.base.errors import Unavailable
from teleport.store.backend import Changed, Event, Init, Removed, Revision

BOUND = 10_000
"""Events that a watch may be behind."""


class Feed:
    """Hands committed changes to the watches that are open."""

    def __init__(self, revision: Revision = 0, *, bound: int = BOUND) -> None:
        self.revision = revision
        """The newest revision that was published."""
        self._bound = bound
        self._open: set[Subscription] = set()
        self._closed = False

    def watch(self, *prefixes: str) -> Subscription:
        """Return a watch on keys that start with one of `prefixes`; it listens once it is entered."""
        return Subscription(self, prefixes, self._bound)

    def publish(self, revision: Revision, events: Sequence[Changed | Removed]) -> None:
        """Hand `events` of the commit `revision` to all watches."""
        self.revision = revision
        for subscription in self._open:
            subscription.offer(events)

    def close(self) -> None:
        """End every watch, once it has read what it was given, with Unavailable (STORE-CLOSED)."""
        self._closed = True
        for subscription in self._open:
            subscription.end()

    def add(self, subscription: Subscription) -> None:
        """Start handing events to `subscription`. Raises Unavailable (STORE-CLOSED)."""
        if self._closed:
            raise Unavailable("STORE-CLOSED")
        self._open.add(subscription)

    def discard(self, subscription: Subscription) -> None:
        """Stop handing events to `subscription`."""
        self._open.discard(subscription)


class Subscription:
    """One watch: an async context manager, and inside it an async iterator of events."""

    def __init__(self, feed: Feed, prefixes: tuple[str, ...], bound: int) -> None:
        self._feed = feed
        self._prefixes = prefixes
        self._bound = bound
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._ended = ""

    async def __aenter__(self) -> Subscription:
        self._feed.add(self)
        self._push(Init(self._feed.revision))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.discard(self)
        self._events.clear()

    def offer(self, events: Sequence[Changed | Removed]) -> None:
        """Queue those of `events` that this watch asked for, or give up when they are too many."""
        for event in events:
            key = event.item.key if isinstance(event, Changed) else event.key
            if not key.startswith(self._prefixes):
                continue
            if len(self._events) >= self._bound:
                self._events.clear()
                self._feed_lost()
                return
            self._push(event)

    def end(self) -> None:
        """Let the reader take what is queued and then fail with STORE-CLOSED."""
        self._ended = self._ended or "STORE-CLOSED"
        self._news.set()

    def _feed_lost(self) -> None:
        self._ended = "STORE-WATCH-BEHIND"
        self._prefixes = ()
        self._news.set()

    def _push(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        """Return the next event. Raises Unavailable (STORE-WATCH-BEHIND, STORE-CLOSED)."""
        while not self._events:
            if self._ended:
                raise Unavailable(self._ended, bound=self._bound)
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()
