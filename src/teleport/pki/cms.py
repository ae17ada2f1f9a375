"""Signed messages (CMS SignedData, RFC 5652 section 5; PKCS #7 before): the form in which clouds say what a machine is.

Written by strangers, so the reading is bounded and strict, but for one thing: BER with indefinite lengths and octet
strings in pieces (X.690 section 8), which AWS uses. What is signed is hashed as it came. Not here: whom to believe
(`auth.join.ec2`, `auth.join.azure`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from teleport.base.errors import BadParameter
from teleport.pki import der
from teleport.pki.x509 import parse

LARGEST = 32 * 1024
"""Bytes of a message."""
MOST_CERTIFICATES = 8
_DEPTH = 16
_OCTETS, _SEQUENCE, _SET, _CONTEXT_0 = 0x04, 0x30, 0x31, 0xA0
_CONSTRUCTED = 0x20

_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_DATA = der.oid("1.2.840.113549.1.7.1")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_DIGESTS: dict[bytes, hashes.HashAlgorithm] = {
    der.oid("2.16.840.1.101.3.4.2.1"): hashes.SHA256(), der.oid("2.16.840.1.101.3.4.2.2"): hashes.SHA384(),
    der.oid("2.16.840.1.101.3.4.2.3"): hashes.SHA512(),
}  # fmt: skip
_RSA = {
    der.oid("1.2.840.113549.1.1.1"), der.oid("1.2.840.113549.1.1.11"), der.oid("1.2.840.113549.1.1.12"),
    der.oid("1.2.840.113549.1.1.13"),
}  # fmt: skip
"""rsaEncryption, and RSA with one of the digests."""


@dataclass(frozen=True, slots=True)
class _Value:
    tag: int
    content: bytes
    raw: bytes
    inner: tuple[_Value, ...] = ()
    """Of a constructed value; then `content` is what stands between its ends."""
    definite: bool = True


@dataclass(frozen=True, slots=True)
class Signed:
    """A message with one signature, which was not verified yet."""

    content: bytes
    certificates: tuple[x509.Certificate, ...]
    """Those that came along, believed by nobody yet."""
    _signed: bytes
    _digest: hashes.HashAlgorithm
    _signature: bytes

    def signer(self, certificates: Iterable[x509.Certificate]) -> x509.Certificate:
        """Return the first of the certificates whose key has signed the message. Raises BadParameter (PKI-CMS)."""
        for certificate in certificates:
            key = certificate.public_key()
            if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048 and self._verifies(key):
                return certificate
        raise _bad("its signature is by none of the keys that it might be")

    def _verifies(self, key: rsa.RSAPublicKey) -> bool:
        try:
            key.verify(self._signature, self._signed, padding.PKCS1v15(), self._digest)
        except InvalidSignature:
            return False
        return True


def read(data: bytes) -> Signed:
    """Read a message. Raises BadParameter (PKI-CMS)."""
    if len(data) > LARGEST:
        raise _bad(f"it has more than {LARGEST} bytes")
    outer, end = _parse(data, 0, 0)
    if end != len(data):
        raise _bad("something follows its end")
    kind, explicit = _children(outer, _SEQUENCE, 2)
    if kind.raw != _SIGNED_DATA:
        raise _bad("it is not a signed message")
    (body,) = _children(explicit, _CONTEXT_0, 1)
    _, _, content, *rest = _children(body, _SEQUENCE, 4)
    said = _content(content)
    signers = rest[-1]
    (signer,) = _children(signers, _SET, 1, most=1)
    signed, digest, signature = _signer(signer, said)
    carried = rest[0].inner if rest[0].tag == _CONTEXT_0 else ()
    return Signed(said, _certificates(carried), signed, digest, signature)


def _content(value: _Value) -> bytes:
    kind, explicit = _children(value, _SEQUENCE, 2, most=2)
    if kind.raw != _DATA:
        raise _bad("what is signed is not data")
    (octets,) = _children(explicit, _CONTEXT_0, 1, most=1)
    return _octets(octets)


def _octets(value: _Value) -> bytes:
    """Return an octet string, whole or in pieces."""
    if value.tag == _OCTETS:
        return value.content
    if value.tag != _OCTETS | _CONSTRUCTED:
        raise _bad("bytes stand in a value of another type")
    return b"".join(_octets(part) for part in value.inner)


def _signer(value: _Value, content: bytes) -> tuple[bytes, hashes.HashAlgorithm, bytes]:
    """Return what was signed, with which digest, and the signature."""
    _, _, algorithm, *rest = _children(value, _SEQUENCE, 5)
    digest = _DIGESTS.get(_children(algorithm, _SEQUENCE, 1)[0].raw)
    if digest is None:
        raise _bad("its digest is not SHA-256, SHA-384 or SHA-512")
    signed = content
    if rest[0].tag == _CONTEXT_0:
        signed = _attributes(rest.pop(0), hashlib.new(digest.name, content).digest())
    if len(rest) < 2 or _children(rest[0], _SEQUENCE, 1)[0].raw not in _RSA:
        raise _bad("it is not signed with RSA")
    return signed, digest, _octets(rest[1])


def _attributes(value: _Value, digest: bytes) -> bytes:
    """Return the signed attributes as they were signed, if they speak of this content (RFC 5652 section 5.4)."""
    if not value.definite:
        raise _bad("its attributes are not in DER")
    found: dict[bytes, bytes] = {}
    for each in value.inner:
        kind, values = _children(each, _SEQUENCE, 2, most=2)
        if kind.raw in found:
            raise _bad("an attribute stands in it twice")
        found[kind.raw] = b"".join(part.raw for part in values.inner)
    if found.get(_CONTENT_TYPE) != _DATA or found.get(_MESSAGE_DIGEST) != der.value(_OCTETS, digest):
        raise _bad("its attributes are about something else")
    return bytes((_SET,)) + value.raw[1:]


def _certificates(values: tuple[_Value, ...]) -> tuple[x509.Certificate, ...]:
    if len(values) > MOST_CERTIFICATES:
        raise _bad(f"it carries more than {MOST_CERTIFICATES} certificates")
    try:
        return tuple(parse(value.raw) for value in values)
    except BadParameter:
        raise _bad("one of its certificates cannot be read") from None


def _children(value: _Value, tag: int, least: int, *, most: int = 1000) -> tuple[_Value, ...]:
    if value.tag != tag or not least <= len(value.inner) <= most:
        raise _bad("its parts are not those of a signed message")
    return value.inner


def _parse(data: bytes, at: int, depth: int) -> tuple[_Value, int]:
    """Read the value at a place; return it and where it ends."""
    if depth > _DEPTH or len(data) < at + 2:
        raise _bad("it is cut short, or too deep")
    tag, first, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise _bad("it has a tag of more than one byte")
    if first == 0x80:
        if not tag & _CONSTRUCTED:
            raise _bad("a plain value has no length")
        inner, end = _until_end(data, start, depth)
        return _Value(tag, data[start : end - 2], data[at:end], inner, definite=False), end
    octets = first & 0x7F if first & 0x80 else 0
    size = int.from_bytes(data[start : start + octets], "big") if octets else first
    start += octets
    end = start + size
    if octets > 4 or end > len(data):
        raise _bad("it is cut short")
    content = data[start:end]
    return _Value(tag, content, data[at:end], _inner(content, depth) if tag & _CONSTRUCTED else ()), end


def _inner(content: bytes, depth: int) -> tuple[_Value, ...]:
    found, at = [], 0
    while at < len(content):
        value, at = _parse(content, at, depth + 1)
        found.append(value)
    return tuple(found)


def _until_end(data: bytes, at: int, depth: int) -> tuple[tuple[_Value, ...], int]:
    """Read values up to the end-of-contents octets."""
    found = []
    while data[at : at + 2] != b"\0\0":
        value, at = _parse(data, at, depth + 1)
        found.append(value)
    return tuple(found), at + 2


def _bad(problem: str) -> BadParameter:
    return BadParameter("PKI-CMS", problem=problem)
