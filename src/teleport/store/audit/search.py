"""Searching audit logs: filters, the merge of several writers by time, and continuation.

The filters look at raw records, because most of them are passed over; what a record means is decided by
`model.events`. A backend with an index (`probe.Finder`) offers the records that may agree; what it cannot answer,
and a search without filters, reads the log backwards or forwards. Both ways give the same answer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from teleport.base.errors import BadParameter
from teleport.store.audit.probe import LONG_AGO, Finder, Probe, folded, glance, needle_of
from teleport.store.backend import Backend, Record

_CHUNK = 500
_Position = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. All filters must agree; an empty one agrees with everything."""

    since: dt.datetime | None = None
    """Earliest time, included."""
    until: dt.datetime | None = None
    """Latest time, excluded."""
    types: frozenset[str] = frozenset()
    """Names of events, for example `user.login`."""
    user: str = ""
    text: str = ""
    """Found anywhere in the record, in upper or lower case."""
    newest_first: bool = True
    limit: int = 100
    continuation: str = ""
    """From the page before, with the same filters."""
    where: Callable[[bytes], bool] | None = None
    """A further filter over the record."""
    steps: int = 0
    """Reads of the log or the index after which the page ends, however few hits it has; 0: none. A page that ended
    so has a continuation."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that the filters let through."""

    time: dt.datetime
    record: Record


class _Filter:
    """The filters of a query, and how many reads it may still cost."""

    def __init__(self, query: Query) -> None:
        self._query = query
        needle = needle_of(query.text)
        self.probe = Probe(query.since, query.until, tuple(sorted(query.types)), query.user, needle)
        self._left = query.steps

    def admit(self, record: Record) -> Hit | None:
        query, needle = self._query, self.probe.needle
        seen = glance(record.data)  # shown when nothing is asked of it: a damaged record must not hide
        refused = (
            (query.types and seen.event not in query.types)
            or (query.user and seen.user != query.user)
            or (query.since is not None and seen.time < query.since)
            or (query.until is not None and seen.time >= query.until)
            or (needle and needle not in folded(record.data))
            or (query.where is not None and not query.where(record.data))
        )
        return None if refused else Hit(seen.time, record)

    @property
    def exhausted(self) -> bool:
        """Whether the page has to end."""
        return self._left < 0

    def pay(self) -> None:
        """Count one read."""
        if self._query.steps:
            self._left -= 1


class _Cursor:
    """Walks one log and stops before the next hit. `position` is what is left: above it going forward,
    up to it going backward."""

    def __init__(
        self, backend: Backend, log: str, position: int, last: int, newest_first: bool, filter_: _Filter
    ) -> None:
        self._backend = backend
        self._log = log
        self._backward = newest_first
        self._filter = filter_
        self._chunk: list[Record] = []
        self._after: int | None = None
        self._begun = False
        self._end = last
        self.position = position
        self.hit: Hit | None = None

    async def advance(self) -> None:
        """Go to the next hit; `hit` is None when there is none."""
        if self.hit is not None:
            self._pass(self.hit.record)
        self.hit = None
        while self._chunk or await self._fill():
            record = self._chunk.pop()
            self.hit = self._filter.admit(record)
            if self.hit is not None:
                return
            self._pass(record)

    def _pass(self, record: Record) -> None:
        self.position = record.sequence - 1 if self._backward else record.sequence
        if not self._chunk:
            self._leap()

    async def _fill(self) -> bool:
        """Get records to look at, in the order of the walk with the next one last; False at the end."""
        while not self._chunk and self._ahead():
            if self._begun:
                self._filter.pay()
            self._begun = True  # the first read is free, so that every page gets on in every log
            if self._filter.exhausted:
                return False
            await asyncio.sleep(0)
            if not await self._ask():
                await self._read()
        return bool(self._chunk)

    def _ahead(self) -> bool:
        return self.position > 0 if self._backward else self.position < self._end

    async def _ask(self) -> bool:
        """Ask the index, if there is one that helps. What it passed over is passed once its records are."""
        if not (self._filter.probe.indexed and isinstance(self._backend, Finder)):
            return False
        found = await self._backend.find(self._log, self._filter.probe, self.position, backward=self._backward)
        if found is None:
            return False
        self._chunk = list(reversed(found.records))
        self._after = found.position
        if not self._chunk:
            self._leap()
        return True

    async def _read(self) -> None:
        if not self._backward:
            self._chunk = list(reversed(await self._backend.read_log(self._log, after=self.position, limit=_CHUNK)))
            if not self._chunk:
                self.position = self._end
            return
        start = max(self.position - _CHUNK, 0)
        records = await self._backend.read_log(self._log, after=start, limit=self.position - start)
        self._chunk = [record for record in records if record.sequence <= self.position]
        self._after = start  # a gap is no end: records may have been removed
        if not self._chunk:
            self._leap()

    def _leap(self) -> None:
        if self._after is not None:
            self.position = min(self.position, self._after) if self._backward else max(self.position, self._after)
        self._after = None


async def search(backend: Backend, heads: Mapping[str, int], query: Query) -> tuple[list[Hit], str]:
    """Return hits of the logs in `heads` (name to last sequence) and the continuation, empty at the end.

    Each log is in its own order; among logs the earlier (or later) time goes first. Raises BadParameter
    (STORE-AUDIT-CONTINUE).
    """
    starts = _starts(heads, query)
    sieve = _Filter(query)
    cursors = {log: _Cursor(backend, log, at, heads[log], query.newest_first, sieve) for log, at in starts.items()}
    for cursor in cursors.values():
        await cursor.advance()
    hits: list[Hit] = []
    # A log that was left unfinished may have the next hit, so the others wait for the next page as well.
    while (
        len(hits) < query.limit
        and not sieve.exhausted
        and (waiting := [c for c in cursors.values() if c.hit is not None])
    ):
        chosen = (max if query.newest_first else min)(waiting, key=_time_of)
        if chosen.hit is not None:
            hits.append(chosen.hit)
        await chosen.advance()
    if not sieve.exhausted and all(cursor.hit is None for cursor in cursors.values()):
        return hits, ""
    return hits, _pack({log: cursor.position for log, cursor in cursors.items()})


def _time_of(cursor: _Cursor) -> dt.datetime:
    return cursor.hit.time if cursor.hit is not None else LONG_AGO


def _starts(heads: Mapping[str, int], query: Query) -> dict[str, int]:
    if query.continuation:
        # A log that is new since the first page counts as unread going forward and as read going backward.
        left = _unpack(query.continuation)
        return {log: min(left.get(log, 0), last) for log, last in heads.items()}
    return {log: last if query.newest_first else 0 for log, last in heads.items()}


def _pack(positions: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(positions)).decode().rstrip("=")


def _unpack(continuation: str) -> dict[str, int]:
    try:
        data = base64.b64decode(continuation + "=" * (-len(continuation) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data, type=dict[str, _Position])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise BadParameter("STORE-AUDIT-CONTINUE", continuation=continuation[:60]) from None
