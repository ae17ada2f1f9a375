"""WebSocket frames (RFC 6455), with the examples of its section 5.7."""

from __future__ import annotations

import pytest

from teleport.wire.buffer import ProtocolError
from teleport.wire.framing import Data, End, Event, Ping
from teleport.wire.websocket import WebSocketFraming, apply_mask

KEY = bytes.fromhex("37fa213d")


def client() -> WebSocketFraming:
    return WebSocketFraming(mask=lambda size: KEY[:size])


def server() -> WebSocketFraming:
    return WebSocketFraming(mask=None)


def joined(events: list[Event]) -> bytes:
    return b"".join(event.payload for event in events if isinstance(event, Data))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70001])
def test_both_sides_of_every_size(size: int) -> None:
    payload = bytes(range(256)) * 300
    for sender, receiver in ((client(), server()), (server(), client())):
        frame = sender.data(payload[:size])
        head = 2 + (0 if size < 126 else 2 if size < 65536 else 8) + (4 if frame[1] & 0x80 else 0)
        assert len(frame) == head + size
        assert joined(receiver.feed(frame)) == payload[:size]
        pieces = [event for at in range(0, len(frame), 333) for event in receiver.feed(frame[at : at + 333])]
        assert joined(pieces) == payload[:size]


def test_byte_by_byte() -> None:
    frame = client().data(b"Hello, all of you") + client().ping() + client().data(b"!") + client().end()
    receiver = server()
    events = [event for byte in frame for event in receiver.feed(bytes([byte]))]
    assert joined(events) == b"Hello, all of you!"
    assert [event for event in events if not isinstance(event, Data)] == [Ping(b"teleport"), End("")]


def test_examples_of_the_rfc() -> None:
    assert server().data(b"Hello") == bytes.fromhex("820548656c6c6f")
    assert client().data(b"Hello") == bytes.fromhex("828537fa213d7f9f4d5158")
    assert server().pong(b"Hello") == bytes.fromhex("8a0548656c6c6f")
    assert server().feed(bytes.fromhex("898537fa213d7f9f4d5158")) == [Ping(b"Hello")]
    assert client().end() == b"\x88\x82" + KEY + apply_mask(b"\x03\xe8", KEY)


def test_fragments_with_a_ping_between() -> None:
    events = client().feed(b"\x02\x03Hel" + b"\x89\x00" + b"\x00\x01l" + b"\x80\x01o")
    assert (joined(events), events[1]) == (b"Hello", Ping(b""))


def test_answers_to_pings_say_nothing() -> None:
    assert client().feed(b"\x8a\x02hi") == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"", ""), (b"\x03\xe8", ""), (b"\x03\xe9going away", "1001 going away"), (b"\x03\xf2\xff", "1010 \ufffd")],
)
def test_closing_messages(payload: bytes, reason: str) -> None:
    receiver = client()
    assert receiver.feed(bytes([0x88, len(payload)]) + payload + b"\x82\x01x") == [End(reason)]
    assert receiver.feed(b"\x82\x01y and what is no frame") == []


@pytest.mark.parametrize(
    "frame",
    [
        b"\xc2\x00",  # an extension
        b"\x81\x00",  # a text
        b"\x83\x00",  # a kind that is reserved
        b"\x8b\x00",
        b"\x80\x00",  # goes on with nothing
        b"\x02\x00\x82\x00",  # begins while another goes on
        b"\x82\x80" + KEY,  # masked by a server
        b"\x09\x00",  # a ping in parts
        b"\x89\x7e\x00\x7e",  # a long ping
        b"\x88\x01\x03",  # half a status
        b"\x82\x7e\x00\x7d",  # sizes longer than needed
        b"\x82\x7f" + (65535).to_bytes(8, "big"),
        b"\x82\x7f\x80" + bytes(7),
    ],
)
def test_what_breaks_the_protocol(frame: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        client().feed(frame)
    assert caught.value.code == "WIRE-WEBSOCKET"


def test_clients_must_mask() -> None:
    with pytest.raises(ProtocolError, match="not masked"):
        server().feed(b"\x82\x00")
