"""Targets of SFTP: its packets, and the tap that tells the audit log of them."""

from __future__ import annotations

from teleport.agents.ssh.sftp_tap import SftpTap
from teleport.model.events.base import Event, encode
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import VERSION, Attrs, Kind, Packet, Packets, Status, read, write
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
