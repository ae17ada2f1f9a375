"""Streams in messages with a length."""

import pytest

from teleport.wire.buffer import ProtocolError
from teleport.wire.framing import Data, LengthFraming, Ping


def test_messages_pings_and_pieces() -> None:
    framing = LengthFraming()
    whole = framing.data(b"hello") + framing.ping() + framing.data(b"x")
    assert LengthFraming().feed(whole) == [Data(b"hello"), Ping(b""), Data(b"x")]
    pieces = [event for at in range(len(whole)) for event in framing.feed(whole[at : at + 1])]
    assert [event for event in pieces if isinstance(event, Ping)] == [Ping(b"")]
    assert b"".join(event.payload for event in pieces if isinstance(event, Data)) == b"hellox"


def test_nothing_for_answers_and_ends() -> None:
    framing = LengthFraming()
    assert (framing.pong(b"x"), framing.end(), framing.carries_end) == (b"", b"", False)


def test_a_message_beyond_all_bounds() -> None:
    with pytest.raises(ProtocolError) as caught:
        LengthFraming().feed(b"\xff\xff\xff\xff")
    assert caught.value.code == "WIRE-FRAMES"
