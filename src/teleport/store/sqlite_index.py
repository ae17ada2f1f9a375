"""The index of the audit logs: a file of its own beside the store, made of the logs and of nothing else.

Theory of operation. The index follows the logs: a thread reads what is new in batches, and what it has not read yet
is found by reading the log. So writing an event costs nothing more, a store without index starts at once, and the
file may be removed at any time. It cannot lie about another history: it keeps the digest of the last record that it
has read, and a digest of the chain stands for everything before it. When that record is another one now (a backup
was restored), the index begins anew. Rows of records that were removed offer what is not there, which harms nothing;
when most are of that kind, the index begins anew as well.

A record has one row (time, event, user), a place in the span of its block (earliest and latest time of 1024
records), and its trigrams: text in lower case, so that a text of three letters or more is found wherever it stands.

Not here: asking (`sqlite_finder`).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from teleport.base.log import logger
from teleport.store import sqlite_schema
from teleport.store.audit.probe import folded, glance, micros

log = logger("STORE")

FILE = "audit-index.db"
WORTH = 4096
"""Removed records that the index may still know of before it begins anew."""
BLOCK = 1024
SHIFT = 40
"""A row's id is `log << SHIFT | sequence`."""
_BATCH = 500
"""Records of one transaction."""
_SLICE = 50
"""Records between two rests: whoever waits for the interpreter or a processor waits for some milliseconds."""
_COST = 1e-4
"""Seconds that a record takes, about."""
_VERSION = 1
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",  # a power cut may take back what was indexed last; it is read again
    "PRAGMA wal_autocheckpoint=1000",
    "PRAGMA journal_size_limit=16777216",
    "PRAGMA cache_size=-1000",  # KiB; each time it is built, this much is taken from the heap and given back
    "PRAGMA trusted_schema=OFF",
)
_TABLES = (
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sequence INTEGER NOT NULL, digest BLOB)",
    "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE events (
         id INTEGER PRIMARY KEY, time INTEGER NOT NULL, event INTEGER NOT NULL, user INTEGER NOT NULL)""",
    "CREATE INDEX events_event ON events (event)",
    "CREATE INDEX events_user ON events (user)",
    "CREATE INDEX events_both ON events (event, user)",
    """CREATE TABLE blocks (
         log INTEGER NOT NULL, block INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
         PRIMARY KEY (log, block)) WITHOUT ROWID""",
    """CREATE VIRTUAL TABLE words USING fts5 (
         text, content='', detail=none, columnsize=0, tokenize='trigram case_sensitive 1')""",
)
_HEADS = "SELECT id, name, CAST(sequence AS INTEGER) FROM log_heads WHERE name >= 'audit/' AND name < 'audit0'"
_NEXT = """SELECT CAST(sequence AS INTEGER), CAST(data AS BLOB), CAST(digest AS BLOB) FROM log_records
  WHERE log = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"""
_DIGEST = "SELECT CAST(digest AS BLOB) FROM log_records WHERE log = ? AND sequence = ?"
_FIRST = "SELECT min(sequence) FROM log_records WHERE log = ?"
_SPAN = """INSERT INTO blocks (log, block, low, high) VALUES (?, ?, ?, ?)
  ON CONFLICT (log, block) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)"""


@dataclass(frozen=True, slots=True)
class _Source:
    """A log of the store: how it is numbered there, and its last record."""

    id: int
    name: str
    sequence: int


def connect(directory: Path, *, writer: bool) -> sqlite3.Connection:
    """Open the index; the writer makes it if need be, in place of one of another build."""
    path = directory / FILE
    if writer:
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        if not writer:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA cache_size=-2000")
        elif connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            _make(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    present = connection.execute(
        "SELECT name FROM sqlite_schema WHERE name IN ('logs', 'names', 'events', 'blocks', 'words')"
    )
    for (name,) in present.fetchall():
        connection.execute(f"DROP TABLE {name}")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={_VERSION}")
    connection.execute("COMMIT")


def remove(directory: Path) -> None:
    """Remove the index; it is made anew from the logs."""
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        (directory / name).unlink(missing_ok=True)


class Builder:
    """Brings the index up to date, once, in a thread of its own.

    `checked` is called when what the index says can be relied on, which is before it is complete. `share` tells which
    part of the time it may work; the rest belongs to others.
    """

    def __init__(self, directory: Path, checked: Callable[[bool], None], share: Callable[[], float]) -> None:
        self._directory = directory
        self._checked = checked
        self._share = share
        self._stopping = threading.Event()
        self._names: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="audit-index", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it after the present batch. Blocks."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._follow()
        except sqlite3.DatabaseError as error:
            self._checked(False)
            full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
            log.warn("The index of the audit log is not kept up", error=error, removed=not full)
            if not full and not isinstance(error, sqlite3.OperationalError):
                with contextlib.suppress(OSError):
                    remove(self._directory)
        except OSError as error:
            self._checked(False)
            log.warn("The index of the audit log is not kept up", error=error)

    def _follow(self) -> None:
        with (
            contextlib.closing(sqlite_schema.connect(self._directory, writer=False)) as store,
            contextlib.closing(connect(self._directory, writer=True)) as index,
        ):
            store.execute("PRAGMA cache_size=-1000")
            sources = [_Source(*row) for row in store.execute(_HEADS).fetchall()]
            if not _sound(store, index, sources):
                log.info("The index of the audit log begins anew")
                _make(index)
            self._checked(True)
            self._names = dict(index.execute("SELECT name, id FROM names LIMIT 10000").fetchall())
            for source in sources:
                self._catch_up(store, index, source)

    def _catch_up(self, store: sqlite3.Connection, index: sqlite3.Connection, source: _Source) -> None:
        number, position = _place(index, source.name)
        while position < source.sequence and not self._stopping.is_set():
            records = store.execute(_NEXT, (source.id, position, source.sequence, _BATCH)).fetchall()
            if not records:
                return
            index.execute("BEGIN IMMEDIATE")
            try:
                for first in range(0, len(records), _SLICE):
                    self._add(index, number, records[first : first + _SLICE])
                    self._rest(len(records[first : first + _SLICE]))
                index.execute("COMMIT")
            except BaseException:
                if index.in_transaction:
                    index.execute("ROLLBACK")
                raise
            position = records[-1][0]

    def _rest(self, records: int) -> None:
        """Leave others their part of the time. Inside a transaction: nobody else writes the index."""
        share = self._share()
        self._stopping.wait((1.0 - share) / share * records * _COST)

    def _add(self, index: sqlite3.Connection, log: int, records: Sequence[tuple[int, bytes, bytes]]) -> None:
        rows, spans, base = [], dict[int, tuple[int, int]](), log << SHIFT
        for sequence, data, _ in records:
            seen = glance(data)
            time = micros(seen.time)
            rows.append((base | sequence, time, self._name(index, seen.event), self._name(index, seen.user)))
            low, high = spans.get(sequence // BLOCK, (time, time))
            spans[sequence // BLOCK] = (min(low, time), max(high, time))
        index.executemany("INSERT INTO events (id, time, event, user) VALUES (?, ?, ?, ?)", rows)
        index.executemany(_SPAN, [(log, block, *span) for block, span in spans.items()])
        # No text that is searched for has a NUL, and the tokenizer would end there.
        texts = ((base | sequence, folded(data).replace("\0", "\1")) for sequence, data, _ in records)
        index.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", texts)
        last, _, digest = records[-1]
        index.execute("UPDATE logs SET sequence = ?, digest = ? WHERE id = ?", (last, digest, log))

    def _name(self, index: sqlite3.Connection, name: str) -> int:
        known = self._names.get(name)
        if known is None:
            index.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", (name,))
            known = int(index.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()[0])
            if len(self._names) >= 10_000:
                self._names.clear()
            self._names[name] = known
        return known


def _place(index: sqlite3.Connection, name: str) -> tuple[int, int]:
    """Return the number of a log in the index and its last record there."""
    index.execute("INSERT OR IGNORE INTO logs (name, sequence) VALUES (?, 0)", (name,))
    number, sequence = index.execute("SELECT id, sequence FROM logs WHERE name = ?", (name,)).fetchone()
    return number, sequence


def _sound(store: sqlite3.Connection, index: sqlite3.Connection, sources: Iterable[_Source]) -> bool:
    """Say whether the index was made of these logs, and most of what it knows still exists."""
    present = {source.name: source for source in sources}
    read = removed = 0
    for name, sequence, digest in index.execute("SELECT name, sequence, digest FROM logs WHERE sequence > 0"):
        source = present.get(name)
        if source is None or source.sequence < sequence:
            return False
        row = store.execute(_DIGEST, (source.id, sequence)).fetchone()
        if row is not None and row[0] != digest:
            return False
        first = store.execute(_FIRST, (source.id,)).fetchone()[0]
        read += sequence
        removed += min(sequence, (first or sequence + 1) - 1)
    return removed < WORTH or removed * 2 < read
