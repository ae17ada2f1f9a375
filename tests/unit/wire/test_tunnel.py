"""Headers of streams in a reverse tunnel, and the messages of its control stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.wire import tunnel
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.tunnel import Opening, read_discovery, read_opening, write_discovery, write_opening

UUID = "00000000-0000-4000-8000-00000000abcd"


def test_an_opening_says_what_it_is_for():
    opening = Opening(channel=tunnel.TRANSPORT, server_id=f"{UUID}.c", conn_type="node", client_src_addr="10.0.0.1:2")
    assert read_opening(write_opening(opening)) == opening
    assert write_opening(Opening(channel=tunnel.DISCOVERY)) == b'{"channel":"teleport-discovery"}'


@pytest.mark.parametrize(
    "header", [b"", b"{}", b"[]", b'{"channel":1}', b'{"channel":"x","more":1}', b"\xff", b"x" * 4097]
)
def test_other_headers(header):
    with pytest.raises(ProtocolError) as caught:
        read_opening(header)
    assert caught.value.code == "WIRE-TUNNEL"


def test_names_of_proxies():
    message = write_discovery([UUID, "other"])
    assert message[4:].startswith(b'{"proxies":[{"metadata":{"name":"' + UUID.encode())
    assert read_discovery(message + b"more") == ((UUID, "other"), len(message))
    assert read_discovery(write_discovery(())) == ((), 4 + len(b'{"proxies":[]}'))
    for size in range(len(message)):
        with pytest.raises(NeedMore):
            read_discovery(message[:size])


def test_what_later_versions_add_is_passed_over():
    body = b'{"proxies":[{"version":"v2","metadata":{"name":"a"},"gid":"g","ggen":2,"ttl":600}],"more":1}'
    assert read_discovery(len(body).to_bytes(4, "big") + body)[0] == ("a",)


@pytest.mark.parametrize("message", [b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\1\xff", b"\0\0\0\0"])
def test_other_messages(message):
    with pytest.raises(ProtocolError) as caught:
        read_discovery(message)
    assert caught.value.code == "WIRE-TUNNEL"


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(data):
    for read in (read_opening, read_discovery):
        try:
            read(data)
        except (ProtocolError, NeedMore):
            pass
