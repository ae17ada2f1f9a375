"""One tbot for each storage, and storages that other machines see."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, Unavailable
from teleport.bot.destinations import hold, make, shared_storage
from teleport.bot.parts import Destination
from teleport.bot.storage import FILES
from teleport.model.config.tbot_destinations import DirectoryDestination


def ready(path: Path) -> Destination:
    place = make(DirectoryDestination(path=str(path)))
    asyncio.run(place.prepare([]))
    return place


def test_a_second_tbot_is_refused_a_storage(tmp_path: Path) -> None:
    """S1-11: each bot has a storage of its own; one storage is not shared by two."""
    one, two = ready(tmp_path / "one"), ready(tmp_path / "two")
    held = hold(one, host="host-a")
    other = hold(two, host="host-a")
    assert (tmp_path / "one" / "lock").read_text() == f"{os.getpid()} host-a\n"
    with pytest.raises(Unavailable) as caught:
        hold(ready(tmp_path / "one"), host="host-a")
    assert caught.value.code == "BOT-DIR-SHARED"
    assert f"process {os.getpid()} of this host" in caught.value.what
    with pytest.raises(Unavailable, match="of host host-a"):
        hold(one, host="host-b")
    held.release()
    held.release()
    hold(one, host="host-b").release()
    other.release()
    assert asyncio.run(one.read("lock")) == f"{os.getpid()} host-b\n".encode()


@pytest.mark.parametrize("mark", ["tokenhash", "identity.next"])
def test_nothing_else_is_written_into_a_storage(tmp_path: Path, mark: str) -> None:
    """Not by an output of another bot either: each of two files says what the folder is, of which one is there before
    the first certificates."""
    (tmp_path / mark).write_bytes(b"")
    place = ready(tmp_path)
    with pytest.raises(BadParameter, match=f"directory: {tmp_path}") as caught:
        asyncio.run(place.prepare(["key", ".write-test"]))
    assert caught.value.code == "DEST-STORAGE"
    assert [path.name for path in tmp_path.iterdir()] == [mark]
    asyncio.run(place.prepare(FILES))


def test_the_lock_is_that_of_the_disk_too(tmp_path: Path) -> None:
    place = ready(tmp_path)
    held = SystemDisk().lock(str(tmp_path / "lock"))
    with pytest.raises(Unavailable, match="of this host"):
        hold(place, host="h")
    held.release()
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").symlink_to("/etc/hostname")
    with pytest.raises(BadParameter, match="symbolic link"):
        hold(place, host="h")


def test_a_lock_that_the_file_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(Unavailable, match="no locks available"):
        hold(ready(tmp_path), host="h")


def test_a_storage_on_a_network_file_system_is_named(tmp_path: Path) -> None:
    """S1-64: the internal folder is never shared; where other machines see it, tbot says so."""
    device = tmp_path.stat().st_dev
    line = f"9 1 {os.major(device)}:{os.minor(device)} / {tmp_path} rw - nfs4 files.example.com:/bots rw\n"
    place = make(DirectoryDestination(path=str(tmp_path)), mountinfo=lambda: line)
    asyncio.run(place.prepare([]))
    warning = shared_storage(place)
    assert warning is not None
    assert warning.code == "BOT-DIR-NFS"
    assert warning.what == f"the storage {tmp_path} is on a network file system (nfs4)"
    assert shared_storage(ready(tmp_path)) is None
