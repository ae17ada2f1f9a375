"""Files and trees, both ways, with our own server at the other end; and what a hostile one cannot do."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from teleport.base.errors import BadParameter, TeleportError
from teleport.client.sftp import tree as module
from teleport.client.sftp.files import Manner, upload
from teleport.client.sftp.session import Session
from teleport.wire.sftp import VERSION, Attrs, Entry, Kind, Packet, Status
from tests.support.sftp_here import Scripted, SocketChannel, copier, served, served_by_openssh
from tests.support.terminal import shown

NAMES = ["plain", "with blank", "-rf", "ünïcode", "new\nline", ".hidden", "quote'\"", "\udcff\udcfe", "a:b", "*"]


Served = Callable[[], AbstractContextManager[SocketChannel]]


@pytest.fixture(params=[served, served_by_openssh])
def channel(request: pytest.FixtureRequest) -> Iterator[SocketChannel]:
    with request.param() as channel:
        yield channel


def grow(folder: Path) -> None:
    """Make a tree with everything that names and modes have to offer."""
    (folder / "deep" / "deeper").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (folder / "deep" / name).write_bytes(os.urandom(number * 997))
    (folder / "empty").write_bytes(b"")
    (folder / "large").write_bytes(os.urandom(3_000_000))
    (folder / "program").write_bytes(b"#!/bin/sh\n")
    (folder / "program").chmod(0o751)
    (folder / "link").symlink_to("large")
    (folder / "deep" / "closed").mkdir()
    (folder / "deep" / "closed" / "inside").write_bytes(b"in")
    (folder / "deep" / "closed").chmod(0o555)
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (1_000_000_000, 1_100_000_000 + len(path.name)))


def sums(folder: Path, *, exact: bool = False) -> dict[str, object]:
    """Return what is in a tree, through links; with modes and times if they are to be the same."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        facts = path.stat()
        kept = (stat.S_IMODE(facts.st_mode), int(facts.st_mtime)) if exact else ()
        contents = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = (contents, *kept)
    return found


def encoded(*paths: Path) -> list[bytes]:
    return [os.fsencode(path) for path in paths]


@pytest.mark.parametrize("preserve", [False, True])
def test_a_tree_there_and_back(channel: SocketChannel, tmp_path: Path, preserve: bool) -> None:
    source, there, back = tmp_path / "source", tmp_path / "there", tmp_path / "back"
    source.mkdir()
    grow(source)
    failures: list[TeleportError] = []
    work = copier(Session(channel), failures, recursive=True, preserve=preserve)
    work.upload(encoded(source), os.fsencode(there))
    work.download(encoded(there), os.fsencode(back))
    assert not failures
    assert sums(source, exact=preserve) == sums(there, exact=preserve) == sums(back, exact=preserve)
    assert stat.S_IMODE((there / "program").stat().st_mode) == (0o751 if preserve else 0o751 & ~umask())


def umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


def test_into_a_folder_and_onto_a_file(channel: SocketChannel, tmp_path: Path) -> None:
    for name in ("a", "b", "old"):
        (tmp_path / name).write_text(name)
    (tmp_path / "old").chmod(0o640)
    (tmp_path / "d").mkdir()
    failures: list[TeleportError] = []
    work = copier(Session(channel), failures)
    work.upload(encoded(tmp_path / "a", tmp_path / "b"), os.fsencode(tmp_path / "d"))
    work.upload(encoded(tmp_path / "a"), os.fsencode(tmp_path / "old"))
    assert [(tmp_path / "d" / name).read_text() for name in "ab"] == ["a", "b"]
    assert (tmp_path / "old").read_text() == "a"
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640, "a file that is replaced keeps its permissions"
    (tmp_path / "e").mkdir()
    work.download(encoded(tmp_path / "a", tmp_path / "b"), os.fsencode(tmp_path / "e"))
    work.download(encoded(tmp_path / "b"), os.fsencode(tmp_path / "old"))
    assert [(tmp_path / "e" / name).read_text() for name in "ab"] == ["a", "b"]
    assert ((tmp_path / "old").read_text(), stat.S_IMODE((tmp_path / "old").stat().st_mode)) == ("b", 0o640)
    assert not failures
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_targets_that_must_be_folders(channel: SocketChannel, tmp_path: Path, direction: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    work = copier(Session(channel), [])
    for sources, target in ((("a", "b"), "none"), (("a", "b"), "b"), (("a",), "none/")):
        with pytest.raises(BadParameter) as caught:
            getattr(work, direction)(
                encoded(*(tmp_path / n for n in sources)), os.fsencode(tmp_path) + b"/" + target.encode()
            )
        assert caught.value.code == "CLIENT-COPY-TARGET"


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_what_fails_does_not_keep_the_rest(
    channel: SocketChannel, tmp_path: Path, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEPTH", 3)
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in ("a", "z"):
        (source / name).write_text(name)
    (source / "dangling").symlink_to("nothing")
    (source / "circle").symlink_to(".")
    os.mkfifo(source / "pipe")
    failures: list[TeleportError] = []
    work = copier(Session(channel), failures, recursive=True)
    getattr(work, direction)(encoded(source), os.fsencode(target))
    missing = "CLIENT-COPY-LOCAL" if direction == "upload" else "CLIENT-COPY-REMOTE"
    assert {error.code for error in failures} == {"CLIENT-COPY-KIND", "CLIENT-COPY-DEEP", missing}
    assert [(target / name).read_text() for name in "az"] == ["a", "z"]


def test_a_folder_needs_to_be_asked_for(channel: SocketChannel, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    failures: list[TeleportError] = []
    work = copier(Session(channel), failures)
    work.upload(encoded(tmp_path / "d"), os.fsencode(tmp_path / "e"))
    work.download(encoded(tmp_path / "d"), os.fsencode(tmp_path / "e"))
    assert [error.code for error in failures] == ["CLIENT-COPY-FOLDER"] * 2
    assert not (tmp_path / "e").exists()


def test_patterns(channel: SocketChannel, tmp_path: Path) -> None:
    for folder in ("x1", "x2"):
        (tmp_path / folder).mkdir()
        for name in ("a.conf", "b.conf", ".c.conf", "d.txt"):
            (tmp_path / folder / name).write_text(folder + name)
    (tmp_path / "x1" / "[odd]*").write_text("odd")
    target = tmp_path / "target"
    target.mkdir()
    failures: list[TeleportError] = []
    work = copier(Session(channel), failures)
    root = os.fsencode(tmp_path)
    work.download([root + b"/x?/a.conf", root + b"/x1/[b-d]*"], os.fsencode(target))
    assert {path.name for path in target.iterdir()} == {"a.conf", "b.conf", "d.txt"}
    work.download([root + b"/x1/[odd]*"], os.fsencode(target))
    assert (target / "[odd]*").read_text() == "odd", "what is there under this very name is meant"
    work.download([root + b"/x1/*.none", root + b"/d*/x"], os.fsencode(target))
    work.download([root + b"/x1/d.txt/*"], os.fsencode(target))
    assert [error.code for error in failures] == ["CLIENT-COPY-REMOTE"] * 3


def test_too_many_names_for_a_pattern(channel: SocketChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MATCHES", 1)
    for name in "ab":
        (tmp_path / name).write_text("")
    failures: list[TeleportError] = []
    copier(Session(channel), failures).download([os.fsencode(tmp_path) + b"/*"], os.fsencode(tmp_path))
    assert [error.code for error in failures] == ["CLIENT-COPY-MANY"]


@pytest.mark.parametrize("server", [served, served_by_openssh])
def test_relative_paths_and_points(server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the server starts there, too
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "f").write_text("f")
    (tmp_path / "out").mkdir()
    with server() as channel:
        work = copier(Session(channel), [], recursive=True)
        work.download([b"in/."], b"out")
        assert (tmp_path / "out" / "in" / "f").read_text() == "f"
        work.upload([b"in/f"], b"")
        assert (tmp_path / "f").read_text() == "f"
        work.download([b"in/*"], b"./")
        assert (tmp_path / "f").read_text() == "f"


@pytest.mark.parametrize("where", ["upload", "download"])
def test_through_links_and_what_has_several_names(channel: SocketChannel, tmp_path: Path, where: str) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "real").write_text("old")
    (tmp_path / "soft").symlink_to("real")
    work = copier(Session(channel), [])
    getattr(work, where)(encoded(tmp_path / "new"), os.fsencode(tmp_path / "soft"))
    assert (tmp_path / "soft").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    os.link(tmp_path / "real", tmp_path / "other")
    (tmp_path / "new").write_text("newer")
    work.download(encoded(tmp_path / "new"), os.fsencode(tmp_path / "real"))
    assert (tmp_path / "other").read_text() == "newer", "all names of a file of this machine still mean the same one"


def test_to_a_device(channel: SocketChannel, tmp_path: Path) -> None:
    """A terminal of our own: a device that no test can spoil for others."""
    (tmp_path / "f").write_bytes(b"to the terminal\n")
    (tmp_path / "f").chmod(0o600)
    reading, writing = os.openpty()
    try:
        device, before = os.ttyname(writing), os.fstat(writing).st_mode
        failures: list[TeleportError] = []
        copier(Session(channel), failures, preserve=True).download(encoded(tmp_path / "f"), device.encode())
        assert not failures
        assert shown(reading, b"\r\n") == b"to the terminal\r\n"
        assert os.fstat(writing).st_mode == before
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("existing", [False, True])
def test_a_connection_that_is_cut_leaves_no_half_file(channel: SocketChannel, tmp_path: Path, existing: bool) -> None:
    (tmp_path / "f").write_bytes(os.urandom(5_000_000))
    if existing:
        (tmp_path / "target").write_text("before")
    session = Session(channel)
    channel.left = 2_000_000
    with pytest.raises(TeleportError) as caught:
        copier(session, []).upload(encoded(tmp_path / "f"), os.fsencode(tmp_path / "target"))
    assert caught.value.code == "CLIENT-COPY-LOST"
    assert [path.read_text() for path in tmp_path.glob("target")] == (["before"] if existing else [])


@pytest.mark.parametrize("existing", [False, True])
def test_a_download_that_is_cut_leaves_nothing(tmp_path: Path, existing: bool) -> None:
    target = tmp_path / "target"
    if existing:
        target.write_text("before")
    sent = 0

    def answer(packet: Packet) -> list[Packet]:
        nonlocal sent
        attrs = Attrs(size=1_000_000, mode=0o100644)
        if packet.kind == Kind.READ:
            sent += 1
            return [Packet(Kind.DATA, packet.id, (bytes(packet.fields[2]),))] if sent < 5 else []
        return replies(packet, attrs)

    with pytest.raises(TeleportError) as caught:
        copier(Session(Scripted(answer)), []).download([b"/f"], os.fsencode(target))
    assert caught.value.code == "CLIENT-COPY-LOST"
    assert [path.read_text() for path in tmp_path.iterdir()] == (["before"] if existing else [])


def replies(packet: Packet, attrs: Attrs) -> list[Packet]:
    """What any server answers."""
    by_kind = {
        Kind.INIT: Packet(Kind.VERSION, VERSION, ({},)), Kind.STAT: Packet(Kind.ATTRS, packet.id, (attrs,)),
        Kind.LSTAT: Packet(Kind.ATTRS, packet.id, (attrs,)), Kind.FSTAT: Packet(Kind.ATTRS, packet.id, (attrs,)),
        Kind.OPEN: Packet(Kind.HANDLE, packet.id, (b"h",)), Kind.OPENDIR: Packet(Kind.HANDLE, packet.id, (b"d",)),
    }  # fmt: skip
    return [by_kind.get(packet.kind, Packet(Kind.STATUS, packet.id, (Status.OK, b"")))]


@pytest.mark.parametrize("name", [b"../escaped", b"/tmp/escaped", b"a/../../escaped", b"..", b"", b"nul\0"])
@pytest.mark.parametrize("pattern", [False, True])
def test_a_server_cannot_choose_where_files_go(tmp_path: Path, name: bytes, pattern: bool) -> None:
    """Names of a listing that are paths: class of CVE-2019-6111 and of many since."""
    inside = tmp_path / "work" / "inside"
    inside.mkdir(parents=True)
    listed = 0

    def answer(packet: Packet) -> list[Packet]:
        nonlocal listed
        kinds = {b"/d": 0o40755, b"/d/good": 0o100644}
        if packet.kind in (Kind.STAT, Kind.LSTAT, Kind.FSTAT):
            if packet.fields[0] == b"/d/*":
                return [Packet(Kind.STATUS, packet.id, (Status.NO_SUCH_FILE, b""))]
            mode = kinds.get(packet.fields[0], 0o100644)
            return [Packet(Kind.ATTRS, packet.id, (Attrs(size=4, mode=mode),))]
        if packet.kind == Kind.READDIR:
            listed += 1
            if listed % 2 == 0:
                return [Packet(Kind.STATUS, packet.id, (Status.EOF, b""))]
            return [Packet(Kind.NAME, packet.id, ((Entry(b"good"), Entry(name)),))]
        if packet.kind == Kind.READ:
            return [Packet(Kind.DATA, packet.id, (b"evil",))]
        return replies(packet, Attrs())

    failures: list[TeleportError] = []
    work = copier(Session(Scripted(answer)), failures, recursive=True)
    work.download([b"/d/*" if pattern else b"/d"], os.fsencode(inside))
    assert {path.name for path in (tmp_path / "work").rglob("*")} <= {"inside", "d", "good"}
    assert not Path("/tmp/escaped").exists()
    assert {error.code for error in failures} <= {"CLIENT-COPY-NAME"}
    assert failures or name == b".." or pattern, "that it happened is told; `..` is in every folder"


def test_a_server_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    def answer(packet: Packet) -> list[Packet]:
        if packet.kind == Kind.READ:
            return [Packet(Kind.STATUS, packet.id, (Status.FAILURE, b"\x1b]0;title\x07\x1b[2J"))]
        return replies(packet, Attrs(mode=0o100644, size=1))

    failures: list[TeleportError] = []
    copier(Session(Scripted(answer)), failures).download([b"/\x1b[31mred"], os.fsencode(tmp_path))
    assert str(failures[0]).isprintable()


def test_what_cannot_be_kept_is_told(channel: SocketChannel, tmp_path: Path) -> None:
    """A read of a file that is a folder for one side, and a target below a file."""
    (tmp_path / "f").write_text("f")
    failures: list[TeleportError] = []
    work = copier(Session(channel), failures)
    work.upload(encoded(tmp_path / "missing"), os.fsencode(tmp_path / "x"))
    work.upload(encoded(tmp_path / "f"), os.fsencode(tmp_path / "f" / "below"))
    work.download(encoded(tmp_path / "missing"), os.fsencode(tmp_path / "x"))
    work.download(encoded(tmp_path / "f"), os.fsencode(tmp_path / "f" / "below"))
    assert [error.code for error in failures] == [
        "CLIENT-COPY-LOCAL", "CLIENT-COPY-REMOTE", "CLIENT-COPY-REMOTE", "CLIENT-COPY-LOCAL",
    ]  # fmt: skip
    assert all(error.why and error.fix for error in failures)


def test_both_at_once(tmp_path: Path) -> None:
    """Two copies to one name: each has a part of its own, and one of them is the file in the end."""
    contents = [os.urandom(2_000_000) for _ in range(2)]

    def put(number: int) -> None:
        with served() as channel:
            source = tmp_path / str(number)
            source.write_bytes(contents[number])
            session, manner = Session(channel), Manner(mark=f"m{number}")
            upload(session, os.fsencode(source), os.fsencode(tmp_path / "goal"), manner, lambda size: None)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "goal").read_bytes() in contents
