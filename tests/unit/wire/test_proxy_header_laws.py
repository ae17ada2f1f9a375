"""Laws of the PROXY header: built headers read back, prefixes ask for more, nothing else is raised."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.proxy_header import CRC32C, V2_SIGNATURE, Endpoint, build_v1, build_v2, looks_like, parse

ports = st.integers(0, 65535)
pairs = st.one_of(*(st.tuples(*[st.builds(Endpoint, st.ip_addresses(v=v).map(str), ports)] * 2) for v in (4, 6)))
entries = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda kind: kind != CRC32C), st.binary(max_size=40)), max_size=4
).map(tuple)


@given(pairs, entries, st.data())
def test_headers_round_trip_and_their_prefixes_ask_for_more(
    pair: tuple[Endpoint, Endpoint], extra: tuple[tuple[int, bytes], ...], data: st.DataObject
) -> None:
    for header in (build_v1(*pair), build_v2(*pair, extra)):
        found = parse(header + b"rest")
        assert (found.source, found.destination, found.size) == (*pair, len(header))
        cut = data.draw(st.integers(0, len(header) - 1))
        assert looks_like(header[:cut])
        with pytest.raises(NeedMore) as need:
            parse(header[:cut])
        assert 1 <= need.value.missing <= len(header) - cut


@settings(max_examples=300)
@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", V2_SIGNATURE, V2_SIGNATURE + b"\x21\x11\0"]), st.binary())
def test_raises_only_its_own_errors(start: bytes, tail: bytes) -> None:
    with contextlib.suppress(NeedMore, ProtocolError):
        parse(start + tail)
