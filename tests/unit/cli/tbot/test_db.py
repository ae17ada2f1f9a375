"""tbot db: what tsh is started with, and how its failure is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import identities
from tests.support.admin_host import run

TSH = """\
#!/bin/sh
echo "$TELEPORT_IDENTITY_FILE $TELEPORT_PROXY ${{TELEPORT_CLUSTER:-none}}" > {seen}
echo "$*" >> {seen}
exit {status}
"""
PROXY = "--proxy-server=proxy.example.com:443"


def output(folder: Path) -> str:
    """Make the destination of an output; return the option that names it."""
    (folder / "out").mkdir()
    (folder / "out" / "identity").write_bytes(identities.data())
    return f"--destination-dir={folder / 'out'}"


def tsh(folder: Path, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> Path:
    """Put a `tsh` beside the program; return the file with what it was started with."""
    seen = folder / "seen"
    (folder / "tsh").write_text(TSH.format(seen=seen, status=status))
    (folder / "tsh").chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(folder / "tbot")])
    return seen


def test_tsh_acts_as_the_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tsh(tmp_path, monkeypatch)
    assert run("tbot", "db", output(tmp_path), PROXY, "--", "ls", "--format=json").status == 0
    assert seen.read_text() == f"{tmp_path}/out/identity proxy.example.com:443 none\ndb ls --format=json\n"


def test_cluster_and_proxy_may_be_said_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tsh(tmp_path, monkeypatch)
    monkeypatch.setenv("TELEPORT_PROXY", "other.example.com:443")
    assert run("tbot", "db", output(tmp_path), "--cluster=leaf", "ls").status == 0
    assert seen.read_text() == f"{tmp_path}/out/identity other.example.com:443 leaf\ndb ls\n"


def test_a_failure_names_tsh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tsh(tmp_path, monkeypatch, status=3)
    done = run("tbot", "db", output(tmp_path), PROXY, "ls")
    assert (done.status, done.out) == (1, "")
    assert done.err == "ERROR: unable to execute tsh\nexecuting `tsh db`\nexit status 3\n"


@pytest.mark.parametrize(("words", "kind"), [(("proxy", "ssh"), "identity"), (("db", "ls"), "database")])
def test_a_folder_that_no_output_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, str], kind: str
) -> None:
    seen = tsh(tmp_path, monkeypatch)
    done = run("tbot", words[0], f"--destination-dir={tmp_path}/none", PROXY, words[1])
    assert (done.status, seen.exists()) == (1, False)
    assert f"{tmp_path}/none is not the destination of an output of tbot: there is no file identity in it" in done.err
    assert f"an output of the type {kind}, " in done.err
