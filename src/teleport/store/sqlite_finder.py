"""Asking the index of the audit logs: which records may agree with the filters of a search.

Each question is about a stretch of at most a window of one log, and is answered in a thread of its own: the loop
never waits for SQLite, and no question works longer than a window takes. Of several filters the rarer one leads:
rows by event and user when there are few, trigrams otherwise. What the index has not read yet is left to the reader
of the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from teleport.store import sqlite_index, sqlite_schema
from teleport.store.audit.probe import SHORTEST, Found, Probe, micros
from teleport.store.backend import Record
from teleport.store.sqlite_index import BLOCK, SHIFT

WINDOW = 1024 * BLOCK
"""Records that one question covers at most: a list of trigrams is read from its end, so few questions cost less."""
_OFFER = 200
"""Records that one answer has at most."""
_FEW, _MANY = 200, 20_000
"""Rows by event and user: up to how many it is best to read their records, and to make a set of them."""
_LONG = 24

_RECORDS = """SELECT CAST(r.sequence AS INTEGER), CAST(r.data AS BLOB), CAST(r.digest AS BLOB) FROM log_records r
  WHERE r.log = (SELECT id FROM log_heads WHERE name = ?) AND r.sequence IN ({marks}) ORDER BY r.sequence"""
_BLOCKS = "SELECT block FROM blocks WHERE log = ? AND block BETWEEN ? AND ? AND low < ? AND high >= ? ORDER BY block"
_FOREVER = 1 << 62


class Index:
    """Two reading connections: the index and the store. Used by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._index = sqlite_index.connect(directory, writer=False)
        try:
            self._store = sqlite_schema.connect(directory, writer=False)
            self._store.execute("PRAGMA cache_size=-1000")
        except BaseException:
            self._index.close()
            raise

    def close(self) -> None:
        """Close both."""
        self._index.close()
        self._store.close()

    def find(self, log: str, probe: Probe, position: int, *, backward: bool) -> Found | None:
        """See `Finder.find`. Raises sqlite3.Error."""
        row = self._index.execute("SELECT id, sequence FROM logs WHERE name = ?", (log,)).fetchone()
        if row is None:
            return None
        number, indexed = int(row[0]), int(row[1])
        if (position > indexed) if backward else (position >= indexed):
            return None
        low, high = _window(position, indexed, backward)
        end = low - 1 if backward else high
        sequences: list[int] = []
        for first, last in self._spans(number, low, high, probe, backward):
            room = _OFFER - len(sequences)
            sequences += self._candidates(number, first, last, probe, backward, room)
            if len(sequences) >= _OFFER:
                end = sequences[-1] - 1 if backward else sequences[-1]
                break
        return Found(self._records(log, sequences, backward), end)

    def _spans(self, log: int, low: int, high: int, probe: Probe, backward: bool) -> Iterator[tuple[int, int]]:
        """Yield the parts of a stretch that have records of the wanted time."""
        if probe.since is None and probe.until is None:
            yield low, high
            return
        since, until = _bounds(probe)
        rows = self._index.execute(_BLOCKS, (log, low // BLOCK, high // BLOCK, until, since)).fetchall()
        runs: list[list[int]] = []
        for (block,) in rows:
            if runs and runs[-1][1] == block - 1:
                runs[-1][1] = block
            else:
                runs.append([block, block])
        for first, last in reversed(runs) if backward else runs:
            yield max(low, first * BLOCK), min(high, last * BLOCK + BLOCK - 1)

    def _candidates(self, log: int, low: int, high: int, probe: Probe, backward: bool, room: int) -> list[int]:
        first, last = log << SHIFT | low, log << SHIFT | high
        keys = self._keys(probe)
        if keys is None:
            return []
        words = len(probe.needle) >= SHORTEST
        rows = self._count(keys, first, last) if words and keys else 0
        if words and not 0 < rows < _FEW:
            ids = self._by_text(probe, self._among(keys, first, last, rows), first, last, backward, room)
        else:
            ids = self._by_row(probe, keys, first, last, backward, room)
        return [id & ((1 << SHIFT) - 1) for id in ids]

    def _keys(self, probe: Probe) -> list[tuple[str, tuple[int, ...]]] | None:
        """Return conditions that each name an index; any of them may hold. None: nothing can match."""
        user = self._name(probe.user) if probe.user else 0
        types = [self._name(name) for name in probe.types]
        known = [number for number in types if number is not None]
        if user is None or (probe.types and not known):
            return None
        if not probe.types:
            return [("events_user WHERE user = ?", (user,))] if user else []
        if user:
            return [("events_both WHERE event = ? AND user = ?", (number, user)) for number in known]
        return [("events_event WHERE event = ?", (number,)) for number in known]

    def _name(self, name: str) -> int | None:
        row = self._index.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def _count(self, keys: list[tuple[str, tuple[int, ...]]], first: int, last: int) -> int:
        """Return how many rows there are, 1 at least and about `_MANY` at most."""
        total = 1
        for condition, values in keys:
            statement = (
                f"SELECT count(*) FROM (SELECT 1 FROM events INDEXED BY {condition}"  # noqa: S608
                " AND id BETWEEN ? AND ? LIMIT ?)"
            )
            total += int(self._index.execute(statement, (*values, first, last, _MANY)).fetchone()[0])
        return total

    def _by_row(
        self, probe: Probe, keys: list[tuple[str, tuple[int, ...]]], first: int, last: int, backward: bool, room: int
    ) -> list[int]:
        since, until = _bounds(probe)
        ids: list[int] = []
        for condition, values in keys or [("NOT INDEXED WHERE 1", ())]:
            source = f"INDEXED BY {condition}" if values else condition
            statement = (
                f"SELECT id FROM events {source} AND id BETWEEN ? AND ? AND time >= ? AND time < ?"  # noqa: S608
                f" ORDER BY id {'DESC' if backward else 'ASC'} LIMIT ?"
            )
            found = self._index.execute(statement, (*values, first, last, since, until, room))
            ids += [id for (id,) in found.fetchall()]
        return sorted(ids, reverse=backward)[:room]

    def _among(
        self, keys: list[tuple[str, tuple[int, ...]]], first: int, last: int, rows: int
    ) -> tuple[str, list[int]]:
        """Return a condition on records with the text: of a set of rows, or where those are many, each looked up."""
        if not keys:
            return "", []
        if rows >= _MANY:
            parts = " OR ".join(f"({condition.partition(' WHERE ')[2]})" for condition, _ in keys)
            wanted = [value for _, values in keys for value in values]
            return f"AND EXISTS (SELECT 1 FROM events e WHERE e.id = words.rowid AND ({parts}))", wanted  # noqa: S608
        sets = [f"SELECT id FROM events INDEXED BY {name} AND id BETWEEN ? AND ?" for name, _ in keys]  # noqa: S608
        # The plus keeps FTS5 from being asked anew for each member of the set.
        return f"AND +rowid IN ({' UNION ALL '.join(sets)})", [
            value for _, values in keys for value in (*values, first, last)
        ]

    def _by_text(
        self, probe: Probe, among: tuple[str, list[int]], first: int, last: int, backward: bool, room: int
    ) -> list[int]:
        condition, values = among
        order = "DESC" if backward else "ASC"
        statement = f"""SELECT rowid FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ? {condition}
          ORDER BY rowid {order} LIMIT ?"""  # noqa: S608 - of words of this file
        rows = self._index.execute(statement, (_match(probe.needle), first, last, *values, room)).fetchall()
        return [id for (id,) in rows]

    def _records(self, log: str, sequences: list[int], backward: bool) -> list[Record]:
        if not sequences:
            return []
        statement = _RECORDS.format(marks=",".join("?" * len(sequences)))
        rows = self._store.execute(statement, (log, *sequences)).fetchall()
        records = [Record(log, *row) for row in rows]
        return records[::-1] if backward else records


def _window(position: int, indexed: int, backward: bool) -> tuple[int, int]:
    if backward:
        return max(1, position - WINDOW + 1), position
    return position + 1, min(indexed, position + WINDOW)


def _bounds(probe: Probe) -> tuple[int, int]:
    """Earliest and latest microsecond, the latter excluded."""
    return (
        -_FOREVER if probe.since is None else micros(probe.since),
        _FOREVER if probe.until is None else micros(probe.until),
    )


def _match(needle: str) -> str:
    """Write a query of FTS5 in which every character of the text stands; each trigram is quoted, so that none is a word
    of FTS5. Overlapping ones would say little more and cost as much; the record itself decides."""
    step = 2 if len(needle) <= _LONG else 3
    starts = [*range(0, len(needle) - 3, step), len(needle) - 3]
    trigrams = dict.fromkeys(needle[at : at + 3] for at in starts)
    return " AND ".join('"{}"'.format(trigram.replace('"', '""')) for trigram in trigrams)
