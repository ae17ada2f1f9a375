"""What has no single system call, where the file system does not do what most do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from teleport.agents.ssh import sftp_files


def refuses(number: int):  # type: ignore[no-untyped-def]
    """Return a system call that fails."""

    def call(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV])
def test_renaming_where_links_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    a, b, c = (os.fsencode(tmp_path / name) for name in "abc")
    monkeypatch.setattr(sftp_files.os, "link", refuses(number))
    with pytest.raises(FileExistsError):
        sftp_files.rename(a, b)
    sftp_files.rename(a, c)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "b", "c": "a"}


def test_renaming_that_fails_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a")
    with monkeypatch.context() as patched:
        patched.setattr(sftp_files.os, "link", refuses(errno.ENOSPC))
        with pytest.raises(OSError, match="space"):
            sftp_files.rename(os.fsencode(tmp_path / "a"), os.fsencode(tmp_path / "b"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_old_name_that_cannot_be_removed_leaves_no_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's folder with the sticky bit: the file keeps its one name."""
    (tmp_path / "a").write_text("a")
    unlink = os.unlink

    def sticky(path: bytes) -> None:
        if path.endswith(b"/a"):
            raise PermissionError(errno.EPERM, "not yours")
        unlink(path)

    monkeypatch.setattr(sftp_files.os, "unlink", sticky)
    with pytest.raises(PermissionError):
        sftp_files.rename(os.fsencode(tmp_path / "a"), os.fsencode(tmp_path / "b"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_everything_is_written_by_calls_that_write_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(sftp_files.os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    with (tmp_path / "f").open("wb") as file:
        sftp_files.write_all(file.fileno(), memoryview(b"0123456789"), 2)
    assert (tmp_path / "f").read_bytes() == b"\0\0" + b"0123456789"


def test_a_home_that_no_account_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_files.os, "getuid", lambda: 4_294_000_000)
    with pytest.raises(sftp_files.Refused):
        sftp_files.expand(b"~/x")
