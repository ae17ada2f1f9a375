"""Reading whole logs of a SQLite store: by a connection of its own, in big pages, off the event loop.

Not here: point reads and short pages (`store.sqlite`), copies of a store (`store.sqlite_copy`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from teleport.store import sqlite_schema
from teleport.store.backend import LogReader
from teleport.store.conditions import end_of

T = TypeVar("T")

PAGE = 4000
"""Records read at a time: enough that the statement costs nothing, little enough that they stay in caches."""
_PAGE_BYTES = 1 << 22
_ITEMS = "SELECT key, CAST(value AS BLOB) FROM items WHERE key >= ? AND key < ? ORDER BY key"
_HEADS = "SELECT name, CAST(sequence AS INTEGER), CAST(digest AS BLOB) FROM log_heads ORDER BY name"
_RECORDS = """SELECT CAST(sequence AS INTEGER), CAST(data AS BLOB), CAST(digest AS BLOB) FROM log_records
  WHERE log = (SELECT id FROM log_heads WHERE name = ?) AND sequence > ? ORDER BY log_records.sequence"""


class SqliteReader:
    """A `LogReader` over a connection. Raises sqlite3 errors: whoever made the connection maps them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def heads(self) -> Sequence[tuple[str, int, bytes]]:
        """See LogReader.heads."""
        return self._connection.execute(_HEADS).fetchall()

    def pages(self, log: str, after: int = 0) -> Iterator[Sequence[tuple[int, bytes, bytes]]]:
        """See LogReader.pages. One statement walks the whole log; records that are large make small pages."""
        cursor, size = self._connection.execute(_RECORDS, (log, after)), 16
        try:
            while page := cursor.fetchmany(size):
                yield page
                heaviest = max(len(row[1]) for row in page) + 100
                size = max(min(PAGE, size * 4, _PAGE_BYTES // heaviest), 1)
        finally:
            cursor.close()

    def items(self, prefix: str) -> Sequence[tuple[str, bytes]]:
        """See LogReader.items."""
        return self._connection.execute(_ITEMS, (prefix, end_of(prefix) or b"")).fetchall()


def inspect(directory: Path, work: Callable[[LogReader], T]) -> T:
    """Run `work` over one moment's state of the store in `directory`; for a thread.

    Raises Unavailable (STORE-UNAVAILABLE, STORE-DISK-FULL).
    """
    with sqlite_schema.mapped(directory):
        connection: Any = sqlite_schema.connect(directory, writer=False)
        try:
            connection.execute("BEGIN")  # its first read fixes the moment
            return work(SqliteReader(connection))
        finally:
            connection.close()
