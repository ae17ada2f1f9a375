"""Every way to tamper with the file of a log is found, at the right record."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from teleport.base import chain
from teleport.base.clock import SystemClock
from teleport.store.audit.verify import LogReport, verify_log
from teleport.store.backend import Append
from teleport.store.memory import MemoryBackend
from teleport.store.sqlite import SqliteBackend

RECORDS = 1200  # more than one chunk


async def write(directory: Path) -> None:
    backend = await SqliteBackend.open(directory, SystemClock())
    await backend.commit(*(Append("audit/a", f"event {number}".encode()) for number in range(1, RECORDS + 1)))
    await backend.close()


async def check(directory: Path, append: bool = False) -> LogReport:
    backend = await SqliteBackend.open(directory, SystemClock())
    try:
        if append:
            await backend.commit(Append("audit/a", b"one more"))
        (head,) = await backend.logs()
        return await verify_log(backend, head)
    finally:
        await backend.close()


def tamper(directory: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    connection = sqlite3.connect(directory / "sqlite.db")
    with connection:
        change(connection)
    connection.close()


def edit(c: sqlite3.Connection) -> None:
    c.execute("UPDATE log_records SET data = 'event 7 was different' WHERE sequence = 700")


def edit_with_digest(c: sqlite3.Connection) -> None:
    (before,) = c.execute("SELECT digest FROM log_records WHERE sequence = 699").fetchone()
    c.execute("UPDATE log_records SET data = x'41', digest = ? WHERE sequence = 700", (chain.link(before, 700, b"A"),))


def remove(c: sqlite3.Connection) -> None:
    c.execute("DELETE FROM log_records WHERE sequence = 700")


def remove_and_renumber(c: sqlite3.Connection) -> None:
    c.execute("DELETE FROM log_records WHERE sequence = 700")
    for number in range(701, RECORDS + 1):
        c.execute("UPDATE log_records SET sequence = ? WHERE sequence = ?", (number - 1, number))
    c.execute("UPDATE log_heads SET sequence = sequence - 1")


def swap(c: sqlite3.Connection) -> None:
    for old, new in ((700, -1), (800, 700), (-1, 800)):
        c.execute("UPDATE log_records SET sequence = ? WHERE sequence = ?", (new, old))


def insert(c: sqlite3.Connection) -> None:
    for number in range(RECORDS, 699, -1):
        c.execute("UPDATE log_records SET sequence = ? WHERE sequence = ?", (number + 1, number))
    c.execute("INSERT INTO log_records SELECT log, 700, x'41', digest FROM log_records WHERE sequence = 699")
    c.execute("UPDATE log_heads SET sequence = sequence + 1")


def remove_first(c: sqlite3.Connection) -> None:
    c.execute("DELETE FROM log_records WHERE sequence = 1")


def cut_tail(c: sqlite3.Connection) -> None:
    c.execute("DELETE FROM log_records WHERE sequence >= 700")


def add_behind(c: sqlite3.Connection) -> None:
    c.execute(
        "INSERT INTO log_records SELECT log, ?, x'41', digest FROM log_records WHERE sequence = 1", (RECORDS + 1,)
    )


def change_head(c: sqlite3.Connection) -> None:
    c.execute("UPDATE log_heads SET digest = zeroblob(32)")


CASES = [
    (edit, 700, "changed"), (edit_with_digest, 701, "changed"), (remove, 700, "missing"),
    (remove_and_renumber, 700, "changed"), (swap, 700, "changed"), (insert, 700, "changed"),
    (remove_first, 1, "missing"), (cut_tail, 700, "missing"), (add_behind, RECORDS + 1, "behind"),
    (change_head, RECORDS, "head"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "broken_at", "word"), CASES)
def test_tampering_is_found(
    tmp_path: Path, change: Callable[[sqlite3.Connection], None], broken_at: int, word: str
) -> None:
    asyncio.run(write(tmp_path))
    assert asyncio.run(check(tmp_path)).intact
    tamper(tmp_path, change)
    report = asyncio.run(check(tmp_path))
    assert not report.intact
    assert report.broken_at == broken_at
    assert word in report.reason
    assert not asyncio.run(check(tmp_path, append=True)).intact  # writing on does not heal it


def test_a_sound_log_is_reported_with_its_last_digest() -> None:
    async def body() -> None:
        backend = MemoryBackend(SystemClock())
        await backend.commit(Append("audit/a", b"x"), Append("audit/b", b"y"))
        reports = [await verify_log(backend, head) for head in await backend.logs()]
        assert all(report.intact for report in reports)
        assert reports[0] == LogReport("audit/a", 1, chain.link(chain.START, 1, b"x"))

    asyncio.run(body())


def test_records_that_arrive_during_the_check_do_no_harm() -> None:
    async def body() -> None:
        backend = MemoryBackend(SystemClock())
        await backend.commit(*(Append("audit/a", b"x") for _ in range(3000)))
        (head,) = await backend.logs()
        running = asyncio.gather(
            verify_log(backend, head), *(backend.commit(Append("audit/a", b"y")) for _ in range(9))
        )
        report = (await running)[0]
        assert report.intact
        assert report.records == 3000

    asyncio.run(body())
