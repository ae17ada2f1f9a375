"""Folders of growing files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from teleport.base.append import Folder, MemoryFolder, SystemFolder
from teleport.base.errors import AlreadyExists, BadParameter, NotFound, TeleportError, Unavailable


def test_a_file_grows_and_is_only_ours(tmp_path: Path) -> None:
    folder = SystemFolder(str(tmp_path / "log" / "records"))
    assert folder.names() == []
    assert folder.free() > 0
    file = folder.create("a.rec")
    file.append(b"one")
    file.append(b"two")
    file.sync()
    file.close()
    file.close()
    assert folder.names() == ["a.rec"]
    assert (folder.size("a.rec"), folder.read("a.rec", 2, 3), folder.read("a.rec", 5, 9)) == (6, b"etw", b"o")
    assert folder.modified("a.rec") > 1e9
    assert stat.S_IMODE((tmp_path / "log" / "records" / "a.rec").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    with pytest.raises(AlreadyExists):
        folder.create("a.rec")
    with pytest.raises(Unavailable, match="earlier write"):
        file.append(b"more")


@pytest.mark.parametrize("kind", ["system", "memory"])
def test_both_kinds_of_folder_keep_one_contract(kind: str, tmp_path: Path) -> None:
    folder: Folder = SystemFolder(str(tmp_path / "f")) if kind == "system" else MemoryFolder()
    for name in ("b", "a"):
        file = folder.create(name)
        file.append(b"one two")
        file.sync()
        file.close()
    with pytest.raises(AlreadyExists):
        folder.create("a")
    file = folder.open("a", 4)
    file.append(b"more")
    file.close()
    assert (folder.read("a", 0, 99), folder.read("a", 4, 2), folder.size("a")) == (b"one more", b"mo", 8)
    assert folder.modified("a") >= 0
    assert folder.free() > 0
    folder.move("b", str(tmp_path / "elsewhere"))
    assert folder.names() == ["a"]
    folder.remove("a")
    for attempt in (lambda: folder.size("a"), lambda: folder.read("b", 0, 1), lambda: folder.remove("a")):
        with pytest.raises(NotFound):
            attempt()


def test_a_reserved_file_has_its_size_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (SystemFolder(str(tmp_path)), MemoryFolder()):
        file = folder.reserve("a", b"head", 12)
        assert folder.read("a", 0, 99) == b"head" + bytes(8)
        file.append(b"one")
        file.append(b"two")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _raising(errno.EIO))
            file.sync()
        assert folder.read("a", 0, 99) == b"headonetwo\0\0"
        file.append(b"three")
        assert folder.read("a", 0, 99) == b"headonetwothree"
        with pytest.raises(AlreadyExists):
            folder.reserve("a", b"", 1)


def test_what_stands_behind_the_known_part_is_cut_off(tmp_path: Path) -> None:
    folder = SystemFolder(str(tmp_path))
    (tmp_path / "a").write_bytes(b"whole torn")
    file = folder.open("a", 5)
    file.append(b"again")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"wholeagain"
    folder.open("a", 10).close()


def test_files_are_moved_and_removed(tmp_path: Path) -> None:
    folder = SystemFolder(str(tmp_path / "here"))
    folder.create("a").close()
    folder.create("b").close()
    folder.move("a", str(tmp_path / "there" / "deep"))
    folder.remove("b")
    assert folder.names() == []
    assert (tmp_path / "there" / "deep" / "a").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a"])
def test_only_names_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        SystemFolder(str(tmp_path)).read(name, 0, 1)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "a").symlink_to(tmp_path / "secret")
    folder = SystemFolder(str(tmp_path))
    for attempt in (lambda: folder.read("a", 0, 1), lambda: folder.open("a", 0)):
        with pytest.raises(BadParameter):
            attempt()
    assert folder.names() == ["secret"]


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_file_that_failed_once_is_never_written_again(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SystemFolder(str(tmp_path)).create("a")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, _raising(errno.ENOSPC))
        with pytest.raises(Unavailable) as caught:  # noqa: PT012 - either of both
            file.append(b"data")
            file.sync()
        assert caught.value.code == "DISK-FULL"
    for attempt in (lambda: file.append(b"x"), file.sync):
        with pytest.raises(Unavailable) as caught:
            attempt()
        assert caught.value.code == "DISK-IO"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SystemFolder(str(tmp_path)).create("a")
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:3]))
    file.append(b"ten bytes.")
    assert (tmp_path / "a").read_bytes() == b"ten bytes."


def test_a_file_whose_name_is_not_durable_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _raising(errno.EIO))
    with pytest.raises(TeleportError):
        SystemFolder(str(tmp_path)).create("a")
    assert list(tmp_path.iterdir()) == []


def test_a_tail_that_cannot_be_cut_off_durably_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"whole torn")
    monkeypatch.setattr(os, "fsync", _raising(errno.EIO))
    with pytest.raises(Unavailable):
        SystemFolder(str(tmp_path)).open("a", 5)


def test_what_an_earlier_process_left_is_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"left")
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    SystemFolder(str(tmp_path)).settle("a")
    assert synced == [str(tmp_path / "a"), str(tmp_path)]
    with pytest.raises(NotFound):
        SystemFolder(str(tmp_path)).settle("b")
    with pytest.raises(NotFound):
        MemoryFolder().settle("b")


def _raising(number: int) -> Any:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_what_an_ended_process_has_left_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last sync may have failed: then the system holds the data for written, and another sync would do nothing."""
    folder = SystemFolder(str(tmp_path / "f"))
    content = bytes(range(256)) * 5000
    folder.begin("a", content).close()
    written, pwrite = bytearray(len(content)), os.pwrite

    def noting(handle: int, data: bytes, offset: int) -> int:
        count = pwrite(handle, data[: len(data) // 2 + 1], offset)
        written[offset : offset + count] = data[:count]
        return count

    monkeypatch.setattr(os, "pwrite", noting)
    folder.settle("a")
    assert bytes(written) == content == folder.read("a", 0, 1 << 30)
