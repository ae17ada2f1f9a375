"""The SQLite file: its place, its lock, its pragmas and its schema.

One directory holds `sqlite.db` with SQLite's own `-wal` and `-shm` beside it, and `lock`. The directory
is 0700 and the files are 0600. Whoever holds the flock(2) on `lock` owns the directory; the kernel
releases it when the process ends, however it ends. A process that forks without exec shares the lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teleport.base.errors import NotSupported, TeleportError, Unavailable

FILE = "sqlite.db"

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit is on the disk when COMMIT returns: SQLite syncs the WAL each time
    "PRAGMA wal_autocheckpoint=2000",  # pages of 4 KiB: the WAL stays near 8 MB
    "PRAGMA journal_size_limit=67108864",  # and shrinks to 64 MB after a burst
    "PRAGMA cache_size=-4000",  # KiB a connection; what else is needed comes from the page cache of the kernel
    "PRAGMA secure_delete=FAST",  # removed secrets do not linger in pages that are rewritten anyway
    "PRAGMA trusted_schema=OFF",
)

# Each entry leads from one schema version to the next. Entries that were released are never changed.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE items (
             key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL, expires INTEGER)""",
        "CREATE INDEX items_expires ON items (expires) WHERE expires IS NOT NULL",
        "CREATE TABLE counter (revision INTEGER NOT NULL)",
        "INSERT INTO counter (revision) VALUES (0)",
        """CREATE TABLE log_heads (
             id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sequence INTEGER NOT NULL, digest BLOB NOT NULL)""",
        """CREATE TABLE log_records (
             log INTEGER NOT NULL, sequence INTEGER NOT NULL, data BLOB NOT NULL, digest BLOB NOT NULL)""",
        "CREATE UNIQUE INDEX log_records_order ON log_records (log, sequence)",
    ),
)


def failure(error: BaseException, directory: Path) -> TeleportError:
    """Turn what SQLite or the operating system reports into an error of the catalogue."""
    name = getattr(error, "sqlite_errorname", "") or ""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or name == "SQLITE_FULL" or (isinstance(error, sqlite3.OperationalError) and _no_space(directory)):
        return Unavailable("STORE-DISK-FULL", path=directory)
    return Unavailable("STORE-UNAVAILABLE", problem=f"{error} ({name})" if name else str(error))


def _no_space(directory: Path) -> bool:
    # Growing the -shm file on a full disk is reported as an I/O error, not as SQLITE_FULL.
    try:
        free = os.statvfs(directory)
    except OSError:
        return False
    return free.f_bavail * free.f_frsize < 65536


@contextmanager
def mapped(directory: Path) -> Iterator[None]:
    """Turn errors of the file system and of SQLite into STORE-UNAVAILABLE or STORE-DISK-FULL."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise failure(error, directory) from error


def prepare(directory: Path) -> None:
    """Make the directory and the database file, private to this user.

    SQLite gives `-wal` and `-shm` the mode of the database file, which therefore must exist before.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    file = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(file, 0o600)
    finally:
        os.close(file)
    sync_names(directory)


def sync_names(directory: Path) -> None:
    """Make the names of the files durable.

    Done once more when the database is open: SQLite syncs the folder of a new `-wal` itself, but does not mind when
    that fails, and an older `-wal` that comes back after a power cut is taken for newer than the database.
    """
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def lock(directory: Path) -> int:
    """Take the lock of `directory`; return the descriptor that holds it until it is closed.

    Raises Unavailable (STORE-LOCKED) with the pid of the holder.
    """
    file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(file, 32, 0).decode(errors="replace").strip()
        os.close(file)
        raise Unavailable("STORE-LOCKED", path=directory, pid=holder or "unknown") from None
    except BaseException:
        os.close(file)
        raise
    return file


def connect(directory: Path, *, writer: bool) -> sqlite3.Connection:
    """Open a connection in autocommit mode; transactions are written out where they are needed."""
    connection = sqlite3.connect(
        directory / FILE, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        if not writer:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, directory: Path) -> None:
    """Bring the schema to the version of this build, one transaction per step.

    Raises NotSupported (STORE-SCHEMA) for a file of a newer build.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    rows = connection.execute("SELECT version FROM schema_version").fetchall()
    version = rows[0][0] if rows else 0
    if version > len(MIGRATIONS):
        raise NotSupported("STORE-SCHEMA", path=directory / FILE, found=version, known=len(MIGRATIONS))
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute("DELETE FROM schema_version")
            connection.execute("INSERT INTO schema_version (version) VALUES (?)", (number,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
