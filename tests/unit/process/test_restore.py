"""Restoring: all or nothing, checked before anything changes, and what a kill leaves."""

import asyncio
import datetime as dt
import errno
import hashlib
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from teleport.base.clock import ManualClock, SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import NotSupported, TeleportError
from teleport.process import backup, restore
from teleport.process.preflight import UNFINISHED
from teleport.store.sqlite import SqliteBackend
from tests.support import data_dir
from tests.support.processes import wait_for

ROOT = Path(__file__).parents[3]
KILLS = 100 if os.environ.get("TELEPORT_SOAK") else 3
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
SEED = int(os.environ.get("TELEPORT_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


@pytest.fixture
def data(tmp_path):
    return data_dir.make(tmp_path / "data")


@pytest.fixture
def saved(data, tmp_path):
    backup.make(data, tmp_path / "b.tar", clock=ManualClock(NOW), entropy=SystemEntropy())
    return tmp_path / "b.tar"


def bring_back(saved, target, *, force=False):
    work = restore.restore(saved, target, force=force, clock=ManualClock(NOW), entropy=SystemEntropy())
    return asyncio.run(work)


def refused(saved, target, *, force=False):
    """Return the error; the target must be as it was, and nothing may lie beside it."""
    before = data_dir.content(target) if target.exists() else None
    beside = sorted(os.listdir(target.parent))
    with pytest.raises(TeleportError) as caught:
        bring_back(saved, target, force=force)
    assert (data_dir.content(target) if target.exists() else None) == before
    assert sorted(os.listdir(target.parent)) == beside
    return caught.value


def numbers(path):
    """Open the store as the Auth Service would and return how many test values it has."""

    async def body():
        store = await SqliteBackend.open(path / "backend", SystemClock())
        try:
            return len([item async for item in store.scan("/test/")])
        finally:
            await store.close()

    return asyncio.run(body())


def add(path, number):
    async def body():
        store = await SqliteBackend.open(path / "backend", SystemClock())
        await data_dir.put(store, number)
        await store.close()

    asyncio.run(body())


# Where it goes


def test_into_a_folder_that_is_not_there(data, saved, tmp_path):
    done = bring_back(saved, tmp_path / "new" / "data")
    new = tmp_path / "new" / "data"
    assert done.former is None
    assert done.created == NOW
    assert done.records > 10
    assert {k: v for k, v in data_dir.content(new).items() if k != "backend/sqlite.db"} == {
        k: v for k, v in data_dir.content(data).items() if k != "backend/sqlite.db"
    }
    assert numbers(new) == 10
    assert (new / "webproxy_cert.pem").stat().st_mode & 0o777 == 0o644
    assert new.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (new / "keys").iterdir())
    assert os.listdir(new.parent) == ["data"]


def test_into_an_empty_folder(saved, tmp_path):
    (tmp_path / "new" / "lost+found").mkdir(parents=True)
    bring_back(saved, tmp_path / "new")
    assert numbers(tmp_path / "new") == 10


def test_a_full_folder_is_refused_and_kept_with_force(data, saved):
    add(data, 500)
    assert refused(saved, data).code == "BACKUP-NOT-EMPTY"
    done = bring_back(saved, data, force=True)
    assert numbers(data) == 10
    assert done.former == data.with_name("data.replaced-20300101T000000Z")
    assert numbers(done.former) == 11
    assert sorted(os.listdir(data.parent)) == ["b.tar", "data", done.former.name]
    again = bring_back(saved, data, force=True)
    assert again.former == data.with_name("data.replaced-20300101T000000Z-2")


def test_not_under_a_running_process(data, saved):
    async def body():
        store = await SqliteBackend.open(data / "backend", SystemClock())
        try:
            with pytest.raises(TeleportError) as caught:
                await restore.restore(saved, data, force=True, clock=SystemClock(), entropy=SystemEntropy())
            return caught.value
        finally:
            await store.close()

    error = asyncio.run(body())
    assert (error.code, error.fields["pid"]) == ("STORE-LOCKED", str(os.getpid()))


def test_over_a_folder_whose_disk_is_full(data, saved, monkeypatch):
    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("teleport.store.sqlite_schema.os.ftruncate", full)
    error = refused(saved, data, force=True)
    assert (error.code, error.fields["path"]) == ("STORE-DISK-FULL", str(data / "backend"))


def test_a_file_system_that_cannot_exchange(data, saved, monkeypatch):
    class Libc:
        def renameat2(self, *words):
            return -1

    monkeypatch.setattr(restore.ctypes, "CDLL", lambda *args, **kwargs: Libc())
    assert refused(saved, data, force=True).code == "BACKUP-EXCHANGE"


# Mount points


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    (tmp_path / "mount").mkdir()
    monkeypatch.setattr(restore, "_is_mount", lambda path: path == tmp_path / "mount")
    return tmp_path / "mount"


def test_into_an_empty_mount_point(saved, mounted):
    (mounted / "lost+found").mkdir()
    bring_back(saved, mounted)
    assert numbers(mounted) == 10
    assert sorted(os.listdir(mounted)) == ["backend", "host_uuid", "keys", "lost+found", "webproxy_cert.pem"]


@pytest.mark.parametrize("moves", range(4))
def test_a_mount_point_interrupted_cannot_be_started(saved, mounted, monkeypatch, moves):
    """Without the store, a process would make a new cluster; the marker keeps it from that."""
    real, left = os.rename, [moves]

    def rename(*paths):
        if not left[0]:
            raise OSError(5, "Input/output error")
        left[0] -= 1
        real(*paths)

    monkeypatch.setattr(restore.os, "rename", rename)
    with pytest.raises(TeleportError):
        bring_back(saved, mounted)
    assert (mounted / UNFINISHED).exists()
    assert not (mounted / "backend").exists()
    left[0] = 100
    bring_back(saved, mounted)
    assert numbers(mounted) == 10


def test_a_full_mount_point_is_refused(saved, mounted):
    (mounted / "file").write_text("a")
    assert refused(saved, mounted, force=True).code == "BACKUP-MOUNT"


def test_half_a_mount_point_is_begun_anew(saved, mounted):
    (mounted / UNFINISHED).touch()
    (mounted / "keys").mkdir()
    (mounted / "keys" / "old").write_text("a")
    (mounted / "host_uuid").write_text("a")
    bring_back(saved, mounted)
    assert numbers(mounted) == 10
    assert not (mounted / UNFINISHED).exists()
    assert not (mounted / "keys" / "old").exists()


def test_mount_points_are_recognised(tmp_path):
    assert restore._is_mount(Path("/"))
    assert not restore._is_mount(tmp_path)


# Damage


def rewrite(saved, change):
    """Write the archive anew; `change` gets its files by name and may change them."""
    with tarfile.open(saved) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
    manifest = json.loads(files.pop("manifest.json"))
    change(files, manifest)
    with tarfile.open(saved, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))


def consistent(files, manifest):
    """Let the manifest say what the files are: damage that somebody made on purpose."""
    manifest["files"] = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()
    }


@pytest.mark.parametrize("name", ["backend/sqlite.db", "host_uuid", "keys/"])
def test_every_file_is_checked(saved, tmp_path, name):
    def change(files, manifest):
        found = next(n for n in files if n.startswith(name))
        content = bytearray(files[found])
        content[len(content) // 2] ^= 1
        files[found] = bytes(content)

    rewrite(saved, change)
    assert refused(saved, tmp_path / "new").code in ("BACKUP-DAMAGED", "PKI-KEY")


def test_a_record_changed_on_purpose_is_found(saved, tmp_path):
    def change(files, manifest):
        path = tmp_path / "edit.db"
        path.write_bytes(files["backend/sqlite.db"])
        connection = sqlite3.connect(path)
        connection.execute("UPDATE log_records SET data = x'00' WHERE sequence = 3")
        connection.commit()
        connection.close()
        files["backend/sqlite.db"] = path.read_bytes()
        path.unlink()
        consistent(files, manifest)

    rewrite(saved, change)
    error = refused(saved, tmp_path / "new")
    assert error.code == "BACKUP-DAMAGED"
    assert "chain" in error.what


def test_a_log_cut_short_on_purpose_is_found(saved, tmp_path):
    def change(files, manifest):
        manifest["logs"][0]["sequence"] += 1

    rewrite(saved, change)
    assert "does not end where it ended" in refused(saved, tmp_path / "new").what


@pytest.mark.parametrize("number", range(5))
def test_an_authority_without_its_key_is_found(saved, tmp_path, number):
    def change(files, manifest):
        del files[[name for name in files if name.startswith("keys/")][number]]
        consistent(files, manifest)

    rewrite(saved, change)
    assert "is missing" in refused(saved, tmp_path / "new").what


def test_a_newer_format_is_refused(saved, tmp_path):
    rewrite(saved, lambda files, manifest: manifest.update(format=2, version="99.0.0", something="new"))
    error = refused(saved, tmp_path / "new")
    assert isinstance(error, NotSupported)
    assert error.code == "BACKUP-FORMAT"


def test_a_manifest_that_is_none(saved, tmp_path):
    rewrite(saved, lambda files, manifest: manifest.pop("files"))
    assert refused(saved, tmp_path / "new").code == "BACKUP-ARCHIVE"
    rewrite_without_manifest(saved)
    assert "no manifest" in refused(saved, tmp_path / "new").what


def rewrite_without_manifest(saved):
    with tarfile.open(saved) as tar:
        names = [m for m in tar.getmembers() if m.name != "manifest.json"]
        contents = [(m, tar.extractfile(m).read()) for m in names]
    with tarfile.open(saved, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in contents:
            tar.addfile(member, io.BytesIO(content))


def test_files_that_the_manifest_does_not_name(saved, tmp_path):
    rewrite(saved, lambda files, manifest: files.update({"extra": b"x"}))
    assert refused(saved, tmp_path / "new").code == "BACKUP-ARCHIVE"


def test_a_file_that_is_cut_off_is_refused(saved, tmp_path):
    content = saved.read_bytes()
    saved.write_bytes(content[: len(content) // 2])
    assert refused(saved, tmp_path / "new").code == "BACKUP-ARCHIVE"


def test_no_such_backup(tmp_path):
    assert refused(tmp_path / "none", tmp_path / "new").code == "DISK-MISSING"


# Killed in the middle


def kill_at_random(program, seconds, chance):
    """Start a program, kill it at some moment; say whether it had ended by itself. What it had begun to start has ended
    too then: between fork and exec that holds the same locks."""
    child = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert child.stdout.readline() == b"begun\n"
        time.sleep(chance.uniform(0, seconds))  # the moment of the kill is the point of this test
    finally:
        child.kill()
        child.communicate()
    wait_for("the end of its children", lambda: not group_lives(child.pid))
    return child.returncode != -signal.SIGKILL


def group_lives(leader):
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_backup_killed_in_the_middle_leaves_none(data, tmp_path):
    print(f"kill -9: seed {SEED}")  # noqa: T201 - to replay a failure
    chance = random.Random(SEED)
    before, target = data_dir.content(data), tmp_path / "b.tar"
    program = f"""
from pathlib import Path
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.process import backup
print("begun", flush=True)
backup.make(Path({str(data)!r}), Path({str(target)!r}), clock=SystemClock(), entropy=SystemEntropy())
"""
    seconds = timed(lambda: backup.make(data, tmp_path / "0.tar", clock=SystemClock(), entropy=SystemEntropy()))
    for round_number in range(KILLS):
        kill_at_random(program, seconds, chance)
        assert data_dir.content(data) == before
        if target.exists():  # it had its name already: then it is whole
            bring_back(target, tmp_path / f"from-{round_number}")
            target.unlink()
    backup.make(data, target, clock=SystemClock(), entropy=SystemEntropy())
    assert [name for name in os.listdir(tmp_path) if name.startswith(".b.tar")] == []


def test_a_restore_killed_in_the_middle_leaves_the_old_or_the_new(data, saved, tmp_path):
    print(f"kill -9: seed {SEED}")  # noqa: T201 - to replay a failure
    chance = random.Random(SEED)
    program = f"""
import asyncio
from pathlib import Path
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.process import restore
print("begun", flush=True)
asyncio.run(restore.restore(
    Path({str(saved)!r}), Path({str(data)!r}), force=True, clock=SystemClock(), entropy=SystemEntropy()))
"""
    add(data, 500)
    old, new = 11, 10
    seconds = timed(lambda: bring_back(saved, tmp_path / "elsewhere"))
    for _ in range(KILLS):
        kill_at_random(program, seconds, chance)
        found = numbers(data)
        assert found in (old, new)
        if found == new:
            add(data, 500)
    bring_back(saved, data, force=True)
    assert numbers(data) == new
    assert [name for name in os.listdir(tmp_path) if name.startswith(".data")] == []
