"""The request to reach a node and its answer: what is written is read, and nothing else."""

import pytest

from teleport.base.errors import AccessDenied, NotFound
from teleport.wire.buffer import NeedMore, ProtocolError, Writer
from teleport.wire.reach import (
    ANSWER_LIMIT,
    REQUEST_LIMIT,
    Request,
    read_answer,
    read_request,
    write_answer,
    write_request,
)

REQUEST = Request("node-1.example.com:3022", "example.com", "root")


def body(*parts: bytes) -> bytes:
    return bytes(Writer().vector32(b"".join(parts)))


def text16(text: bytes) -> bytes:
    return bytes(Writer().vector16(text))


def problem(data: bytes, read=read_request) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(data)
    assert caught.value.code == "WIRE-REACH"
    return caught.value.fields["problem"]


@pytest.mark.parametrize("request_", [REQUEST, Request("a"), Request("ü", "", "ü")])
def test_request_is_read_as_it_was_written(request_):
    frame = write_request(request_)
    assert read_request(frame + b"SSH-2.0-x\r\n") == (request_, len(frame))


@pytest.mark.parametrize("frame", [write_request(REQUEST), write_answer(None)])
def test_a_part_of_a_frame_needs_more(frame):
    read = read_request if len(frame) > 5 else read_answer
    for end in range(len(frame)):
        with pytest.raises(NeedMore):
            read(frame[:end])


@pytest.mark.parametrize(
    "request_",
    [
        Request(""),
        Request("a b"),
        Request("a\n"),
        Request("a", "c\0"),
        Request("a", "", "l\x1b"),
        Request("a", "c" * 256),
        Request("a", "", "l" * 256),
        Request("a" * 3000),
        Request("a" * (REQUEST_LIMIT - 4)),
    ],
)
def test_names_that_are_no_names_are_not_written(request_):
    with pytest.raises(ProtocolError, match="not a request"):
        write_request(request_)


def test_what_is_no_request_is_refused():
    assert "length is 0" in problem(b"\0\0\0\0")
    assert "length is" in problem(b"\xff\xff\xff\xff")
    assert "version 2" in problem(body(b"\x02"))
    assert "too early" in problem(body(b"\x01", b"\0\x09abc"))
    assert "follow the end" in problem(body(b"\x01", text16(b"a"), b"\0\0", b"more"))
    assert "UTF-8" in problem(body(b"\x01", text16(b"\xff"), b"\0\0"))
    assert "no target" in problem(body(b"\x01", text16(b""), b"\0\0"))


def test_a_connection_is_answered_by_one_byte():
    assert read_answer(write_answer(None) + b"SSH-") == (None, 5)


def test_an_error_arrives_as_it_was():
    sent = NotFound("POL-NOT-FOUND", id="id7", kind="node", name="nüde", decision="id7", message="mine")
    got, size = read_answer(write_answer(sent))
    assert type(got) is NotFound
    assert (got.code, got.id, got.what, got.why, got.fix) == (sent.code, sent.id, sent.what, sent.why, sent.fix)
    assert size == len(write_answer(sent))


def test_a_code_of_another_version_arrives_with_its_text():
    frame = write_answer(AccessDenied("PROXY-PINNED-IP", user="alice")).replace(b"PROXY-PINNED-IP", b"PROXY-PINNED-XX")
    got, _ = read_answer(frame)
    assert type(got) is AccessDenied
    assert got.code == "API-REMOTE"
    assert "alice" in got.what


def test_an_answer_is_bounded():
    fields = {f"field{n}": "ü" * 100_000 for n in range(100)}
    frame = write_answer(NotFound("POL-NOT-FOUND", kind="node", name="n", decision="", **fields))
    assert len(frame) < ANSWER_LIMIT
    got, _ = read_answer(frame)
    assert got.code == "POL-NOT-FOUND"


def test_what_is_no_answer_is_refused():
    assert "too early" in problem(body(b"\x05", b"\x09abc"), read_answer)
    assert "follow the end" in problem(body(b"\0more"), read_answer)
    assert "UTF-8" in problem(body(b"\x05", b"\x01\xff", b"\0"), read_answer)
    assert "length is" in problem(b"\0\xff\xff\xff", read_answer)
