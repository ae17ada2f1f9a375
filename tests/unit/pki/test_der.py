"""pki.der: lengths, identifiers, times; and a whole certificate, read by the library."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from cryptography import x509

from teleport.base.entropy import SeededEntropy
from teleport.pki import der, keys
from teleport.pki.ssh_wire import Malformed


@pytest.mark.parametrize(
    ("size", "head"), [(0, "0400"), (127, "047f"), (128, "048180"), (255, "0481ff"), (256, "04820100")]
)
def test_lengths(size: int, head: str) -> None:
    assert der.value(der.OCTET_STRING, bytes(size)).hex() == head + "00" * size


@pytest.mark.parametrize(("number", "form"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100")])
def test_integers(number: int, form: str) -> None:
    assert der.integer(number).hex() == form


@pytest.mark.parametrize("dotted", ["2.5.4.3", "1.3.9999.1.15", "1.2.840.10045.4.3.2", "2.5.29.37"])
def test_identifiers_are_read_back_by_the_library(dotted: str) -> None:
    content = x509.SubjectAlternativeName([x509.RegisteredID(x509.ObjectIdentifier(dotted))]).public_bytes()
    assert der.oid(dotted)[1:] in content  # the tag is replaced by that of the choice
    assert der.dotted(der.oid(dotted)[2:]) == dotted


@pytest.mark.parametrize(
    ("moment", "form"),
    [
        (dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC), b"\x17\x0d260304050607Z"),
        (dt.datetime(2050, 1, 1, tzinfo=dt.UTC), b"\x18\x0f20500101000000Z"),
        (dt.datetime(2050, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), b"\x17\x0d491231220000Z"),
        (dt.datetime(1900, 1, 1, tzinfo=dt.UTC), b"\x18\x0f19000101000000Z"),
    ],
)
def test_times(moment: dt.datetime, form: bytes) -> None:
    assert der.time(moment) == form


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256"])
@pytest.mark.parametrize("length", [1, 100, 300])
def test_a_certificate_is_read_by_the_library(algorithm: str, length: int) -> None:
    entropy = SeededEntropy(2)
    private: keys.PrivateKey = keys.make_ed25519(entropy) if algorithm == "ed25519" else keys.make_p256(entropy)
    public = private.public_key()
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    subject = der.name((("2.5.4.3", "n" * length), ("1.3.9999.1.7", "é")))
    constraints = x509.BasicConstraints(ca=True, path_length=None).public_bytes()
    tbs = der.tbs_certificate(
        serial=77, algorithm=algorithm, issuer=subject, not_before=begin, not_after=begin + dt.timedelta(days=1),
        subject=subject, spki=keys.spki(public),
        extensions=[
            der.extension("2.5.29.19", constraints, critical=True), der.extension("1.2.3", b"", critical=False),
        ],
    )  # fmt: skip
    assert der.fields(tbs)[2].raw == der.ALGORITHMS[algorithm]
    read = x509.load_der_x509_certificate(der.certificate(tbs, algorithm, keys.sign(private, tbs)))
    read.verify_directly_issued_by(read)
    assert read.serial_number == 77
    assert read.tbs_certificate_bytes == tbs
    assert der.attributes(der.fields(tbs)[5].content) == (("2.5.4.3", "n" * length), ("1.3.9999.1.7", "é"))
    assert read.not_valid_after_utc == begin + dt.timedelta(days=1)
    assert [e.critical for e in read.extensions] == [True, False]
    assert read.public_key() == public


@pytest.mark.parametrize("data", [b"\x30", b"\x30\x05\x00", b"\x30\x82\x00", b"\x30\x82\x01\x00x"])
def test_what_is_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed, match="cut short"):
        der.elements(data)


def test_only_version_3_has_fields() -> None:
    with pytest.raises(Malformed, match="version"):
        der.fields(der.value(der.SEQUENCE, der.integer(1)))
    with pytest.raises(Malformed, match="version"):
        der.fields(der.value(der.SEQUENCE, *[der.integer(1)] * 7))


def test_only_plain_names_are_read() -> None:
    attribute = der.value(der.SEQUENCE, der.oid("2.5.4.3"), der.value(der.UTF8, b"a"))
    printable = der.value(der.SEQUENCE, der.oid("2.5.4.3"), der.value(der.PRINTABLE, b"b"))
    latin = der.value(der.SEQUENCE, der.oid("2.5.4.3"), der.value(der.UTF8, b"\xff"))
    number = der.value(der.SEQUENCE, der.oid("2.5.4.3"), der.integer(1))
    assert der.attributes(der.value(der.SET, attribute) + der.value(der.SET, printable)) == (
        ("2.5.4.3", "a"),
        ("2.5.4.3", "b"),
    )
    for content in (der.value(der.SET, attribute, attribute), der.value(der.SET, number), der.value(der.SET, latin)):
        with pytest.raises(Malformed, match=r"several values|UTF-8"):
            der.attributes(content)


def body(extensions: list[bytes], *, more: bytes = b"") -> bytes:
    """A body with these extensions, and something behind them."""
    name = der.name((("2.5.4.3", "n"),))
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    spki = keys.spki(keys.make_ed25519(SeededEntropy(3)).public_key())
    tbs = der.tbs_certificate(
        serial=7, algorithm="ed25519", issuer=name, not_before=begin, not_after=begin, subject=name, spki=spki,
        extensions=extensions,
    )  # fmt: skip
    return der.value(der.SEQUENCE, der.elements(tbs)[0].content + more)


def test_extensions_are_read_as_they_are_written() -> None:
    written = [der.extension("1.2.3", b"a", critical=True), der.extension("1.2.4", b"", critical=False)]
    assert der.extensions(body(written)) == {"1.2.3": b"a", "1.2.4": b""}


@pytest.mark.parametrize(
    ("tbs", "problem"),
    [
        (body([]) + b"\0\0", "version 3"),
        (body([], more=der.value(0x81, b"\0")), "in their place"),
        (body([der.extension("1.2.3", b"", critical=False)] * 2), "1.2.3 twice"),
        (body([der.value(der.SEQUENCE, der.oid("1.2.3"))]), "another form"),
        (body([der.extension("1.2.3", b"", critical=True).replace(b"\xff", b"\x01")]), "another form"),
        (b"\x30\x81" + body([])[1:], "a length in it has another form"),
    ],
)
def test_extensions_in_any_other_form_are_not_read(tbs: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        der.extensions(tbs)


@pytest.mark.parametrize("make", [keys.make_ed25519, keys.make_p256])
def test_a_key_is_named_as_the_library_names_it(make: Callable[[SeededEntropy], keys.PrivateKey]) -> None:
    public = make(SeededEntropy(4)).public_key()
    assert der.key_id(keys.spki(public)) == x509.SubjectKeyIdentifier.from_public_key(public).digest
