"""MemoryBackend: the storage of simulations and unit tests. Nothing survives the process.

It has no threads and reads no clock but the one it is given, so that virtual time works. It keeps every
promise of `store.backend` except, of course, that a crash loses nothing.
"""

from __future__ import annotations

import asyncio
import bisect
import datetime as dt
import heapq
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TypeVar

from teleport.base import chain, tasks
from teleport.base.clock import Clock
from teleport.base.errors import NotFound, Unavailable
from teleport.store import expiry, feed
from teleport.store.backend import (
    Append,
    Changed,
    Delete,
    Item,
    LogReader,
    Op,
    Prune,
    Put,
    Record,
    Removed,
    Revision,
)
from teleport.store.conditions import check_ops, expired, judge

T = TypeVar("T")

_PAGE = 1000


class MemoryBackend:
    """Items in a dict, keys in a sorted list, logs in lists."""

    def __init__(self, clock: Clock, *, sweep_every: float = expiry.EVERY, watch_bound: int = feed.BOUND) -> None:
        self._clock = clock
        self._sweep_every = sweep_every
        self._items: dict[str, Item] = {}
        self._keys: list[str] = []
        self._ends: list[tuple[dt.datetime, str]] = []
        self._logs: dict[str, list[Record]] = {}
        self._revision: Revision = 0
        self._feed = feed.Feed(bound=watch_bound)
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    async def get(self, key: str) -> Item:
        """Return the item at `key`. Raises NotFound (STORE-NOT-FOUND)."""
        self._check_open()
        item = self._visible(key, self._clock.now())
        if item is None:
            raise NotFound("STORE-NOT-FOUND", key=key)
        return item

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> AsyncIterator[Item]:
        """Yield items in order of key. What is written meanwhile may or may not be seen; each item is whole."""
        left = limit if limit > 0 else -1
        while left:
            self._check_open()
            page = self._page(prefix, after, _PAGE if left < 0 else min(left, _PAGE))
            for item in page:
                yield item
            if not page:
                return
            after = page[-1].key
            left -= len(page) if left > 0 else 0

    def _page(self, prefix: str, after: str, size: int) -> list[Item]:
        start = bisect.bisect_right(self._keys, after) if after >= prefix else bisect.bisect_left(self._keys, prefix)
        now = self._clock.now()
        page: list[Item] = []
        for index in range(start, len(self._keys)):
            key = self._keys[index]
            if not key.startswith(prefix) or len(page) == size:
                break
            if (item := self._visible(key, now)) is not None:
                page.append(item)
        return page

    def _visible(self, key: str, now: dt.datetime) -> Item | None:
        item = self._items.get(key)
        return None if item is None or expired(item.expires, now) else item

    async def commit(self, *ops: Op) -> Revision:
        """Do all of `ops` or none; the errors are those of `Backend.commit`."""
        self._check_open()
        check_ops(ops)
        now = self._clock.now()
        for op in ops:
            if not isinstance(op, Append | Prune):
                found = self._visible(op.key, now)
                judge(op.key, op.when, None if found is None else found.revision)
        revision = self._revision = self._revision + 1
        self._feed.publish(revision, [event for op in ops for event in self._apply(op, revision)])
        await asyncio.sleep(0)
        return revision

    def _apply(self, op: Op, revision: Revision) -> Sequence[Changed | Removed]:
        if isinstance(op, Put):
            return [self._put(Item(op.key, bytes(op.value), revision, op.expires))]
        if isinstance(op, Delete):
            return self._remove(op.key, revision)
        if isinstance(op, Append):
            records = self._logs.setdefault(op.log, [])
            previous, sequence = (records[-1].digest, records[-1].sequence + 1) if records else (chain.START, 1)
            data = bytes(op.data)
            records.append(Record(op.log, sequence, data, chain.link(previous, sequence, data)))
        if isinstance(op, Prune) and (records := self._logs.get(op.log, [])):
            del records[: _place(records[:-1], op.through)]
        return []

    def _put(self, item: Item) -> Changed:
        if item.key not in self._items:
            bisect.insort(self._keys, item.key)
        self._items[item.key] = item
        if item.expires is not None:
            heapq.heappush(self._ends, (item.expires, item.key))
            if self._sweeper is None or self._sweeper.done():
                self._sweeper = expiry.start_sweeping(self.sweep, self._sweep_every, wanted=lambda: bool(self._ends))
        return Changed(item)

    def _remove(self, key: str, revision: Revision) -> list[Changed | Removed]:
        if self._items.pop(key, None) is None:
            return []
        del self._keys[bisect.bisect_left(self._keys, key)]
        return [Removed(key, revision)]

    async def sweep(self) -> int:
        """Remove what has expired and tell watches; return how many items that were."""
        now, gone = self._clock.now(), []
        while self._ends and self._ends[0][0] <= now:
            _, key = heapq.heappop(self._ends)
            item = self._items.get(key)
            if item is not None and expired(item.expires, now):
                gone += self._remove(key, self._revision + 1)
        if gone:
            self._revision += 1
            self._feed.publish(self._revision, gone)
        return len(gone)

    def watch(self, *prefixes: str) -> feed.Subscription:
        """Open a watch on keys that start with one of `prefixes`."""
        return self._feed.watch(*prefixes)

    async def read_log(self, log: str, *, after: int = 0, limit: int = 1000) -> Sequence[Record]:
        """Return at most `limit` records of `log` with sequence numbers above `after`."""
        self._check_open()
        records = self._logs.get(log, [])
        start = _place(records, after)
        return records[start : start + max(limit, 0)]

    async def logs(self) -> Sequence[Record]:
        """Return the last record of every log, in order of name."""
        self._check_open()
        return [self._logs[name][-1] for name in sorted(self._logs)]

    async def inspect(self, work: Callable[[LogReader], T]) -> T:
        """Run `work` over the state of this moment."""
        self._check_open()
        return work(_Reader(self._logs, self._items))

    async def close(self) -> None:
        """End watches and refuse whatever comes after."""
        if self._closed:
            return
        self._closed = True
        self._feed.close()
        if self._sweeper is not None:
            await tasks.cancel(self._sweeper)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("STORE-CLOSED")


class _Reader:
    """The logs and items of a MemoryBackend. Nothing else runs while somebody looks through it."""

    def __init__(self, logs: dict[str, list[Record]], items: dict[str, Item]) -> None:
        self._logs, self._items = logs, items

    def heads(self) -> Sequence[tuple[str, int, bytes]]:
        return [(name, log[-1].sequence, log[-1].digest) for name, log in sorted(self._logs.items())]

    def pages(self, log: str, after: int = 0) -> Iterator[Sequence[tuple[int, bytes, bytes]]]:
        records = self._logs.get(log, [])
        for start in range(_place(records, after), len(records), _PAGE):
            yield [(found.sequence, found.data, found.digest) for found in records[start : start + _PAGE]]

    def items(self, prefix: str) -> Sequence[tuple[str, bytes]]:
        return [(key, item.value) for key, item in sorted(self._items.items()) if key.startswith(prefix)]


def _place(records: Sequence[Record], after: int) -> int:
    """Return the index of the first record with a number above `after`."""
    return bisect.bisect_right(records, after, key=lambda record: record.sequence)
