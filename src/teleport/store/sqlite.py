"""SqliteBackend: the storage of a single auth server, in one directory.

Writes go through one thread that commits in groups (`sqlite_writer`); reads happen in the event loop on
a connection of their own, because a point read takes microseconds and a hop to a thread takes more. In
WAL mode a reader sees whole transactions only. Each read statement is finished before anything else runs,
so no read holds back a checkpoint or sees yesterday's state.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.errors import NotFound, TeleportError, Unavailable
from teleport.store import expiry, feed, sqlite_schema
from teleport.store.audit.probe import Found, Probe
from teleport.store.backend import Append, Item, LogReader, Op, Record, Revision
from teleport.store.conditions import check_ops, end_of
from teleport.store.sqlite_audit import AuditIndex
from teleport.store.sqlite_reader import inspect
from teleport.store.sqlite_writer import SWEEP, Request, Result, Sweep, Writer

T = TypeVar("T")

PENDING = 4096
"""Commits that may wait for the writer; those that come on top wait for their turn in the loop."""
_PAGE = 1000

# Casts, because SQLite keeps what it is given: whoever edited the file by hand may have left text in place of bytes.
_COLUMNS = "SELECT key, CAST(value AS BLOB), revision, expires FROM items"
_GET = f"{_COLUMNS} WHERE key = ? AND (expires IS NULL OR expires > ?)"
_SCAN = (
    f"{_COLUMNS} WHERE key >= :start AND key < :end AND (expires IS NULL OR expires > :now) ORDER BY key LIMIT :limit"
)
_READ_LOG = """SELECT CAST(r.sequence AS INTEGER), CAST(r.data AS BLOB), CAST(r.digest AS BLOB) FROM log_records r
  WHERE r.log = (SELECT id FROM log_heads WHERE name = ?) AND r.sequence > ? ORDER BY r.sequence LIMIT ?"""
# A head whose record is missing is shown all the same, so that a check of the chain notices.
_LOGS = """SELECT h.name, CAST(h.sequence AS INTEGER), CAST(coalesce(r.data, x'') AS BLOB), CAST(h.digest AS BLOB)
  FROM log_heads h
  LEFT JOIN log_records r ON r.log = h.id AND r.sequence = h.sequence ORDER BY h.name"""


_LENGTHS = "SELECT CAST(sequence AS INTEGER) FROM log_heads"


class SqliteBackend:
    """Items and logs in a SQLite file. Made by `open`, in the event loop that will use it."""

    def __init__(self, directory: Path, clock: Clock, held: int, reader: sqlite3.Connection, bound: int) -> None:
        self._directory = directory
        self._clock = clock
        self._held = held
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(PENDING)
        self._writer = Writer(sqlite_schema.connect(directory, writer=True), directory, self._ended)
        self._feed = feed.Feed(self._writer.revision, bound=bound)
        self.index = AuditIndex(directory)
        self._sweeper: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, directory: Path, clock: Clock, *, sweep_every: float = expiry.EVERY, watch_bound: int = feed.BOUND
    ) -> SqliteBackend:
        """Open or make the store in `directory` and take its lock.

        Raises Unavailable (STORE-LOCKED, STORE-UNAVAILABLE, STORE-DISK-FULL) and NotSupported (STORE-SCHEMA).
        """
        with sqlite_schema.mapped(directory):
            sqlite_schema.prepare(directory)
            held = sqlite_schema.lock(directory)
        try:
            with sqlite_schema.mapped(directory):
                reader = _connect(directory)
                try:
                    backend = cls(directory, clock, held, reader, watch_bound)
                except BaseException:
                    reader.close()
                    raise
        except BaseException:
            os.close(held)
            raise
        backend._writer.start()
        backend.index.appended(sum(row[0] for row in reader.execute(_LENGTHS)))
        backend._sweeper = expiry.start_sweeping(backend.sweep, sweep_every, wanted=lambda: backend._closing is None)
        return backend

    async def get(self, key: str) -> Item:
        """Return the item at `key`. Raises NotFound (STORE-NOT-FOUND)."""
        rows = self._read(_GET, (key, self._now()))
        if not rows:
            raise NotFound("STORE-NOT-FOUND", key=key)
        return _item(rows[0])

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> AsyncIterator[Item]:
        """Yield items in order of key, in pages: each page is one moment's state, and so is each item."""
        left = limit if limit > 0 else -1
        end = end_of(prefix) or b""  # SQLite orders every blob after every text
        while left:
            size = _PAGE if left < 0 else min(left, _PAGE)
            bounds = {"start": max(prefix, f"{after}\0"), "end": end, "now": self._now(), "limit": size}
            rows = self._read(_SCAN, bounds)
            for row in rows:
                yield _item(row)
            if len(rows) < size:
                return
            after = rows[-1][0]
            left -= len(rows) if left > 0 else 0
            await asyncio.sleep(0)

    async def commit(self, *ops: Op) -> Revision:
        """Do all of `ops` or none; returns once they are on the disk. The errors are those of `Backend.commit`.

        A caller that is cancelled while it waits does not know whether its change was made: it is made once,
        or not at all when it had not been accepted yet.
        """
        self._check_open()
        check_ops(ops)
        return await self._submit(ops)

    async def _submit(self, ops: Sequence[Op | Sweep]) -> Revision:
        await self._room.acquire()
        if self._closing is not None:
            self._room.release()
            raise Unavailable("STORE-CLOSED")
        done: asyncio.Future[Revision] = self._loop.create_future()
        self._writer.submit(Request(ops, self._now(), done))
        return await done

    def _ended(self, results: list[Result]) -> None:
        """Called in the writer's thread after each group."""
        try:
            self._loop.call_soon_threadsafe(self._publish, results)
        except RuntimeError:  # the loop was closed before the store: nobody waits any more
            pass

    def _publish(self, results: list[Result]) -> None:
        for result in results:
            if result.error is None:
                self._feed.publish(result.revision, result.events)
                self.index.appended(sum(isinstance(op, Append) for op in result.request.ops))
        for result in results:
            self._room.release()
            if result.request.done.done():
                continue  # its caller was cancelled
            if result.error is None:
                result.request.done.set_result(result.revision)
            else:
                result.request.done.set_exception(result.error)

    async def sweep(self) -> int:
        """Remove what has expired and tell watches; return about how many items that were."""
        swept = 0
        try:
            while rows := self._read("SELECT 1 FROM items WHERE expires <= ? LIMIT ?", (self._now(), SWEEP)):
                await self._submit([Sweep()])
                swept += len(rows)
        except TeleportError:
            pass  # the next sweep tries again; until then what has expired is invisible anyway
        return swept

    def watch(self, *prefixes: str) -> feed.Subscription:
        """Open a watch on keys that start with one of `prefixes`."""
        return self._feed.watch(*prefixes)

    async def read_log(self, log: str, *, after: int = 0, limit: int = 1000) -> Sequence[Record]:
        """Return at most `limit` records of `log` with sequence numbers above `after`."""
        return [Record(log, *row) for row in self._read(_READ_LOG, (log, after, max(limit, 0)))]

    async def logs(self) -> Sequence[Record]:
        """Return the last record of every log, in order of name."""
        return [Record(*row) for row in self._read(_LOGS, ())]

    async def find(self, log: str, probe: Probe, position: int, *, backward: bool) -> Found | None:
        """See `store.audit.probe.Finder.find`."""
        self._check_open()
        return await self.index.find(log, probe, position, backward=backward)

    async def inspect(self, work: Callable[[LogReader], T]) -> T:
        """Run `work` in a thread over the state of this moment. The WAL cannot shrink meanwhile."""
        self._check_open()
        return await asyncio.to_thread(inspect, self._directory, work)

    async def close(self) -> None:
        """Finish what was accepted, end watches, fold the WAL into the file and give up the lock."""
        if self._closing is None:
            self._closing = tasks.spawn(self._shut(), name="store: close", on_error=lambda _: None)
        await asyncio.shield(self._closing)

    async def _shut(self) -> None:
        if self._sweeper is not None:
            await tasks.cancel(self._sweeper)
        await asyncio.to_thread(self.index.close)
        self._reader.close()  # first, so that the writer's connection is the last one and folds the WAL in
        await asyncio.to_thread(self._writer.stop)
        self._feed.close()
        os.close(self._held)

    def _read(self, statement: str, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
        self._check_open()
        try:
            return self._reader.execute(statement, values).fetchall()
        except UnicodeEncodeError:
            return []  # no key and no log has such a name
        except sqlite3.Error as error:
            raise sqlite_schema.failure(error, self._directory) from error

    def _check_open(self) -> None:
        if self._closing is not None:
            raise Unavailable("STORE-CLOSED")

    def _now(self) -> int:
        return expiry.to_number(self._clock.now())


def _connect(directory: Path) -> sqlite3.Connection:
    """Bring the file up to date and open the reading connection."""
    migrating = sqlite_schema.connect(directory, writer=True)
    try:
        sqlite_schema.migrate(migrating, directory)
    finally:
        migrating.close()
    reader = sqlite_schema.connect(directory, writer=False)
    try:
        sqlite_schema.sync_names(directory)
    except BaseException:
        reader.close()
        raise
    return reader


def _item(row: tuple[str, bytes, int, int | None]) -> Item:
    key, value, revision, expires = row
    return Item(key, value, revision, None if expires is None else expiry.from_number(expires))
