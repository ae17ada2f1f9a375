"""As much of DER (X.690) as an X.509 certificate needs to be put together around a signature.

The private key of an authority is in another process, so no library can build and sign in one step:
the part to be signed is written here, signed there, and joined with the signature here. Reading
certificates is the library's work (`pki.x509`), but for the subject, which is read as strictly as written.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from teleport.pki.keys import ECDSA_P256, ED25519
from teleport.pki.ssh_wire import Malformed

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, UTF8, PRINTABLE = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0C, 0x13
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


def value(tag: int, *content: bytes) -> bytes:
    """Return tag, length and the joined content."""
    data = b"".join(content)
    size = len(data)
    if size < 0x80:
        return bytes((tag, size)) + data
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + data


def integer(number: int) -> bytes:
    """Return a non-negative INTEGER."""
    return value(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER given as `1.2.3`."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    encoded = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return value(OID, bytes(encoded))


def name(attributes: Iterable[tuple[str, str]]) -> bytes:
    """Return a Name of (OID, text) pairs, each alone in its set so that their order is kept (RFC 5280, 4.1.2.4).

    The library's own encoder refuses common names of more than 64 characters; `<uuid>.<cluster>` may be longer."""
    sets = (value(SET, value(SEQUENCE, oid(kind), value(UTF8, text.encode()))) for kind, text in attributes)
    return value(SEQUENCE, *sets)


def time(moment: dt.datetime) -> bytes:
    """Return a Time: two-digit years up to 2049, four-digit ones after (RFC 5280, 4.1.2.5)."""
    moment = moment.astimezone(dt.UTC)
    text = moment.strftime("%Y%m%d%H%M%SZ").rjust(15, "0").encode()
    return value(UTC_TIME, text[2:]) if 1950 <= moment.year < 2050 else value(GENERALIZED_TIME, text)


def extension(dotted: str, content: bytes, *, critical: bool) -> bytes:
    """Return an Extension whose value is already in DER."""
    flag = value(BOOLEAN, b"\xff") if critical else b""
    return value(SEQUENCE, oid(dotted), flag, value(OCTET_STRING, content))


ALGORITHMS = {
    ED25519: value(SEQUENCE, oid("1.3.101.112")),
    ECDSA_P256: value(SEQUENCE, oid("1.2.840.10045.4.3.2")),
}
"""AlgorithmIdentifier of signatures by key algorithm (RFC 8410 section 3, RFC 5758 section 3.2)."""


def tbs_certificate(
    *, serial: int, algorithm: str, issuer: bytes, not_before: dt.datetime, not_after: dt.datetime,
    subject: bytes, spki: bytes, extensions: Iterable[bytes],
) -> bytes:  # fmt: skip
    """Return a TBSCertificate of version 3 (RFC 5280 section 4.1); names, key and extensions are already in DER."""
    version = value(0xA0, integer(2))
    validity = value(SEQUENCE, time(not_before), time(not_after))
    listed = value(0xA3, value(SEQUENCE, *extensions))
    parts = (version, integer(serial), ALGORITHMS[algorithm], issuer, validity, subject, spki, listed)
    return value(SEQUENCE, *parts)


def certificate(tbs: bytes, algorithm: str, signature: bytes) -> bytes:
    """Return the Certificate of a signed TBSCertificate."""
    return value(SEQUENCE, tbs, ALGORITHMS[algorithm], value(BIT_STRING, b"\0", signature))


class Element(NamedTuple):
    """One value: its tag, its content, and all of it."""

    tag: int
    content: bytes
    raw: bytes


def elements(data: bytes) -> list[Element]:
    """Split the content of a SEQUENCE or SET. Raises Malformed."""
    found = []
    at = 0
    while at < len(data):
        first = data[at + 1] if at + 1 < len(data) else 0
        octets = first & 0x7F if first & 0x80 else 0
        head = at + 2 + octets
        end = head + (int.from_bytes(data[at + 2 : head], "big") if octets else first)
        if len(data) < end:
            raise Malformed("it is cut short")
        found.append(Element(data[at], data[head:end], data[at:end]))
        at = end
    return found


def fields(tbs: bytes) -> list[Element]:
    """Return the fields of a TBSCertificate of version 3: version, serial number, algorithm, issuer, validity,
    subject, key, ... Raises Malformed."""
    outer = elements(tbs)
    found = elements(outer[0].content) if len(outer) == 1 else []
    if len(found) < 7 or found[0].tag != 0xA0:
        raise Malformed("it is not of version 3")
    return found


def extensions(tbs: bytes) -> dict[str, bytes]:
    """Return the content of each extension of a TBSCertificate by its OID.

    Raises Malformed for everything that `tbs_certificate` and `extension` would not have written."""
    parts, outer = fields(tbs), elements(tbs)[0]
    listed = elements(parts[7].content) if len(parts) == 8 and parts[7].tag == 0xA3 else []
    if len(listed) != 1:
        raise Malformed("its extensions are not in their place")
    found: dict[str, bytes] = {}
    for each in elements(listed[0].content):
        kind, content = _extension(each)
        if kind in found:
            raise Malformed(f"it has the extension {kind} twice")
        found[kind] = content
    if not all(value(each.tag, each.content) == each.raw for each in (outer, *parts, *listed)):
        raise Malformed("a length in it has another form")
    return found


def _extension(found: Element) -> tuple[str, bytes]:
    parts = elements(found.content)
    if [part.tag for part in parts] not in ([OID, OCTET_STRING], [OID, BOOLEAN, OCTET_STRING]):
        raise Malformed("an extension in it has another form")
    kind, content = dotted(parts[0].content), parts[-1].content
    if extension(kind, content, critical=len(parts) == 3) != found.raw:
        raise Malformed("an extension in it has another form")
    return kind, content


def key_id(spki: bytes) -> bytes:
    """Return the key identifier of a key (RFC 5280, 4.2.1.2, method 1). It names, and proves nothing."""
    _, bits = elements(elements(spki)[0].content)
    return hashlib.sha1(bits.content[1:], usedforsecurity=False).digest()


def attributes(content: bytes) -> tuple[tuple[str, str], ...]:
    """Return the (OID, text) pairs of a Name, given its content.

    Raises Malformed if an RDN has several values or one is not UTF-8 text. The library's reader warns of
    long texts, and joins what `name` keeps apart."""
    pairs = []
    for rdn in elements(content):
        parts = [elements(attribute.content) for attribute in elements(rdn.content)]
        if len(parts) != 1 or [part.tag for part in parts[0]] not in ([OID, UTF8], [OID, PRINTABLE]):
            raise Malformed("a part of its subject has several values or is no text")
        try:
            pairs.append((dotted(parts[0][0].content), parts[0][1].content.decode()))
        except UnicodeDecodeError:
            raise Malformed("a text in it is not UTF-8") from None
    return tuple(pairs)


def dotted(content: bytes) -> str:
    """Return the content of an OBJECT IDENTIFIER as `1.2.3`."""
    arcs = [0]
    for octet in content:
        arcs[-1] = arcs[-1] << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(0)
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:-1])))
