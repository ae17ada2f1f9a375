"""SOCKS 5, 4 and 4a: requests that are served, and how the others are refused."""

import pytest

from teleport.wire.buffer import ProtocolError
from teleport.wire.socks import Destination, Socks

HELLO = b"\x05\x01\x00"
TO_NAME = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
TO_4 = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"
TO_6 = b"\x05\x01\x00\x04" + b"\0" * 15 + b"\x01\x00\x50"
OLD = b"\x04\x01\x00\x50\x7f\x00\x00\x01me\0"
OLD_A = b"\x04\x01\x01\xbb\x00\x00\x00\x07me\0example.com\0"


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (TO_NAME, ("example.com", 443)),
        (TO_4, ("127.0.0.1", 80)),
        (TO_6, ("::1", 80)),
    ],
)
def test_version_5(request_, found):
    socks = Socks()
    assert socks.feed(HELLO) == b"\x05\x00"
    assert socks.destination is None
    assert socks.feed(request_ + b"early") == b""
    assert socks.destination == Destination(*found)
    assert socks.early == b"early"
    assert socks.opened() == b"\x05\x00\x00\x01" + bytes(6)
    assert socks.failed() == b"\x05\x04\x00\x01" + bytes(6)
    assert socks.failed(refused=True) == b"\x05\x05\x00\x01" + bytes(6)


@pytest.mark.parametrize(("request_", "found"), [(OLD, ("127.0.0.1", 80)), (OLD_A, ("example.com", 443))])
def test_version_4(request_, found):
    socks = Socks()
    assert socks.feed(request_ + b"x") == b""
    assert socks.destination == Destination(*found)
    assert socks.early == b"x"
    assert socks.opened() == b"\x00\x5a" + bytes(6)
    assert socks.failed() == b"\x00\x5b" + bytes(6)


def test_both_messages_at_once():
    socks = Socks()
    assert socks.feed(HELLO + TO_4) == b"\x05\x00"
    assert socks.destination == Destination("127.0.0.1", 80)


@pytest.mark.parametrize("whole", [HELLO + TO_NAME, OLD_A])
def test_byte_by_byte(whole):
    socks, answers = Socks(), b""
    for at in range(len(whole)):
        assert socks.destination is None
        answers += socks.feed(whole[at : at + 1])
    assert socks.destination == Destination("example.com", 443)
    assert answers == (b"\x05\x00" if whole[0] == 5 else b"")


@pytest.mark.parametrize(
    ("data", "farewell"),
    [
        (b"GET / HTTP/1.1\r\n", b""),
        (b"\x05\x01\x02", b"\x05\xff"),
        (HELLO + b"\x05\x02\x00\x01", b"\x05\x00\x05\x07\x00\x01" + bytes(6)),
        (HELLO + b"\x05\x01\x00\x09", b"\x05\x00\x05\x08\x00\x01" + bytes(6)),
        (HELLO + b"\x05\x01\x00\x03\x00\x00\x50", b"\x05\x00\x05\x01\x00\x01" + bytes(6)),
        (HELLO + b"\x05\x01\x00\x03\x02\xff\xfe\x00\x50", b"\x05\x00\x05\x01\x00\x01" + bytes(6)),
        (HELLO + b"\x05\x01\x00\x03\x03a b\x00\x50", b"\x05\x00\x05\x01\x00\x01" + bytes(6)),
        (HELLO + b"\x05\x01\x00\x01\x7f\0\0\1\0\0", b"\x05\x00\x05\x01\x00\x01" + bytes(6)),
        (b"\x04\x02\x00\x50\x7f\x00\x00\x01\0", b"\x00\x5b" + bytes(6)),
        (b"\x04\x01\x00\x00\x7f\x00\x00\x01\0", b"\x00\x5b" + bytes(6)),
        (b"\x04\x01\x00\x50\x7f\x00\x00\x01" + b"m" * 300, b"\x00\x5b" + bytes(6)),
    ],
)
def test_what_is_not_served(data, farewell):
    socks = Socks()
    with pytest.raises(ProtocolError) as caught:
        socks.feed(data)
    assert caught.value.code == "WIRE-SOCKS"
    assert socks.farewell == farewell
    assert socks.destination is None


def test_a_request_without_an_end():
    socks = Socks()
    socks.feed(b"\x05\xff" + b"\1" * 200)
    with pytest.raises(ProtocolError) as caught:
        socks.feed(b"\1" * 500)
    assert caught.value.code == "WIRE-SOCKS"
