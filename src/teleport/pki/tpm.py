"""The endorsement key of a TPM: who it is, who vouches for it, and a secret that it alone can open.

The secret is a credential of TPM 2.0 (Library specification, Part 1, section 24 and annex B.10): encrypted to the
endorsement key and bound to the name of a second key of the same chip, so that the chip opens it only where it holds
both. Keys and certificates come from strangers. Not here: the commands (`wire.tpm2`), tokens (`auth.join.tpm`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.pki import chain
from teleport.wire.buffer import Writer
from teleport.wire.tpm2 import RsaPublic

LARGEST = 8 * 1024
"""Bytes of a certificate."""
_SMALLEST, _BIGGEST = 2048, 4096
_ALLOWED_EXPONENTS = (3, 65537)


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret in the form in which a chip takes it."""

    blob: bytes
    """Contents of a TPM2B_ID_OBJECT."""
    secret: bytes
    """Contents of a TPM2B_ENCRYPTED_SECRET."""


def rsa_key(public: RsaPublic) -> rsa.RSAPublicKey:
    """Return the key of a public area. Raises BadParameter (PKI-TPM)."""
    try:
        return _checked(rsa.RSAPublicNumbers(public.exponent, public.modulus).public_key())
    except ValueError as error:
        raise _bad(str(error)[:120]) from None


def load_key(der: bytes) -> rsa.RSAPublicKey:
    """Read a key (SubjectPublicKeyInfo). Raises BadParameter (PKI-TPM)."""
    try:
        return _checked(serialization.load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm):
        raise _bad("the key cannot be read") from None


def load_certificate(der: bytes) -> tuple[x509.Certificate, rsa.RSAPublicKey]:
    """Read a certificate of an endorsement key, which chips fill up with any bytes behind. Raises BadParameter."""
    try:
        found = x509.load_der_x509_certificate(cut(der))
        _ = found.not_valid_before_utc, found.not_valid_after_utc
        return found, _checked(found.public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise _bad("the certificate cannot be read") from None


def cut(der: bytes) -> bytes:
    """Return the first value of DER without what follows it; whoever reads it says what is wrong with it."""
    if len(der) < 4 or der[1] != 0x82:
        return der
    return der[: 4 + int.from_bytes(der[2:4], "big")]


def _checked(key: object) -> rsa.RSAPublicKey:
    if not isinstance(key, rsa.RSAPublicKey):
        raise _bad("the key is not RSA")
    if not _SMALLEST <= key.key_size <= _BIGGEST or key.public_numbers().e not in _ALLOWED_EXPONENTS:
        raise _bad("the key has a size or an exponent that no chip has")
    return key


def key_hash(key: rsa.RSAPublicKey) -> str:
    """Return SHA-256, in hex, of the key (SubjectPublicKeyInfo): `ek_public_hash` of tokens."""
    return hashlib.sha256(key_der(key)).hexdigest()


def key_der(key: rsa.RSAPublicKey) -> bytes:
    """Return the key as SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def serial_text(certificate: x509.Certificate) -> str:
    """Return the serial number in hex, colons between the bytes: `ek_certificate_serial` of tokens."""
    number = certificate.serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex(":")


def check_issued(certificate: x509.Certificate, authorities: Sequence[str], *, now: dt.datetime) -> None:
    """Raise BadParameter (PKI-TPM) unless one of the authorities (PEM) has signed the certificate, and both are valid.

    The names of an authority and of what it issued must match, and an authority must be one by its constraints."""
    if not chain.is_valid(certificate, now):
        raise _bad("the certificate is not valid now")
    known = [each for text in authorities for each in load_authorities(text)]
    if not chain.leads(certificate, (), known, now=now):
        raise _bad("none of spec.tpm.ekcert_allowed_cas has signed the certificate")


def load_authorities(text: str) -> list[x509.Certificate]:
    """Read certificates (PEM), at least one. Raises BadParameter (PKI-TPM)."""
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise _bad("one of spec.tpm.ekcert_allowed_cas cannot be read") from None


def make_credential(key: rsa.RSAPublicKey, name: bytes, secret: bytes, entropy: Entropy) -> Credential:
    """Return `secret` (32 bytes at most) as the chip with this endorsement key opens it, if it holds the key called
    `name` as well."""
    seed = entropy.token(32)
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=b"IDENTITY\0")
    cipher = Cipher(algorithms.AES(_derive(seed, b"STORAGE", name, 16)), CFB(bytes(16))).encryptor()
    hidden = cipher.update(bytes(Writer().vector16(secret))) + cipher.finalize()
    seal = hmac.digest(_derive(seed, b"INTEGRITY", b"", 32), hidden + name, "sha256")
    return Credential(bytes(Writer().vector16(seal).raw(hidden)), key.encrypt(seed, oaep))


def _derive(seed: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """KDFa with SHA-256 (Part 1, section 11.4.10.2), of one block at most."""
    said = Writer().u32(1).raw(label + b"\0").raw(context).u32(8 * size)
    return hmac.digest(seed, bytes(said), "sha256")[:size]


def _bad(problem: str) -> BadParameter:
    return BadParameter("PKI-TPM", problem=problem)
