"""Laws of SOCKS: no bytes crash the engine, and where they are cut makes no difference."""

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire.buffer import ProtocolError
from teleport.wire.socks import Socks

STARTS = st.sampled_from([b"", b"\x04\x01", b"\x05\x01\x00", b"\x05\x01\x00\x05\x01\x00", b"\x04\x01\0\x50\0\0\0\1"])


def played(pieces):
    """What an engine says of bytes that come in pieces."""
    socks, answers = Socks(), b""
    try:
        for piece in pieces:
            if socks.destination is None:
                answers += socks.feed(piece)
    except ProtocolError:
        return answers + socks.farewell, None
    return answers, socks.destination


@settings(max_examples=200)
@given(STARTS, st.binary(max_size=60))
def test_where_bytes_are_cut_makes_no_difference(start, data):
    whole = start + data
    assert played([whole]) == played([whole[at : at + 1] for at in range(len(whole))])
