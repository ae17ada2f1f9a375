"""What the client believes of a server, and what it does when the server does not behave."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from teleport.base.errors import AccessDenied, NotFound, TeleportError, Unavailable
from teleport.client.sftp.contents import Fetch, store
from teleport.client.sftp.session import CHUNK, Session
from teleport.wire import sftp
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import PAYLOAD, VERSION, Attrs, Entry, Kind, Open, Packet, Status
from tests.support.sftp_here import Scripted, served

OLD = Packet(Kind.VERSION, VERSION, ({},))
Answers = Callable[[Packet], list[Packet]]


def scripted(answers: Answers, version: Packet = OLD) -> tuple[Session, Scripted]:
    """A session with a server that answers as `answers` says, after the version."""
    channel = Scripted(lambda packet: [version] if packet.kind == Kind.INIT else answers(packet))
    return Session(channel), channel


def always(kind: int, *fields: object) -> Answers:
    return lambda packet: [Packet(kind, packet.id, fields)]


def status(code: int, text: bytes = b"") -> Answers:
    return always(Kind.STATUS, code, text)


def test_limits_are_those_of_the_server() -> None:
    with served() as channel:
        session = Session(channel)
        assert (session.chunk, session.window) == (PAYLOAD, 16)
    old, _ = scripted(status(Status.OK))
    assert (old.chunk, old.window) == (CHUNK, 64)

    def limits(packet: Packet) -> list[Packet]:
        numbers = (1000, 0, 600, 1)
        return [Packet(Kind.EXTENDED_REPLY, packet.id, (b"".join(n.to_bytes(8, "big") for n in numbers),))]

    known = Packet(Kind.VERSION, VERSION, ({b"limits@openssh.com": b"1"},))
    assert scripted(limits, known)[0].chunk == 600
    assert scripted(status(Status.OP_UNSUPPORTED), known)[0].chunk == CHUNK


@pytest.mark.parametrize(
    "first", [Packet(Kind.VERSION, 2, ({},)), Packet(Kind.STATUS, VERSION, (0, b""))], ids=["version", "status"]
)
def test_another_protocol_is_refused(first: Packet) -> None:
    with pytest.raises(ProtocolError):
        scripted(status(0), first)


def test_a_connection_that_ends() -> None:
    session, _ = scripted(lambda packet: [])
    with pytest.raises(Unavailable) as caught:
        session.stat(b"/f")
    assert caught.value.code == "CLIENT-COPY-LOST"


@pytest.mark.parametrize(
    ("code", "text", "kind", "said"),
    [
        (Status.NO_SUCH_FILE, b"", NotFound, "no such file"),
        (Status.PERMISSION_DENIED, b"not yours", AccessDenied, "not yours"),
        (Status.FAILURE, b"no \x1b[2Jspace\xff", Unavailable, "no \\x1b[2Jspace\\xff"),
        (99, b"", Unavailable, "status 99"),
        (Status.OK, b"", ProtocolError, ""),
    ],
)
def test_refusals(code: int, text: bytes, kind: type[TeleportError], said: str) -> None:
    session, _ = scripted(status(code, text))
    with pytest.raises(kind) as caught:
        session.stat(b"/f\x07")
    assert not said or (caught.value.fields["said"], caught.value.fields["path"]) == (said, "/f\\x07")


def test_answers_that_make_no_sense() -> None:
    for wrong in (lambda packet: [Packet(Kind.ATTRS, packet.id + 1, (Attrs(),))], always(Kind.DATA, b"")):
        session, _ = scripted(wrong)
        with pytest.raises(ProtocolError):
            session.stat(b"/f")
    two = always(Kind.NAME, (Entry(b"/a"), Entry(b"/b")))
    with pytest.raises(ProtocolError):
        scripted(two)[0].resolve(b".")


def folder(*batches: tuple[Entry, ...]) -> Answers:
    """A server with one folder."""
    left = list(batches)

    def answer(packet: Packet) -> list[Packet]:
        if packet.kind == Kind.OPENDIR:
            return [Packet(Kind.HANDLE, packet.id, (b"h",))]
        if packet.kind == Kind.READDIR:
            done = Packet(Kind.STATUS, packet.id, (Status.EOF, b""))
            return [Packet(Kind.NAME, packet.id, (left.pop(0),)) if left else done]
        return [Packet(Kind.STATUS, packet.id, (Status.OK, b""))]

    return answer


def test_folders() -> None:
    session, _ = scripted(folder((Entry(b"."), Entry(b"..")), (Entry(b"a"), Entry(b"b"))))
    assert [entry.name for entry in session.names(b"/d")] == [b"a", b"b"]
    with pytest.raises(ProtocolError):
        scripted(folder(()))[0].names(b"/d")
    broken = folder((Entry(b"a"),))
    failing = scripted(lambda p: status(Status.FAILURE)(p) if p.kind == Kind.READDIR else broken(p))[0]
    with pytest.raises(Unavailable):
        failing.names(b"/d")


def test_a_folder_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleport.client.sftp.session.FOLDER_NAMES", 5)
    with pytest.raises(ProtocolError):
        scripted(folder(*[(Entry(b"a"), Entry(b"b"))] * 9))[0].names(b"/d")


def test_homes() -> None:
    session, channel = scripted(always(Kind.NAME, (Entry(b"/home/me"),)))
    for path, asked in ((b"~", b"."), (b"~/x", b"x"), (b"", b"."), (b"/y", b"/y")):
        assert session.resolve(path) == b"/home/me"
        assert channel.asked[-1][2:3] == ((asked,),)
    with served() as real:
        assert Session(real).resolve(b"~") == os.fsencode(os.path.realpath(os.path.expanduser("~root")))


def test_replacing_where_the_server_cannot_at_once() -> None:
    session, channel = scripted(status(Status.OK))
    session.replace(b"a", b"b")
    assert [packet.kind for packet in channel.asked[1:]] == [Kind.REMOVE, Kind.RENAME]


def test_making_a_folder(tmp_path: Path) -> None:
    with served() as channel:
        session, path = Session(channel), os.fsencode(tmp_path / "d")
        assert session.make_folder(path, 0o755) is True
        assert session.make_folder(path, 0o755) is False
        (tmp_path / "f").write_text("")
        with pytest.raises(Unavailable):
            session.make_folder(os.fsencode(tmp_path / "f"), 0o755)
        assert session.exists(path)
        assert session.find(path + b"/none") is None


# Contents


def test_short_answers_are_asked_for_again(tmp_path: Path) -> None:
    """A server may send less than was asked for, and in another order."""
    contents, held = os.urandom(300_000), list[Packet]()

    def answer(packet: Packet) -> list[Packet]:
        _, offset, length = packet.fields
        data = contents[offset : offset + min(length, 20_000)]
        reply = Packet(Kind.DATA, packet.id, (data,)) if data else Packet(Kind.STATUS, packet.id, (Status.EOF, b""))
        if not held:
            held.append(reply)
            return []
        return [reply, held[0]] if packet.id == held[0].id + 1 else [reply]

    session, _ = scripted(answer)
    target = tmp_path / "f"
    with target.open("wb") as file:
        Fetch(session, b"/f", b"h", file.fileno(), lambda size: None).run(len(contents))
    assert target.read_bytes() == contents


def test_a_file_that_says_it_is_empty(tmp_path: Path) -> None:
    contents = b"x" * 100_000
    with served() as channel, (tmp_path / "f").open("wb") as file:
        (tmp_path / "source").write_bytes(contents)
        session, seen = Session(channel), list[int]()
        handle = session.open(os.fsencode(tmp_path / "source"), Open.READ, Attrs())
        Fetch(session, b"/f", handle, file.fileno(), seen.append).run(0)
    assert (tmp_path / "f").read_bytes() == contents
    assert sum(seen) == len(contents)


def test_to_a_pipe_in_order(tmp_path: Path) -> None:
    contents = os.urandom(50_000)
    (tmp_path / "source").write_bytes(contents)
    reading, writing = os.pipe()
    with served() as channel, os.fdopen(reading, "rb") as pipe:
        session = Session(channel)
        handle = session.open(os.fsencode(tmp_path / "source"), Open.READ, Attrs())
        Fetch(session, b"/f", handle, writing, lambda size: None).run(len(contents), in_order=True)
        os.close(writing)
        assert pipe.read() == contents


def test_a_file_that_is_cut_meanwhile(tmp_path: Path) -> None:
    with served() as channel, (tmp_path / "f").open("wb") as file:
        (tmp_path / "source").write_bytes(b"short")
        session = Session(channel)
        handle = session.open(os.fsencode(tmp_path / "source"), Open.READ, Attrs())
        with pytest.raises(Unavailable) as caught:
            Fetch(session, b"/f", handle, file.fileno(), lambda size: None).run(1_000_000)
        assert (caught.value.code, caught.value.fields["arrived"]) == ("CLIENT-COPY-SHORT", "5")
        assert session.stat(os.fsencode(tmp_path)).mode, "answers that are still to come confuse nobody"


@pytest.mark.parametrize(
    "wrong",
    [always(Kind.DATA, b""), always(Kind.DATA, b"x" * 11), always(Kind.HANDLE, b"h"),
     lambda packet: [Packet(Kind.DATA, packet.id + 7, (b"x",))]],
    ids=["nothing", "too much", "another kind", "another request"],
)  # fmt: skip
def test_contents_that_were_not_asked_for(wrong: Answers, tmp_path: Path) -> None:
    session, _ = scripted(wrong)
    with (tmp_path / "f").open("wb") as file, pytest.raises(ProtocolError):
        Fetch(session, b"/f", b"h", file.fileno(), lambda size: None).run(10)


def test_sending_stops_at_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(10 * CHUNK))
    session, channel = scripted(status(Status.FAILURE, b"no space"))
    with (tmp_path / "f").open("rb") as file, pytest.raises(Unavailable) as caught:
        store(session, b"/f", b"h", file.fileno(), lambda size: None)
    assert caught.value.fields["said"] == "no space"
    with pytest.raises(Unavailable):
        session.stat(b"/f")
    assert channel.asked[-1].kind == Kind.STAT, "answers of the writes do not stand in its way"


def test_names_of_extensions_are_known_by_version() -> None:
    version = Packet(Kind.VERSION, VERSION, ({b"fsync@openssh.com": b"2", b"statvfs@openssh.com": b"2"},))
    session, _ = scripted(status(0), version)
    assert session.knows(sftp.STATVFS)
    assert not session.knows(sftp.FSYNC)
