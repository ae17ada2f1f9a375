"""`teleport backup` and `teleport restore`: words and exit statuses. What they do: tests/unit/process."""

import os

import pytest

from teleport.cli.entry import main
from tests.support import data_dir


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.delenv("TELEPORT_CONFIG", raising=False)
    monkeypatch.setenv("TELEPORT_CONFIG_FILE", str(tmp_path / "t.yaml"))
    (tmp_path / "t.yaml").write_text(f"version: v3\nteleport: {{data_dir: {tmp_path}/data}}\n")
    return data_dir.make(tmp_path / "data")


def test_there_and_back(data, capsys):
    file = data.parent / "b.tar"
    assert main("teleport", ["backup", "-o", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Saved {data} to {file}: 14 files, 11 keys of authorities, ")
    assert "private keys" in err
    assert main("teleport", ["restore", str(file)]) == 1
    assert "BACKUP-NOT-EMPTY" in capsys.readouterr().err
    assert main("teleport", ["restore", "--force", str(file)]) == 0
    out, _ = capsys.readouterr()
    assert "every chain is whole" in out
    assert "data.replaced-" in out
    data.rename(data.parent / "gone")
    assert main("teleport", ["restore", str(file)]) == 0
    assert "replaced" not in capsys.readouterr().out


def test_a_relative_name_is_of_the_present_folder(data, monkeypatch):
    (data.parent / "here").mkdir()
    monkeypatch.chdir(data.parent / "here")
    assert main("teleport", ["backup", "-o", "b.tar"]) == 0
    assert os.listdir() == ["b.tar"]
    assert main("teleport", ["restore", "--force", "b.tar"]) == 0


def test_a_file_must_be_named(data, capsys):
    assert main("teleport", ["backup"]) == 2
    assert main("teleport", ["restore"]) == 2
