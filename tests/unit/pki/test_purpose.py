"""pki.purpose: a key signs one kind of document, only in its own name."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from cryptography import x509

from teleport.base.entropy import SeededEntropy
from teleport.pki import der, keys, purpose, ssh
from teleport.pki.ssh_wire import Malformed

ENTROPY = SeededEntropy(6)
ED = keys.make_ed25519(ENTROPY).public_key()
P256 = keys.make_p256(ENTROPY).public_key()
OTHER = keys.make_p256(ENTROPY).public_key()
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def ssh_tbs(authority: keys.PublicKey = ED, principals: tuple[str, ...] = ("root",)) -> bytes:
    return ssh.encode_tbs(
        ssh.Body(
            key=keys.ssh_blob(OTHER), nonce=bytes(32), serial=1, type="user", key_id="a", principals=principals,
            valid_after=1, valid_before=2, critical_options={}, extensions={}, authority=keys.ssh_blob(authority),
        )
    )  # fmt: skip


def x509_tbs(
    issuer: keys.PublicKey = P256,
    subject: keys.PublicKey = OTHER,
    *,
    ca: bool = False,
    algorithm: str = "ecdsa-p256",
    basic: bytes | None = None,
    more: tuple[bytes, ...] = (),
) -> bytes:
    basic = x509.BasicConstraints(ca=ca, path_length=None).public_bytes() if basic is None else basic
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer).public_bytes()
    name = der.name((("2.5.4.3", "a"),))
    return der.tbs_certificate(
        serial=1, algorithm=algorithm, issuer=name, not_before=BEGIN, not_after=BEGIN + dt.timedelta(hours=1),
        subject=name, spki=keys.spki(subject), extensions=[
            *([der.extension("2.5.29.19", basic, critical=True)] if basic else []),
            der.extension("2.5.29.35", issued_by, critical=False),
            *more,
        ],
    )  # fmt: skip


LONG_FORM = b"\x30\x81" + der.extension("2.5.29.14", b"\x30\x00", critical=False)[1:]
"""An extension whose length takes an octet more than it needs."""


def long_form(tbs: bytes) -> bytes:
    """The same, its length written with more octets than it needs."""
    (outer,) = der.elements(tbs)
    return b"\x30\x83" + len(outer.content).to_bytes(3, "big") + outer.content


def without_extensions(tbs: bytes) -> bytes:
    return der.value(der.SEQUENCE, *(part.raw for part in der.fields(tbs)[:7]))


def part(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def checkpoint(**changes: object) -> bytes:
    head = {"sequence": 3, "digest": "ab" * 32}
    document = {"cluster": "c", "number": 1, "time": "t", "previous": "00" * 32, "logs": {"audit/a": head}, **changes}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


ACCEPTED = [
    ("ssh", ED, ssh_tbs()),
    ("ssh", P256, ssh_tbs(P256)),
    ("x509", P256, x509_tbs()),
    ("x509", P256, x509_tbs(subject=P256, ca=True)),
    ("x509", ED, x509_tbs(ED, algorithm="ed25519")),
    ("jwt", P256, part({"alg": "ES256"}) + b"." + part({"sub": "alice"})),
    ("jwt", ED, part({"alg": "EdDSA"}) + b"." + part({})),
    ("audit", ED, checkpoint()),
]
REFUSED = [
    ("ssh", P256, ssh_tbs(), "another authority"),
    ("ssh", ED, ssh_tbs(principals=()), "no principals"),
    ("ssh", ED, b"anything", "not the body of an OpenSSH"),
    ("ssh", ED, x509_tbs(), "not the body of an OpenSSH"),
    ("x509", P256, ssh_tbs(), "not the body of an X.509"),
    ("x509", P256, x509_tbs() + b"x", "not the body of an X.509"),
    ("x509", P256, x509_tbs(basic=b""), "does not say"),
    ("x509", P256, x509_tbs(basic=b"\x30\x03\x01\x01\x01"), "does not say"),
    ("x509", P256, x509_tbs(more=(der.extension("2.5.29.19", b"\x30\x00", critical=True),)), "twice"),
    ("x509", P256, x509_tbs(more=(der.value(der.SEQUENCE),)), "another form"),
    ("x509", P256, x509_tbs(more=(LONG_FORM,)), "another form"),
    ("x509", P256, long_form(x509_tbs()), "another form"),
    ("x509", P256, without_extensions(x509_tbs()), "in their place"),
    ("x509", P256, b"", "not the body of an X.509"),
    ("x509", OTHER, x509_tbs(), "another authority"),
    ("x509", P256, x509_tbs(algorithm="ed25519"), "another algorithm"),
    ("x509", P256, x509_tbs(ca=True), "second authority"),
    ("jwt", P256, part({"alg": "none"}) + b"." + part({}), "not ES256"),
    ("jwt", ED, part({"alg": "ES256"}) + b"." + part({}), "not EdDSA"),
    ("jwt", P256, part([]) + b"." + part({}), "not ES256"),
    ("jwt", P256, part({"alg": "ES256"}), "not the input"),
    ("jwt", P256, part({"alg": "ES256"}) + b".!!", "not the input"),
    ("jwt", P256, b"tree 1\nauthor x", "not the input"),
    ("audit", ED, checkpoint() + b" ", "canonical"),
    ("audit", ED, checkpoint(more=1), "not a checkpoint"),
    ("audit", ED, checkpoint(number=0), "not a checkpoint"),
    ("audit", ED, checkpoint(previous="00" * 32 + "\n"), "not a checkpoint"),
    ("audit", ED, checkpoint(logs={"a": {"sequence": 1, "digest": "AB" * 32}}), "not a checkpoint"),
    ("audit", ED, b"tree 1\nauthor x", "not a checkpoint"),
]


@pytest.mark.parametrize(("name", "public", "tbs"), ACCEPTED)
def test_documents_of_the_right_kind_may_be_signed(name: str, public: keys.PublicKey, tbs: bytes) -> None:
    purpose.check(name, public, tbs)


@pytest.mark.parametrize(("name", "public", "tbs", "problem"), REFUSED)
def test_all_others_may_not(name: str, public: keys.PublicKey, tbs: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        purpose.check(name, public, tbs)


@pytest.mark.parametrize("name", purpose.PURPOSES)
@pytest.mark.parametrize("row", ACCEPTED)
def test_a_document_of_one_kind_is_never_one_of_another(name: str, row: tuple[str, keys.PublicKey, bytes]) -> None:
    if name != row[0]:
        with pytest.raises(Malformed):
            purpose.check(name, row[1], row[2])
