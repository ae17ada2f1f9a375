"""What a search asks of an index: the part of its filters that an index can answer, and what comes back.

An index may offer too much, never too little: every record it offers goes through the filters of `search`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec

from teleport.store.backend import Record

SHORTEST = 3
"""Characters of a text that an index can find."""
LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Glance(msgspec.Struct):
    """The fields of an event that filters look at."""

    event: str = ""
    time: dt.datetime = LONG_AGO
    user: str = ""


def glance(data: bytes) -> Glance:
    """Read what filters need of a record. Of a damaged one nothing is known; a time without zone is in UTC."""
    try:
        seen = msgspec.json.decode(data, type=Glance)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Glance()
    if seen.time.tzinfo is None:
        seen.time = seen.time.replace(tzinfo=dt.UTC)
    return seen


def folded(data: bytes) -> str:
    """Return the text of a record as searches for text see it: in lower case."""
    return data.decode(errors="replace").lower()


def needle_of(text: str) -> str:
    """Return a text as `folded` has it: as it stands in JSON, with quotes and backslashes escaped."""
    return msgspec.json.encode(text).decode()[1:-1].lower()


def micros(moment: dt.datetime) -> int:
    """Return microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Probe:
    """Filters that must all agree; an empty one agrees with everything."""

    since: dt.datetime | None = None
    """Earliest time, included."""
    until: dt.datetime | None = None
    """Latest time, excluded."""
    types: tuple[str, ...] = ()
    user: str = ""
    needle: str = ""
    """See `needle_of`."""

    @property
    def indexed(self) -> bool:
        """Whether an index helps. Short texts are in no index; without filters every record is a hit."""
        return bool(self.since or self.until or self.types or self.user or len(self.needle) >= SHORTEST)


@dataclass(frozen=True, slots=True)
class Found:
    """Records in the order of the walk, and the position behind them: what lies before it is dealt with."""

    records: Sequence[Record]
    position: int


@runtime_checkable
class Finder(Protocol):
    """A backend with an index of its audit logs."""

    async def find(self, log: str, probe: Probe, position: int, *, backward: bool) -> Found | None:
        """Return a stretch of `log` from `position` on: going backward from that record down, going forward from
        behind it up. Records left out of the stretch do not agree with `probe`. None: read the log instead."""
        ...
