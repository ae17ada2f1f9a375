"""pki.ssh_wire: strings, numbers, and what is refused."""

from __future__ import annotations

import pytest

from teleport.pki.ssh_wire import Malformed, Reader, mpint, string


@pytest.mark.parametrize(
    ("number", "hexadecimal"),
    # RFC 4251 section 5 gives the first three.
    [(0, "00000000"), (0x9A378F9B2E332A7, "0000000809a378f9b2e332a7"), (0x80, "000000020080"), (0x7F, "000000017f")],
)
def test_mpint(number: int, hexadecimal: str) -> None:
    assert mpint(number).hex() == hexadecimal
    assert Reader(bytes.fromhex(hexadecimal)).mpint() == number


def test_values_come_off_the_front() -> None:
    reader = Reader(string(b"ab") + string("é".encode()) + b"\x00\x00\x00\x07\xff")
    assert reader.string() == b"ab"
    assert reader.text() == "é"
    assert reader.uint(4) == 7
    assert reader.position == 16
    assert not reader.done
    assert reader.take(1) == b"\xff"
    reader.end()
    assert reader.done


@pytest.mark.parametrize(
    ("data", "read", "problem"),
    [
        (b"\x00\x00", Reader.string, "cut short"),
        (b"\x00\x00\x00\x05ab", Reader.string, "cut short"),
        (string(b"\xff"), Reader.text, "UTF-8"),
        (string(b"\x80"), Reader.mpint, "shortest"),
        (string(b"\x00\x7f"), Reader.mpint, "shortest"),
        (string(b"\x00"), Reader.mpint, "shortest"),
        (b"x", Reader.end, "follow"),
    ],
)
def test_refusals(data: bytes, read: object, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        read(Reader(data))  # type: ignore[operator]
