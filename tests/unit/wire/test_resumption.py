"""Frames, acknowledgements and the window of a connection that outlives its carriers."""

from __future__ import annotations

import pytest

from teleport.wire.buffer import ProtocolError
from teleport.wire.resumption import WINDOW, Duplex, Piece, bad, number

END = b"\xff" * 9 + b"\x01"


def said(parts: list[Piece]) -> bytes:
    return b"".join(parts)


def taken(duplex: Duplex, data: bytes) -> bytes:
    return b"".join(duplex.receive(data))


def test_what_is_written_arrives_in_frames() -> None:
    ours, theirs = Duplex(), Duplex()
    frame = said(ours.write(b"hello"))
    assert frame == b"\x00\x05hello"
    assert taken(theirs, frame) == b"hello"
    assert (ours.sent, ours.kept, theirs.received) == (5, 5, 5)
    assert said(ours.write(b"")) == b""


def test_numbers_have_seven_bits_to_a_byte() -> None:
    assert (number(0), number(127), number(128), number((1 << 64) - 1)) == (b"\0", b"\x7f", b"\x80\x01", END)


def test_an_answer_acknowledges_and_frees_what_was_kept() -> None:
    ours, theirs = Duplex(), Duplex()
    taken(theirs, said(ours.write(b"abc")) + said(ours.write(b"defg")))
    answer = said(theirs.write(b"!"))
    assert answer == b"\x07\x01!"
    assert taken(ours, answer) == b"!"
    assert (ours.acknowledged, ours.kept) == (7, 0)


def test_a_part_of_a_frame_can_be_acknowledged() -> None:
    ours = Duplex()
    said(ours.write(b"abc"))
    said(ours.write(b"def"))
    assert taken(ours, number(4) + b"\0") == b""
    assert ours.kept == 2
    assert said(ours.resume(5)) == b"\x00\x01f"


def test_much_that_was_received_is_acknowledged_at_once() -> None:
    ours, theirs = Duplex(40), Duplex(40)
    taken(theirs, said(ours.write(b"x" * 24)))
    assert said(theirs.acknowledgement()) == b""
    taken(theirs, said(ours.write(b"x")))
    assert said(theirs.acknowledgement()) == b"\x19\x00"
    assert said(theirs.acknowledgement()) == b""


def test_nothing_is_acknowledged_without_a_carrier() -> None:
    ours, theirs = Duplex(8), Duplex(8)
    taken(theirs, said(ours.write(b"12345678")))
    theirs.lose()
    assert said(theirs.acknowledgement()) == b""


def test_what_has_no_room_waits() -> None:
    ours, theirs = Duplex(4), Duplex(4)
    first = said(ours.write(b"abcdef"))
    assert first == b"\x00\x04abcd"
    assert (ours.waiting, ours.kept) == (2, 6)
    assert said(ours.write(b"gh")) == b""
    assert taken(theirs, first) == b"abcd"
    assert taken(ours, said(theirs.acknowledgement())) == b""
    assert taken(theirs, said(ours.more())) == b"efgh"
    assert ours.waiting == 0


def test_what_is_written_without_a_carrier_goes_to_the_next() -> None:
    ours, theirs = Duplex(), Duplex()
    ours.lose()
    assert said(ours.write(b"abc")) == said(ours.more()) == b""
    assert not ours.attached
    assert taken(theirs, said(ours.resume(0))) == b"abc"
    assert ours.attached


def test_a_head_may_come_in_pieces() -> None:
    ours, theirs = Duplex(), Duplex()
    assert b"".join(taken(theirs, bytes([byte])) for byte in said(ours.write(b"x" * 200))) == b"x" * 200


def test_a_frame_that_was_cut_goes_on_where_it_was_cut() -> None:
    ours, theirs = Duplex(), Duplex()
    frame = said(ours.write(b"0123456789"))
    assert taken(theirs, frame[:6]) == b"0123"
    ours.lose()
    theirs.lose()
    assert said(theirs.resume(0)) == b""
    assert taken(theirs, said(ours.resume(theirs.received))) == b"456789"


def test_an_end_is_said_behind_all_that_waits_and_once() -> None:
    ours, theirs = Duplex(3), Duplex(3)
    first = said(ours.write(b"abcd"))
    assert said(ours.end()) == b""
    assert not ours.closed
    assert taken(theirs, first) == b"abc"
    taken(ours, said(theirs.acknowledgement()))
    last = said(ours.more())
    assert last.endswith(END)
    assert (taken(theirs, last), theirs.ended, ours.closed, said(ours.more())) == (b"d", True, True, b"")


def test_an_end_is_said_again_on_the_next_carrier() -> None:
    ours, theirs = Duplex(), Duplex()
    assert said(ours.end()) == END
    ours.lose()
    assert taken(theirs, said(ours.resume(0))) == b""
    assert theirs.ended


def test_who_has_ended_still_hears() -> None:
    ours, theirs = Duplex(), Duplex()
    taken(theirs, said(ours.end()))
    assert taken(ours, said(theirs.write(b"more"))) == b"more"
    assert taken(theirs, b"\0\0") == b""


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x01\x00", "an acknowledgement of what was not sent"),
        (b"\x00" + number(WINDOW + 1), "more data than the window has room for"),
        (b"\xff" * 10, "a number has no end"),
        (END + END, "a second end"),
        (END + b"\x00\x01x", "data behind the end"),
    ],
)
def test_a_peer_that_breaks_the_protocol(data: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError) as error:
        Duplex().receive(data)
    assert (error.value.code, error.value.fields["problem"]) == ("WIRE-RESUME", problem)


@pytest.mark.parametrize("theirs", [0, 5])
def test_the_other_side_must_have_counted_alike(theirs: int) -> None:
    ours = Duplex()
    said(ours.write(b"abcd"))
    taken(ours, b"\x02\x00")
    with pytest.raises(ProtocolError, match="counted otherwise"):
        said(ours.resume(theirs))


def test_an_error_says_its_problem() -> None:
    assert "why not" in bad("why not").what
