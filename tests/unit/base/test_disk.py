"""Disks: one suite for both, then what only the machine's own can show."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from teleport.base import disk as disks
from teleport.base.disk import MemoryDisk, SystemDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, AlreadyExists, BadParameter, LimitExceeded, NotFound, Unavailable


@pytest.fixture(params=["memory", "system"])
def place(request, tmp_path):
    """A disk and a folder on it."""
    if request.param == "system":
        return SystemDisk(), str(tmp_path)
    disk = MemoryDisk()
    disk.make_dir("/data")
    return disk, "/data"


def test_write_read_replace(place):
    disk, folder = place
    path = f"{folder}/a"
    disk.write(path, b"one", mode=0o640)
    disk.write(path, b"two", mode=0o640)
    assert disk.read(path) == b"two"
    assert disk.mode(path) == 0o640
    assert disk.list_dir(folder) == ["a"]


def test_files_are_private_unless_told_otherwise(place):
    disk, folder = place
    disk.write(f"{folder}/a", b"")
    assert disk.mode(f"{folder}/a") == 0o600
    assert disk.read(f"{folder}/a", private=True) == b""


def test_secret_that_others_may_read_is_refused_when_asked(place):
    disk, folder = place
    path = f"{folder}/key"
    disk.write(path, b"k", mode=0o644)
    assert disk.read(path) == b"k"
    with pytest.raises(BadParameter) as caught:
        disk.read(path, private=True)
    assert caught.value.code == "DISK-PERMISSIONS"
    assert f"chmod 600 {path}" in caught.value.fix
    assert "0644" in caught.value.what


def test_exclusive_write_never_replaces(place):
    disk, folder = place
    disk.write(f"{folder}/a", b"1", exclusive=True)
    with pytest.raises(AlreadyExists) as caught:
        disk.write(f"{folder}/a", b"2", exclusive=True)
    assert caught.value.code == "DISK-EXISTS"
    assert disk.read(f"{folder}/a") == b"1"
    assert disk.list_dir(folder) == ["a"]


def test_read_has_a_limit(place):
    disk, folder = place
    disk.write(f"{folder}/a", b"12345")
    assert disk.read(f"{folder}/a", limit=5) == b"12345"
    with pytest.raises(LimitExceeded) as caught:
        disk.read(f"{folder}/a", limit=4)
    assert caught.value.code == "DISK-TOO-LARGE"


def test_what_is_missing_is_named(place):
    disk, folder = place
    for action in (disk.read, disk.remove, disk.mode, disk.list_dir):
        with pytest.raises(NotFound) as caught:
            action(f"{folder}/none")
        assert caught.value.code == "DISK-MISSING"
        assert f"{folder}/none" in caught.value.what
    with pytest.raises(NotFound):
        disk.write(f"{folder}/none/a", b"")


def test_remove_and_exists(place):
    disk, folder = place
    disk.write(f"{folder}/a", b"")
    assert disk.exists(f"{folder}/a")
    disk.remove(f"{folder}/a")
    assert not disk.exists(f"{folder}/a")


def test_folders_with_parents(place):
    disk, folder = place
    disk.make_dir(f"{folder}/x/y")
    disk.make_dir(f"{folder}/x/y", mode=0o755)
    assert disk.exists(f"{folder}/x/y")
    assert disk.mode(f"{folder}/x/y") == 0o700
    assert disk.list_dir(folder) == ["x"]


def test_lock_is_exclusive_until_released(place):
    disk, folder = place
    held = disk.lock(f"{folder}/lock")
    with pytest.raises(Unavailable) as caught:
        disk.lock(f"{folder}/lock")
    assert caught.value.code == "DISK-LOCKED"
    assert str(os.getpid()) in caught.value.what
    held.release()
    held.release()
    disk.lock(f"{folder}/lock").release()


def test_lock_names_the_process_that_holds_it_and_ends_with_it(tmp_path):
    code = "import sys; from teleport.base.disk import SystemDisk; held = SystemDisk().lock(sys.argv[1]); "
    code += "print('held', flush=True); sys.stdin.read()"
    path = str(tmp_path / "lock")
    other = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout
    assert other.stdout.readline() == "held\n"
    with pytest.raises(Unavailable, match=f"process {other.pid}"):
        SystemDisk().lock(path)
    other.kill()
    other.communicate()
    SystemDisk().lock(path).release()


def test_secrets_are_not_written_or_read_through_links(tmp_path):
    disk = SystemDisk()
    target, link = tmp_path / "target", tmp_path / "link"
    disk.write(str(target), b"old")
    link.symlink_to(target)
    for action in (lambda: disk.write(str(link), b"new"), lambda: disk.read(str(link), private=True),
                   lambda: disk.lock(str(link))):  # fmt: skip
        with pytest.raises(BadParameter) as caught:
            action()
        assert caught.value.code == "DISK-LINK"
    assert target.read_bytes() == b"old"


def test_temporary_file_in_the_way_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    name = f".a.{SeededEntropy(1).token(8).hex()}.new"
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(AlreadyExists):
        SystemDisk(SeededEntropy(1)).write(str(tmp_path / "a"), b"secret")
    assert victim.read_bytes() == b"precious"


def test_failed_write_leaves_the_old_content_and_no_rubbish(tmp_path, monkeypatch):
    disk = SystemDisk()
    path = str(tmp_path / "a")
    disk.write(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable) as caught:
        disk.write(path, b"new")
    assert caught.value.code == "DISK-FULL"
    assert disk.read(path) == b"old"
    assert disk.list_dir(str(tmp_path)) == ["a"]


def test_file_and_folder_are_synced_in_order(tmp_path, monkeypatch):
    seen = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(handle: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real_sync(handle)

    def rename(a: str, b: str) -> None:
        seen.append("rename")
        real_rename(a, b)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename)
    SystemDisk().write(str(tmp_path / "a"), b"x")
    assert seen == ["file", "rename", "folder"]


def test_mode_does_not_depend_on_the_umask(tmp_path):
    former = os.umask(0o077)
    try:
        SystemDisk().write(str(tmp_path / "a"), b"", mode=0o644)
        SystemDisk().make_dir(str(tmp_path / "d"), mode=0o755)
    finally:
        os.umask(former)
    assert SystemDisk().mode(str(tmp_path / "a")) == 0o644
    assert SystemDisk().mode(str(tmp_path / "d")) == 0o755


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, Unavailable, "DISK-FULL"),
        (errno.EDQUOT, Unavailable, "DISK-FULL"),
        (errno.EACCES, AccessDenied, "DISK-DENIED"),
        (errno.EROFS, AccessDenied, "DISK-DENIED"),
        (errno.EIO, Unavailable, "DISK-IO"),
        (errno.ENOTDIR, NotFound, "DISK-MISSING"),
        (errno.EEXIST, AlreadyExists, "DISK-EXISTS"),
        (errno.ELOOP, BadParameter, "DISK-LINK"),
        (errno.EISDIR, BadParameter, "DISK-FOLDER"),
    ],
)
def test_errors_of_the_system_become_ours(number, kind, code):
    disk = MemoryDisk()
    disk.fail_next(number)
    with pytest.raises(kind) as caught:
        disk.exists("/x")
    assert caught.value.code == code
    assert not disk.exists("/x")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "folder").mkdir()
    disk, path = SystemDisk(), str(tmp_path / "folder")
    for call in (lambda: disk.read(path), lambda: disk.write(path, b"x")):
        with pytest.raises(BadParameter) as caught:
            call()
        assert str(caught.value) == f"{path} is a directory"
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_error_without_words_is_named_by_its_type():
    with pytest.raises(Unavailable, match="oserror"), disks.map_errors("/x"):
        raise OSError


def test_crash_keeps_what_was_synced_and_frees_locks():
    disk = MemoryDisk()
    disk.make_dir("/d")
    disk.write("/d/a", b"durable")
    disk.write_unsynced("/d/a", b"lost")
    disk.write_unsynced("/d/b", b"lost")
    held = disk.lock("/d/lock")
    disk.crash()
    assert disk.read("/d/a") == b"durable"
    assert not disk.exists("/d/b")
    again = disk.lock("/d/lock")
    held.release()
    with pytest.raises(Unavailable):
        disk.lock("/d/lock")
    again.release()
