"""Folders to prepare something in, and what becomes of those whose process is gone."""

import fcntl
import os

import pytest

from teleport.base.entropy import SystemEntropy
from teleport.base.errors import NotFound
from teleport.process import staging

ENTROPY = SystemEntropy()


def test_it_is_private_and_gone_afterwards(tmp_path):
    with staging.folder(tmp_path, ".x", ENTROPY) as path:
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "inside").mkdir()
        (path / "inside" / "file").write_text("a")
    assert os.listdir(tmp_path) == []


def test_it_is_gone_after_a_failure_too(tmp_path):
    with pytest.raises(ZeroDivisionError), staging.folder(tmp_path, ".x", ENTROPY):
        1 / 0  # noqa: B018
    assert os.listdir(tmp_path) == []


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path):
    left, used, other = (tmp_path / name for name in (f".x-{'a' * 16}", f".x-{'b' * 16}", ".x-something"))
    for path in (left, used, other):
        path.mkdir()
        (path / "key").write_text("secret")
    held = os.open(used, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with staging.folder(tmp_path, ".x", ENTROPY):
        pass
    os.close(held)
    assert sorted(os.listdir(tmp_path)) == [used.name, other.name]


def test_a_folder_that_was_moved_away_is_left_alone(tmp_path):
    with staging.folder(tmp_path, ".x", ENTROPY) as path:
        path.rename(tmp_path / "kept")
        path.mkdir()
        (path / "of somebody else").write_text("a")
    assert sorted(os.listdir(tmp_path)) == sorted(["kept", path.name])


def test_a_missing_place_is_named(tmp_path):
    with pytest.raises(NotFound), staging.folder(tmp_path / "none", ".x", ENTROPY):
        pass
