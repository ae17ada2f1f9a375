"""Backups: what is in one, when there is none, and through whose memory keys do not go."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.process import archive, backup
from teleport.store.sqlite import SqliteBackend
from tests.support import data_dir

ROOT = Path(__file__).parents[3]


@pytest.fixture
def data(tmp_path):
    return data_dir.make(tmp_path / "data")


def save(data, target):
    return backup.make(data, target, clock=SystemClock(), entropy=SystemEntropy())


def refused(data, target):
    with pytest.raises(TeleportError) as caught:
        save(data, target)
    assert not target.exists() or target.stat().st_size < 10
    return caught.value


def test_it_holds_everything_and_is_private(data, tmp_path):
    (data / "recordings").mkdir()
    (data / "recordings" / "one.tar").write_bytes(b"x" * 1000)
    done = save(data, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))
    keys = [f"keys/{name}" for name in sorted(os.listdir(data / "keys"))]
    assert names == [
        "backend/sqlite.db", "host_uuid", "webproxy_cert.pem", "recordings/one.tar", *keys, "manifest.json",
    ]  # fmt: skip
    assert sorted(manifest["files"]) == sorted(names[:-1])
    assert (done.files, done.keys) == (len(names) - 1, len(keys))
    assert done.records == sum(log["sequence"] for log in manifest["logs"]) > 10
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["b.tar", "data"]


def test_what_is_of_the_moment_is_left_out(data, tmp_path):
    (data / ".draft").write_text("half")
    (data / "link").symlink_to("/etc/passwd")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(data / "debug.sock"))
        save(data, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as tar:
        names = set(tar.getnames())
    assert not names & {".draft", "link", "debug.sock", "backend/lock"}


def test_the_store_may_be_written_meanwhile(data, tmp_path):
    """Online: the process that owns the store is not asked and not disturbed."""

    async def body():
        store = await SqliteBackend.open(data / "backend", SystemClock())
        await data_dir.put(store, 1000)
        await asyncio.to_thread(save, data, tmp_path / "b.tar")
        await data_dir.put(store, 1001)
        await store.close()

    asyncio.run(body())
    with tarfile.open(tmp_path / "b.tar") as tar:
        content = tar.extractfile("backend/sqlite.db").read()
    assert b"/test/001000" in content
    assert b"/test/001001" not in content


def test_nothing_is_overwritten(data, tmp_path):
    (tmp_path / "b.tar").write_text("mine")
    assert refused(data, tmp_path / "b.tar").code == "DISK-EXISTS"


def test_on_a_file_system_without_links(data, tmp_path, monkeypatch):
    def link(*paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(backup.os, "link", link)
    save(data, tmp_path / "b.tar")
    assert sorted(os.listdir(tmp_path)) == ["b.tar", "data"]


def test_without_a_store_there_is_nothing_to_save(tmp_path):
    assert refused(tmp_path, tmp_path.parent / "b.tar").code == "BACKUP-NOTHING"


def test_inside_of_what_it_saves_it_would_be_lost_with_it(data):
    assert refused(data, data / "b.tar").code == "BACKUP-INSIDE"


def test_into_a_folder_that_is_not_there(data, tmp_path):
    assert refused(data, tmp_path / "none" / "b.tar").code == "DISK-MISSING"


def test_an_authority_without_its_key_is_told(data, tmp_path):
    next((data / "keys").iterdir()).unlink()
    error = refused(data, tmp_path / "b.tar")
    assert error.code == "BACKUP-CHANGING"
    assert "is missing" in error.what


def test_an_authority_with_anothers_key_is_told(data, tmp_path):
    first, second, *_ = [p for p in sorted((data / "keys").iterdir()) if b"ssh" in p.read_bytes()[:20]]
    first.write_bytes(second.read_bytes())
    assert "is another one" in refused(data, tmp_path / "b.tar").what


def test_a_key_of_recordings_that_is_missing_is_told(data, tmp_path):
    (key,) = [p for p in (data / "keys").iterdir() if b"recording" in p.read_bytes()[:20]]
    key.unlink()
    error = refused(data, tmp_path / "b.tar")
    assert error.code == "BACKUP-CHANGING"
    assert "session-recording-config" in error.what


def test_recordings_that_leave_the_spool_meanwhile_are_not_missed(data, tmp_path, monkeypatch):
    spool = data / "log" / "upload"
    spool.mkdir(parents=True)
    (spool / "a.rec").write_bytes(b"sealed")
    add = archive.ArchiveWriter.add

    def racing(writer, name, source):
        (spool / "a.rec").unlink(missing_ok=True)
        return add(writer, name, source)

    monkeypatch.setattr(archive.ArchiveWriter, "add", racing)
    save(data, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert "log/upload/a.rec" not in tar.getnames()


def test_a_key_that_others_can_read_is_told(data, tmp_path):
    os.chmod(next((data / "keys").iterdir()), 0o644)
    assert refused(data, tmp_path / "b.tar").code == "PKI-KEY-STORE"


def test_keys_are_never_read_by_this_process(data, tmp_path, monkeypatch):
    read = []
    real = archive.read

    def noted(file, member):
        read.append(member)
        return real(file, member)

    monkeypatch.setattr(archive, "read", noted)
    save(data, tmp_path / "b.tar")
    with open(tmp_path / "b.tar", "rb") as file:
        members = archive.members(file.fileno(), "b.tar")
    keys = {member.offset for name, member in members.items() if name.startswith("keys/")}
    assert len(keys) == 11
    assert not keys & {member.offset for member in read}


def test_key_bytes_are_in_no_memory_of_this_process(data, tmp_path):
    save(data, tmp_path / "b.tar")
    files = [str(path) for path in (data / "keys").iterdir()]
    program = f"""
import sys
from pathlib import Path
from tests.unit.process.test_backup import save
save(Path({str(data)!r}), Path({str(tmp_path / "c.tar")!r}))
print("done", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", program]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"done\n"
        scan = [sys.executable, "-m", "tests.support.memory_scan", str(child.pid), *files]
        found = subprocess.run(scan, cwd=ROOT, capture_output=True, text=True, check=True)
    finally:
        child.kill()
        child.communicate()
    assert found.stdout == ""
