"""Makes the index of each recording that is complete, one after the other, in the background.

A recording that cannot be drawn is noted as such, with the reason, and not tried again until that note is removed.
What the signer or the disk refuses is tried again later. Recordings that have no index, because they are
older or a process ended in between, are found at the start.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable

from teleport.auth.recording_index_key import IndexKey
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger
from teleport.store.recordings import index_file
from teleport.store.recordings.index_contents import Contents
from teleport.store.recordings.index_shelf import IndexShelf

log = logger("AUTH")

MOST_WAITING = 10_000
"""Recordings in the queue; others are found at the next start."""
RETRY = 60.0
"""Seconds before a recording is tried again that could not be read."""
PAUSE = 1.0
"""Seconds without a further recording after which those that wait are drawn."""
LINGER = 30.0
"""Seconds that a recording waits for that at most: commands that end now are in more of a hurry than their index."""
REST = 10.0
"""Seconds without work after which whoever draws is told to rest."""

Frames = Callable[[str], AsyncIterator[bytes]]
Draw = Callable[[AsyncIterator[bytes]], Awaitable[Contents]]


class Indexer:
    """The queue, and what works it off."""

    def __init__(
        self, frames: Frames, known: Callable[[], AsyncIterator[str]], shelf: IndexShelf, key: IndexKey,
        draw: Draw, clock: Clock, entropy: Entropy, rest: Callable[[], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        """`frames`: the frames of a complete recording; `known`: all of those, the newest first. `rest` is called when
        there was nothing to draw for a while, and at the end."""
        self._rest = rest or _nothing
        self._frames, self._known, self._shelf, self._key, self._draw = frames, known, shelf, key, draw
        self._clock, self._entropy = clock, entropy
        self._waiting: dict[str, dt.datetime] = {}
        self._at_work: dt.datetime | None = None
        """Since when the one waits that is being drawn."""
        self._told = 0
        """Grows with each that is completed."""
        self._news = asyncio.Event()

    def completed(self, session_id: str) -> None:
        """A recording is complete: it gets an index soon. Does not block and raises nothing."""
        self._told += 1
        if len(self._waiting) < MOST_WAITING:
            self._waiting.setdefault(session_id, self._clock.now())
            self._news.set()

    @property
    def waiting(self) -> int:
        """How many recordings wait for their index."""
        return len(self._waiting) + (self._at_work is not None)

    @property
    def lag(self) -> float:
        """Seconds that the one waits which waits longest."""
        since = [*self._waiting.values(), *([self._at_work] if self._at_work else [])]
        return (self._clock.now() - min(since)).total_seconds() if since else 0.0

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await self._catch_up()
            while True:
                await self._work_comes()
                await tasks.lull(lambda: self._told, pause=PAUSE, most=LINGER)
                while self._waiting:
                    await self._next()
        finally:
            await self._rest()

    async def _work_comes(self) -> None:
        try:
            async with asyncio.timeout(REST):
                await self._news.wait()
        except TimeoutError:
            await self._rest()
            await self._news.wait()
        self._news.clear()

    async def _next(self) -> None:
        session_id = next(iter(self._waiting))
        since = self._waiting.pop(session_id)
        self._at_work = since
        again = await self._try(session_id)
        self._at_work = None
        if again:
            self._waiting.setdefault(session_id, since)
            await asyncio.sleep(RETRY)

    async def _catch_up(self) -> None:
        """Queue what has no index."""
        there = await asyncio.to_thread(self._shelf.names)
        async for session_id in self._known():
            if session_id not in there:
                self.completed(session_id)

    async def _try(self, session_id: str) -> bool:
        """Make one index; say whether to try again."""
        try:
            await self.index(session_id)
        except Unavailable as error:
            log.warn("A recording could not be indexed and will be tried again", session=session_id, error=error)
            return True
        except TeleportError as error:
            log.warn("A recording cannot be indexed", session=session_id, error=error)
        return False

    async def index(self, session_id: str) -> None:
        """Make the index of a recording now. Raises what the disk and the signer raise."""
        key = await self._key.get()
        data = await self._made(session_id, key)
        await asyncio.to_thread(self._shelf.put, session_id, data)

    async def _made(self, session_id: str, key: bytes) -> bytes:
        try:
            made = await self._draw(self._frames(session_id))
        except TeleportError as error:
            if isinstance(error, Unavailable) and error.code != "INDEX-NOT-DRAWN":
                raise
            log.warn("A recording has no index", session=session_id, error=error)
            return index_file.failed(error.what)
        if made.dropped:
            log.info("An index is not whole", session=session_id, lines=made.dropped, first_ms=made.dropped_at)
        return index_file.seal(session_id, made, key, self._entropy)


async def _nothing() -> None:
    """Whoever draws needs no rest."""
