"""Searching audit logs: filters, the merge of several writers by time, and continuation.

The filters look at raw records, because most of them are passed over; what a record means is decided by
`model.events`. There is no index: a search reads backwards or forwards until it has enough.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from teleport.base.errors import BadParameter
from teleport.store.backend import Backend, Record

_CHUNK = 500
_Position = Annotated[int, msgspec.Meta(ge=0)]
_LONGEST_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


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


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that the filters let through."""

    time: dt.datetime
    record: Record


class _Glance(msgspec.Struct):
    """The fields of an event that filters look at."""

    event: str = ""
    time: dt.datetime = _LONGEST_AGO
    user: str = ""


class _Filter:
    def __init__(self, query: Query) -> None:
        self._query = query
        # As the text stands in JSON: with its quotes and backslashes escaped.
        self._needle = msgspec.json.encode(query.text).decode()[1:-1].lower()

    def admit(self, record: Record) -> Hit | None:
        query = self._query
        try:
            glance = msgspec.json.decode(record.data, type=_Glance)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            glance = _Glance()  # shown when nothing is asked of it: a damaged record must not hide
        time = glance.time if glance.time.tzinfo else glance.time.replace(tzinfo=dt.UTC)
        refused = (
            (query.types and glance.event not in query.types)
            or (query.user and glance.user != query.user)
            or (query.since is not None and time < query.since)
            or (query.until is not None and time >= query.until)
            or (self._needle and self._needle not in record.data.decode(errors="replace").lower())
        )
        return None if refused else Hit(time, record)


class _Cursor:
    """Walks one log and stops before the next hit. `position` is what is left: above it going forward,
    up to it going backward."""

    def __init__(self, backend: Backend, log: str, position: int, newest_first: bool, filter_: _Filter) -> None:
        self._backend = backend
        self._log = log
        self._backward = newest_first
        self._filter = filter_
        self._chunk: list[Record] = []
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

    async def _fill(self) -> bool:
        await asyncio.sleep(0)
        if not self._backward:
            self._chunk = list(reversed(await self._backend.read_log(self._log, after=self.position, limit=_CHUNK)))
            return bool(self._chunk)
        while self.position > 0 and not self._chunk:  # a gap is no end: records may have been removed
            start = max(self.position - _CHUNK, 0)
            records = await self._backend.read_log(self._log, after=start, limit=self.position - start)
            self._chunk = [record for record in records if record.sequence <= self.position]
            if not self._chunk:
                self.position = start
        return bool(self._chunk)


async def search(backend: Backend, heads: Mapping[str, int], query: Query) -> tuple[list[Hit], str]:
    """Return hits of the logs in `heads` (name to last sequence) and the continuation, empty at the end.

    Each log is in its own order; among logs the earlier (or later) time goes first. Raises BadParameter
    (STORE-AUDIT-CONTINUE).
    """
    starts = _starts(heads, query)
    sieve = _Filter(query)
    cursors = {log: _Cursor(backend, log, at, query.newest_first, sieve) for log, at in starts.items()}
    for cursor in cursors.values():
        await cursor.advance()
    hits: list[Hit] = []
    while len(hits) < query.limit and (waiting := [c for c in cursors.values() if c.hit is not None]):
        chosen = (max if query.newest_first else min)(waiting, key=_time_of)
        if chosen.hit is not None:
            hits.append(chosen.hit)
        await chosen.advance()
    if all(cursor.hit is None for cursor in cursors.values()):
        return hits, ""
    return hits, _pack({log: cursor.position for log, cursor in cursors.items()})


def _time_of(cursor: _Cursor) -> dt.datetime:
    return cursor.hit.time if cursor.hit is not None else _LONGEST_AGO


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
