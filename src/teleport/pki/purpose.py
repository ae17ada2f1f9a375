"""What a key of an authority may sign: one kind of document each, and only in its own name.

The signer asks here before every signature, so that a caller who got hold of its socket still cannot
make it sign something else: a certificate of another authority, an intermediate authority, a TLS
handshake, a git commit.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from teleport.base.errors import BadParameter
from teleport.pki import der, keys, ssh
from teleport.pki.ssh_wire import Malformed

_DIGEST = re.compile("[0-9a-f]{64}")
_CONSTRAINTS, _AUTHORITY_KEY = "2.5.29.19", "2.5.29.35"
_LEAF = der.value(der.SEQUENCE)
_AUTHORITY = der.value(der.SEQUENCE, der.value(der.BOOLEAN, b"\xff"))
"""The two forms of basic constraints that are written here (RFC 5280, 4.2.1.9)."""


def check(purpose: str, public: keys.PublicKey, tbs: bytes) -> None:
    """Raise Malformed, with the reason, unless a key of this purpose may sign `tbs`."""
    _CHECKS[purpose](public, tbs)


def _check_ssh(public: keys.PublicKey, tbs: bytes) -> None:
    try:
        body = ssh.parse_tbs(tbs)
    except BadParameter as error:
        raise Malformed(f"not the body of an OpenSSH certificate: {error.fields['problem']}") from None
    if body.authority != keys.ssh_blob(public):
        raise Malformed("the certificate names another authority")
    if not body.principals:
        raise Malformed("the certificate has no principals")


def _check_x509(public: keys.PublicKey, tbs: bytes) -> None:
    """Read with the writer of such bodies, and only what that writes: the library for certificates would take a
    quarter of this process, and a body that two readers could understand differently is not signed."""
    try:
        found, extensions = der.fields(tbs), der.extensions(tbs)
    except Malformed as error:
        raise Malformed(f"not the body of an X.509 certificate: {error}") from None
    if found[2].raw != der.ALGORITHMS[keys.algorithm_of(public)]:
        raise Malformed("the certificate is to be signed with another algorithm")
    if extensions.get(_AUTHORITY_KEY) != der.value(der.SEQUENCE, der.value(0x80, der.key_id(keys.spki(public)))):
        raise Malformed("the certificate names another authority")
    constraints = extensions.get(_CONSTRAINTS)
    if constraints not in (_LEAF, _AUTHORITY):
        raise Malformed("the certificate does not say whether it is of an authority")
    if constraints == _AUTHORITY and found[6].raw != keys.spki(public):
        raise Malformed("the certificate would make a second authority")


def _check_jwt(public: keys.PublicKey, tbs: bytes) -> None:
    """A JWS signing input (RFC 7515 section 5.1) whose header names this key's algorithm."""
    head, dot, body = tbs.partition(b".")
    try:
        header, _ = (json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))) for part in (head, body))
    except (ValueError, binascii.Error, RecursionError):
        raise Malformed("not the input of a JSON web signature") from None
    wanted = "EdDSA" if isinstance(public, ed25519.Ed25519PublicKey) else "ES256"
    if not dot or not isinstance(header, dict) or header.get("alg") != wanted:
        raise Malformed(f"the token's algorithm is not {wanted}")


def _check_audit(public: keys.PublicKey, tbs: bytes) -> None:
    """A checkpoint of the audit log in its canonical form (`base.audit_verify`). Read without a schema library,
    which would double what the signer imports."""
    try:
        found = json.loads(tbs)
    except (ValueError, RecursionError):
        found = None
    if not _is_checkpoint(found):
        raise Malformed("not a checkpoint of the audit log")
    if json.dumps(found, sort_keys=True, separators=(",", ":")).encode() != tbs:
        raise Malformed("the checkpoint is not in canonical form")


def _is_checkpoint(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and found.keys() == {"cluster", "number", "time", "previous", "logs"}
        and type(found["cluster"]) is type(found["time"]) is str
        and _counts(found["number"])
        and _is_digest(found["previous"])
        and isinstance(found["logs"], dict)
        and all(_is_head(head) for head in found["logs"].values())
    )


def _is_head(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and found.keys() == {"sequence", "digest"}
        and _counts(found["sequence"])
        and _is_digest(found["digest"])
    )


def _counts(found: object) -> bool:
    return type(found) is int and found >= 1


def _is_digest(found: object) -> bool:
    return isinstance(found, str) and _DIGEST.fullmatch(found) is not None


_CHECKS: dict[str, Callable[[keys.PublicKey, bytes], None]] = {
    "ssh": _check_ssh,
    "x509": _check_x509,
    "jwt": _check_jwt,
    "audit": _check_audit,
}

PURPOSES = tuple(_CHECKS)
"""Names of purposes of keys that sign, given when a key is made."""
RECORDING = "recording"
"""Purpose of a key that signs nothing: recordings are sealed to it."""
