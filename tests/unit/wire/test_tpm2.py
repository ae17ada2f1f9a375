"""Commands of TPM 2.0: their bytes, and answers that cannot be."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import Unavailable
from teleport.wire import tpm2
from teleport.wire.buffer import ProtocolError, Writer

MODULUS = (1 << 2047) + 1


def answer(body: bytes = b"", *, handles: tuple[int, ...] = (), sessions: bool = False, code: int = 0) -> bytes:
    """Return an answer as a chip gives it."""
    rest = b"".join(handle.to_bytes(4, "big") for handle in handles)
    rest += bytes(Writer().vector32(body)) + bytes(5) if sessions else body
    return bytes(Writer().u16(0x8002 if sessions else 0x8001).u32(10 + len(rest)).u32(code)) + rest


def ek_public(modulus: int = MODULUS, exponent: int = 0, kind: int = 1, symmetric: str = "000600800043") -> bytes:
    """Return the public area of an endorsement key."""
    head = Writer().u16(kind).u16(0x0B).u32(0x000300B2).vector16(bytes(32)).raw(bytes.fromhex(symmetric))
    head.u16(0x10).u16(2048).u32(exponent)
    return bytes(head.vector16(modulus.to_bytes(256, "big")))


@pytest.mark.parametrize(
    ("command", "start", "end"),
    [
        (tpm2.create_ek(), "8002" "00000163" "00000131" "4000000b" "00000009" "400000090000000000" "0004" "00000000"
         "013a" "0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa", "0" * 12),
        (tpm2.create_ak(), "8002" "00000041" "00000131" "4000000b" "00000009" "400000090000000000" "0004" "00000000"
         "0018" "0023000b00050472000000100018000b0003001000000000", "0" * 12),
        (tpm2.start_policy(b"\1" * 16), "8001" "0000002b" "00000176" "4000000740000007" "0010" + "01" * 16,
         "0000" "01" "0010" "000b"),
        (tpm2.policy_secret(0x03000000), "8002" "00000029" "00000151" "4000000b03000000" "00000009", "0" * 20),
        (tpm2.activate(1, 2, 3, b"b", b"s"), "8002" "0000002e" "00000147" "00000001" "00000002" "00000012"
         "400000090000000000" "000000030000000000", "0001" "62" "0001" "73"),
        (tpm2.flush(0x80000000), "8001" "0000000e" "00000165" "80000000", "00"),
        (tpm2.nv_read_public(0x01C00002), "8001" "0000000e" "00000169" "01c00002", "02"),
        (tpm2.nv_read(0x01C00002, 512, 1024), "8002" "00000023" "0000014e" "01c00002" "01c00002", "0200" "0400"),
    ],
)  # fmt: skip
def test_commands(command: bytes, start: str, end: str) -> None:
    assert (command.hex().startswith(start), command.hex().endswith(end)) == (True, True), command.hex()
    assert int.from_bytes(command[2:6], "big") == len(command)


def test_answers() -> None:
    body = bytes(Writer().vector16(b"public").raw(b"and more"))
    assert tpm2.read_primary(answer(body, handles=(7,), sessions=True)) == tpm2.Primary(7, b"public")
    assert tpm2.read_session(answer(b"\0\1x", handles=(9,))) == 9
    assert tpm2.read_bytes(answer(b"\0\2hi", sessions=True)) == b"hi"
    tpm2.read_done(answer())
    area = bytes(Writer().u32(1).u16(0x0B).u32(0).vector16(bytes(32)).u16(1016))
    assert tpm2.read_nv_size(answer(bytes(Writer().vector16(area)))) == 1016


def test_refusals() -> None:
    with pytest.raises(Unavailable) as caught:
        tpm2.read_done(answer(code=0x1DF))
    assert (caught.value.code, "0x1df" in caught.value.what) == ("NET-TPM-REFUSED", True)
    assert [tpm2.is_busy(answer(code=code)) for code in (0x922, 0x908, 0x90A, 0x1DF, 0)] == [True] * 3 + [False] * 2


def test_sizes() -> None:
    large = bytes(Writer().u32(1).u16(0x0B).u32(0).vector16(b"").u16(0xFFFF))
    for bad in (b"", answer()[:9], answer() + b"x", bytes(Writer().vector16(large))):
        with pytest.raises(ProtocolError):
            tpm2.read_nv_size(answer(bad) if bad.startswith(b"\0") else bad)
    assert tpm2.answer_size(answer()[:6]) == 10
    for size in (9, 4097):
        with pytest.raises(ProtocolError) as caught:
            tpm2.answer_size(bytes(Writer().u16(0x8001).u32(size)))
        assert caught.value.code == "WIRE-TPM"


def test_keys() -> None:
    assert tpm2.read_rsa(ek_public()) == tpm2.RsaPublic(MODULUS, 65537)
    assert tpm2.read_rsa(ek_public(exponent=3, symmetric="0010")) == tpm2.RsaPublic(MODULUS, 3)
    for bad in (ek_public(kind=0x23), ek_public() + b"x", ek_public()[:-1]):
        with pytest.raises(ProtocolError):
            tpm2.read_rsa(bad)


def test_names() -> None:
    for kind, attributes in ((0x23, 0x00050472), (0x01, 0x00050072)):
        area = bytes(Writer().u16(kind).u16(0x0B).u32(attributes).raw(b"rest"))
        assert tpm2.ak_name(area) == b"\0\x0b" + hashlib.sha256(area).digest()
    for kind, algorithm, attributes in ((0x08, 0x0B, 0x00050472), (0x23, 0x04, 0x00050472), (0x23, 0x0B, 0x00040472)):
        with pytest.raises(ProtocolError):
            tpm2.ak_name(bytes(Writer().u16(kind).u16(algorithm).u32(attributes)))


READERS = (
    tpm2.read_primary, tpm2.read_session, tpm2.read_bytes, tpm2.read_done, tpm2.read_nv_size, tpm2.read_rsa,
    tpm2.ak_name,
)  # fmt: skip


@given(st.sampled_from(READERS), st.binary(max_size=64), st.booleans(), st.booleans())
def test_arbitrary_bytes_raise_nothing_else(read: object, data: bytes, whole: bool, sessions: bool) -> None:
    with contextlib.suppress(ProtocolError, Unavailable):
        read(answer(data, sessions=sessions) if whole else data)  # type: ignore[operator]
