"""Frames of the multiplexer: what is written is read, however it is cut; what is out of bounds is refused."""

import pytest

from teleport.wire import mux_frames as frames
from teleport.wire.buffer import ProtocolError
from teleport.wire.mux_frames import FrameReader

EVERY = [
    (frames.HELLO, 0, frames.write_hello()[8:]),
    (frames.OPEN, 1, b"\0\0\1\0header"),
    (frames.ANSWER, frames.THEIRS | 1, b"\0\0\1\0"),
    (frames.DATA, 7, b"x" * frames.FRAME),
    (frames.CREDIT, 7, b"\0\0\0\1"),
    (frames.END, 7, b""),
    (frames.RESET, 7, b"why"),
    (frames.PING, 0, b"12345678"),
    (frames.PONG, 0, b""),
    (frames.DRAIN, 0, b""),
    (frames.BYE, 0, b"over"),
]


def read(*pieces: bytes) -> list[tuple[int, int, bytes]]:
    reader = FrameReader()
    return [(kind, number, bytes(body)) for piece in pieces for kind, number, body in reader.feed(piece)]


def problem(*pieces: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(*pieces)
    assert caught.value.code == "WIRE-MUX"
    return caught.value.fields["problem"]


@pytest.mark.parametrize("cut", [1, 3, 8, 9, 40, 1000, 40000])
def test_frames_are_read_as_they_were_written_however_they_are_cut(cut):
    data = b"".join(frames.write(*each) for each in EVERY)
    assert read(*(data[at : at + cut] for at in range(0, len(data), cut))) == EVERY


def test_a_header_alone_is_that_of_the_frame():
    assert frames.write_head(frames.DATA, 7, 3) + b"abc" == frames.write(frames.DATA, 7, b"abc")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0\0\0\0\0\0\0\0", "no frame of kind 0"),
        (b"\x0c\0\0\0\0\0\0\0", "no frame of kind 12"),
        (b"GET / HTTP/1.1\r\n\r\n", "no frame of kind 71"),
        (b"\6\1\0\0\0\0\0\1", "END with flags 0x1"),
        (b"\6\0\0\1\0\0\0\1", "END of 1 bytes"),
        (b"\4\0\0\0\0\0\0\1", "DATA of 0 bytes"),
        (b"\4\0\x80\1\0\0\0\1", "DATA of 32769 bytes"),
        (b"\2\0\0\3\0\0\0\1", "OPEN of 3 bytes"),
        (b"\7\0\4\1\0\0\0\1", "RESET of 1025 bytes"),
        (b"\x08\0\0\x41\0\0\0\0", "PING of 65 bytes"),
        (b"\6\0\0\0\0\0\0\0", "END with the number 0x0"),
        (b"\6\0\0\0\x80\0\0\0", "END with the number 0x80000000"),
        (b"\x0a\0\0\0\0\0\0\1", "DRAIN with the number 0x1"),
        (b"\x0a\0\0\0\x80\0\0\0", "DRAIN with the number 0x80000000"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_its_header(data, said):
    assert said in problem(data)
    assert said in problem(data[:3], data[3:])


def test_greeting_of_a_later_version_is_understood():
    assert frames.read_hello(memoryview(b"TPTUNNEL\0\1\0\7and more")) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"TPTUNNEX\0\1\0\1", "not a greeting"),
        (b"TPTUNNEL\0\2\0\3", "speaks versions 2 to 3, this one 1 to 1"),
        (b"TPTUNNEL\0\0\0\0", "speaks versions 0 to 0"),
    ],
)
def test_greeting_that_cannot_be_agreed_with(body, said):
    with pytest.raises(ProtocolError) as caught:
        frames.read_hello(memoryview(body))
    assert said in caught.value.what


def test_bodies():
    assert frames.read_open(memoryview(frames.write_open(1, 77, b"header"))[8:]) == (77, b"header")
    assert frames.read_count(memoryview(frames.write_count(frames.CREDIT, 1, 77))[8:]) == 77


def test_reason_is_bounded_and_printable():
    frame = frames.write_text(frames.RESET, 1, "ü" * 1000 + "\ud800")
    assert len(frame) == 8 + frames.TEXT
    assert frames.read_text(memoryview(frame)[8:]) == "ü" * 512
    assert frames.read_text(memoryview(b"a\x1b[2J\n\xff")) == "a\ufffd[2J\ufffd\ufffd"
