"""The index of a store's audit logs as the store sees it: when it is built, whether it can be relied on, and asking it.

Nothing of it is made or loaded before a log is long enough to be worth it, and no failure of it is a failure of a
search: the logs themselves are always there.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from teleport.base.log import logger
from teleport.store.audit.probe import Found, Probe

if TYPE_CHECKING:
    from teleport.store.sqlite_finder import Index
    from teleport.store.sqlite_index import Builder

log = logger("STORE")

LAG = 4096
"""Records that are read without an index before bringing it up to date is worth it."""


SHARE, BUSY_SHARE = 0.5, 0.1
"""Part of the time that building takes when nothing is written, and when something is: sessions begin or end then."""


class AuditIndex:
    """Belongs to one open store. Its methods are called in the event loop unless they say otherwise."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._new = 0
        self._seen = 0
        self._ready = False
        self._closed = False
        self._damaged = False
        self._replaced = False
        self._builder: Builder | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._index: Index | None = None

    def appended(self, records: int) -> None:
        """Hear of new records."""
        self._new += records
        if self._new >= LAG and not self._closed:
            self.build()

    def build(self) -> None:
        """Bring the index up to date in the background, unless that is under way."""
        from teleport.store import sqlite_index

        if self._builder is not None and self._builder.running:
            return
        if self._damaged:
            sqlite_index.remove(self._directory)
            self._damaged = False
        self._new = self._seen = 0
        self._builder = sqlite_index.Builder(self._directory, self._checked, self._pace)
        self._builder.start()

    @property
    def building(self) -> bool:
        """Whether the index is being brought up to date."""
        return self._builder is not None and self._builder.running

    def _pace(self) -> float:
        """Called in the thread of the builder at each rest."""
        arrived, self._seen = self._new - self._seen, self._new
        return BUSY_SHARE if arrived > 0 else SHARE

    def _checked(self, sound: bool) -> None:
        """Called in the thread of the builder. An index that is not sound may be removed: another file comes then."""
        self._ready = sound
        self._replaced = self._replaced or not sound

    async def find(self, name: str, probe: Probe, position: int, *, backward: bool) -> Found | None:
        """See `probe.Finder.find`."""
        if not self._ready or self._closed:
            return None
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="audit-finder")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, self._find, name, probe, position, backward)
        except (sqlite3.Error, OSError) as error:
            log.warn("The index of the audit log cannot be read", error=error)
            self._ready = False
            self._damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            await loop.run_in_executor(self._pool, self._drop)
            return None

    def _find(self, name: str, probe: Probe, position: int, backward: bool) -> Found | None:
        from teleport.store.sqlite_finder import Index

        if self._replaced:
            self._replaced = False
            self._drop()
        if self._index is None:
            self._index = Index(self._directory)
        return self._index.find(name, probe, position, backward=backward)

    def _drop(self) -> None:
        if self._index is not None:
            self._index.close()
        self._index = None

    def close(self) -> None:
        """Stop building and release everything. Blocks."""
        self._closed = True
        if self._builder is not None:
            self._builder.stop()
        if self._pool is not None:
            self._pool.submit(self._drop).result()
            self._pool.shutdown()
