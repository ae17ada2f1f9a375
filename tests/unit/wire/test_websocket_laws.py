"""Laws of framings: no bytes crash them, and where bytes are cut makes no difference."""

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire.buffer import ProtocolError
from teleport.wire.framing import Data, LengthFraming
from teleport.wire.websocket import WebSocketFraming

SIDES = st.sampled_from([
    lambda: WebSocketFraming(mask=None), lambda: WebSocketFraming(mask=lambda size: b"abcd"[:size]), LengthFraming,
])  # fmt: skip
STARTS = st.sampled_from([b"", b"\x82\x05", b"\x82\x85abcd", b"\x89\x80abcd", b"\x02\x00", b"\x88\x02", b"\0\0\0\3"])


def told(framing, pieces):
    """What a framing says: the bytes together, everything else, and whether it ended in an error."""
    data, others = b"", []
    try:
        for piece in pieces:
            for event in framing.feed(piece):
                if isinstance(event, Data):
                    data += event.payload
                else:
                    others.append((len(data), event))
    except ProtocolError as error:
        return data, others, error.code
    return data, others, ""


@settings(max_examples=300)
@given(SIDES, STARTS, st.binary(max_size=80))
def test_where_bytes_are_cut_makes_no_difference(side, start, rest):
    whole = start + rest
    at_once, bytewise = told(side(), [whole]), told(side(), [whole[at : at + 1] for at in range(len(whole))])
    if at_once[2]:  # what came before an error in the same piece is lost with it
        assert bytewise[2] == at_once[2]
    else:
        assert at_once == bytewise


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=300), max_size=8), st.binary(min_size=4, max_size=4), st.integers(1, 40))
def test_bytes_arrive_as_they_were(parts, key, step):
    for sender, receiver in (
        (WebSocketFraming(mask=lambda size: key[:size]), WebSocketFraming(mask=None)),
        (WebSocketFraming(mask=None), WebSocketFraming(mask=lambda size: key[:size])),
        (LengthFraming(), LengthFraming()),
    ):
        whole = b"".join(sender.data(part) + sender.ping() for part in parts) + sender.end()
        data, _, error = told(receiver, [whole[at : at + step] for at in range(0, len(whole), step)])
        assert (data, error) == (b"".join(parts), "")
