"""What cannot be staged with a real cluster: a storage on a file system of the network, and on one of this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from teleport.bot.destinations import make
from teleport.bot.doctor import sharing
from teleport.bot.doctor.machine import Machine
from teleport.client.doctor.report import Finding
from teleport.model.config.tbot_destinations import DirectoryDestination

LINE = "36 35 {device} / {path} rw,noatime shared:1 - {kind} server:/export rw\n"


def found(tmp_path: Path, kind: str, *, locks: str = "") -> str | Finding:
    """Return what is found of a storage on a file system of a kind."""
    proc, storage = tmp_path / "proc", tmp_path / "storage"
    (proc / "self").mkdir(parents=True)
    storage.mkdir(mode=0o700)
    number = storage.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    (proc / "self" / "mountinfo").write_text(LINE.format(device=device, path=storage, kind=kind))
    (proc / "locks").write_text(locks)
    place = make(DirectoryDestination(path=str(storage)))
    case: Any = SimpleNamespace(storage=place, machine=Machine(proc), source="tbot.yaml", host="here")
    return asyncio.run(sharing.run(case))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_file_system_of_the_network(tmp_path: Path, kind: str) -> None:
    """S1-64: a storage that other machines can use at the same time is named, with what to do."""
    said = found(tmp_path, kind)
    assert isinstance(said, Finding)
    assert (said.code, said.state) == ("BOT-DIR-NFS", "fail")
    assert kind in said.evidence
    assert said.fix


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs"])
def test_a_disk_of_this_machine(tmp_path: Path, kind: str) -> None:
    assert "no tbot works with" in str(found(tmp_path, kind))
