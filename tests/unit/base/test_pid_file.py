"""The file with the id of a process."""

from __future__ import annotations

import os

from teleport.base.disk import MemoryDisk
from teleport.base.pid_file import PidFile


def test_it_is_there_while_the_process_runs_and_not_removed_for_another_one():
    disk = MemoryDisk()
    file = PidFile(disk, "/tbot.pid")
    file.write()
    assert disk.read("/tbot.pid") == f"{os.getpid()}\n".encode()
    file.remove()
    assert not disk.exists("/tbot.pid")
    disk.write("/tbot.pid", b"1\n")
    file.remove()
    assert disk.exists("/tbot.pid")


def test_without_a_path_there_is_none():
    disk = MemoryDisk()
    file = PidFile(disk, "")
    file.write()
    file.remove()
    assert disk.list_dir("/") == []
