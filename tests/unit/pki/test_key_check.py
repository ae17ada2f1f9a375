"""The program that looks at keys without giving them away."""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import os
import resource
import runpy
import signal
import sys
from pathlib import Path

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.pki import key_check, signer_process
from teleport.pki.custody import Custody, FolderShelf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two keys, and a draft beside them."""
    custody = Custody(FolderShelf(tmp_path / "keys"), SeededEntropy(1))
    custody.generate("ed25519", "ssh")
    custody.generate("ecdsa-p256", "x509")
    (tmp_path / "keys" / f".{'0' * 32}.new").write_text("half a key")
    return tmp_path / "keys"


def test_it_tells_digests_and_public_keys(folder: Path) -> None:
    custody = Custody(FolderShelf(folder), SeededEntropy(2))
    handle = custody.generate("ed25519", "ssh")
    found = key_check.survey(folder)
    assert len(found) == 3
    assert base64.b64decode(found[handle.key_id]["spki"]) == handle.spki
    assert found[handle.key_id]["sha256"] == hashlib.sha256((folder / handle.key_id).read_bytes()).hexdigest()
    assert "PRIVATE" not in json.dumps(found)


def refused(folder: Path) -> BadParameter:
    with pytest.raises(BadParameter) as caught:
        key_check.survey(folder)
    return caught.value


def test_what_is_no_key_is_refused(folder: Path) -> None:
    (folder / ("a" * 32)).write_text("purpose: ssh\nrubbish")
    os.chmod(folder / ("a" * 32), 0o600)
    assert refused(folder).code == "PKI-KEY"


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    os.chmod(next(folder.glob("[0-9a-f]*")), 0o640)
    assert refused(folder).code == "PKI-KEY-STORE"


def test_a_link_and_a_folder_are_refused(folder: Path) -> None:
    (folder / ("b" * 32)).symlink_to(next(folder.glob("[0-9a-f]*")))
    assert refused(folder).code == "PKI-KEY-STORE"
    (folder / ("b" * 32)).unlink()
    (folder / ("b" * 32)).mkdir(mode=0o700)
    assert refused(folder).code == "PKI-KEY-STORE"


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none").code == "PKI-KEY-STORE"


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets the program run inside of the test's process without changing that."""
    hardened: list[str] = []

    class Libc:
        def prctl(self, *words: int) -> None:
            hardened.append("prctl")

    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **kwargs: Libc())
    monkeypatch.setattr(resource, "setrlimit", lambda *args: hardened.append("core"))
    monkeypatch.setattr(signal, "signal", lambda *args: None)
    monkeypatch.setattr(signer_process, "set_name", lambda *args: None)
    return hardened


def test_the_program_closes_itself_and_prints_json(
    folder: Path, process: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        key_check.main(["--folder", str(folder)])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out) == key_check.survey(folder)
    assert process == ["core", "prctl"]


def test_the_program_reports_errors_as_data(
    tmp_path: Path, process: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["key_check", "--folder", str(tmp_path / "none")])
    monkeypatch.delitem(sys.modules, "teleport.pki.key_check")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("teleport.pki.key_check", run_name="__main__")
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["code"] == "PKI-KEY-STORE"


def test_keys_of_recordings_are_known_by_their_purpose(folder: Path) -> None:
    handle = Custody(FolderShelf(folder), SeededEntropy(3)).generate("x25519", "recording")
    found = key_check.survey(folder)
    assert len(found) == 3
    assert base64.b64decode(found[handle.key_id]["spki"]) == handle.spki
