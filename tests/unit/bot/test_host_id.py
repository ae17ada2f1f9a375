"""The id of a machine: the same each time, another one elsewhere, and not the machine's own."""

from __future__ import annotations

from teleport.base.disk import MemoryDisk
from teleport.bot.host_id import PATH, host_id


def disk_of(content: bytes) -> MemoryDisk:
    disk = MemoryDisk()
    disk.make_dir("/etc")
    disk.write(PATH, content)
    return disk


def test_it_stands_for_the_machine_and_does_not_say_its_id() -> None:
    own = "0123456789abcdef0123456789abcdef"
    made = host_id(disk_of(f"{own}\n".encode()))
    assert len(made) == 32
    assert made == host_id(disk_of(own.encode()))
    assert made not in (own, host_id(disk_of(own[::-1].encode())))


def test_a_machine_without_one_has_none() -> None:
    assert host_id(MemoryDisk()) == ""
    assert host_id(disk_of(b"\n")) == ""
    assert host_id(disk_of(b"x" * 200)) == ""
