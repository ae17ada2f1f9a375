"""Laws of heads: no bytes crash the reader, and it never takes what has no end for complete."""

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.connection_upgrade import make_key, read_answer
from teleport.wire.http_connect import verdict
from teleport.wire.http_head import read_head

PARTS = st.sampled_from([b"HTTP/1.1 ", b"200", b" OK", b"\r\n", b"\r\n\r\n", b"A: b", b"Upgrade: websocket", b":"])


@settings(max_examples=300)
@given(st.lists(PARTS | st.binary(max_size=6), max_size=12))
def test_no_bytes_crash(parts):
    data = b"".join(parts)
    try:
        head = read_head(data)
    except (NeedMore, ProtocolError):
        return
    assert data[: head.size].endswith(b"\r\n\r\n")
    assert read_head(data[: head.size]) == head
    verdict(head)
    try:
        read_answer(head, make_key(bytes(16)))
    except ProtocolError:
        pass
