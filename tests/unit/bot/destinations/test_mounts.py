"""Network file systems are found in the kernel's table of mounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teleport.bot.destinations import mounts

LOCAL = "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


def line(kind: str, point: str = "/srv/bots", device: str = "0:50") -> str:
    return f"90 24 {device} / {point} rw,relatime shared:9 - {kind} files.example.com:/export rw,vers=4.2\n"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "afs"])
def test_file_systems_that_other_machines_see_are_named(kind: str) -> None:
    """S1-64"""
    table = LOCAL + line(kind)
    assert mounts.shared_type("/srv/bots/one", os.makedev(0, 50), lambda: table) == kind
    assert mounts.shared_type("/srv/botschaft", os.makedev(8, 1), lambda: table) == ""


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "btrfs", "fuse.ext4", "fuseblk", "overlay"])
def test_file_systems_of_this_machine_are_not(kind: str) -> None:
    table = LOCAL + line(kind)
    assert mounts.shared_type("/srv/bots", os.makedev(0, 50), lambda: table) == ""


def test_the_innermost_and_latest_mount_counts_and_escapes_are_undone() -> None:
    table = line("nfs4", "/srv/my\\040bots") + "nonsense\n" + line("tmpfs", "/srv/my\\040bots/here", "0:51") + LOCAL
    assert mounts.shared_type("/srv/my bots/x", os.makedev(0, 50), lambda: table) == "nfs4"
    assert mounts.shared_type("/srv/my bots/here/x", os.makedev(0, 51), lambda: table) == ""
    covered = line("nfs4", device="0:50") + line("ext4", device="0:50")
    assert mounts.shared_type("/srv/bots", os.makedev(0, 50), lambda: covered) == ""


def test_a_device_that_is_not_in_the_table_is_found_by_its_path() -> None:
    assert mounts.shared_type("/srv/bots/x", os.makedev(7, 7), lambda: LOCAL + line("nfs")) == "nfs"


def test_this_machine_has_a_table(tmp_path: Path) -> None:
    assert mounts._type(str(tmp_path), tmp_path.stat().st_dev, mounts.table())
    assert mounts._type("/proc", os.stat("/proc").st_dev, mounts.table()) == "proc"
