"""pki.x509: certificates against the openssl program and the library, and what is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.pki import der, keys, x509
from teleport.pki.signer import MemorySigner

ENTROPY = SeededEntropy(7)
NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
KEY = keys.make_p256(ENTROPY)
SUBJECT = (("2.5.4.3", "alice"), ("2.5.4.10", "access"), ("2.5.4.10", "editor"), ("1.3.9999.1.7", "example.com"))


def story(algorithm: str = "ecdsa-p256", cluster: str = "example.com", **changes: Any) -> tuple[bytes, bytes]:
    """Return the certificates of an authority and of a user."""

    async def run() -> tuple[bytes, bytes]:
        signer = MemorySigner(ENTROPY)
        handle = await signer.generate(algorithm, "x509")
        ca = await x509.self_sign(signer, handle, cluster, now=NOW, lifetime=dt.timedelta(days=9), entropy=ENTROPY)
        fields: dict[str, Any] = {
            "spki": keys.spki(KEY.public_key()), "subject": SUBJECT, "not_before": NOW, "entropy": ENTROPY,
            "not_after": NOW + dt.timedelta(hours=1), "usages": ["client"],
        }  # fmt: skip
        return ca, await x509.issue(signer, x509.Issuer(ca, handle.key_id), **{**fields, **changes})

    return asyncio.run(run())


CA, LEAF = story()
_SERIAL_OF_LEAF = der.fields(x509.parse(LEAF).tbs_certificate_bytes)[1].raw


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519"])
@pytest.mark.parametrize("cluster", ["example.com", "a-very-long-name." * 5 + "example.com"])
def test_openssl_accepts_our_certificates(algorithm: str, cluster: str, tmp_path: Path) -> None:
    ca, leaf = story(algorithm, cluster, names=["node.example.com", "10.0.0.1", "::1"], usages=["client", "server"])
    (tmp_path / "ca.pem").write_text(x509.pem(ca))
    (tmp_path / "leaf.pem").write_text(x509.pem(leaf))
    at = str(int(NOW.timestamp()) + 60)
    for purpose in ("sslclient", "sslserver"):
        check = [
            "openssl",
            "verify",
            "-x509_strict",
            "-attime",
            at,
            "-purpose",
            purpose,
            "-CAfile",
            "ca.pem",
            "leaf.pem",
        ]
        assert (
            subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "leaf.pem: OK\n"
        )
    show = ["openssl", "x509", "-in", "leaf.pem", "-noout", "-text", "-nameopt", "multiline,show_type"]
    text = subprocess.run(show, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    for part in (
        "= UTF8STRING:alice", "= UTF8STRING:editor", "1.3.9999.1.7 ", "Not Before: Mar  1 12:00:00 2026 GMT",
        "Not After : Mar  1 13:00:00 2026 GMT", "TLS Web Client Authentication, TLS Web Server Authentication",
        "DNS:node.example.com, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1", "CA:FALSE", "Digital Signature",
    ):  # fmt: skip
        assert part in text
    assert x509.is_issued_by(x509.parse(leaf), x509.parse(ca))


def test_an_authority_signs_itself() -> None:
    parsed = x509.parse(CA)
    assert x509.is_authority(parsed)
    assert x509.is_issued_by(parsed, parsed)
    assert [kind for kind, _ in x509.subject_of(parsed)] == ["2.5.4.10", "2.5.4.3", "2.5.4.5"]
    assert parsed.not_valid_before_utc == NOW - dt.timedelta(minutes=1)
    assert parsed.not_valid_after_utc == NOW + dt.timedelta(days=9)
    assert not x509.allows(parsed, "client")


def test_a_leaf_is_what_was_asked_for() -> None:
    parsed = x509.parse(x509.pem(LEAF).encode())
    assert x509.encode(parsed) == LEAF
    assert x509.subject_of(parsed) == SUBJECT
    assert not x509.is_authority(parsed)
    assert x509.allows(parsed, "client")
    assert not x509.allows(parsed, "server")
    assert not x509.is_issued_by(parsed, parsed)
    assert not x509.is_issued_by(parsed, x509.parse(story()[0]))
    assert parsed.serial_number.bit_length() <= 159


def test_a_certificate_that_is_no_authority_issues_nothing() -> None:
    """A user's own key can sign a certificate; that does not make the user an authority."""
    basic = library.BasicConstraints(ca=False, path_length=None).public_bytes()
    for extensions in (
        [der.extension("2.5.29.19", basic, critical=True)],
        [der.extension("1.2.3", b"", critical=False)],
    ):
        name = der.name((("2.5.4.3", "alice"),))
        tbs = der.tbs_certificate(
            serial=5, algorithm="ecdsa-p256", issuer=name, not_before=NOW, not_after=NOW + dt.timedelta(days=1),
            subject=name, spki=keys.spki(KEY.public_key()), extensions=extensions,
        )  # fmt: skip
        parsed = x509.parse(der.certificate(tbs, "ecdsa-p256", keys.sign(KEY, tbs)))
        parsed.verify_directly_issued_by(parsed)
        assert not x509.is_issued_by(parsed, parsed)


def test_a_bundle_is_split_completely_or_refused() -> None:
    bundle = f"# of example.com\n{x509.pem(CA)}# another\n{x509.pem(LEAF)}"
    assert x509.split_pem(bundle) == [CA, LEAF]
    assert x509.split_pem("") == []
    for damaged in (bundle[:-40], bundle.replace("MII", "!!!", 1), bundle.replace("CERTIFICATE", "CERTIFICAT", 2)):
        with pytest.raises(BadParameter):
            assert len(x509.split_pem(damaged)) == 2


def test_pins_are_of_the_key() -> None:
    parsed = library.load_der_x509_certificate(CA)
    public = parsed.public_key()
    assert x509.pin(CA) == "sha256:" + hashlib.sha256(keys.spki(public)).hexdigest()  # type: ignore[arg-type]


def test_names_of_services() -> None:
    assert x509.service_names("example.com") == (
        "teleport.cluster.local", "*.teleport.cluster.local", "6578616d706c652e636f6d.teleport.cluster.local",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"not_after": NOW}, "validity"),
        ({"names": ["a b"]}, "neither a DNS name"),
        ({"names": [""]}, "neither a DNS name"),
        ({"names": ["é.example"]}, "neither a DNS name"),
        ({"names": ["a\nb"]}, "neither a DNS name"),
        ({"subject": [("2.5.4.3", "x" * 70000)]}, "more than"),
        ({"spki": b"\x30\x00"}, "SubjectPublicKeyInfo"),
    ],
)
def test_what_must_not_be_issued_is_not(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadParameter, match=problem):
        story(**changes)


def _dsa_certificate() -> bytes:
    """A certificate for a key of an algorithm that is not ours."""
    private = dsa.generate_private_key(1024)  # noqa: S505 - an old algorithm on purpose
    name = library.Name([])
    builder = library.CertificateBuilder(name, name, private.public_key(), 5, NOW, NOW + dt.timedelta(days=1))
    return x509.encode(builder.sign(keys.make_p256(ENTROPY), hashes.SHA256()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30\x00",
        bytes(200000),
        LEAF[:-1],
        LEAF + b"x",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        LEAF.replace(_SERIAL_OF_LEAF, b"\x02\x14\x80" + bytes(19), 1),  # a negative serial number
        LEAF.replace(_SERIAL_OF_LEAF, b"\x02\x14" + bytes(20), 1),  # serial number 0
        LEAF.replace(bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040301")),  # SHA-224
        LEAF.replace(bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040303"), 1),  # two algorithms
        2 * x509.pem(LEAF).encode(),
        LEAF.replace(b"\x06\x03\x55\x1d\x25", b"\x06\x03\x55\x1d\x0e", 1),  # the same extension twice
        LEAF.replace(
            bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d0209"), 1
        ),  # a key of no known algorithm
        LEAF.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020107"), 1),  # version 8
    ],
)
def test_damaged_certificates_are_refused(data: bytes) -> None:
    with pytest.raises(BadParameter) as caught:
        x509.parse(data)
    assert caught.value.code == "PKI-X509"


def test_foreign_algorithms_are_refused_where_they_matter() -> None:
    with pytest.raises(BadParameter):
        x509.pin(_dsa_certificate())


def test_a_subject_with_several_values_in_one_part_is_refused() -> None:
    name = library.Name(
        [library.RelativeDistinguishedName([library.NameAttribute(library.NameOID.COMMON_NAME, v) for v in ("a", "b")])]
    )
    builder = library.CertificateBuilder(name, name, KEY.public_key(), 5, NOW, NOW + dt.timedelta(days=1))
    parsed = builder.sign(KEY, hashes.SHA256())
    with pytest.raises(BadParameter, match="several values"):
        x509.subject_of(parsed)


def test_what_the_library_only_warns_of_is_refused() -> None:
    """A serial number that is not positive, inside of an extension, where only the library looks."""
    data = (Path(__file__).parents[2] / "fuzz/corpus/pki.x509/76abf830cd3cce79").read_bytes()
    with pytest.raises(BadParameter, match="old certificates"):
        x509.parse(data)
