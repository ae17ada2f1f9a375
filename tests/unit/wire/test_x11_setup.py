"""The first message of an X11 client: read as the protocol says, written with another cookie, bounded."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.x11_setup import LONGEST, read_setup

NAME, COOKIE = b"MIT-MAGIC-COOKIE-1", bytes(range(16))


def message(order: str, name: bytes = NAME, cookie: bytes = COOKIE) -> bytes:
    """The message as the X Window System Protocol, §8, has it."""
    first = struct.pack(
        f"{'>' if order == 'big' else '<'}BxHHHHxx", b"lB"[order == "big"], 11, 0, len(name), len(cookie)
    )
    return first + name + bytes(-len(name) % 4) + cookie + bytes(-len(cookie) % 4)


@pytest.mark.parametrize("order", ["big", "little"])
def test_it_is_read_and_written_again(order: str) -> None:
    whole = message(order)
    setup = read_setup(whole + b"what follows")
    assert (setup.order, setup.protocol, setup.cookie, setup.size) == (order, NAME, COOKIE, len(whole))
    assert setup.with_cookie(COOKIE) == whole
    assert setup.with_cookie(b"another") == message(order, cookie=b"another")


def test_one_without_a_cookie() -> None:
    setup = read_setup(message("little", b"", b""))
    assert (setup.protocol, setup.cookie, setup.size) == (b"", b"", 12)


@given(st.binary(max_size=100), st.binary(max_size=100), st.sampled_from(["big", "little"]))
def test_every_beginning_needs_more(name: bytes, cookie: bytes, order: str) -> None:
    whole = message(order, name, cookie)
    for size in range(len(whole)):
        with pytest.raises(NeedMore) as found:
            read_setup(whole[:size])
        assert 1 <= found.value.missing <= len(whole) - size
    assert read_setup(whole).with_cookie(cookie) == whole


@given(st.binary(max_size=64))
def test_other_bytes_raise_nothing_else(data: bytes) -> None:
    try:
        read_setup(data)
    except (NeedMore, ProtocolError):
        pass


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"GET / HTTP/1.1", "order of bytes"), (message("big", bytes(LONGEST)), "longer than"),
     (b"l" + bytes(5) + b"\xff\xff\xff\xff\0\0", "longer than")],
)  # fmt: skip
def test_what_is_none_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError) as found:
        read_setup(data)
    assert found.value.code == "WIRE-X11"
    assert problem in found.value.what
