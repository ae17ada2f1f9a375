"""X.509 certificates: issued by an authority whose key is in the signer, and read.

What the subject of a certificate says about a caller is `pki.codec`'s; whether to accept one is
`pki.check`'s. Profile: RFC 5280, version 3, one attribute in each RDN, key identifiers always present.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import ipaddress
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.model.naming import CLUSTER_NAME as CLUSTER_NAME
from teleport.pki import der, keys
from teleport.pki.ssh_wire import Malformed

if TYPE_CHECKING:  # the signer's client brings an event loop along, and who only checks has no use for one
    from teleport.pki.signer import KeyHandle, Signer

BACKDATE = dt.timedelta(minutes=1)
"""How long before now validity begins: clocks differ."""

MAX_CERTIFICATE = 65536
"""Largest certificate in bytes."""

Usage = Literal["client", "server"]
_USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}

_SIGNATURES = frozenset(
    (
        *der.ALGORITHMS.values(),
        *(der.value(der.SEQUENCE, der.oid(f"1.2.840.10045.4.3.{n}")) for n in (3, 4)),
        *(der.value(der.SEQUENCE, der.oid(f"1.2.840.113549.1.1.{n}"), b"\x05\0") for n in (11, 12, 13)),
    )
)
"""Signature algorithms that are read: those we make, ECDSA with SHA-384 and SHA-512, RSA with SHA-2."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_CN, _SERIAL, _ORGANISATION = "2.5.4.3", "2.5.4.5", "2.5.4.10"
_UNREADABLE = (UnsupportedAlgorithm, InternalError)
"""What the library says of keys that it cannot make sense of."""
_NO_END = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Issuer:
    """An authority that can sign: its certificate (DER) and the signer's name of its key."""

    certificate: bytes
    key_id: str


def parse(data: bytes) -> x509.Certificate:
    """Read a certificate in DER or PEM (exactly one). Raises BadParameter (PKI-X509).

    It is of version 3, its serial number is positive, and its signature uses an algorithm of today."""
    if len(data) > 2 * MAX_CERTIFICATE:
        raise _bad(f"it has more than {MAX_CERTIFICATE} bytes")
    try:
        raw = _unwrap(data) if data.lstrip().startswith(b"-----BEGIN") else data
        _check_frame(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(raw)
            _ = certificate.extensions, certificate.public_key()
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except CryptographyDeprecationWarning:  # for example a negative serial number inside of an extension
        raise _bad("it holds what is only read for the sake of old certificates") from None
    except Malformed as error:
        raise _bad(str(error)) from None
    except (ValueError, TypeError, OverflowError) as error:
        raise _bad(str(error).partition("\n")[0][:120] or "it is damaged") from None
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion, *_UNREADABLE):
        raise _bad("its extensions, version or algorithm cannot be read") from None
    return certificate


parse_authority = functools.lru_cache(maxsize=64)(parse)
"""As `parse`, for certificates of authorities: they are few, and looked at with every certificate of theirs."""


def _unwrap(data: bytes) -> bytes:
    """Return the content of the only block of a PEM text (RFC 7468)."""
    lines = data.strip().splitlines()
    if lines[0].strip() != _BEGIN.encode() or lines[-1].strip() != _END.encode():
        raise Malformed("the PEM text is not one certificate")
    return base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True)


def _check_frame(raw: bytes) -> None:
    """Refuse what the library would only warn of, or accept for the sake of old certificates."""
    parts = [part for outer in der.elements(raw) for part in der.elements(outer.content)]
    if len(parts) != 3:
        raise Malformed("it is not one certificate")
    _, serial, algorithm, *_ = der.fields(parts[0].raw)
    if not serial.content or serial.content[0] & 0x80 or not any(serial.content):
        raise Malformed("its serial number is not positive")
    if algorithm.raw != parts[1].raw or algorithm.raw not in _SIGNATURES:
        raise Malformed("its signature uses an unknown or outdated algorithm")


def encode(certificate: x509.Certificate) -> bytes:
    """Return the certificate in DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(data: bytes) -> str:
    """Return a certificate given in DER as PEM."""
    return parse(data).public_bytes(serialization.Encoding.PEM).decode()


def split_pem(text: str) -> list[bytes]:
    """Return the certificates of a bundle, DER, in order; text between them is skipped. A damaged one is refused,
    never left out. Raises BadParameter (PKI-X509)."""
    _, *blocks = text.split(_BEGIN)
    if text.count("-----BEGIN") != len(blocks):
        raise _bad("the bundle holds something that is no certificate")
    certificates = (f"{_BEGIN}{block.partition(_END)[0]}{_END}" for block in blocks)
    return [encode(parse(certificate.encode(errors="replace"))) for certificate in certificates]


def pin(data: bytes) -> str:
    """Return the CA pin of a certificate: `sha256:` and the hash of its SubjectPublicKeyInfo."""
    return "sha256:" + hashlib.sha256(keys.spki(_key_of(parse(data)))).hexdigest()


def encoded_cluster_name(cluster: str) -> str:
    """Return the DNS name that says which cluster is meant, used as SNI: `<hex of name>.teleport.cluster.local`."""
    return f"{cluster.encode().hex()}.{CLUSTER_NAME}"


def service_names(cluster: str) -> tuple[str, ...]:
    """Return the DNS names that every service of the cluster carries."""
    return (CLUSTER_NAME, f"*.{CLUSTER_NAME}", encoded_cluster_name(cluster))


async def self_sign(
    signer: Signer, handle: KeyHandle, cluster: str, *, now: dt.datetime, lifetime: dt.timedelta, entropy: Entropy
) -> bytes:
    """Make the certificate of an authority for a key of the signer; DER.

    The subject carries a random serial number, so that the certificates before and after a rotation differ in name."""
    public = keys.load_spki(handle.spki)
    serial = _serial(entropy)
    name = der.name(((_ORGANISATION, cluster), (_CN, cluster), (_SERIAL, str(serial))))
    extensions = (
        der.extension("2.5.29.19", x509.BasicConstraints(ca=True, path_length=None).public_bytes(), critical=True),
        der.extension("2.5.29.15", _key_usage(ca=True).public_bytes(), critical=True),
        _subject_key(public),
        _authority_key(public),
    )
    tbs = der.tbs_certificate(
        serial=serial, algorithm=handle.algorithm, issuer=name, not_before=now - BACKDATE, not_after=now + lifetime,
        subject=name, spki=handle.spki, extensions=extensions,
    )  # fmt: skip
    return der.certificate(tbs, handle.algorithm, await signer.sign(handle.key_id, tbs))


async def issue(
    signer: Signer,
    issuer: Issuer,
    *,
    spki: bytes,
    subject: Iterable[tuple[str, str]],
    not_before: dt.datetime,
    not_after: dt.datetime,
    usages: Iterable[Usage],
    entropy: Entropy,
    names: Iterable[str] = (),
    extensions: Iterable[bytes] = (),
) -> bytes:
    """Issue a certificate for the public key `spki`; DER.

    `subject` is (OID, text) pairs in order; `names` are DNS names and IP addresses under which a server is
    reached; `extensions` more of them, in DER.

    Raises BadParameter (PKI-X509, PKI-KEY) and what `Signer.sign` raises."""
    if not_before >= not_after or not_after > _NO_END:
        raise _bad("its validity would end before it begins")
    authority = parse_authority(issuer.certificate)
    public = keys.load_spki(spki)
    authority_key = _key_of(authority)
    written = [
        der.extension("2.5.29.19", x509.BasicConstraints(ca=False, path_length=None).public_bytes(), critical=True),
        der.extension("2.5.29.15", _key_usage(ca=False).public_bytes(), critical=True),
        der.extension("2.5.29.37", x509.ExtendedKeyUsage([_USAGES[u] for u in usages]).public_bytes(), critical=False),
        _subject_key(public),
        _authority_key(authority_key),
    ]
    alternatives = [_general_name(name) for name in names]
    if alternatives:
        content = x509.SubjectAlternativeName(alternatives).public_bytes()
        written.append(der.extension("2.5.29.17", content, critical=False))
    algorithm = keys.algorithm_of(authority_key)
    issuer_name = der.fields(authority.tbs_certificate_bytes)[5].raw
    tbs = der.tbs_certificate(
        serial=_serial(entropy), algorithm=algorithm, issuer=issuer_name, not_before=not_before,
        not_after=not_after, subject=der.name(subject), spki=spki, extensions=[*written, *extensions],
    )  # fmt: skip
    if len(tbs) > MAX_CERTIFICATE - 256:
        raise _bad(f"it would have more than {MAX_CERTIFICATE} bytes")
    return der.certificate(tbs, algorithm, await signer.sign(issuer.key_id, tbs))


def subject_of(certificate: x509.Certificate) -> tuple[tuple[str, str], ...]:
    """Return the subject as (OID, text) pairs in order. Raises BadParameter (PKI-X509) on RDNs of several values."""
    try:
        return der.attributes(der.fields(certificate.tbs_certificate_bytes)[5].content)
    except Malformed as error:
        raise _bad(str(error)) from None


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Say whether `authority`'s key signed `certificate` and the names agree. Validity is not looked at."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return is_authority(authority)


def is_authority(certificate: x509.Certificate) -> bool:
    """Say whether the certificate is one of an authority."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def allows(certificate: x509.Certificate, usage: Usage) -> bool:
    """Say whether the extended key usage lists `usage`; a certificate without the list allows nothing."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)
    except x509.ExtensionNotFound:
        return False
    return isinstance(extension.value, x509.ExtendedKeyUsage) and _USAGES[usage] in extension.value


def _key_of(certificate: x509.Certificate) -> keys.PublicKey:
    return keys.load_spki(
        certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _serial(entropy: Entropy) -> int:
    """159 random bits at most, never zero: RFC 5280, 4.1.2.2 allows 20 octets and a positive number."""
    return (int.from_bytes(entropy.token(20), "big") >> 1) | 1


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _subject_key(key: keys.PublicKey) -> bytes:
    return der.extension("2.5.29.14", x509.SubjectKeyIdentifier.from_public_key(key).public_bytes(), critical=False)


def _authority_key(key: keys.PublicKey) -> bytes:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return der.extension("2.5.29.35", identifier.public_bytes(), critical=False)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name.isascii() or not name.isprintable() or " " in name or not 0 < len(name) <= 253:
        raise _bad(f"{name[:80]!r} is neither a DNS name nor an IP address")
    return x509.DNSName(name)


def _bad(problem: str) -> BadParameter:
    return BadParameter("PKI-X509", problem=problem)
