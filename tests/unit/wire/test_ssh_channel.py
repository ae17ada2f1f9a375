"""Messages of SSH's channels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from teleport.wire import ssh_channel as wire
from teleport.wire.buffer import ProtocolError
from teleport.wire.terminal import Size, Terminal, read_size, read_terminal


def test_openings_and_answers() -> None:
    message = wire.write_open(b"session", 7, 100, 50, b"more")
    assert wire.read_open(message) == wire.Opening(b"session", 7, 100, 50, b"more")
    assert wire.read_confirmation(wire.write_confirmation(1, 2, 3, 4)) == wire.Confirmation(1, 2, 3, 4)
    assert wire.read_confirmation(wire.write_confirmation(1, 2, 3, 4) + b"x").packet == 4
    assert wire.read_refusal(wire.write_refusal(1, 2, "no")) == (1, 2, "no")
    assert wire.read_adjust(wire.write_adjust(1, 9)) == (1, 9)
    assert wire.read_short(wire.write_short(wire.EOF, 3)) == 3


def test_requests() -> None:
    message = wire.write_request(4, b"exec", wire.text("ls"), wants_reply=True)
    assert wire.read_request(message) == wire.Asked(4, b"exec", True, b"\0\0\0\x02ls")
    message = wire.write_global(wire.LISTEN, wire.address("", 80), wants_reply=False)
    assert wire.read_request(message) == wire.Asked(-1, b"tcpip-forward", False, b"\0\0\0\0\0\0\0\x50")


def test_data() -> None:
    assert wire.read_data(wire.write_data(5, memoryview(b"abc"))) == (5, 0, b"abc")
    assert wire.read_data(b"\x5f\0\0\0\x05\0\0\0\x01\0\0\0\x02no") == (5, 1, b"no")
    for broken in (b"\x5e\0\0", b"\x5f" + bytes(11), b"\x5e\0\0\0\x05\0\0\0\x02a", b"\x5e\0\0\0\x05\0\0\0\x01ab"):
        with pytest.raises(ProtocolError):
            wire.read_data(broken)


def test_bodies() -> None:
    wanted = Terminal("xterm", Size(90, 30), {1: 3})
    assert read_terminal(wire.terminal(wanted)) == wanted
    assert read_size(wire.window(Size(70, 20))) == Size(70, 20)
    assert wire.variable("A", "b") == b"\0\0\0\x01A\0\0\0\x01b"
    assert wire.text(b"\xff") == b"\0\0\0\x01\xff"
    assert wire.read_status(b"\0\0\0\x07") == 7
    assert wire.read_port(b"\0\0\x1f\x90") == 8080
    assert wire.read_signal(b"\0\0\0\x04TERM\0\0\0\0\0\0\0\0\0") == "TERM"
    assert wire.direct("h", 80, "a", 1) == b"\0\0\0\x01h\0\0\0\x50\0\0\0\x01a\0\0\0\x01"
    assert wire.read_forwarded(wire.direct("h", 80, "a", 1)) == wire.Origin("h", 80, "a", 1)
    assert wire.read_forwarded_local(wire.text("/x") + wire.text("")) == "/x"
    assert wire.direct_local("/x") == b"\0\0\0\x02/x\0\0\0\0\0\0\0\0"
    assert wire.x11(True, "p", "c", 1) == b"\x01\0\0\0\x01p\0\0\0\x01c\0\0\0\x01"


@pytest.mark.parametrize(
    ("read", "good"),
    [
        (wire.read_open, wire.write_open(b"session", 7, 100, 50)),
        (wire.read_confirmation, wire.write_confirmation(1, 2, 3, 4)),
        (wire.read_refusal, wire.write_refusal(1, 2, "no")[:-4]),
        (wire.read_adjust, wire.write_adjust(1, 9)), (wire.read_short, wire.write_short(wire.EOF, 3)),
        (wire.read_request, wire.write_request(4, b"exec", wants_reply=True)),
        (wire.read_status, bytes(4)), (wire.read_signal, bytes(13)), (wire.read_forwarded, bytes(16)),
        (wire.read_forwarded_local, bytes(8)),
    ],
)  # fmt: skip
def test_a_message_that_is_cut_is_refused(read: Callable[[bytes], object], good: bytes) -> None:
    read(good)
    for size in range(len(good)):
        with pytest.raises(ProtocolError):
            read(good[:size])
