"""Heads of HTTP answers."""

import pytest

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.http_head import LIMIT, MOST_FIELDS, read_head


def test_a_head_and_what_follows() -> None:
    data = b"HTTP/1.1 407 Proxy Authentication Required\r\nServer:  squid \r\nVia: a\r\nvia: b , C\r\nX:\r\n\r\nbody"
    head = read_head(data)
    assert (head.status, head.reason) == (407, "Proxy Authentication Required")
    assert head.first("server") == "squid"
    assert head.first("x") == head.first("other") == ""
    assert head.words("via") == ("a", "b", "c")
    assert data[head.size :] == b"body"


@pytest.mark.parametrize("first", [b"HTTP/1.0 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 \xe4\tb"])
def test_first_lines(first: bytes) -> None:
    assert read_head(first + b"\r\n\r\n").status == 200


def test_half_a_head_needs_more() -> None:
    data = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
    for size in range(len(data)):
        with pytest.raises(NeedMore):
            read_head(data[:size])


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x15\x03\x03\0\2\2\x46",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"HTTP/1.1 200 a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MOST_FIELDS + 1) + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * LIMIT,
    ],
)
def test_what_is_no_head(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_head(data)
    assert caught.value.code == "WIRE-HTTP"
