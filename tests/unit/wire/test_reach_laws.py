"""Laws of the request to reach a node: no bytes crash its reader, and what can be written comes back."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.reach import Request, read_answer, read_request, write_request

NAMES = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=150)
@given(NAMES, NAMES, NAMES)
def test_what_can_be_written_comes_back(target, cluster, login):
    with contextlib.suppress(ProtocolError):
        frame = write_request(Request(target, cluster, login))
        assert read_request(frame) == (Request(target, cluster, login), len(frame))


@settings(max_examples=150)
@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_read_or_refused(data, framed):
    whole = len(data).to_bytes(4, "big") + data if framed else data
    for read in (read_request, read_answer):
        with contextlib.suppress(ProtocolError, NeedMore):
            read(whole)
