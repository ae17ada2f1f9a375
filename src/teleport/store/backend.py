"""Backend: the contract of every storage driver.

A backend keeps items under `/`-joined keys, changes several of them at once or not at all, and keeps
append-only logs whose records are chained by hash. A change and the audit record that describes it are
one commit. All drivers pass `tests/unit/store/test_backend.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")

Revision = int
"""Grows with every commit; items written together share one."""


@dataclass(frozen=True, slots=True)
class Item:
    """A stored value."""

    key: str
    value: bytes
    revision: Revision
    expires: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """Condition: nothing (unexpired) stands at the key."""


@dataclass(frozen=True, slots=True)
class At:
    """Condition: the item at the key has exactly this revision."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Present:
    """Condition: something stands at the key."""


Condition = Absent | At | Present | None


@dataclass(frozen=True, slots=True)
class Put:
    """Write `value` at `key` if `when` holds."""

    key: str
    value: bytes
    expires: dt.datetime | None = None
    when: Condition = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove `key` if `when` holds. Removing what is not there is no error unless `when` says so."""

    key: str
    when: Condition = None


@dataclass(frozen=True, slots=True)
class Check:
    """Change nothing, but demand that `when` holds at `key`."""

    key: str
    when: Condition


@dataclass(frozen=True, slots=True)
class Append:
    """Add a record to the log named `log`. The driver gives it the next sequence number and chains it."""

    log: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Prune:
    """Remove the records of `log` with numbers up to `through`; the last record of a log always stays. Numbers and
    digests of the others do not change."""

    log: str
    through: int


Op = Put | Delete | Check | Append | Prune


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a log. `digest` is `base.chain.link(previous digest, sequence, data)`."""

    log: str
    sequence: int
    data: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Init:
    """First event of a watch: everything written after it was opened will follow."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Changed:
    """`item` was written."""

    item: Item


@dataclass(frozen=True, slots=True)
class Removed:
    """The item at `key` was deleted or has expired."""

    key: str
    revision: Revision


Event = Init | Changed | Removed


class Watch(Protocol):
    """Events in order of commit. A reader that falls behind by more than the queue's bound gets
    Unavailable (STORE-WATCH-BEHIND) and opens a new watch."""

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def __anext__(self) -> Event: ...


class LogReader(Protocol):
    """The logs as they are at one moment, for work that reads many records. It blocks."""

    def heads(self) -> Sequence[tuple[str, int, bytes]]:
        """Return name, last number and last digest of every log."""
        ...

    def pages(self, log: str, after: int = 0) -> Iterator[Sequence[tuple[int, bytes, bytes]]]:
        """Yield number, data and digest of the records above `after`, some thousands at a time, in order."""
        ...

    def items(self, prefix: str) -> Sequence[tuple[str, bytes]]:
        """Return keys and values under a prefix, expired ones too."""
        ...


class Backend(Protocol):
    """Bytes at rest. Methods raise NotFound (STORE-NOT-FOUND), CompareFailed (STORE-COMPARE),
    AlreadyExists (STORE-EXISTS) and Unavailable (STORE-UNAVAILABLE, STORE-DISK-FULL)."""

    async def get(self, key: str) -> Item:
        """Return the item at `key`; expired items are not found."""
        ...

    def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> AsyncIterator[Item]:
        """Yield items whose key starts with `prefix`, in order of key, those after the key `after` only,
        at most `limit` (0: all). The prefix is taken literally: pass `/roles/`, not `/roles`."""
        ...

    async def commit(self, *ops: Op) -> Revision:
        """Do all of `ops` or none, durably: when this returns, a crash loses nothing of it. A condition
        that does not hold raises AlreadyExists (Absent), NotFound (Present, or At on nothing) or
        CompareFailed (At), and nothing is written. All conditions are judged, in order, before the first
        change of this commit is made. A cancelled caller does not know whether its change was made; it is
        made at most once."""
        ...

    def watch(self, *prefixes: str) -> AbstractAsyncContextManager[Watch]:
        """Open a watch on keys that start with one of `prefixes`."""
        ...

    async def read_log(self, log: str, *, after: int = 0, limit: int = 1000) -> Sequence[Record]:
        """Return records of `log` with sequence numbers above `after` (the first has 1), in order."""
        ...

    async def logs(self) -> Sequence[Record]:
        """Return the last record of every log, in order of name."""
        ...

    async def inspect(self, work: Callable[[LogReader], T]) -> T:
        """Run `work` over the state of this moment, where it holds up nobody else."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and release everything."""
        ...
