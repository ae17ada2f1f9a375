"""What the audit log is told of an SFTP channel, and that the tap cannot be led astray."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh import sftp_tap
from teleport.agents.ssh.sftp_server import serve
from teleport.agents.ssh.sftp_story import PATH_CHARACTERS, TRANSFERS
from teleport.agents.ssh.sftp_tap import EVENTS, SftpTap
from teleport.model.events.base import Event, decode, document, encode
from teleport.wire import sftp
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import VERSION, Attrs, Entry, Kind, Open, Packet, Packets, Status, read, write
from tests.unit.agents.ssh.test_audit import CONTEXT

NONE = Attrs()
ENDED = (Status.OK, b"")


class Channel:
    """A tap with both of its ends played by the test."""

    def __init__(self, most: int = EVENTS) -> None:
        self.told: list[Event] = []
        self.tap = SftpTap(self.told.append, CONTEXT, most=most)
        self._id = 0
        self.tap.from_client(write(Packet(Kind.INIT, VERSION, ({},))))
        self.tap.from_server(write(Packet(Kind.VERSION, VERSION, ({},))))

    def request(self, kind: int, *fields: Any, name: str = "") -> int:
        self._id += 1
        self.tap.from_client(write(Packet(kind, self._id, fields, name)))
        return self._id

    def answer(self, id: int, kind: int, *fields: Any) -> None:
        self.tap.from_server(write(Packet(kind, id, fields)))

    def done(self, kind: int, *fields: Any, status: tuple[int, bytes] = ENDED, name: str = "") -> None:
        self.answer(self.request(kind, *fields, name=name), Kind.STATUS, *status)

    def open(self, path: bytes, handle: bytes = b"h", flags: int = Open.READ, attrs: Attrs = NONE) -> None:
        self.answer(self.request(Kind.OPEN, path, flags, attrs), Kind.HANDLE, handle)

    def events(self) -> list[dict[str, Any]]:
        """What the log has, as it is read back, without what all events share."""
        shared = CONTEXT.fields().keys() | {"server_labels", "addr.remote", "addr.local", "event"}
        found = [document(decode(encode(event))) for event in self.told]
        assert all(event["sid"] == "session-1" and event["user"] == "carol" for event in found)
        return [{key: value for key, value in event.items() if key not in shared} for event in found]


def test_a_file_that_is_copied() -> None:
    channel = Channel()
    channel.open(b"/f", flags=Open.WRITE | Open.CREATE, attrs=Attrs(mode=0o600, atime=1, mtime=2))
    for offset in (0, 1000):
        channel.done(Kind.WRITE, b"h", offset, bytes(1000))
    channel.answer(channel.request(Kind.READ, b"h", 0, 500), Kind.DATA, bytes(300))
    channel.done(Kind.READ, b"h", 300, 500, status=(Status.EOF, b"end"))
    channel.done(Kind.CLOSE, b"h")
    channel.tap.close()
    attributes = {"permissions": 0o600, "access_time": 1, "modification_time": 2}
    assert channel.events() == [
        {"code": "TS001I", "action": 1, "path": "/f", "flags": 10, "attributes": attributes},
        {"code": "TS002I", "action": 2, "path": "/f", "bytes_read": 300, "bytes_written": 2000},
        {"code": "TS021I", "bytes_read": 300, "bytes_written": 2000, "operations": {"open": 1, "close": 1},
         "file_transfer_stats": ({"path": "/f", "bytes_read": 300, "bytes_written": 2000},)},
    ]  # fmt: skip


CHANGES = [
    (Kind.REMOVE, (b"/f",), {"code": "TS011", "action": 11, "path": "/f"}),
    (Kind.MKDIR, (b"/d", Attrs(mode=0o755)),
     {"code": "TS012", "action": 12, "path": "/d", "attributes": {"permissions": 0o755}}),
    (Kind.RMDIR, (b"/d",), {"code": "TS013", "action": 13, "path": "/d"}),
    (Kind.RENAME, (b"/a", b"/b"), {"code": "TS016", "action": 16, "path": "/a", "target_path": "/b"}),
    (sftp.POSIX_RENAME, (b"/a", b"/b"), {"code": "TS016", "action": 16, "path": "/a", "target_path": "/b"}),
    (Kind.SYMLINK, (b"target", b"/link"), {"code": "TS018", "action": 18, "path": "/link", "target_path": "target"}),
    (sftp.HARDLINK, (b"/a", b"/b"), {"code": "TS019", "action": 19, "path": "/a", "target_path": "/b"}),
    (Kind.SETSTAT, (b"/f", Attrs(size=5)),
     {"code": "TS007", "action": 7, "path": "/f", "attributes": {"file_size": 5}}),
    (sftp.LSETSTAT, (b"/f", Attrs(uid=0, gid=7)),
     {"code": "TS007", "action": 7, "path": "/f", "attributes": {"uid": 0, "gid": 7}}),
    (Kind.FSETSTAT, (b"h", Attrs(mode=1)),
     {"code": "TS008", "action": 8, "path": "/open", "attributes": {"permissions": 1}}),
    (Kind.FSETSTAT, (b"other", NONE), {"code": "TS008", "action": 8}),
    (sftp.COPY_DATA, (b"h", 0, 0, b"g", 0),
     {"code": "TS004", "action": 4, "path": "/open", "target_path": "/goal"}),
]  # fmt: skip


@pytest.mark.parametrize("status", [ENDED, (Status.PERMISSION_DENIED, b"not yours"), (Status.FAILURE, b""), (77, b"")])
@pytest.mark.parametrize(("kind", "fields", "event"), CHANGES, ids=lambda value: str(value)[:30])
def test_changes(kind: int | str, fields: tuple[Any, ...], event: dict[str, Any], status: tuple[int, bytes]) -> None:
    channel = Channel()
    channel.open(b"/open")
    channel.open(b"/goal", b"g")
    name = kind if isinstance(kind, str) else ""
    channel.done(Kind.EXTENDED if name else int(kind), *fields, status=status, name=name)
    error = (
        {} if status == ENDED else {"error": (status[1] or (b"failure" if status[0] == 4 else b"status 77")).decode()}
    )
    assert channel.events()[2:] == [{**event, "code": event["code"] + ("E" if error else "I"), **error}]


@pytest.mark.parametrize("kind", [Kind.STAT, Kind.LSTAT, Kind.READLINK, Kind.FSTAT, sftp.LIMITS, sftp.STATVFS, "x@y"])
def test_looking_is_not_told(kind: int | str) -> None:
    channel = Channel()
    fields = () if kind == sftp.LIMITS else (b"/f",)
    name = kind if isinstance(kind, str) else ""
    channel.done(Kind.EXTENDED if name else int(kind), *fields, name=name)
    channel.tap.close()
    assert channel.events() == [{"code": "TS021I"}]


def test_folders_are_told_once() -> None:
    channel = Channel()
    channel.answer(channel.request(Kind.OPENDIR, b"/d"), Kind.HANDLE, b"h")
    for _ in range(3):
        channel.answer(channel.request(Kind.READDIR, b"h"), Kind.NAME, (Entry(b"name", b"x" * 9000),))
    channel.done(Kind.READDIR, b"h", status=(Status.EOF, b""))
    channel.done(Kind.CLOSE, b"h")
    channel.done(Kind.OPENDIR, b"/no", status=(Status.NO_SUCH_FILE, b""))
    channel.done(Kind.READDIR, b"none", status=(Status.FAILURE, b""))
    assert channel.events() == [
        {"code": "TS010I", "action": 10, "path": "/d"},
        {"code": "TS009E", "action": 9, "path": "/no", "error": "no such file"},
    ]


def test_where_relative_paths_begin() -> None:
    channel = Channel()
    channel.done(Kind.REALPATH, b"/x", status=(Status.FAILURE, b""))
    channel.answer(channel.request(Kind.REALPATH, b"."), Kind.NAME, (Entry(b"/home/carol"),))
    channel.done(Kind.REMOVE, b"f")
    channel.done(Kind.REMOVE, b"/f")
    assert [event.get("working_directory") for event in channel.events()] == ["/home/carol", None]


def test_contents_that_fail_are_told_once_for_each_file() -> None:
    channel = Channel()
    channel.open(b"/f")
    for _ in range(3):
        channel.done(Kind.WRITE, b"h", 0, b"x", status=(Status.FAILURE, b"no space"))
        channel.done(Kind.READ, b"h", 0, 5, status=(Status.FAILURE, b"no reading"))
        channel.done(Kind.READ, b"none", 0, 5, status=(Status.FAILURE, b"no reading"))
    channel.done(Kind.CLOSE, b"h", status=(Status.FAILURE, b"quota"))
    channel.done(Kind.CLOSE, b"h", status=(Status.FAILURE, b"no handle"))
    assert [(event["code"], event.get("error")) for event in channel.events()[1:]] == [
        ("TS004E", "no space"), ("TS003E", "no reading"), ("TS002E", "quota"),
    ]  # fmt: skip


def test_what_the_end_of_the_channel_leaves_open() -> None:
    channel = Channel()
    channel.open(b"/f")
    channel.done(Kind.WRITE, b"h", 0, b"xyz")
    channel.request(Kind.WRITE, b"h", 3, b"xyz")
    channel.request(Kind.REMOVE, b"/g")
    channel.request(Kind.CLOSE, b"h")
    channel.tap.close()
    assert [(event["code"], event.get("error", "")) for event in channel.events()[1:]] == [
        ("TS011E", sftp_tap.LOST), ("TS002E", sftp_tap.UNCLOSED), ("TS021I", ""),
    ]  # fmt: skip
    assert channel.events()[2]["bytes_written"] == 3


def test_events_are_bounded_and_the_rest_is_counted() -> None:
    channel = Channel(most=5)
    for number in range(TRANSFERS + 20):
        channel.open(b"/%d" % number)
        channel.answer(channel.request(Kind.READ, b"h", 0, 5), Kind.DATA, b"12345")
        channel.done(Kind.CLOSE, b"h", status=(Status.FAILURE, b""))
    channel.tap.close()
    *_, summary = events = channel.events()
    assert len(events) == 6
    assert summary["omitted"] == 2 * (TRANSFERS + 20) - 5
    assert (summary["failures"], summary["bytes_read"]) == (TRANSFERS + 20, 5 * (TRANSFERS + 20))
    assert len(summary["file_transfer_stats"]) == TRANSFERS


def test_names_are_bounded_and_readable() -> None:
    channel = Channel()
    channel.done(Kind.REMOVE, b"/\xff\n\x1b[2J" + b"y" * 100_000, status=(Status.FAILURE, b"e" * 100_000))
    event = channel.events()[0]
    assert len(event["path"]) == PATH_CHARACTERS
    assert event["path"].startswith("/\\xff\n")
    assert len(event["error"]) == 300


def test_answers_may_come_in_another_order() -> None:
    channel = Channel()
    ids = [channel.request(Kind.REMOVE, b"/%d" % number) for number in range(3)]
    for id in reversed(ids):
        channel.answer(id, Kind.STATUS, *ENDED)
    assert [event["path"] for event in channel.events()] == ["/2", "/1", "/0"]


def hostile() -> list[tuple[str, list[bytes]]]:
    """Streams of a client that no server is to see, after INIT."""
    remove = write(Packet(Kind.REMOVE, 7, (b"/f",)))
    cut = bytearray(write(Packet(Kind.WRITE, 7, (b"hand", 0, b"abc"))))
    cut[25:29] = (4).to_bytes(4, "big")
    return [
        ("an id in use", [remove, remove]),
        ("a second INIT", [write(Packet(Kind.INIT, 3, ({},)))]),
        ("an answer", [write(Packet(Kind.STATUS, 7, ENDED))]),
        ("no type", [b"\0\0\0\5\x63\0\0\0\1"]),
        ("no length", [b"\xff\xff\xff\xff\1"]),
        ("cut fields", [b"\0\0\0\7\x0d\0\0\0\1\0\0"]),
        ("a cut WRITE", [bytes(cut)]),
        ("a WRITE without a handle", [b"\0\0\0\5\x06\0\0\0\1"]),
        ("a long handle", [write(Packet(Kind.READ, 7, (b"h" * 257, 0, 1)))]),
    ]


@pytest.mark.parametrize(("name", "stream"), hostile(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_client_that_breaks_the_protocol(name: str, stream: list[bytes]) -> None:
    channel = Channel()
    for data in stream[:-1]:
        channel.tap.from_client(data)
    with pytest.raises(ProtocolError):
        channel.tap.from_client(stream[-1])
    channel.tap.close()


@pytest.mark.parametrize(
    "data",
    [
        write(Packet(Kind.STATUS, 99, ENDED)),
        write(Packet(Kind.VERSION, 3, ({},))),
        b"\0\0\0\0\1",
        b"Last login: today\n",
    ],
    ids=["no such request", "again", "length", "text"],
)
def test_a_server_that_breaks_the_protocol(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Channel().tap.from_server(data)


def test_both_begin_as_they_must() -> None:
    for first in (write(Packet(Kind.STAT, 1, (b"/",))), write(Packet(Kind.STATUS, 1, ENDED))):
        with pytest.raises(ProtocolError):
            SftpTap(lambda event: None, CONTEXT).from_client(first)
    for first in (write(Packet(Kind.VERSION, 4, ({},))), write(Packet(Kind.STATUS, 3, ENDED))):
        with pytest.raises(ProtocolError):
            SftpTap(lambda event: None, CONTEXT).from_server(first)


def test_what_waits_and_what_is_open_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_tap, "UNANSWERED", 3)
    monkeypatch.setattr(sftp_tap, "OPEN_FILES", 2)
    channel = Channel()
    for number in range(2):
        channel.open(b"/f", b"%d" % number)
    with pytest.raises(ProtocolError):
        channel.open(b"/f", b"9")
    for _ in range(3):
        channel.request(Kind.STAT, b"/")
    with pytest.raises(ProtocolError):
        channel.request(Kind.STAT, b"/")


def test_a_real_server_behind_it(tmp_path: Path) -> None:
    """Requests in one stream, cut anywhere; the tap and the server agree about every one."""
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=serve, args=(theirs,), kwargs={"read_only": False})
    server.start()
    root, told, packets = os.fsencode(tmp_path), list[Event](), Packets()
    tap = SftpTap(told.append, CONTEXT)

    def ask(kind: int, id: int, *fields: Any, name: str = "") -> Packet:
        data = write(Packet(kind, id, fields, name))
        for start in range(0, len(data), 3000):
            tap.from_client(data[start : start + 3000])
            ours.sendall(data[start : start + 3000])
        while True:
            data = ours.recv(1000)
            tap.from_server(data)
            for body, _ in packets.feed(data):
                return read(body)

    try:
        ask(Kind.INIT, 3, {})
        handle = ask(Kind.OPEN, 1, root + b"/f", Open.READ | Open.WRITE | Open.CREATE, NONE).fields[0]
        assert ask(Kind.WRITE, 2, handle, 0, bytes(100_000)).fields[0] == Status.OK
        assert len(ask(Kind.READ, 3, handle, 0, 50_000).fields[0]) == 50_000
        ask(Kind.CLOSE, 4, handle)
        ask(Kind.EXTENDED, 5, root + b"/f", root + b"/g", name=sftp.HARDLINK)
        ask(Kind.RMDIR, 6, root + b"/f")
    finally:
        ours.close()
        server.join()
        theirs.close()
    tap.close()
    found = [document(event) for event in told]
    assert [event["code"] for event in found] == ["TS001I", "TS002I", "TS019I", "TS013E", "TS021I"]
    assert (found[1]["bytes_read"], found[1]["bytes_written"]) == (50_000, 100_000)
    assert "not a folder" in found[3]["error"]
