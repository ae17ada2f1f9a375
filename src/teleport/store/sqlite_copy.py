"""A copy of a SQLite store: taken while others write, and looked at without changing a byte.

`snapshot` may run in another process than the one that owns the store: SQLite's own locks see to it that
the copy is one moment's state. The copy is one file, without WAL. `SqliteCopy` reads it.
"""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from teleport.base.errors import NotFound, NotSupported, Unavailable
from teleport.store import sqlite_schema
from teleport.store.backend import Record
from teleport.store.conditions import end_of
from teleport.store.sqlite_reader import SqliteReader

_ITEMS = "SELECT key, CAST(value AS BLOB) FROM items WHERE key >= ? AND key < ? ORDER BY key"
_READ_LOG = """SELECT CAST(r.sequence AS INTEGER), CAST(r.data AS BLOB), CAST(r.digest AS BLOB) FROM log_records r
  WHERE r.log = (SELECT id FROM log_heads WHERE name = ?) AND r.sequence > ? ORDER BY r.sequence LIMIT ?"""
_LOGS = """SELECT h.name, CAST(h.sequence AS INTEGER), CAST(coalesce(r.data, x'') AS BLOB), CAST(h.digest AS BLOB)
  FROM log_heads h LEFT JOIN log_records r ON r.log = h.id AND r.sequence = h.sequence ORDER BY h.name"""


def snapshot(source: Path, target: Path) -> None:
    """Copy the database file `source`, as it is at one moment, to `target`, which must not exist.

    Raises NotFound (STORE-NO-FILE), Unavailable (STORE-UNAVAILABLE, STORE-DISK-FULL).
    """
    if not source.is_file():
        raise NotFound("STORE-NO-FILE", path=source)
    with sqlite_schema.mapped(target.parent):
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        reading = sqlite3.connect(_uri(source, "mode=rw"), uri=True, timeout=30.0, isolation_level=None)
        try:
            writing = sqlite3.connect(target, isolation_level=None)
            try:
                reading.backup(writing)  # in one step, so that no writer can make it begin anew
                writing.execute("PRAGMA journal_mode=DELETE").fetchall()
            finally:
                writing.close()
        finally:
            reading.close()
        file = os.open(target, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


class SqliteCopy:
    """A store in one file that nobody writes. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises NotFound (STORE-NO-FILE)."""
        if not path.is_file():
            raise NotFound("STORE-NO-FILE", path=path)
        self._path = path
        self._connection = sqlite3.connect(_uri(path, "mode=ro&immutable=1"), uri=True, isolation_level=None)

    def __enter__(self) -> SqliteCopy:
        return self

    def __exit__(self, *ended: object) -> None:
        self._connection.close()

    def check(self) -> None:
        """Raise Unavailable (STORE-UNAVAILABLE) for a damaged file, NotSupported (STORE-SCHEMA) for one of a
        newer build."""
        problems = [str(row[0]) for row in self._read("PRAGMA integrity_check(5)", ())]
        if problems != ["ok"]:
            raise Unavailable("STORE-UNAVAILABLE", problem=f"{self._path.name}: {'; '.join(problems)}")
        found = max((int(row[0]) for row in self._read("SELECT version FROM schema_version", ())), default=0)
        known = len(sqlite_schema.MIGRATIONS)
        if not 0 < found <= known:
            raise NotSupported("STORE-SCHEMA", path=self._path, found=found, known=known)

    def items(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return keys and values under a prefix, expired ones too."""
        return list(self._read(_ITEMS, (prefix, end_of(prefix) or b"")))

    def heads(self) -> list[tuple[str, int, bytes]]:
        """Return name, last number and last digest of every log."""
        return [(name, sequence, digest) for name, sequence, _, digest in self._read(_LOGS, ())]

    def reader(self) -> SqliteReader:
        """Return what reads whole logs. It raises sqlite3 errors, which `check` has ruled out."""
        return SqliteReader(self._connection)

    async def read_log(self, log: str, *, after: int = 0, limit: int = 1000) -> Sequence[Record]:
        """See Backend.read_log."""
        return [Record(log, *row) for row in self._read(_READ_LOG, (log, after, limit))]

    async def logs(self) -> Sequence[Record]:
        """See Backend.logs."""
        return [Record(*row) for row in self._read(_LOGS, ())]

    def _read(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with sqlite_schema.mapped(self._path.parent):
            return self._connection.execute(statement, values).fetchall()


def _uri(path: Path, options: str) -> str:
    return f"file:{urllib.parse.quote(str(path.absolute()))}?{options}"
