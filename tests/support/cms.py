"""Messages as clouds sign them (CMS SignedData): in DER with attributes as Azure, in BER in pieces as AWS."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from teleport.pki import der
from tests.support.soft_tpm import named

SHA256, RSA_OID = "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.1"
FROM, UNTIL = dt.datetime(2029, 1, 1, tzinfo=dt.UTC), dt.datetime(2033, 1, 1, tzinfo=dt.UTC)


class Authority:
    """Who signs: a key, its certificate, and whom it certifies."""

    def __init__(self, name: str, issuer: Authority | None = None, *, ca: bool = True, dns: Sequence[str] = (),
                 until: dt.datetime = UNTIL, fetched_from: str = "", size: int = 2048) -> None:  # fmt: skip
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=size)
        by = issuer or self
        made = (
            x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(by.name) if issuer else named(name))
        )
        made = made.public_key(self.key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(FROM).not_valid_after(until)
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if dns:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in dns]), critical=False)
        if fetched_from:
            place = x509.UniformResourceIdentifier(fetched_from)
            described = x509.AccessDescription(x509.AuthorityInformationAccessOID.CA_ISSUERS, place)
            made = made.add_extension(x509.AuthorityInformationAccess([described]), critical=False)
        self.name = name
        self.certificate = made.sign(by.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def indefinite(tag: int, *content: bytes) -> bytes:
    """Return a constructed value without a length."""
    return bytes((tag, 0x80)) + b"".join(content) + b"\0\0"


def message(
    content: bytes, by: Authority, *, certificates: Sequence[Authority] = (), attributes: bool = True,
    ber: bool = False, **changes: Any,
) -> bytes:  # fmt: skip
    """Return a signed message. `changes` spoil it: `about` (other content in the attributes), `digest`, `algorithm`,
    `kind`, `data` (object identifiers), `signers`, `signature`, `twice`, `ber_attributes`."""
    digest = der.value(0x30, der.oid(changes.get("digest", SHA256)), der.value(0x05))
    signed, told = content, b""
    if attributes:
        hashed = hashlib.sha256(changes.get("about", content)).digest()
        one = der.value(0x30, der.oid("1.2.840.113549.1.9.3"), der.value(0x31, der.oid("1.2.840.113549.1.7.1")))
        two = der.value(0x30, der.oid("1.2.840.113549.1.9.4"), der.value(0x31, der.value(4, hashed)))
        listed = (one, two, two) if changes.get("twice") else (one, two)
        signed, told = der.value(0x31, *listed), der.value(0xA0, *listed)
        told = indefinite(0xA0, *listed) if changes.get("ber_attributes") else told
    signature = changes.get("signature") or by.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    sid = der.value(0x30, by.certificate.issuer.public_bytes(), der.integer(by.certificate.serial_number))
    algorithm = der.value(0x30, der.oid(changes.get("algorithm", RSA_OID)), der.value(0x05))
    signer = der.value(0x30, der.integer(1), sid, digest, told, algorithm, der.value(4, signature))
    half = len(content) // 2
    pieces = indefinite(0x24, der.value(4, content[:half]), der.value(4, content[half:]))
    data = der.oid(changes.get("data", "1.2.840.113549.1.7.1"))
    carried = der.value(0xA0, *(each.der for each in certificates)) if certificates else b""
    parts = [
        der.integer(1),
        der.value(0x31, digest),
        b"",
        carried,
        der.value(0x31, *[signer] * changes.get("signers", 1)),
    ]
    kind = der.oid(changes.get("kind", "1.2.840.113549.1.7.2"))
    if ber:
        parts[2] = indefinite(0x30, data, indefinite(0xA0, pieces))
        return indefinite(0x30, kind, indefinite(0xA0, indefinite(0x30, *parts)))
    parts[2] = der.value(0x30, data, der.value(0xA0, changes.get("octets") or der.value(4, content)))
    return der.value(0x30, kind, der.value(0xA0, der.value(0x30, *parts)))
