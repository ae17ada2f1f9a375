"""`tbot init`: which folder, for whom, and what becomes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from teleport.cli.entry import main
from tests.support.programs import need
from tests.support.root import need_root

Captured = pytest.CaptureFixture[str]
FILE = """\
version: v2
proxy_server: teleport.example.com:443
services:
  - {type: identity, destination: {type: directory, path: ONE}}
  - {type: identity, ssh_config: "off", destination: {type: directory, path: TWO, acls: required}}
  - {type: identity, destination: {type: memory}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tbot.yaml"
    path.write_text(FILE.replace("ONE", str(tmp_path / "one")).replace("TWO", str(tmp_path / "two")))
    return path


def init(*options: str) -> int:
    return main("tbot", ["init", *options])


def test_a_folder_gets_a_file_for_everything_that_is_written(tmp_path: Path, capsys: Captured) -> None:
    need_root()
    path = tmp_path / "machine-id"
    assert init(f"--destination-dir={path}", "--bot-user=12345", "--reader-user=12346") == 0
    assert "who may read and write there is said by access lists" in capsys.readouterr().err
    assert {"key", "key.pub", "key-cert.pub", "tlscert", "identity", "ssh_config", "known_hosts", ".write-test"} < set(
        os.listdir(path)
    )
    shown = subprocess.run([need("getfacl"), "-cnp", str(path / "key")], capture_output=True, text=True, check=True)
    assert "user:12345:rw-" in shown.stdout
    assert "user:12346:r--" in shown.stdout


def test_of_several_folders_one_is_named(file: Path, tmp_path: Path, capsys: Captured) -> None:
    assert init("-c", str(file)) == 1
    said = capsys.readouterr().err
    assert "the configuration has several destinations of the type directory" in said
    assert f"{tmp_path}/one, {tmp_path}/two" in said
    assert init("-c", str(file), f"--init-dir={tmp_path}/none") == 1
    assert "no destination to prepare" in capsys.readouterr().err
    assert init() == 1
    assert "no destination to prepare" in capsys.readouterr().err
    assert init("-c", str(file), f"--init-dir={tmp_path}/two") == 0
    assert "ssh_config" not in os.listdir(tmp_path / "two")
    assert not (tmp_path / "one").exists()


def test_somebody_who_is_not_there(tmp_path: Path, capsys: Captured) -> None:
    assert init(f"--destination-dir={tmp_path}/d", "--owner=root:nonesuch-group") == 1
    assert "there is no group nonesuch-group on this machine" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_a_file_system_without_access_lists(tmp_path: Path) -> None:
    need_root()
    script = f"""
mount -t ramfs none {tmp_path}
init() {{ {sys.executable} -c 'import sys; from teleport.cli.entry import tbot; tbot()' init "$@"; }}
init --destination-dir={tmp_path}/a --bot-user=12345 --reader-user=12346 && exit 1
init --destination-dir={tmp_path}/b --bot-user=12345 --owner=12345:0 --reader-user=root || exit 2
stat -c '%u %g %a' {tmp_path}/b {tmp_path}/b/key
"""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cannot be prepared without access lists for these users" in done.stderr
    assert "is said by owner and group" in done.stderr
    assert done.stdout.split("\n")[:2] == ["12345 0 2750", "12345 0 640"]
