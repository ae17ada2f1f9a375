"""Endorsement keys, who vouches for them, and credentials that a TPM written by others opens (see tests/support)."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.entropy import SystemEntropy
from teleport.base.errors import BadParameter
from teleport.pki import tpm
from teleport.wire.tpm2 import RsaPublic
from tests.support.soft_tpm import EK, FROM, UNTIL, Maker, der, key_hash, open_credential

MAKER = Maker()
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def test_keys() -> None:
    numbers = EK.public_key().public_numbers()
    key = tpm.rsa_key(RsaPublic(numbers.n, numbers.e))
    assert tpm.key_der(key) == der(EK) == tpm.key_der(tpm.load_key(der(EK)))
    assert tpm.key_hash(key) == key_hash()


def test_keys_that_no_chip_has() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is the point
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = curve.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for bad in (der(small), spki, b"", b"\x30\x82\xff\xff"):
        with pytest.raises(BadParameter) as caught:
            tpm.load_key(bad)
        assert caught.value.code == "PKI-TPM"
    for number, exponent in ((EK.public_key().public_numbers().n, 17), (15, 3), (0, 0), (4, 2)):
        with pytest.raises(BadParameter):
            tpm.rsa_key(RsaPublic(number, exponent))


def test_certificates() -> None:
    made = MAKER.certify(serial=0x0102AB)
    certificate, key = tpm.load_certificate(made + bytes(100))
    assert (tpm.serial_text(certificate), tpm.key_hash(key)) == ("01:02:ab", key_hash())
    assert (tpm.cut(b"\x30\x03abc"), tpm.cut(b"\x30")) == (b"\x30\x03abc", b"\x30")


def test_who_vouches() -> None:
    certificate, _ = tpm.load_certificate(MAKER.certify())
    tpm.check_issued(certificate, [Maker().pem, MAKER.pem + Maker().pem], now=NOW)
    for authorities in ([], [Maker().pem]):
        with pytest.raises(BadParameter) as caught:
            tpm.check_issued(certificate, authorities, now=NOW)
        assert "has signed" in caught.value.what
    for moment in (FROM - dt.timedelta(seconds=1), UNTIL + dt.timedelta(seconds=1)):
        with pytest.raises(BadParameter) as caught:
            tpm.check_issued(certificate, [MAKER.pem], now=moment)
        assert "not valid now" in caught.value.what
    with pytest.raises(BadParameter) as caught:
        tpm.check_issued(certificate, ["none"], now=NOW)
    assert "cannot be read" in caught.value.what


@pytest.mark.parametrize("maker", [Maker(ca=False), Maker(ca=None), Maker(until=FROM + dt.timedelta(days=9))])
def test_who_may_not_vouch(maker: Maker) -> None:
    certificate, _ = tpm.load_certificate(maker.certify())
    with pytest.raises(BadParameter) as caught:
        tpm.check_issued(certificate, [maker.pem], now=NOW)
    assert "has signed" in caught.value.what


@given(st.binary(max_size=32), st.binary(max_size=34))
def test_a_credential_opens_for_one_key_and_one_name(secret: bytes, name: bytes) -> None:
    made = tpm.make_credential(tpm.load_key(der(EK)), name, secret, SystemEntropy())
    assert open_credential(EK, name, made.blob, made.secret) == secret
    with pytest.raises(AssertionError):
        open_credential(EK, name + b"x", made.blob, made.secret)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for read in (tpm.load_key, tpm.load_certificate):
        with contextlib.suppress(BadParameter):
            read(data)
