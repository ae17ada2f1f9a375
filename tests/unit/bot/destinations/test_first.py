"""Folders that root prepares for a bot of another user."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.base.errors import AccessDenied, BadParameter, NotSupported
from teleport.bot.destinations import accounts, first, make
from teleport.bot.destinations.first import Parties
from teleport.model.config.tbot_destinations import DirectoryDestination
from tests.support.root import need_root

OWNER, BOT, READER, STRANGER = 0, 12345, 12346, 12347
NAMES = ("key", "identity", "cockroach/node.key", "ssh_config")
USUAL = Parties(OWNER, OWNER, BOT, READER)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A folder that every user of the machine reaches."""
    import tempfile

    need_root()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="init-") as made:
        os.chmod(made, 0o755)  # noqa: S103
        yield Path(made, "machine-id")


def as_user(uid: int, *command: str) -> bool:
    drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return subprocess.run([*drop, *command], capture_output=True, cwd="/").returncode == 0


def reads(uid: int, path: Path) -> bool:
    return as_user(uid, "cat", str(path))


def renewed(path: Path, uid: int, *names: str) -> None:
    """Have a bot that runs as `uid` write files."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            asyncio.run(_renew(str(path), names))
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def _renew(path: str, names: tuple[str, ...]) -> None:
    place = make(DirectoryDestination(path=path))
    await place.prepare(names)
    await place.check()
    await place.write(dict.fromkeys(names, b"secret"))


def test_the_bot_writes_and_one_more_user_reads_after_every_renewal(path: Path) -> None:
    assert first.prepare(str(path), NAMES, USUAL)
    asyncio.run(_renew(str(path.parent / "warm"), ("key",)))  # what is imported late is imported before the fork
    for _ in range(3):
        renewed(path, BOT, *NAMES, "leaf.example.com.ssh_config")
        for name in (*NAMES, "leaf.example.com.ssh_config"):
            assert (path / name).read_bytes() == b"secret"
            assert (path / name).stat().st_uid == BOT
            assert reads(READER, path / name), name
            assert not reads(STRANGER, path / name), name
    assert not as_user(READER, "touch", str(path / "new"))
    assert not as_user(READER, "sh", "-c", f"echo >>{path}/key")


def test_it_is_done_again_without_harm(path: Path) -> None:
    first.prepare(str(path), NAMES, USUAL)
    (path / "key").write_bytes(b"there")
    (path / "leaf.ssh_config").write_bytes(b"of a cluster")
    (path / ".key.0123456789abcdef.new").write_bytes(b"left")
    first.prepare(str(path), NAMES, USUAL)
    assert (path / "key").read_bytes() == b"there"
    assert sorted(p.name for p in path.iterdir()) == ["cockroach", "identity", "key", "leaf.ssh_config", "ssh_config"]


def test_what_does_not_belong_there(path: Path) -> None:
    first.prepare(str(path), ("key",), USUAL)
    (path / "notes").write_text("")
    (path / "old").mkdir()
    (path / "old" / "file").write_text("")
    (path.parent / "elsewhere").mkdir()
    (path.parent / "elsewhere" / "file").write_text("")
    (path / "link").symlink_to(path.parent / "elsewhere")
    with pytest.raises(BadParameter, match="more in it than this output writes: link, notes, old"):
        first.prepare(str(path), ("key",), USUAL)
    first.prepare(str(path), ("key",), USUAL, clean=True)
    assert os.listdir(path) == ["key"]
    assert (path.parent / "elsewhere" / "file").exists()


def test_the_owner_is_no_reader(path: Path) -> None:
    with pytest.raises(BadParameter, match="would own the files and read them"):
        first.prepare(str(path), NAMES, Parties(READER, READER, BOT, READER))
    assert not path.exists()


def test_a_file_with_a_second_name_is_not_given_away(path: Path) -> None:
    path.mkdir()
    (path.parent / "shadow").write_text("precious")
    os.link(path.parent / "shadow", path / "key")
    with pytest.raises(BadParameter, match="not a regular file"):
        first.prepare(str(path), ("key",), Parties(BOT, BOT))
    (path / "key").unlink()
    (path / "key").symlink_to(path.parent / "shadow")
    with pytest.raises(BadParameter, match="symbolic link"):
        first.prepare(str(path), ("key",), Parties(BOT, BOT))
    assert (path.parent / "shadow").stat().st_uid == 0


def test_without_lists_the_owner_alone(path: Path) -> None:
    assert not first.prepare(str(path), NAMES, Parties(BOT, BOT))
    for name in NAMES:
        facts = (path / name).stat()
        assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (BOT, BOT, 0o600)
    assert path.stat().st_mode & 0o777 == 0o700


def test_without_lists_a_reader_is_in_the_group_of_the_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    for parties in (USUAL, Parties(BOT, BOT, BOT, READER)):
        with pytest.raises(BadParameter, match="without access lists for these users"):
            first.prepare(str(path), NAMES, parties, acls="off")
    monkeypatch.setattr(accounts, "groups_of", lambda who: frozenset({23456}) if who == READER else frozenset())
    monkeypatch.setattr(os, "setxattr", none)
    with pytest.raises(NotSupported, match="keeps none"):
        first.prepare(str(path), NAMES, USUAL, acls="required")
    assert not first.prepare(str(path), NAMES, Parties(BOT, 23456, BOT, READER))
    monkeypatch.undo()
    asyncio.run(_renew(str(path.parent / "warm"), ("key",)))
    for _ in range(2):
        renewed(path, BOT, *NAMES)
        command = ["setpriv", f"--reuid={READER}", "--regid=23456", "--clear-groups", "cat", str(path / "key")]
        assert subprocess.run(command, capture_output=True, cwd="/").stdout == b"secret"
        assert not reads(STRANGER, path / "key")


def test_who_is_not_root_gives_nothing_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "fchown", refused)
    with pytest.raises(AccessDenied, match="cannot be given to somebody else"):
        first.prepare(str(path), NAMES, USUAL)


def test_other_failures_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "setxattr", full)
    with pytest.raises(Exception, match="no room left"):
        first.prepare(str(path), NAMES, USUAL)
