"""Frames of recordings."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.wire.buffer import ProtocolError
from teleport.wire.recording import KINDS, LARGEST, Frame, decode, encode, size_of

DATA = st.binary(max_size=64)
FRAMES = st.lists(st.tuples(st.integers(0, 2**40), st.sampled_from(sorted(KINDS)), DATA), max_size=8).map(
    lambda found: [Frame(at, kind, data) for (at, kind, data) in sorted(found, key=lambda it: it[0])]
)


@given(FRAMES)
def test_what_was_written_is_read_again(frames: list[Frame]) -> None:
    assert list(decode(encode(frames))) == frames


@given(FRAMES, st.data())
def test_a_part_that_was_cut_is_told_and_what_stands_before_it_is_read(
    frames: list[Frame], data: st.DataObject
) -> None:
    whole = encode(frames)
    cut = data.draw(st.integers(0, len(whole)))
    found: list[Frame] = []
    with suppress(ProtocolError):
        found.extend(decode(whole[:cut]))
        assert encode(found) == whole[:cut]
    assert found == frames[: len(found)]


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_protocol_error(data: bytes) -> None:
    try:
        frames = list(decode(data))
    except ProtocolError:
        return
    assert encode(frames) == data


@pytest.mark.parametrize("frame", [Frame(0, "o", bytes(LARGEST + 1)), Frame(0, "?", b""), Frame(-1, "o", b"")])
def test_what_cannot_be_a_frame_is_not_written(frame: Frame) -> None:
    with pytest.raises(BadParameter) as caught:
        encode([frame])
    assert caught.value.code == "WIRE-RECORDING"


def test_time_does_not_go_back() -> None:
    with pytest.raises(ProtocolError) as caught:
        list(decode(encode([Frame(2, "o", b""), Frame(1, "o", b"")])))
    assert caught.value.code == "WIRE-RECORDING"


@pytest.mark.parametrize(("data", "size"), [(b"80x25", (80, 25)), (b"1x1", (1, 1)), (b"9999x9999", (9999, 9999))])
def test_a_size_is_columns_and_rows(data: bytes, size: tuple[int, int]) -> None:
    assert size_of(data) == size


@pytest.mark.parametrize("data", [b"", b"80", b"80x", b"x25", b"0x1", b"-1x5", b"10000x1", b"80x25x1", b"\xb2x1"])
def test_other_sizes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        size_of(data)
    assert caught.value.code == "WIRE-RECORDING"
