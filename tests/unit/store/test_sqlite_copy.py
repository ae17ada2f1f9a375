"""Copies of a store: taken while it is written, whole, and never changed by looking."""

import asyncio
import os
import sqlite3
import threading

import pytest

from teleport.base.clock import SystemClock
from teleport.base.errors import NotFound, NotSupported, TeleportError, Unavailable
from teleport.store.audit.verify import verify_log
from teleport.store.backend import Append, Put
from teleport.store.sqlite import SqliteBackend
from teleport.store.sqlite_copy import SqliteCopy, snapshot

LOG = "audit/w"


async def opened(path):
    return await SqliteBackend.open(path, SystemClock())


async def write(backend, count, start=0):
    for number in range(start, start + count):
        await backend.commit(Put(f"/k/{number:05}", b"%d" % number), Append(LOG, b"%d" % number))


@pytest.fixture
def store(tmp_path):
    async def body():
        backend = await opened(tmp_path / "backend")
        await write(backend, 5)
        await backend.close()

    asyncio.run(body())
    return tmp_path / "backend" / "sqlite.db"


def check(path):
    """Return the numbers of keys and of records of a copy, whose chain must hold."""

    async def body():
        with SqliteCopy(path) as copy:
            copy.check()
            (head,) = await copy.logs()
            report = await verify_log(copy, head)
            assert report.intact, report
            assert copy.heads() == [(LOG, head.sequence, head.digest)]
            return len(copy.items("/k/")), head.sequence

    return asyncio.run(body())


def test_a_copy_of_a_store_at_rest(store, tmp_path):
    snapshot(store, tmp_path / "copy")
    assert check(tmp_path / "copy") == (5, 5)
    assert os.stat(tmp_path / "copy").st_mode & 0o777 == 0o600
    with SqliteCopy(tmp_path / "copy") as copy:
        assert copy.items("/k/0000")[0] == ("/k/00000", b"0")


def test_copies_taken_while_others_write_are_each_one_moments_state(store, tmp_path):
    async def body():
        backend = await opened(store.parent)
        stop = threading.Event()
        problems = []

        def copy():
            try:
                for number in range(20):
                    snapshot(store, tmp_path / f"copy-{number}")
            except Exception as error:
                problems.append(error)
            stop.set()

        thread = threading.Thread(target=copy)
        thread.start()
        number = 5
        while not stop.is_set():
            await write(backend, 10, number)
            number += 10
        thread.join()
        await backend.close()
        return problems

    assert asyncio.run(body()) == []
    counts = [check(tmp_path / f"copy-{number}") for number in range(20)]
    assert all(keys == records for keys, records in counts)
    assert counts == sorted(counts)


def test_looking_leaves_no_trace(store, tmp_path):
    snapshot(store, tmp_path / "copy")
    before = (tmp_path / "copy").read_bytes()
    check(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == before
    assert not list(tmp_path.glob("copy-*"))


def test_nothing_is_overwritten(store, tmp_path):
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(Unavailable):
        snapshot(store, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"


def test_a_missing_store_is_named(tmp_path):
    for work in (lambda: snapshot(tmp_path / "none", tmp_path / "copy"), lambda: SqliteCopy(tmp_path / "none")):
        with pytest.raises(NotFound) as caught:
            work()
        assert caught.value.code == "STORE-NO-FILE"


def test_damage_is_found(store, tmp_path):
    snapshot(store, tmp_path / "copy")
    data = bytearray((tmp_path / "copy").read_bytes())
    data[4096:8192] = bytes(4096)
    (tmp_path / "copy").write_bytes(data)
    with pytest.raises(TeleportError), SqliteCopy(tmp_path / "copy") as copy:
        copy.check()


def test_a_newer_schema_is_refused(store, tmp_path):
    snapshot(store, tmp_path / "copy")
    connection = sqlite3.connect(tmp_path / "copy")
    connection.execute("UPDATE schema_version SET version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(NotSupported) as caught, SqliteCopy(tmp_path / "copy") as copy:
        copy.check()
    assert caught.value.code == "STORE-SCHEMA"
