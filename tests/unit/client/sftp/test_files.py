"""One file: that it stands under its name only when it is whole, and what is done where that cannot be."""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.client.sftp.files import Manner, download, upload
from teleport.client.sftp.session import Session
from teleport.wire.sftp import Attrs, Kind, Packet, Status
from tests.support.sftp_here import Scripted, served
from tests.unit.client.sftp.test_tree import replies

PLAIN = Manner(mark="m")


@pytest.fixture
def session() -> Iterator[Session]:
    with served() as channel:
        yield Session(channel)


def nobody_looks(size: int) -> None:
    """Of progress."""


def put(session: Session, source: Path, target: Path | bytes, manner: Manner = PLAIN) -> None:
    upload(session, os.fsencode(source), os.fsencode(target), manner, nobody_looks)


def get(session: Session, source: Path | bytes, target: Path, manner: Manner = PLAIN) -> None:
    download(session, os.fsencode(source), os.fsencode(target), manner, nobody_looks)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A disk that is full, as far as this process goes (setrlimit(2), RLIMIT_FSIZE)."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("work", [put, get])
def test_a_disk_that_is_full_leaves_no_half_file(session: Session, tmp_path: Path, work, existing: bool) -> None:  # type: ignore[no-untyped-def]
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(2_000_000))
    if existing:
        target.write_text("before")
    with no_file_larger_than(1_000_000), pytest.raises(TeleportError) as caught:
        work(session, source, target)
    assert caught.value.code == ("CLIENT-COPY-REMOTE" if work is put else "CLIENT-COPY-LOCAL")
    left = {path.name: path.read_bytes()[:10] for path in tmp_path.iterdir() if path != source}
    assert left == ({"target": b"before"} if existing else {})
    work(session, source, target)
    assert target.stat().st_size == 2_000_000, "the session goes on"


def test_what_is_written_in_its_place_and_fails_says_so(session: Session, tmp_path: Path) -> None:
    """A file with two names, here, and one whose folder takes no other, there: they are the same file afterwards."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(2_000_000))
    target.write_text("before")
    os.link(target, tmp_path / "second")
    with no_file_larger_than(1_000_000), pytest.raises(Unavailable) as caught:
        get(session, source, target)
    assert caught.value.code == "CLIENT-COPY-INCOMPLETE"
    get(session, source, target, Manner(preserve=True))
    assert (tmp_path / "second").stat().st_size == 2_000_000


def another_owner(
    *, fails: bool = False, opens: bool = True, kind: int = stat.S_IFREG
) -> tuple[Session, Scripted]:  # fmt: skip
    """A server on which a new file is not like the one that is to be replaced."""

    def answer(packet: Packet) -> list[Packet]:
        if packet.kind == Kind.FSTAT:
            return [Packet(Kind.ATTRS, packet.id, (Attrs(mode=kind | 0o600, uid=1, gid=1),))]
        if packet.kind == Kind.REALPATH:
            return [Packet(Kind.STATUS, packet.id, (Status.FAILURE, b""))]
        refused = packet.kind == Kind.OPEN and packet.fields[0].endswith(b".part") and not opens
        if refused or (fails and packet.kind == Kind.WRITE):
            return [Packet(Kind.STATUS, packet.id, (Status.PERMISSION_DENIED, b"no"))]
        return replies(packet, Attrs(mode=kind | 0o644, uid=2, gid=2))

    channel = Scripted(answer)
    session = Session(channel)
    session.resolve = lambda path: path  # type: ignore[method-assign]
    return session, channel


@pytest.mark.parametrize("opens", [False, True])
def test_a_file_of_somebody_else_is_written_in_its_place(tmp_path: Path, opens: bool) -> None:
    (tmp_path / "f").write_text("new")
    session, channel = another_owner(opens=opens)
    put(session, tmp_path / "f", b"/t", Manner(preserve=True, mark="m"))
    kinds = [(packet.kind, packet.fields[0]) for packet in channel.asked]
    assert (Kind.OPEN, b"/t") in kinds
    assert ((Kind.REMOVE, b"/t.m.part") in kinds) is opens
    assert all(packet.kind != Kind.RENAME for packet in channel.asked)
    failing, _ = another_owner(opens=opens, fails=True)
    with pytest.raises(Unavailable) as caught:
        put(failing, tmp_path / "f", b"/t")
    assert caught.value.code == "CLIENT-COPY-INCOMPLETE"


@pytest.mark.parametrize(("kind", "changes"), [(stat.S_IFREG, 1), (stat.S_IFCHR, 0)])
def test_permissions_of_a_device_are_left_alone(tmp_path: Path, kind: int, changes: int) -> None:
    (tmp_path / "f").write_text("new")
    session, channel = another_owner(kind=kind)
    put(session, tmp_path / "f", b"/t", Manner(preserve=True, mark="m"))
    asked = [packet.kind for packet in channel.asked]
    assert (asked.count(Kind.FSETSTAT), asked.count(Kind.SETSTAT)) == (changes, 0)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_copy_that_is_stopped_removes_what_is_half_done(session: Session, tmp_path: Path, after: int) -> None:
    (tmp_path / "f").write_bytes(bytes(30_000_000))
    arrived: list[int] = []

    def stop(size: int) -> None:
        arrived.append(size)
        session.stopping = len(arrived) > after

    for work, target in ((upload, tmp_path / "up"), (download, tmp_path / "down")):
        arrived.clear()
        with pytest.raises(KeyboardInterrupt):
            work(session, os.fsencode(tmp_path / "f"), os.fsencode(target), PLAIN, stop)
        assert [path.name for path in tmp_path.iterdir()] == ["f"]
    put(session, tmp_path / "f", tmp_path / "again")
    assert (tmp_path / "again").stat().st_size == 30_000_000


def test_only_files_have_contents(session: Session, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for work, source, target in ((put, tmp_path / "pipe", tmp_path / "x"), (get, tmp_path, tmp_path / "x")):
        with pytest.raises(BadParameter) as caught:
            work(session, source, target)
        assert caught.value.code == "CLIENT-COPY-KIND"
    assert not (tmp_path / "x").exists()


def test_privileges_of_a_program_are_not_copied(session: Session, tmp_path: Path) -> None:
    (tmp_path / "su").write_text("x")
    (tmp_path / "su").chmod(0o4755)
    put(session, tmp_path / "su", tmp_path / "there", Manner(preserve=True))
    get(session, tmp_path / "su", tmp_path / "here", Manner(preserve=True))
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("there", "here")] == [0o755, 0o755]


def test_files_that_are_closed_stay_so(session: Session, tmp_path: Path) -> None:
    """From the first byte on: nobody else reads a part of a private file."""
    (tmp_path / "key").write_text("secret")
    (tmp_path / "key").chmod(0o400)
    put(session, tmp_path / "key", tmp_path / "there")
    get(session, tmp_path / "key", tmp_path / "here")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("there", "here")] == [0o400, 0o400]


def test_a_file_of_the_kernel(session: Session, tmp_path: Path) -> None:
    get(session, b"/proc/self/status", tmp_path / "status")
    assert b"Name:" in (tmp_path / "status").read_bytes()
