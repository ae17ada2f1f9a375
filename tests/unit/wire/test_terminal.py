"""Requests for terminals: sizes, names and modes within their bounds."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.wire import terminal
from teleport.wire.buffer import ProtocolError, Writer
from teleport.wire.terminal import LARGEST, MODES_BYTES, Size, Terminal, read_modes, read_size, read_terminal

NUMBERS = st.integers(0, 2**32 - 1)


def request(name: bytes = b"xterm", columns: int = 80, rows: int = 24, modes: bytes = b"\0") -> bytes:
    body = Writer().vector32(name).u32(columns).u32(rows).u32(640).u32(480)
    return bytes(body.vector32(modes))


def test_a_request_as_openssh_sends_it() -> None:
    data = request(b"xterm-256color", 132, 43, b"\x81\0\0\x96\0\x80\0\0\x96\0\x01\0\0\0\x03\0")
    assert read_terminal(data) == Terminal("xterm-256color", Size(132, 43), {129: 38400, 128: 38400, 1: 3})
    assert str(Size(132, 43)) == "132:43"


@pytest.mark.parametrize("name", [b"", b"a b", b"x;rm", b"../x", b"-x", "é".encode(), b"x" * 65, b"a\n"])
def test_a_type_that_is_no_name_is_the_default_one(name: bytes) -> None:
    assert read_terminal(request(name)).name == "xterm"


@given(NUMBERS, NUMBERS)
def test_sizes_are_bounded(columns: int, rows: int) -> None:
    for size in (read_terminal(request(columns=columns, rows=rows)).size, read_size(sizes(columns, rows))):
        assert 1 <= size.columns <= LARGEST
        assert 1 <= size.rows <= LARGEST
        assert columns == size.columns or not 0 < columns <= LARGEST


def sizes(columns: int, rows: int) -> bytes:
    return bytes(Writer().u32(columns).u32(rows).u32(0).u32(0))


def test_a_size_of_zero_is_the_default() -> None:
    assert read_size(sizes(0, 0)) == Size(80, 25)


@given(st.dictionaries(st.integers(1, 159), NUMBERS, max_size=60))
def test_modes_are_read_as_written(modes: dict[int, int]) -> None:
    assert read_modes(terminal.write_modes(modes)) == modes


def test_an_opcode_without_a_known_argument_ends_the_modes() -> None:
    assert read_modes(b"\x01\0\0\0\x03\xa0\x01\0\0\0\x04") == {1: 3}
    assert read_modes(b"") == {}


def test_modes_out_of_bounds_are_refused() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_modes(b"\x01\0\0\0\0" * 410)
    assert caught.value.code == "WIRE-RANGE"
    assert read_modes(b"\0" * MODES_BYTES) == {}


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (read_terminal, read_size, read_modes):
        with contextlib.suppress(ProtocolError):
            read(data)


def test_every_cut_and_every_byte_too_much_is_refused() -> None:
    whole = request(modes=b"\x01\0\0\0\x03\0")
    for cut in range(len(whole)):
        with pytest.raises(ProtocolError):
            read_terminal(whole[:cut])
    for data, read in ((whole, read_terminal), (sizes(1, 1), read_size)):
        with pytest.raises(ProtocolError) as caught:
            read(data + b"x")
        assert caught.value.code == "WIRE-TRAILING"
