"""tbot db: what tsh is started with, and how its failure is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.admin_host import run

TSH = """\
#!/bin/sh
echo "$TELEPORT_IDENTITY_FILE $TELEPORT_PROXY ${{TELEPORT_CLUSTER:-none}}" > {seen}
echo "$*" >> {seen}
exit {status}
"""
OPTIONS = ("--destination-dir=/opt/machine-id", "--proxy-server=proxy.example.com:443")


def tsh(folder: Path, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> Path:
    """Put a `tsh` beside the program; return the file with what it was started with."""
    seen = folder / "seen"
    (folder / "tsh").write_text(TSH.format(seen=seen, status=status))
    (folder / "tsh").chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(folder / "tbot")])
    return seen


def test_tsh_acts_as_the_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tsh(tmp_path, monkeypatch)
    assert run("tbot", "db", *OPTIONS, "--", "ls", "--format=json").status == 0
    assert seen.read_text() == "/opt/machine-id/identity proxy.example.com:443 none\ndb ls --format=json\n"


def test_cluster_and_proxy_may_be_said_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tsh(tmp_path, monkeypatch)
    monkeypatch.setenv("TELEPORT_PROXY", "other.example.com:443")
    assert run("tbot", "db", "--destination-dir=/opt/machine-id", "--cluster=leaf", "ls").status == 0
    assert seen.read_text() == "/opt/machine-id/identity other.example.com:443 leaf\ndb ls\n"


def test_a_failure_names_tsh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tsh(tmp_path, monkeypatch, status=3)
    done = run("tbot", "db", *OPTIONS, "ls")
    assert (done.status, done.out) == (1, "")
    assert done.err == "ERROR: unable to execute tsh\nexecuting `tsh db`\nexit status 3\n"
