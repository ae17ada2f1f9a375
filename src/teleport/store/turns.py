"""Turns: what several owners of a journal have to write in one turn of the event loop is one write and one sync.

Who has something to keep hands in a part and waits. The parts that have come when the loop gets to it are written
together: at once where the disk is quick (`base.prompt`), otherwise in a thread, and what comes meanwhile is the next
write. So a command whose end goes to the audit log and to its recording waits for the disk once, and so do commands
that end together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.base.prompt import Prompt
from teleport.store.journal import Journal

log = logger("STORE")


class Part(Protocol):
    """What one owner writes. Its methods are called one after the other, in the thread that writes."""

    @property
    def size(self) -> int:
        """About how many bytes it needs."""
        ...

    def take(self) -> Sequence[bytes]:
        """Return the records, which may be none."""
        ...

    def kept(self, segment: str) -> None:
        """They are durable in this segment."""
        ...

    def failed(self, error: BaseException) -> None:
        """None of them is."""
        ...


class _Records:
    """Records that are known beforehand."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self._records = records
        self.size = sum(map(len, records))
        self.error: BaseException | None = None

    def take(self) -> Sequence[bytes]:
        return self._records

    def kept(self, segment: str) -> None:
        return

    def failed(self, error: BaseException) -> None:
        self.error = error


class Turns:
    """The way of an event loop into a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._prompt = Prompt()
        self._waiting: list[tuple[Part, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, records: Sequence[bytes]) -> None:
        """Return when `records` are durable. Raises as `Journal.append`. They are written even if this is cancelled."""
        part = _Records(records)
        await self.keep(part)
        if part.error is not None:
            raise part.error

    async def keep(self, part: Part) -> None:
        """Return when a part was written, or could not be, which the part is told."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((part, done))
        if self._writing is None:
            self._writing = tasks.spawn(self._write(), name="journal: write", on_error=lambda _: None)
        await done

    async def _write(self) -> None:
        await asyncio.sleep(0)  # for those who learn only in this turn that they have something to write
        while self._waiting:
            batch, self._waiting = self._waiting, []
            parts = [part for part, _ in batch]
            ready = self.journal.ready(sum(part.size for part in parts))
            try:
                await self._prompt.run(partial(write, self.journal, parts), asyncio.to_thread, ready=ready)
            except Exception as error:  # the parts know; what comes later is not to wait for ever
                log.error("Writing to a journal failed unexpectedly", error=error)
            finally:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)
        self._writing = None


def write(journal: Journal, parts: Sequence[Part]) -> None:
    """Write parts together and tell each what became of it. Blocks."""
    taken = list[Part]()
    try:
        records = list[bytes]()
        for part in parts:
            records += part.take()
            taken.append(part)
        segment = journal.append(records) if records else ""
    except BaseException as error:
        for part in taken:
            part.failed(error)
        if not isinstance(error, TeleportError):
            raise
        return
    for part in parts:
        part.kept(segment)
