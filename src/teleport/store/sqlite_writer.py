"""The one writer of a SQLite store: a thread that commits whatever is waiting as one group.

Theory of operation. Callers in the event loop put requests into a queue. The thread takes all that wait,
opens a transaction, does each request in turn, and commits once: one sync of the disk pays for the whole
group. A request's conditions are judged before its first change, so one that does not hold leaves nothing
to undo. When a change itself cannot be stored (a value too large), the transaction is undone and the group
is done again with a savepoint around each request, so that only the guilty one fails: savepoints cost a
third of the speed and are needed almost never. Only after COMMIT has returned does the loop hear of it, in
one call for the group: changes go to watches, then futures are resolved. When the transaction itself fails
(disk full), every request of the group fails and nothing of it is kept. Conditions are judged in the thread,
against everything that stands before them in the queue.

Not here: reading, watches, the file (`sqlite_schema`).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from teleport.base import chain
from teleport.base.errors import BadParameter, Internal, TeleportError
from teleport.store import expiry, sqlite_schema
from teleport.store.backend import (
    Append,
    Changed,
    Check,
    Condition,
    Delete,
    Item,
    Op,
    Prune,
    Put,
    Removed,
    Revision,
)
from teleport.store.conditions import judge

GROUP = 1024
"""Requests in one transaction at most."""
SWEEP = 1000
"""Items that one sweep removes at most."""

_PUT = """INSERT INTO items (key, value, revision, expires) VALUES (?, ?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision, expires = excluded.expires"""
_FIND = "SELECT revision FROM items WHERE key = ? AND (expires IS NULL OR expires > ?)"
_EXPIRED = "SELECT key FROM items WHERE expires <= ? ORDER BY expires LIMIT ?"
_HEAD = "SELECT id, CAST(sequence AS INTEGER), CAST(digest AS BLOB) FROM log_heads WHERE name = ?"
_PRUNE = """DELETE FROM log_records WHERE log = (SELECT id FROM log_heads WHERE name = ?) AND sequence <= ?
  AND sequence < (SELECT sequence FROM log_heads WHERE name = ?)"""
_LAST_RECORD = """SELECT CAST(sequence AS INTEGER), CAST(digest AS BLOB) FROM log_records
  WHERE log = ? ORDER BY sequence DESC LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """An operation of the driver itself: remove what has expired."""


@dataclass(slots=True)
class Request:
    """What one caller wants done, and at which moment it asked (microseconds since 1970)."""

    ops: Sequence[Op | Sweep]
    now: int
    done: asyncio.Future[Revision]


@dataclass(slots=True)
class Result:
    """What became of a request."""

    request: Request
    revision: Revision = 0
    events: list[Changed | Removed] = field(default_factory=list)
    error: TeleportError | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends. `id` stands for its name in the table of records."""

    id: int
    sequence: int
    digest: bytes


class _FaultInGroup(Exception):
    """A request cannot be stored, and changes of others stand in the same transaction."""


class Writer:
    """Owns the writing connection. `deliver` is called in the thread with every group that has ended."""

    def __init__(
        self, connection: sqlite3.Connection, directory: Path, deliver: Callable[[list[Result]], None]
    ) -> None:
        self._connection = connection
        self._directory = directory
        self._deliver = deliver
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._revision: Revision = connection.execute("SELECT revision FROM counter").fetchone()[0]
        self._heads: dict[str, Head] = {}
        # A daemon, so that a process that forgets to close the store can still end; a commit cut short is undone.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    @property
    def revision(self) -> Revision:
        """The newest revision, before `start`."""
        return self._revision

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Accept a request; it will be done or fail, whether or not somebody still waits."""
        self._queue.put(request)

    def stop(self) -> None:
        """Finish what was accepted, then close the connection. Blocks; call it from another thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            group: list[Request] = []
            entry = self._queue.get()
            while entry is not None:
                group.append(entry)
                if len(group) == GROUP or self._queue.empty():
                    break
                entry = self._queue.get()
            stopping = entry is None
            if group:
                self._deliver(self._commit(group))
        self._connection.close()

    def _commit(self, group: Sequence[Request]) -> list[Result]:
        try:
            return self._transact(group, guarded=False)
        except _FaultInGroup:
            return self._transact(group, guarded=True)

    def _transact(self, group: Sequence[Request], *, guarded: bool) -> list[Result]:
        revision, fresh = self._revision, dict[str, Head]()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [self._attempt(request, fresh, guarded) for request in group]
            if self._revision != revision:
                self._save(fresh)
            self._connection.execute("COMMIT")
        except Exception as error:
            self._revision = revision
            cause = self._undo(error)
            if isinstance(cause, _FaultInGroup):
                raise cause from None
            return [Result(request, error=self._explain(cause)) for request in group]
        self._heads.update(fresh)
        return results

    def _undo(self, error: Exception) -> Exception:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as worse:
            return worse
        return error

    def _explain(self, error: Exception) -> TeleportError:
        if isinstance(error, TeleportError):
            return error
        if isinstance(error, sqlite3.DataError | OverflowError):
            return BadParameter("STORE-VALUE", problem=error)
        if isinstance(error, sqlite3.Error | OSError):
            return sqlite_schema.failure(error, self._directory)
        return Internal("STORE-UNAVAILABLE", problem=f"{type(error).__name__}: {error}")

    def _attempt(self, request: Request, fresh: dict[str, Head], guarded: bool) -> Result:
        try:
            self._judge(request)
        except TeleportError as error:
            return Result(request, error=error)
        result, heads = Result(request, self._revision + 1), dict(fresh)
        if guarded:
            self._connection.execute("SAVEPOINT request")
        try:
            for op in request.ops:
                self._apply(op, request.now, result, heads)
        except Exception as error:
            if not _is_own_fault(error):
                raise
            if not guarded:
                raise _FaultInGroup from error
            self._connection.execute("ROLLBACK TO request")
            return Result(request, error=self._explain(error))
        finally:
            if guarded and self._connection.in_transaction:
                self._connection.execute("RELEASE request")
        self._revision = result.revision
        fresh.update(heads)
        return result

    def _judge(self, request: Request) -> None:
        for op in request.ops:
            when: Condition = op.when if isinstance(op, Put | Delete | Check) else None
            if when is not None and isinstance(op, Put | Delete | Check):
                row = self._connection.execute(_FIND, (op.key, request.now)).fetchone()
                judge(op.key, when, None if row is None else row[0])

    def _apply(self, op: Op | Sweep, now: int, result: Result, heads: dict[str, Head]) -> None:
        if isinstance(op, Put):
            expires = None if op.expires is None else expiry.to_number(op.expires)
            self._connection.execute(_PUT, (op.key, op.value, result.revision, expires))
            result.events.append(Changed(Item(op.key, bytes(op.value), result.revision, op.expires)))
        elif isinstance(op, Delete):
            if self._connection.execute("DELETE FROM items WHERE key = ?", (op.key,)).rowcount:
                result.events.append(Removed(op.key, result.revision))
        elif isinstance(op, Append):
            self._append(op, heads)
        elif isinstance(op, Prune):
            self._connection.execute(_PRUNE, (op.log, op.through, op.log))
        elif isinstance(op, Sweep):
            gone = self._connection.execute(_EXPIRED, (now, SWEEP)).fetchall()
            self._connection.executemany("DELETE FROM items WHERE key = ?", gone)
            result.events += [Removed(key, result.revision) for (key,) in gone]

    def _append(self, op: Append, heads: dict[str, Head]) -> None:
        head = heads.get(op.log) or self._heads.get(op.log) or self._load_head(op.log)
        sequence = head.sequence + 1
        digest = chain.link(head.digest, sequence, op.data)
        self._connection.execute(
            "INSERT INTO log_records (log, sequence, data, digest) VALUES (?, ?, ?, ?)",
            (head.id, sequence, op.data, digest),
        )
        heads[op.log] = Head(head.id, sequence, digest)

    def _load_head(self, log: str) -> Head:
        row = self._connection.execute(_HEAD, (log,)).fetchone()
        if row is None:
            cursor = self._connection.execute(
                "INSERT INTO log_heads (name, sequence, digest) VALUES (?, 0, ?)", (log, chain.START)
            )
            return Head(int(cursor.lastrowid or 0), 0, chain.START)
        head = Head(*row)
        # The file may have been tampered with: never reuse a number that a record already has.
        last = self._connection.execute(_LAST_RECORD, (head.id,)).fetchone()
        return Head(head.id, *last) if last is not None and last[0] > head.sequence else head

    def _save(self, fresh: dict[str, Head]) -> None:
        self._connection.execute("UPDATE counter SET revision = ?", (self._revision,))
        self._connection.executemany(
            "UPDATE log_heads SET sequence = ?, digest = ? WHERE id = ?",
            [(head.sequence, head.digest, head.id) for head in fresh.values()],
        )


def _is_own_fault(error: Exception) -> bool:
    """Say whether one request's data is to blame, so that the transaction around it can go on."""
    return not isinstance(error, sqlite3.OperationalError) and type(error) is not sqlite3.DatabaseError
