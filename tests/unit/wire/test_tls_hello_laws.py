"""Laws of the ClientHello parser: a prefix only ever asks for more, and nothing else is ever raised."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.tls_hello import parse
from tests.unit.wire.test_tls_hello import hello, names, openssl_hello, protocols, record

HELLO = openssl_hello("a.example", ["teleport-auth@61", "h2"])


@given(st.integers(0, len(HELLO) - 1))
def test_every_prefix_of_a_real_hello_asks_for_no_more_than_is_missing(cut: int) -> None:
    with pytest.raises(NeedMore) as need:
        parse(HELLO[:cut])
    assert 1 <= need.value.missing <= len(HELLO) - cut


@given(st.lists(st.integers(1, 60), min_size=1, max_size=16), st.binary(max_size=20))
def test_any_split_into_records_gives_the_same_answer(sizes: list[int], rest: bytes) -> None:
    message = hello(names((0, b"a.example")) + protocols(b"h2", b"x"))
    wire, at = b"", 0
    for size in sizes[:-1]:
        fragment, at = message[at : at + size], min(at + size, len(message) - 1)
        wire += record(fragment) if at < len(message) - 1 else b""
    consumed = b"".join(wire[i + 5 : i + 5 + wire[i + 4]] for i in _starts(wire))
    wire += record(message[len(consumed) :])
    found = parse(wire + rest)
    assert (found.server_name, found.alpn, found.size) == ("a.example", ("h2", "x"), len(wire))


def _starts(wire: bytes) -> list[int]:
    starts, at = [], 0
    while at < len(wire):
        starts.append(at)
        at += 5 + wire[at + 4]
    return starts


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda tail: HELLO[:60] + tail)))
def test_raises_only_its_own_errors(data: bytes) -> None:
    with contextlib.suppress(NeedMore, ProtocolError):
        parse(data)


@settings(max_examples=300)
@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_one_changed_byte_never_breaks_the_parser(at: int, byte: int) -> None:
    with contextlib.suppress(NeedMore, ProtocolError):
        parse(HELLO[:at] + bytes([byte]) + HELLO[at + 1 :])
