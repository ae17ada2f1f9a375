"""Reader and Writer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer


def test_numbers_and_vectors_read_back() -> None:
    written = Writer().u8(1).u16(2).u24(3).u32(4).u64(5).raw(b"x")
    written.vector8(b"a").vector16(b"bb").vector24(b"ccc").vector32(b"dddd")
    assert len(written) == len(bytes(written))
    reader = Reader(bytes(written))
    assert [reader.u8(), reader.u16(), reader.u24(), reader.u32(), reader.u64()] == [1, 2, 3, 4, 5]
    assert reader.take(1) == b"x"
    assert reader.position == 19
    assert [reader.vector8(), reader.vector16(), reader.vector24(), reader.vector32()] == [b"a", b"bb", b"ccc", b"dddd"]
    reader.expect_end()


def test_rest_takes_everything() -> None:
    reader = Reader(b"abc")
    reader.take(1)
    assert (reader.rest(), reader.remaining) == (b"bc", 0)


def test_short_message_is_an_error_when_complete_and_a_wish_when_not() -> None:
    with pytest.raises(ProtocolError) as short:
        Reader(b"\x05ab").vector8()
    assert (short.value.code, short.value.fields) == ("WIRE-SHORT", {"missing": "3"})
    with pytest.raises(NeedMore) as wish:
        Reader(b"\x05ab", complete=False).vector8()
    assert wish.value.missing == 3
    assert not isinstance(wish.value, ProtocolError)


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(ProtocolError) as trailing:
        Reader(b"ab").expect_end()
    assert trailing.value.code == "WIRE-TRAILING"


@pytest.mark.parametrize(("method", "value"), [("u8", 256), ("u16", 1 << 16), ("u24", 1 << 24), ("u8", -1)])
def test_value_too_large_for_its_field_is_refused(method: str, value: int) -> None:
    with pytest.raises(ProtocolError) as refused:
        getattr(Writer(), method)(value)
    assert refused.value.code == "WIRE-RANGE"


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_vectors_round_trip(values: list[bytes]) -> None:
    writer = Writer()
    for value in values:
        writer.vector16(value)
    reader = Reader(bytes(writer))
    assert [reader.vector16() for _ in values] == values
    reader.expect_end()
