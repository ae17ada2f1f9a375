"""Signed messages: of openssl, in pieces as AWS sends them, and spoilt in every way."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.pki import cms, der
from tests.support.cms import Authority, indefinite, message
from tests.support.programs import need

US, OTHER, SMALL = Authority("us"), Authority("other"), Authority("small", size=1024)
CONTENT = b'{"a": 1}'


def refused(data: bytes) -> str:
    with pytest.raises(BadParameter) as caught:
        cms.read(data)
    assert caught.value.code == "PKI-CMS"
    return caught.value.what


@pytest.mark.parametrize("ber", [False, True])
@pytest.mark.parametrize("attributes", [False, True])
def test_messages(ber: bool, attributes: bool) -> None:
    found = cms.read(message(CONTENT, US, certificates=[US, OTHER], ber=ber, attributes=attributes))
    assert (found.content, found.certificates) == (CONTENT, (US.certificate, OTHER.certificate))
    assert found.signer([OTHER.certificate, US.certificate]) is US.certificate
    with pytest.raises(BadParameter) as caught:
        found.signer([OTHER.certificate])
    assert caught.value.code == "PKI-CMS"
    assert cms.read(message(CONTENT, US)).certificates == ()


def test_what_others_sign(tmp_path: Path) -> None:
    """By the library, and by openssl with lengths left open (`-stream`)."""
    made = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT).add_signer(US.certificate, US.key, hashes.SHA256())
    data = made.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    assert cms.read(data).signer(cms.read(data).certificates) == US.certificate
    private = US.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key").write_bytes(private)
    (tmp_path / "cert").write_text(US.pem)
    command = [need("openssl"), "smime", "-sign", "-stream", "-nodetach", "-binary", "-outform", "DER", "-md", "sha256",
               "-signer", str(tmp_path / "cert"), "-inkey", str(tmp_path / "key")]  # fmt: skip
    signed = subprocess.run(command, input=CONTENT, capture_output=True, check=True, timeout=60).stdout
    found = cms.read(signed)
    assert (signed[1], found.content) == (0x80, CONTENT)
    assert found.signer(found.certificates) == US.certificate


def test_small_keys_count_for_nothing() -> None:
    found = cms.read(message(CONTENT, SMALL))
    with pytest.raises(BadParameter):
        found.signer([SMALL.certificate])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "1.2.840.113549.1.7.1"}, "not a signed message"), ({"data": "1.2.3"}, "not data"),
        ({"about": b"x"}, "about something else"), ({"digest": "1.3.14.3.2.26"}, "digest is not"),
        ({"algorithm": "1.2.840.10045.4.3.2"}, "not signed with RSA"), ({"signers": 2}, "its parts"),
        ({"signers": 0}, "its parts"), ({"twice": True}, "twice"), ({"ber_attributes": True}, "not in DER"),
        ({"octets": der.value(0x02, b"x")}, "another type"),
        ({"certificates": [US] * 9}, "more than 8"),
    ],
)  # fmt: skip
def test_messages_that_are_spoilt(changes: dict[str, Any], words: str) -> None:
    assert words in refused(message(CONTENT, US, **changes))


def test_bytes_that_are_none() -> None:
    whole = message(CONTENT, US)
    assert "something follows" in refused(whole + b"x")
    assert "more than" in refused(bytes(cms.LARGEST + 1))
    assert "cut short" in refused(b"")
    assert "more than one byte" in refused(b"\x3f\x81\x01\x00")
    assert "a plain value" in refused(b"\x04\x80\x00\x00")
    assert "cut short" in refused(b"\x30\x85\x00\x00\x00\x00\x00")
    assert "too deep" in refused(b"\x30\x80" * 20 + b"\0\0" * 20)
    broken = whole.replace(der.value(0xA0, der.value(4, CONTENT)), der.value(0xA0, der.value(4, CONTENT)))
    assert cms.read(broken).content == CONTENT


def test_certificates_that_cannot_be_read() -> None:
    class Broken:
        der = b"\x30\x02\x05\x00"

    assert "cannot be read" in refused(message(CONTENT, US, certificates=[Broken()]))  # type: ignore[list-item]


def test_signers_that_are_cut_short() -> None:
    """A signer with attributes and nothing behind them."""
    empty = der.value(0x30, der.integer(1), der.value(0x30), der.value(0x30, der.oid("2.16.840.1.101.3.4.2.1")),
                      der.value(0xA0), der.value(0x05))  # fmt: skip
    body = der.value(0x30, der.integer(1), der.value(0x31), der.value(
        0x30, der.oid("1.2.840.113549.1.7.1"), der.value(0xA0, der.value(4, b""))), der.value(0x31, empty))  # fmt: skip
    outer = der.value(0x30, der.oid("1.2.840.113549.1.7.2"), der.value(0xA0, body))
    assert "about something else" in refused(outer)


WHOLE = message(CONTENT, US, certificates=[OTHER], ber=True)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_one_changed_byte_never_makes_another_content(place: int, value: int) -> None:
    changed = WHOLE[:place] + bytes((value,)) + WHOLE[place + 1 :]
    with contextlib.suppress(BadParameter):
        found = cms.read(changed)
        found.signer([US.certificate])
        assert found.content == CONTENT


@given(st.binary(max_size=80), st.integers(0, len(WHOLE)))
def test_arbitrary_bytes_raise_nothing_else(data: bytes, cut: int) -> None:
    for each in (data, WHOLE[:cut], WHOLE[:cut] + data, indefinite(0x30, data)):
        with contextlib.suppress(BadParameter):
            cms.read(each)
