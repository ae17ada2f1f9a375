"""Folders as destinations: files are replaced whole, private, and only there."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, BadParameter, NotFound, NotSupported, TeleportError, Unavailable
from teleport.bot.destinations import acl, directory, folder, make
from teleport.bot.destinations.directory import Directory
from teleport.bot.destinations.names import split
from teleport.model.config.tbot_destinations import DirectoryDestination, Reader
from tests.support.root import need_root

FILES = {"key": b"a key", "tlscert": b"a certificate", "cockroach/node.key": b"a key below"}


def here(path: Path, **fields: Any) -> Directory:
    return Directory(DirectoryDestination(path=str(path), **fields), entropy=SeededEntropy(1))


def ready(path: Path, **fields: Any) -> Directory:
    place = here(path, **fields)
    asyncio.run(place.prepare(list(FILES)))
    return place


def write(place: Directory, files: dict[str, bytes]) -> None:
    asyncio.run(place.write(files))


def everything(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def readable_by(uid: int, path: Path, gid: int = 65533) -> bool:
    command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "cat", str(path)]
    return subprocess.run(command, capture_output=True, cwd="/").returncode == 0


@pytest.fixture
def open_path(tmp_path: Path) -> Iterator[Path]:
    """A folder that every user of the machine reaches."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp", prefix="dest-") as made:
        os.chmod(made, 0o755)  # noqa: S103
        yield Path(made)


# What it is for


def test_files_are_written_read_back_and_private(tmp_path: Path) -> None:
    path = tmp_path / "opt" / "machine-id"
    place = ready(path)
    assert (str(place), place.folder) == (f"directory: {path}", str(path))
    write(place, FILES)
    write(place, {"key": b"another key"})
    assert everything(path) == FILES | {"key": b"another key"}
    assert [mode(p) for p in (path.parent, path, path / "cockroach")] == [0o700] * 3
    assert {mode(p) for p in path.rglob("*") if p.is_file()} == {0o600}
    assert asyncio.run(place.read("cockroach/node.key")) == b"a key below"
    assert asyncio.run(place.read("none")) is None
    assert asyncio.run(place.read("nowhere/none")) is None


def test_a_copy_of_the_folder_is_complete_in_itself(tmp_path: Path) -> None:
    """S1-12: nothing in a destination points out of it, so that a copy serves as well."""
    place = ready(tmp_path / "machine-id")
    asyncio.run(place.check())
    write(place, FILES)
    subprocess.run(["cp", "-a", str(tmp_path / "machine-id"), str(tmp_path / "copy")], check=True)
    assert everything(tmp_path / "copy") == FILES | {".write-test": b""}
    assert not any(p.is_symlink() for p in (tmp_path / "copy").rglob("*"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.from_regex(r"[a-zA-Z0-9_.+-]{1,30}(/[a-zA-Z0-9_.+-]{1,30})?", fullmatch=True).filter(
            lambda name: not {".", ".."} & set(name.split("/"))
        ),
        st.binary(max_size=300),
        max_size=6,
    )
)
def test_any_files_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    if any(name.split("/")[0] in files for name in files if "/" in name):
        return  # a file and a folder of one name
    place = ready(tmp_path_factory.mktemp("any") / "d")
    write(place, files)
    write(place, files)
    assert {name: asyncio.run(place.read(name)) for name in files} == files
    assert everything(Path(place.folder)) == files


@pytest.mark.parametrize("name", ["", ".", "..", "../key", "a/../b", "a/b/c", "/etc/passwd", "a/", "a\0b", "x" * 300])
def test_names_stay_in_the_folder(name: str, tmp_path: Path) -> None:
    place = ready(tmp_path / "d")
    for call in (place.read(name), place.write({"key": b"", name: b"secret"}), place.prepare([name])):
        with pytest.raises(BadParameter, match="cannot be used"):
            asyncio.run(call)
    assert everything(tmp_path / "d") == {}
    assert split("cockroach/node.key") == ("cockroach", "node.key")


def test_a_relative_path_is_one_from_where_tbot_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = ready(Path("./destination"))
    monkeypatch.chdir("/")
    write(place, {"key": b"x"})
    assert (tmp_path / "destination" / "key").read_bytes() == b"x"
    assert str(place) == "directory: destination"


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    place = ready(tmp_path)
    (tmp_path / ".key.0123456789abcdef.new").write_bytes(b"half")
    (tmp_path / ".key.new").write_bytes(b"somebody's")
    asyncio.run(place.prepare([]))
    assert os.listdir(tmp_path) == [".key.new"]


def test_sections_that_cannot_be_served() -> None:
    with pytest.raises(NotSupported, match='symlink mode "secure" not supported on this system'):
        Directory(DirectoryDestination(path="/x", symlinks="secure"), entropy=SeededEntropy(1), walks=False)
    with pytest.raises(BadParameter, match="acls is off"):
        here(Path("/x"), acls="off", readers=(Reader(user=1),))
    assert isinstance(make(DirectoryDestination(path="/x")), Directory)
    with pytest.raises(NotFound, match="no group nonesuch-group on this machine"):
        ready(Path("/x"), readers=(Reader(user="root"), Reader(group="nonesuch-group")))


# What stands in the way


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadParameter, match=f'Path "{tmp_path}/file" already exists and is not a directory'):
        ready(tmp_path / "file")
    with pytest.raises(BadParameter, match=f'Path "{tmp_path}/file" already exists and is not a directory'):
        ready(tmp_path / "file" / "below")


def test_a_folder_that_everybody_may_write_to(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o1777)
    with pytest.raises(BadParameter, match=r"everybody may write to .* \(mode 1777\)"):
        ready(tmp_path / "d")


def test_something_else_where_a_file_should_be(tmp_path: Path) -> None:
    place = ready(tmp_path)
    os.mkfifo(tmp_path / "key")
    with pytest.raises(BadParameter, match="is not a regular file"):
        asyncio.run(place.read("key"))


def test_a_folder_that_went_away(tmp_path: Path) -> None:
    place = ready(tmp_path / "d")
    (tmp_path / "d").rmdir()
    with pytest.raises(NotFound) as caught:
        asyncio.run(place.check())
    assert caught.value.what == f"Cannot write to destination directory: {tmp_path}/d, aborting."
    assert "does not exist" in caught.value.why
    assert "restart tbot" in caught.value.fix
    assert asyncio.run(place.read("key")) is None


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As below /proc: a restart mends nothing."""
    monkeypatch.setattr(folder, "_make", lambda *_: os.open(tmp_path / "none", os.O_RDONLY))
    with pytest.raises(BadParameter, match=f"{tmp_path}/d cannot be made") as caught:
        ready(tmp_path / "d")
    assert "restart" not in caught.value.fix


def test_a_full_disk_is_told_and_the_old_content_stays(tmp_path: Path) -> None:
    place = ready(tmp_path)
    write(place, FILES)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, former[1]))
    try:
        with pytest.raises(Unavailable, match="no room left to write"):
            write(place, {"key": b"short", "tlscert": b"x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, ignored)
    assert everything(tmp_path) == FILES


class Faulty:
    """`os`, whose n-th call of those that may fail does."""

    CALLS = ("open", "mkdir", "rename", "fsync", "fchmod", "getxattr", "removexattr", "fstat", "listdir", "stat")

    def __init__(self, at: int, number: int) -> None:
        self.left, self._number = at, number

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.CALLS:
            return real

        def call(*values: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise OSError(self._number, os.strerror(self._number))
            return real(*values, **named)

        return call


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_whatever_call_fails_each_file_is_the_old_or_the_new(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ready(tmp_path)
    new = {name: data + b" renewed" for name, data in FILES.items()}
    taught = []
    for at in range(1, 400):
        write(place, FILES)
        faulty = Faulty(at, number)
        for module in (acl, folder):
            monkeypatch.setattr(module, "os", faulty)
        try:
            write(place, new)
        except TeleportError as error:
            taught.append(error.code.startswith(("DISK-", "DEST-")) and bool(error.why and error.fix))
        finally:
            monkeypatch.undo()
        found = everything(tmp_path)
        assert found.keys() == FILES.keys(), "no drafts stay"
        assert all(found[name] in (FILES[name], new[name]) for name in FILES)
        if faulty.left > 0:
            break
    assert faulty.left > 0
    assert all(taught)
    assert len(taught) > 20


# Links, and those who exchange what was looked at


def test_links_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    for path in (tmp_path / "link", tmp_path / "link" / "below"):
        for symlinks in ("try-secure", "secure"):
            with pytest.raises(BadParameter, match=f"{tmp_path}/link is a symbolic link"):
                ready(path, symlinks=symlinks)
    place = ready(target)
    (target / "key").symlink_to(tmp_path / "elsewhere")
    (target / "cockroach").symlink_to(tmp_path)
    for name in ("key", "cockroach/node.key"):
        with pytest.raises(BadParameter, match="is a symbolic link"):
            asyncio.run(place.read(name))
        with pytest.raises(BadParameter, match="is a symbolic link"):
            write(place, {"tlscert": b"", name: b"secret"})
    assert sorted(os.listdir(tmp_path)) == ["link", "target"]
    assert not (target / "tlscert").exists()


def test_links_on_the_way_are_followed_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    place = ready(tmp_path / "link" / "d", symlinks="insecure")
    write(place, FILES)
    assert place.folder == str(tmp_path / "target" / "d")
    assert everything(tmp_path / "target" / "d") == FILES


def test_a_link_that_comes_a_moment_later_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, victim = ready(tmp_path / "d"), tmp_path / "victim"
    write(place, {"key": b"old"})
    victim.write_text("precious")
    real = os.rename

    def late(*values: Any, **named: Any) -> None:
        os.unlink(tmp_path / "d" / "key")
        (tmp_path / "d" / "key").symlink_to(victim)
        real(*values, **named)

    monkeypatch.setattr(os, "rename", late)
    write(place, {"key": b"secret"})
    assert victim.read_text() == "precious"
    assert not (tmp_path / "d" / "key").is_symlink()


ATTACK = """
import os, sys
up = sys.argv[1]
print("go", flush=True)
while True:
    for target in (up, "aside"):
        try:
            os.rename("d", "real")
            os.symlink(target, "d")
        except OSError:
            pass
        try:
            os.unlink("d")
        except OSError:
            pass
        try:
            os.rename("real", "d")
        except OSError:
            pass
"""


def test_who_exchanges_the_folder_all_the_time_gets_no_key_elsewhere(tmp_path: Path) -> None:
    """Somebody who owns the folder above renames it away and puts links there as fast as they can."""
    victim, above = tmp_path / "victim", tmp_path / "above"
    for made in (victim, above, above / "aside"):
        made.mkdir()
    place = ready(above / "d")
    attacker = subprocess.Popen(
        [sys.executable, "-c", ATTACK, str(victim)], cwd=above, stdout=subprocess.PIPE, text=True
    )
    assert attacker.stdout is not None
    written = refused = 0
    try:
        assert attacker.stdout.readline() == "go\n"
        for number in range(300):
            try:
                write(place, {"key": b"%d" % number, "cockroach/node.key": b"x"})
                written += 1
            except TeleportError:
                refused += 1
    finally:
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()
    assert everything(victim) == {}
    assert everything(above / "aside") == {}
    assert written + refused == 300


def test_a_folder_that_is_exchanged_while_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    real = os.mkdir

    def exchanged(name: str, *values: Any, **named: Any) -> None:
        real(name, *values, **named)
        os.chown(name, 12345, 12345, dir_fd=named["dir_fd"])

    monkeypatch.setattr(os, "mkdir", exchanged)
    with pytest.raises(BadParameter, match="was exchanged for another folder"):
        ready(tmp_path / "d")


# Who may read


def test_readers_may_read_and_nobody_else(open_path: Path) -> None:
    need_root()
    place = ready(open_path / "d", readers=(Reader(user=12345), Reader(group=23456)))
    write(place, FILES)
    for name in FILES:
        assert readable_by(12345, open_path / "d" / name)
        assert readable_by(12399, open_path / "d" / name, gid=23456)
        assert not readable_by(12399, open_path / "d" / name)
    os.setxattr(open_path / "d", acl.ATTRIBUTE, acl.encode(acl.letting(acl.NOBODY, 0)))
    assert not readable_by(12345, open_path / "d" / "key")
    asyncio.run(place.check())
    assert readable_by(12345, open_path / "d" / "key")


def test_what_a_folder_hands_down_counts_where_nobody_else_had_a_say(open_path: Path) -> None:
    need_root()
    for name, owner in (("ours", 0), ("theirs", 12345)):
        above = open_path / name
        above.mkdir(mode=0o755)
        os.chown(above, owner, owner)
        (above / "d").mkdir(mode=0o755)
        subprocess.run(["setfacl", "-m", "d:u:12345:rwx,d:o::rwx", str(above / "d")], check=True)
        os.chown(above / "d", owner, owner)
        (above / "d" / "identity").write_text("")  # lets a group read, which a list would widen
        subprocess.run(["setfacl", "-b", str(above / "d" / "identity")], check=True)
        (above / "d" / "identity").chmod(0o640)
        write(ready(above / "d"), {"key": b"x", "identity": b"x"})
    assert readable_by(12345, open_path / "ours" / "d" / "key")
    assert not readable_by(12345, open_path / "theirs" / "d" / "identity")
    assert not readable_by(12345, open_path / "theirs" / "d" / "key")
    assert not readable_by(12399, open_path / "ours" / "d" / "key")


def test_who_could_read_a_file_can_read_the_next_one(open_path: Path) -> None:
    need_root()
    place = ready(open_path / "d")
    write(place, {"key": b"1", "tlscert": b"1", "identity": b"1"})
    (open_path / "d").chmod(0o755)
    subprocess.run(["setfacl", "-m", "u:12345:r", str(open_path / "d" / "key")], check=True)
    os.chown(open_path / "d" / "tlscert", 0, 23456)
    (open_path / "d" / "tlscert").chmod(0o644)
    write(place, {"key": b"2", "tlscert": b"2", "identity": b"2"})
    assert readable_by(12345, open_path / "d" / "key")
    assert readable_by(12399, open_path / "d" / "tlscert", gid=23456)
    assert not readable_by(12399, open_path / "d" / "tlscert"), "everybody is never let in"
    assert not readable_by(12345, open_path / "d" / "identity")


def test_a_file_that_somebody_planted_lets_nobody_read(open_path: Path) -> None:
    need_root()
    os.chown(open_path, 12345, 12345)
    place = ready(open_path / "d")
    (open_path / "d").chmod(0o755)
    os.chown(open_path / "d", 12345, 12345)
    planted = open_path / "d" / "key"
    planted.write_text("")
    os.chown(planted, 12345, 12345)
    subprocess.run(["setfacl", "-m", "u:12346:rw", str(planted)], check=True)
    (open_path / "shared").write_text("")
    os.link(open_path / "shared", open_path / "d" / "tlscert")
    subprocess.run(["setfacl", "-m", "u:12346:rw", str(open_path / "shared")], check=True)
    write(place, {"key": b"secret", "tlscert": b"secret"})
    assert not any(readable_by(who, open_path / "d" / name) for who in (12345, 12346) for name in ("key", "tlscert"))
    assert (open_path / "shared").read_bytes() == b""


def test_a_file_system_without_access_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "setxattr", none)
    place = ready(tmp_path / "d", readers=(Reader(user=12345),))
    write(place, FILES)
    assert {mode(p) for p in (tmp_path / "d").rglob("*") if p.is_file()} == {0o600}
    with pytest.raises(NotSupported, match="cannot have access lists: its file system keeps none"):
        ready(tmp_path / "d", acls="required", readers=(Reader(user=12345),))
    with pytest.raises(NotSupported, match="cannot have access lists"):
        ready(tmp_path / "d", acls="required")
    monkeypatch.setattr(directory, "_LISTS", False)
    with pytest.raises(NotSupported, match="this system has none"):
        ready(tmp_path / "d", acls="required")


def test_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ready(tmp_path / "d", readers=(Reader(user=12345),))
    strict = ready(tmp_path / "d", readers=(Reader(user=12346),), acls="required")

    def not_ours(*_: Any) -> None:
        raise AccessDenied("DISK-DENIED", path="d", problem="operation not permitted")

    monkeypatch.setattr(folder.Folder, "let_in", not_ours)
    write(place, FILES)
    with pytest.raises(AccessDenied, match="operation not permitted"):
        write(strict, FILES)


def test_an_ordinary_user_is_told_who_they_should_be(open_path: Path) -> None:
    need_root()
    (open_path / "closed").mkdir(mode=0o700)
    code = (
        "import asyncio, os, sys\n"
        "from teleport.base.errors import TeleportError\n"
        "from teleport.bot.destinations import make\n"
        "from teleport.model.config.tbot_destinations import DirectoryDestination\n"
        "import teleport.base.catalogue.en.bot, teleport.base.catalogue.en.disk, concurrent.futures.thread\n"
        "os.setgid(12345); os.setuid(12345)\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        asyncio.run(make(DirectoryDestination(path=path)).prepare([]))\n"
        "    except TeleportError as error:\n"
        "        print(error.code, error.what, error.fix)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, f"{open_path}/closed/d", f"{open_path}/new", f"{open_path}/closed"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(said) == 3
    for line in said:
        assert line.startswith(f"DEST-DENIED no access to {open_path}")
        assert "the right user" in line
