"""Chunks of recordings: what is written is read again, and what was cut, changed or moved is not taken."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.wire import recording_chunk as rc
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.recording_chunk import Chain, Head, build, parse, parse_head, scan, unpack

SESSION = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff"
OTHER = "1f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff"


def head(index: int = 0, **changes: Any) -> Head:
    base = Head(SESSION, index, 10 * index, 10 * index + 5, False, False, 0 if index else 3, 4, rc.START)
    return base._replace(**changes)


def recording(count: int, *, final: bool = True) -> list[bytes]:
    """Return the chunks of a recording."""
    made, previous = [], rc.START
    for index in range(count):
        told = head(index, previous=previous, final=final and index == count - 1)
        made.append(build(told, b"" if index else b"key", b"%04d" % index))
        previous = made[-1][-rc.DIGEST :]
    return made


@given(st.integers(1, 5), st.booleans(), st.binary(max_size=40))
def test_a_recording_is_read_to_its_last_whole_chunk_wherever_it_was_cut(count: int, final: bool, rest: bytes) -> None:
    chunks = recording(count, final=final)
    whole = b"".join(chunks)
    assert [chunk.digest for chunk in scan(whole)] == [chunk[-rc.DIGEST :] for chunk in chunks]
    for cut in range(0, len(whole), 7):
        found = list(scan(whole[:cut]))
        assert sum(chunk.size for chunk in found) <= cut
        assert len(found) == cut // len(chunks[0]) if cut < len(chunks[0]) else len(found) >= 1
    assert len(list(scan(whole + rest))) == count


def test_a_chunk_tells_what_was_put_into_it() -> None:
    written = build(head(compressed=True, final=True), b"key", b"load")
    chunk = parse(written + b"more")
    assert chunk.head == head(compressed=True, final=True)
    assert (chunk.key, chunk.payload, chunk.digest) == (b"key", b"load", written[-32:])
    assert chunk.size == len(written)
    assert chunk.sealed_with == written[: rc.HEAD + 3]


@given(st.data())
def test_a_changed_bit_is_found(data: st.DataObject) -> None:
    written = recording(1)[0]
    at = data.draw(st.integers(0, len(written) * 8 - 1))
    changed = bytearray(written)
    changed[at // 8] ^= 1 << at % 8
    with pytest.raises((ProtocolError, NeedMore)):
        parse(bytes(changed))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_chunk_or_an_error_of_ours(data: bytes) -> None:
    for parser in (parse, parse_head):
        for text in (data, rc.MAGIC + b"\x01" + data):
            try:
                parser(text)
            except NeedMore as need:
                assert need.missing > 0  # noqa: PT017
            except ProtocolError as error:
                assert error.code == "WIRE-CHUNK"  # noqa: PT017
    assert list(scan(data)) == []


@pytest.mark.parametrize("size", [0, 3, rc.HEAD - 1, rc.HEAD, rc.HEAD + 10])
def test_a_beginning_asks_for_more(size: int) -> None:
    written = recording(1)[0]
    with pytest.raises(NeedMore) as caught:
        parse(written[:size])
    assert 1 <= caught.value.missing <= len(written) - size


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": "no uuid"}, {"session_id": SESSION.upper()}, {"number": -1}, {"first": 9, "last": 1},
        {"payload_size": rc.LARGEST_PAYLOAD + 1}, {"key_size": rc.LARGEST_KEY + 1}, {"key_size": 0},
        {"previous": b"x" * 32}, {"number": 1, "key_size": 0},
    ],
)  # fmt: skip
def test_a_head_out_of_bounds_is_not_written(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="not a chunk"):
        head(**changes).encode()


def test_a_head_of_other_lengths_is_not_written() -> None:
    with pytest.raises(ProtocolError, match="other lengths"):
        build(head(), b"key", b"longer")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"number": 3}, "does not follow"), ({"previous": b"x" * 32}, "does not follow"),
        ({"session_id": OTHER}, "several sessions"), ({"first": 1}, "before the end"),
    ],
)  # fmt: skip
def test_what_does_not_follow_is_not_taken(changes: dict[str, Any], problem: str) -> None:
    chain = Chain()
    chain.add(head(), b"d" * 32)
    with pytest.raises(ProtocolError, match=problem):
        chain.add(head(1, previous=b"d" * 32)._replace(**changes), b"e" * 32)
    chain.add(head(1, previous=b"d" * 32, final=True), b"e" * 32)
    assert (chain.count, chain.session_id, chain.digest, chain.last) == (2, SESSION, b"e" * 32, 15)
    assert chain.size == head().size + head(1).size
    with pytest.raises(ProtocolError, match="follows the last"):
        chain.add(head(2, previous=b"e" * 32), b"f" * 32)


def test_frames_are_unpacked_within_bounds() -> None:
    assert unpack(b"as they are", compressed=False) == b"as they are"
    assert unpack(zlib.compress(b"y" * 100), compressed=True) == b"y" * 100
    for wrong in (
        b"not zlib",
        zlib.compress(b"cut")[:-3],
        zlib.compress(b"x") + b"more",
        zlib.compress(bytes(1 << 22)),
    ):
        with pytest.raises(ProtocolError, match="decompressed"):
            unpack(wrong, compressed=True)
