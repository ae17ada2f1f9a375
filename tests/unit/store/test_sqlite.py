"""What only the SQLite driver promises: files, lock, schema, full disks, and life after a restart."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.base.clock import ManualClock
from teleport.base.errors import NotSupported, TeleportError, Unavailable
from teleport.store import sqlite_schema
from teleport.store.audit.verify import verify_log
from teleport.store.backend import Append, Changed, Put
from teleport.store.sqlite import PENDING, SqliteBackend


def use(directory: Path, clock: ManualClock, body: Callable[[SqliteBackend], Awaitable[Any]]) -> Any:
    """Open the store, run the body, close the store."""

    async def whole() -> Any:
        backend = await SqliteBackend.open(directory, clock)
        try:
            return await body(backend)
        finally:
            await backend.close()

    return asyncio.run(whole())


def refusal(directory: Path, clock: ManualClock) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        asyncio.run(SqliteBackend.open(directory, clock))
    return caught.value


def test_everything_survives_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async def first(backend: SqliteBackend) -> int:
        await backend.commit(Put("/a", b"1"), Append("log", b"x"))
        return await backend.commit(Append("log", b"y"))

    async def second(backend: SqliteBackend) -> None:
        assert (await backend.get("/a")).value == b"1"
        assert await backend.commit(Append("log", b"z")) == last + 1
        assert [record.data for record in await backend.read_log("log")] == [b"x", b"y", b"z"]
        (head,) = await backend.logs()
        assert (await verify_log(backend, head)).intact

    last = use(tmp_path / "s", clock, first)
    use(tmp_path / "s", clock, second)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["lock", "sqlite.db"]


def test_nobody_else_may_read_the_files(tmp_path: Path, clock: ManualClock) -> None:
    directory = tmp_path / "s"
    directory.mkdir(mode=0o755)
    (directory / "sqlite.db").touch(mode=0o644)

    async def body(backend: SqliteBackend) -> None:
        await backend.commit(Put("/a", b""))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
        assert modes == dict.fromkeys(["lock", "sqlite.db", "sqlite.db-shm", "sqlite.db-wal"], 0o600)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    previous = os.umask(0)
    try:
        use(directory, clock, body)
    finally:
        os.umask(previous)


def test_every_commit_is_synced(tmp_path: Path, clock: ManualClock) -> None:
    async def body(backend: SqliteBackend) -> None:
        connection = backend._writer._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL

    use(tmp_path / "s", clock, body)


def test_a_second_opener_is_refused_and_the_first_goes_on(tmp_path: Path, clock: ManualClock) -> None:
    async def body(backend: SqliteBackend) -> None:
        with pytest.raises(Unavailable, match=f"in use by the process {os.getpid()}") as caught:
            await SqliteBackend.open(tmp_path / "s", clock)
        assert caught.value.code == "STORE-LOCKED"
        await backend.commit(Put("/a", b""))

    use(tmp_path / "s", clock, body)
    use(tmp_path / "s", clock, body)


def test_a_newer_schema_is_refused_untouched(tmp_path: Path, clock: ManualClock) -> None:
    async def nothing(backend: SqliteBackend) -> None:
        await backend.commit(Put("/a", b""))

    use(tmp_path / "s", clock, nothing)
    with sqlite3.connect(tmp_path / "s" / "sqlite.db") as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    connection.close()
    error = refusal(tmp_path / "s", clock)
    assert isinstance(error, NotSupported)
    assert (error.code, error.fields["found"]) == ("STORE-SCHEMA", "99")
    assert refusal(tmp_path / "s", clock).code == "STORE-SCHEMA"  # and not STORE-LOCKED: the lock was given back


def test_an_older_schema_is_led_forward(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def put(backend: SqliteBackend) -> None:
        await backend.commit(Put("/a", b"1"))

    async def get(backend: SqliteBackend) -> None:
        assert (await backend.get("/a")).value == b"1"
        assert backend._read("SELECT version FROM schema_version", ()) == [(len(sqlite_schema.MIGRATIONS),)]
        assert backend._read("SELECT * FROM added", ()) == []

    use(tmp_path / "s", clock, put)
    good, bad = "CREATE TABLE added (x)", "CREATE TABLE broken ("
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", (*sqlite_schema.MIGRATIONS, (good, bad)))
    assert refusal(tmp_path / "s", clock).code == "STORE-UNAVAILABLE"
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", (*sqlite_schema.MIGRATIONS[:-1], (good,)))
    use(tmp_path / "s", clock, get)  # the step that failed had left nothing behind


@pytest.mark.parametrize("content", [b"not a database " * 100, b""])
def test_a_file_that_is_no_database_is_refused_and_an_empty_one_is_used(
    tmp_path: Path, clock: ManualClock, content: bytes
) -> None:
    (tmp_path / "sqlite.db").write_bytes(content)
    if content:
        assert refusal(tmp_path, clock).code == "STORE-UNAVAILABLE"
        assert (tmp_path / "sqlite.db").read_bytes() == content
    else:
        use(tmp_path, clock, lambda backend: backend.commit(Put("/a", b"")))


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sqlite.db").symlink_to(tmp_path / "elsewhere")
    assert refusal(tmp_path / "s", clock).code == "STORE-UNAVAILABLE"
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_cannot_be_made_is_explained(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "s", clock).code == "STORE-UNAVAILABLE"


def test_one_value_that_cannot_be_stored_fails_alone(tmp_path: Path, clock: ManualClock) -> None:
    async def body(backend: SqliteBackend) -> None:
        backend._writer._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        big = backend.commit(Append("log", b"big"), Put("/ok", b""), Put("/big", bytes(20_000)))
        small = [backend.commit(Put(f"/s/{n}", b""), Append("log", str(n).encode())) for n in range(20)]
        wrong = backend.commit(Append("log", b"wrong"), Put("/wrong", "text"))  # type: ignore[arg-type]
        results = await asyncio.gather(*small[:10], big, wrong, *small[10:], return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        assert [getattr(error, "code", error) for error in errors] == ["STORE-VALUE", "STORE-UNAVAILABLE"]
        assert [record.data for record in await backend.read_log("log")] == [str(n).encode() for n in range(20)]
        assert len([item async for item in backend.scan("/")]) == 20

    use(tmp_path / "s", clock, body)


def test_more_callers_than_the_queue_holds_all_get_their_turn(tmp_path: Path, clock: ManualClock) -> None:
    async def body(backend: SqliteBackend) -> None:
        many = PENDING + 500
        revisions = await asyncio.gather(*(backend.commit(Append("log", b"")) for _ in range(many)))
        assert sorted(revisions) == list(range(1, many + 1))
        assert (await backend.logs())[0].sequence == many

    use(tmp_path / "s", clock, body)


def test_a_scan_of_a_prefix_reads_only_its_range(tmp_path: Path, clock: ManualClock) -> None:
    async def body(backend: SqliteBackend) -> None:
        from teleport.store.sqlite import _SCAN

        bounds = {"start": "/a/", "end": "/a0", "now": 0, "limit": 10}
        (plan,) = backend._read(f"EXPLAIN QUERY PLAN {_SCAN}", bounds)
        assert "(key>? AND key<?)" in plan[3]

    use(tmp_path / "s", clock, body)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("needs root to mount a file system")
        pytest.skip("needs root to mount a file system")
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


async def fill(backend: SqliteBackend) -> tuple[int, str]:
    """Write until it fails; return how many commits were kept and the code of the failure."""
    for number in range(10_000):
        try:
            await backend.commit(Put(f"/f/{number:05}", os.urandom(4000)), Append("log", str(number).encode()))
        except Unavailable as error:
            return number, error.code
    raise AssertionError("the disk was not full")


async def fill_and_recover(backend: SqliteBackend, make_room: Callable[[], None]) -> str:
    """Write until it fails, make room, write again; return the code of the failure."""
    async with backend.watch("/") as events:
        await anext(events)
        kept, code = await fill(backend)
        with pytest.raises(Unavailable):
            await asyncio.gather(*(backend.commit(Put("/no", bytes(9000)), Append("log", b"no")) for _ in range(5)))
        assert len([item async for item in backend.scan("/")]) == kept  # reading goes on
        make_room()
        await backend.commit(Put("/after", bytes(9000)), Append("log", b"after"))
        seen = [await anext(events) for _ in range(kept + 1)]
        assert all(isinstance(event, Changed) for event in seen)
        assert seen[-1].item.key == "/after"
    datas = [
        record.data for number in range(0, kept + 1, 1000) for record in await backend.read_log("log", after=number)
    ]
    assert datas == [*(str(number).encode() for number in range(kept)), b"after"]
    (head,) = await backend.logs()
    assert (await verify_log(backend, head)).intact
    return code


@pytest.mark.root
def test_a_full_disk_fails_the_commit_and_space_heals_it(small_disk: Path, clock: ManualClock) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400_000))

    async def body(backend: SqliteBackend) -> str:
        return await fill_and_recover(backend, ballast.unlink)

    assert use(small_disk / "s", clock, body) == "STORE-DISK-FULL"

    async def again(backend: SqliteBackend) -> None:
        assert (await backend.get("/after")).value == bytes(9000)

    use(small_disk / "s", clock, again)
    assert shutil.disk_usage(small_disk).free > 0


def test_a_write_that_the_system_refuses_is_reported_and_later_ones_work(tmp_path: Path, clock: ManualClock) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)  # Python ignores SIGXFSZ: a write beyond it fails with EFBIG

    async def body(backend: SqliteBackend) -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, before[1]))
        return await fill_and_recover(backend, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before))

    try:
        assert use(tmp_path / "s", clock, body) in {"STORE-UNAVAILABLE", "STORE-DISK-FULL"}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_folder_that_cannot_be_synced_is_no_store(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite passes over that; after a power cut an older log of it would be taken for newer than the file."""
    use(tmp_path / "s", clock, lambda backend: backend.commit(Put("/a", b"1")))
    sync = os.fsync

    def broken(handle: int) -> None:
        if (tmp_path / "s" / "sqlite.db-wal").exists():
            raise OSError(errno.EIO, "Input/output error")
        sync(handle)

    monkeypatch.setattr(os, "fsync", broken)
    assert refusal(tmp_path / "s", clock).code == "STORE-UNAVAILABLE"
    monkeypatch.undo()
    assert use(tmp_path / "s", clock, lambda backend: backend.commit(Put("/b", b"2"))) == 2
