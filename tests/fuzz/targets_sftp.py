"""Targets of SFTP: its packets, the server, and the tap that tells the audit log of them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import cast

from teleport.agents.ssh import sftp_server
from teleport.agents.ssh.sftp_tap import SftpTap
from teleport.model.events.base import Event, encode
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import EXPAND_PATH, FSTATVFS, VERSION, Attrs, Kind, Packet, Packets, Status, read, write
from tests.fuzz.engine import Target, plain, register
from tests.unit.agents.ssh.test_audit import CONTEXT
from tests.unit.wire.test_sftp import EXAMPLES

_INIT, _VERSION = (write(Packet(kind, VERSION, ({},))) for kind in (Kind.INIT, Kind.VERSION))


def _streams() -> list[bytes]:
    return [write(packet) for packet in EXAMPLES] + [b"".join(write(packet) for packet in EXAMPLES[2:6])]


def _sftp(data: bytes) -> object:
    """In one piece or in two the same packets are found; what is read can be written, and read again."""
    whole, halves, middle = Packets(), Packets(), len(data) // 2
    found = whole.feed(data)
    assert halves.feed(data[:middle]) + halves.feed(data[middle:]) == found
    packets = [read(body) for body, _ in found]
    for packet in packets:
        assert read(write(packet)[4:]) == packet
    return tuple([packet[:1] + packet[3:] for packet in packets])


register(Target("wire.sftp", plain(_sftp), _streams, (ProtocolError,), widths=(4,)))


def _tap(data: bytes) -> object:
    """Whatever a client sends and a server answers, every event can be written, and is of a bounded size."""
    told: list[Event] = []
    tap = SftpTap(told.append, CONTEXT, most=20)
    tap.from_client(_INIT)
    tap.from_server(_VERSION)
    try:
        tap.from_client(data)
        for id in (1, 2, 3, 4):
            tap.from_server(write(Packet(Kind.STATUS, id, (Status.OK, b""))))
        tap.from_server(data)
    finally:
        tap.close()
    assert len(told) <= 21
    return tuple([event.code for event in told if len(encode(event)) < 100_000])


def _requests() -> list[bytes]:
    requests = [
        Packet(Kind.OPEN, 1, (b"/f", 3, Attrs(mode=0o644))), Packet(Kind.WRITE, 2, (b"h", 0, b"abc")),
        Packet(Kind.RENAME, 3, (b"/a", b"/b")), Packet(Kind.CLOSE, 4, (b"h",)), Packet(Kind.SYMLINK, 1, (b"a", b"b")),
    ]  # fmt: skip
    return [*(write(request) for request in requests), b"".join(write(request) for request in requests[:4])]


register(Target("agents.ssh.sftp_tap", plain(_tap), _requests, (ProtocolError,), widths=(4,)))


class _Memory:
    """As much of a socket as the server uses: it gets `data` and then the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = b""

    def recv_into(self, view: memoryview) -> int:
        size = min(len(view), len(self._data))
        view[:size], self._data = self._data[:size], self._data[size:]
        return size

    def sendmsg(self, parts: Sequence[bytes | memoryview]) -> int:
        data = b"".join(parts)
        self.sent += data
        return len(data)

    def sendall(self, data: bytes | memoryview) -> None:
        self.sent += data


def _server(data: bytes) -> object:
    """The server of a channel that only reads raises nothing, and every answer can be read."""
    connection = _Memory(_INIT + data)
    sftp_server.serve(cast(socket.socket, connection), read_only=True)
    answers = [read(body) for body, _ in Packets().feed(connection.sent)]
    return tuple([(answer.kind, answer.fields[0] if answer.kind == Kind.STATUS else 0) for answer in answers])


def _conversations() -> list[bytes]:
    handle = b"\0\0\0\1"
    requests = [
        Packet(Kind.OPEN, 1, (b"/etc/passwd", 1, Attrs())), Packet(Kind.READ, 2, (handle, 0, 100)),
        Packet(Kind.WRITE, 3, (handle, 0, b"abc")), Packet(Kind.FSTAT, 4, (handle,)),
        Packet(Kind.OPENDIR, 5, (b"/etc/init.d",)), Packet(Kind.READDIR, 6, (b"\0\0\0\2",)),
        Packet(Kind.REALPATH, 7, (b"/none/../etc",)), Packet(Kind.EXTENDED, 8, (b"~root/x",), EXPAND_PATH),
        Packet(Kind.EXTENDED, 9, (handle,), FSTATVFS), Packet(Kind.READLINK, 10, (b"/proc/self",)),
        Packet(Kind.CLOSE, 11, (handle,)),
    ]  # fmt: skip
    return [b"".join(map(write, requests)), *(write(requests[0]) + write(request) for request in requests)]


register(Target("agents.ssh.sftp_server", plain(_server), _conversations, (), widths=(4,)))
