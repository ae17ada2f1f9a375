"""OpenSSH certificates: written, read, issued and their signature checked.

The format is OpenSSH's PROTOCOL.certkeys. What a certificate *means* is elsewhere: `pki.codec` turns
it into an Identity, `pki.check` decides whether to accept it. Reading is stricter than OpenSSH's own:
what could be read in two ways is not read at all. In particular the authority inside a certificate
must be a plain key of a closed set; a certificate there was CVE-2025-49825.
"""

from __future__ import annotations

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.base.lean import TYPE_CHECKING, Mapping, NamedTuple
from teleport.pki import keys
from teleport.pki.ssh_wire import Malformed, Reader, string

if TYPE_CHECKING:
    from typing import Literal

    from teleport.pki.signer import Signer

    CertificateType = Literal["user", "host"]

_TYPES: dict[int, CertificateType] = {1: "user", 2: "host"}
_NUMBERS = {name: number for number, name in _TYPES.items()}

_SUFFIX = b"-cert-v01@openssh.com"
_KEY_FIELDS = {keys.SSH_ED25519: 1, keys.SSH_ECDSA: 2, keys.SSH_RSA: 2}
"""How many strings make up a key of each type."""
_AUTHORITY_TYPES = (keys.SSH_ED25519, keys.SSH_ECDSA)

MAX_BLOB = 65536
"""Largest certificate in bytes."""
_MAX_PRINCIPALS = 256  # OpenSSH's own limit (SSHKEY_CERT_MAX_PRINCIPALS)
_MAX_OPTIONS = 64
_MAX_NAME = 512
_FOREVER = (1 << 64) - 1


class Body(NamedTuple):
    """Everything of a certificate but the signature.

    Times are seconds since 1970. In `critical_options` and `extensions` a flag has the value `""`.
    """

    key: bytes
    """Blob of the plain key that is certified."""
    nonce: bytes
    serial: int
    type: CertificateType
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: Mapping[str, str]
    extensions: Mapping[str, str]
    authority: bytes
    """Blob of the plain key that signs."""


class SSHCertificate(NamedTuple):
    """A signed certificate: the fields of its `Body`, and what travels.

    Written twice, because a NamedTuple inherits no fields, and dataclasses cost each start of `tsh` their import."""

    key: bytes
    nonce: bytes
    serial: int
    type: CertificateType
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: Mapping[str, str]
    extensions: Mapping[str, str]
    authority: bytes
    blob: bytes
    """All of it."""
    tbs: bytes
    """The part of `blob` that is signed."""
    signature: bytes

    def line(self, comment: str = "") -> str:
        """Return the line of a `-cert.pub` file, without newline."""
        return keys.ssh_line(self.blob, comment)


def is_certificate(blob: bytes) -> bool:
    """Say whether the blob calls itself a certificate; says nothing about its validity."""
    try:
        return Reader(blob).string().endswith(_SUFFIX)
    except Malformed:
        return False


_PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@:+-"
"""What most principals consist of: looking at each character of them is not needed."""


def check_principal(text: str) -> None:
    """Raise BadParameter (PKI-SSH-CERT) unless `text` can stand in a list of principals.

    No comma (CVE-2026-35414: lists are joined by commas), white space, control or format character,
    and only Unicode's composed form, so that equal-looking names are equal."""
    if not 0 < len(text) <= _MAX_NAME:
        raise _bad("a principal is empty or too long")
    if not text.strip(_PLAIN):
        return
    import unicodedata  # few principals and texts need it

    if "," in text or any(c.isspace() or unicodedata.category(c)[0] == "C" for c in text):
        raise _bad("a principal has a comma, white space or a control character")
    if not unicodedata.is_normalized("NFC", text):
        raise _bad("a principal is not in Unicode's composed form")


def encode_tbs(body: Body) -> bytes:
    """Write the part of a certificate that is signed. Raises BadParameter (PKI-SSH-CERT)."""
    _check(body)
    kind = Reader(body.key).string()
    fields = body.key[4 + len(kind) :]
    numbers = body.serial.to_bytes(8, "big") + _NUMBERS[body.type].to_bytes(4, "big")
    validity = body.valid_after.to_bytes(8, "big") + body.valid_before.to_bytes(8, "big")
    tbs = b"".join(
        (
            string(kind + _SUFFIX),
            string(body.nonce),
            fields,
            numbers,
            string(body.key_id.encode()),
            string(b"".join(string(p.encode()) for p in body.principals)),
            validity,
            string(_encode_options(body.critical_options)),
            string(_encode_options(body.extensions)),
            string(b""),
            string(body.authority),
        )
    )
    if len(tbs) > MAX_BLOB - 256:
        raise _bad(f"it would have more than {MAX_BLOB} bytes")
    return tbs


def _encode_options(options: Mapping[str, str]) -> bytes:
    parts = []
    for name in sorted(options, key=str.encode):
        value = options[name].encode()
        parts.append(string(name.encode()) + string(string(value) if value else b""))
    return b"".join(parts)


def _check(body: Body) -> None:
    """Rules that hold for certificates we write and for those we read."""
    for principal in body.principals:
        check_principal(principal)
    if len(body.principals) > _MAX_PRINCIPALS or len(set(body.principals)) != len(body.principals):
        raise _bad("a principal stands in it twice, or there are too many")
    _check_text(body.key_id, "key id")
    for options in (body.critical_options, body.extensions):
        if len(options) > _MAX_OPTIONS:
            raise _bad("it has too many options")
        for name, value in options.items():
            _check_text(name, "name of an option")
            if not name or any("\ud800" <= c <= "\udfff" for c in value):
                raise _bad("an option has no name or its value is no text")
    if not 0 <= body.valid_after < body.valid_before <= _FOREVER or not 0 <= body.serial <= _FOREVER:
        raise _bad("its validity ends before it begins, or a number is out of range")
    if not 16 <= len(body.nonce) <= 64:
        raise _bad("its nonce has not 16 to 64 bytes")
    _check_key(body.key, "certified key")
    if _check_key(body.authority, "signing key") not in _AUTHORITY_TYPES:
        raise _bad("its signing key is neither Ed25519 nor ECDSA P-256")


def _check_text(text: str, what: str) -> None:
    if len(text) > _MAX_NAME or not ((text.isascii() and text.isprintable()) or _is_text(text)):
        raise _bad(f"its {what} is too long or has a control character")


def _is_text(text: str) -> bool:
    import unicodedata

    return not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)


def _check_key(blob: bytes, what: str) -> bytes:
    """Return the type of a plain key of the closed set: neither a certificate nor anything nested."""
    try:
        keys.load_ssh_blob(blob)
    except BadParameter as error:
        raise _bad(f"its {what} is not a plain key: {error.fields['problem']}") from None
    return Reader(blob).string()


def parse(blob: bytes) -> SSHCertificate:
    """Read a certificate. Its signature is not checked: see `verify`. Raises BadParameter (PKI-SSH-CERT)."""
    try:
        body, tbs = _parse_front(blob)
        reader = Reader(blob[len(tbs) :])
        signature = reader.string()
        reader.end()
    except Malformed as error:
        raise _bad(str(error)) from None
    return _signed(body, tbs, signature)


def parse_tbs(tbs: bytes) -> Body:
    """Read the part of a certificate that is signed. Raises BadParameter (PKI-SSH-CERT)."""
    try:
        body, read = _parse_front(tbs)
    except Malformed as error:
        raise _bad(str(error)) from None
    if read != tbs:
        raise _bad("bytes follow its end")
    return body


def _parse_front(blob: bytes) -> tuple[Body, bytes]:
    if len(blob) > MAX_BLOB:
        raise Malformed(f"it has more than {MAX_BLOB} bytes")
    reader = Reader(blob)
    kind = reader.string()
    plain = kind.removesuffix(_SUFFIX)
    if kind == plain or plain not in _KEY_FIELDS:
        raise Malformed("its type is unknown")
    nonce = reader.string()
    key = string(plain) + b"".join(string(reader.string()) for _ in range(_KEY_FIELDS[plain]))
    serial, number = reader.uint(8), reader.uint(4)
    if number not in _TYPES:
        raise Malformed("it is neither for a user nor for a host")
    body = Body(
        key=key, nonce=nonce, serial=serial, type=_TYPES[number], key_id=reader.text(),
        principals=_parse_principals(reader.string()), valid_after=reader.uint(8), valid_before=reader.uint(8),
        critical_options=_parse_options(reader.string()), extensions=_parse_options(reader.string()),
        authority=_parse_end(reader),
    )  # fmt: skip
    _check(body)
    return body, blob[: reader.position]


def _parse_principals(data: bytes) -> tuple[str, ...]:
    reader = Reader(data)
    found = []
    while not reader.done:
        found.append(reader.text())
    return tuple(found)


def _parse_options(data: bytes) -> dict[str, str]:
    reader = Reader(data)
    found: dict[str, str] = {}
    previous = b""
    while not reader.done:
        name, packed = reader.string(), Reader(reader.string())
        if name <= previous:
            raise Malformed("its options are not sorted or one stands there twice")
        value = "" if packed.done else packed.text()
        if packed.position and not value:
            raise Malformed("an option has an empty value")
        packed.end()
        previous = name
        found[Reader(string(name)).text()] = value
    return found


def _parse_end(reader: Reader) -> bytes:
    if reader.string():
        raise Malformed("its reserved field is not empty")
    return reader.string()


def verify(certificate: SSHCertificate) -> bool:
    """Say whether the signature was made by the certificate's own authority key over exactly its bytes.

    Whether that authority is trusted is another question (`pki.check`)."""
    authority = keys.load_ssh_blob(certificate.authority)
    return keys.verify_ssh_signature(authority, certificate.signature, certificate.tbs)


async def issue(
    signer: Signer,
    key_id_of_authority: str,
    *,
    authority: bytes,
    key: bytes,
    type: CertificateType,
    key_id: str,
    principals: tuple[str, ...],
    valid_after: int,
    valid_before: int,
    entropy: Entropy,
    critical_options: Mapping[str, str] | None = None,
    extensions: Mapping[str, str] | None = None,
) -> SSHCertificate:
    """Issue a certificate for `key`, signed by the signer's key whose public blob is `authority`.

    Serial and nonce are random. Raises BadParameter (PKI-SSH-CERT, PKI-KEY) and what `Signer.sign` raises.
    An empty list of principals is refused: OpenSSH reads it as "anybody" (class of CVE-2024-7594)."""
    if not principals:
        raise _bad("it would have no principals")
    body = Body(
        key=key, nonce=entropy.token(32), serial=int.from_bytes(entropy.token(8), "big"), type=type, key_id=key_id,
        principals=principals, valid_after=valid_after, valid_before=valid_before,
        critical_options=critical_options or {}, extensions=extensions or {}, authority=authority,
    )  # fmt: skip
    tbs = encode_tbs(body)
    raw = await signer.sign(key_id_of_authority, tbs)
    return _signed(body, tbs, keys.ssh_signature(keys.load_ssh_blob(authority), raw))


def _signed(body: Body, tbs: bytes, signature: bytes) -> SSHCertificate:
    return SSHCertificate(*body, blob=tbs + string(signature), tbs=tbs, signature=signature)


def _bad(problem: str) -> BadParameter:
    return BadParameter("PKI-SSH-CERT", problem=problem)
