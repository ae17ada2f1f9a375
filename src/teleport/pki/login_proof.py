"""LoginProof: what is left of a login by SSH that a third party can check: who signed in, as which account.

RFC 4252 §7: a client signs the session id of its connection with the key in its certificate. Whoever terminated that
connection can show certificate, session id and signature to somebody else, who needs no trust in him to know that the
holder of the key wanted to log in. What it does not say is where: the session id is the only word about the server. So
it is to be taken once, and to open nothing that the user may not open anyway.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from teleport.base.errors import BadParameter, NotAuthenticated
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import check, keys, ssh
from teleport.pki.ssh_wire import Malformed, Reader, string

REQUEST = 50
"""Number of SSH_MSG_USERAUTH_REQUEST."""
SERVICE = b"ssh-connection"
METHOD = b"publickey"
_RSA = {b"rsa-sha2-256": hashes.SHA256, b"rsa-sha2-512": hashes.SHA512}
_LARGEST = 128 * 1024
"""Bytes of a signed message at most: a certificate and a few names."""


@dataclass(frozen=True, slots=True)
class LoginProof:
    """A login, as the server of it saw it."""

    certificate: bytes
    """Blob of the user's certificate."""
    session_id: bytes
    """Of the connection: the exchange hash of its first key exchange (RFC 4253 §7.2)."""
    message: bytes
    """The request as it was signed, without the session id in front."""
    signature: bytes
    """SSH signature blob."""


def verify(
    proof: LoginProof, *, login: str, authorities: Iterable[CertAuthority], now: dt.datetime, cluster: str
) -> Identity:
    """Return who logged in as `login`.

    Raises NotAuthenticated (PKI-LOGIN-PROOF) for a proof that proves nothing, AccessDenied (PKI-CARRIED) for one by
    a proxy instead of a user, and what `check.check_user` raises; a certificate that is bound to an address is refused
    by it: where the user was cannot be proven.
    """
    try:
        certificate = ssh.parse(proof.certificate)
    except BadParameter as error:
        raise _nothing(f"the certificate cannot be read: {error.fields['problem']}") from None
    if not 16 <= len(proof.session_id) <= 64:
        raise _nothing("the session id has not 16 to 64 bytes")
    user = _user_of(proof)
    if user != login:
        raise _nothing("it is a login as somebody else")
    if not _is_signed(keys.load_ssh_blob(certificate.key), proof):
        raise _nothing("the signature is not by the key of the certificate")
    identity = check.check_user(
        proof.certificate, proven_key=certificate.key, login=login, authorities=authorities, now=now, source_ip="",
        cluster=cluster,
    )  # fmt: skip
    check.check_carried(identity)
    return identity


def _user_of(proof: LoginProof) -> str:
    """Return the account that the signed request is for."""
    if len(proof.message) > _LARGEST:
        raise _nothing("the signed message is too long")
    reader = Reader(proof.message)
    try:
        number, user, service, method = reader.uint(1), reader.text(), reader.string(), reader.string()
        has_signature, _, key = reader.uint(1), reader.string(), reader.string()
        reader.end()
    except Malformed as error:
        raise _nothing(f"the signed message cannot be read: {error}") from None
    if (number, service, method, has_signature) != (REQUEST, SERVICE, METHOD, 1):
        raise _nothing("the signed message is no request to log in with a key")
    if key != proof.certificate:
        raise _nothing("the signed message is about another certificate")
    return user


def _is_signed(key: keys.PublicKey, proof: LoginProof) -> bool:
    message = string(proof.session_id) + proof.message
    if not isinstance(key, rsa.RSAPublicKey):
        return keys.verify_ssh_signature(key, proof.signature, message)
    try:
        reader = Reader(proof.signature)
        algorithm, signature = reader.string(), reader.string()
        reader.end()
        key.verify(signature, message, padding.PKCS1v15(), _RSA[algorithm]())
    except (Malformed, KeyError, InvalidSignature):
        return False
    return True


def _nothing(problem: str) -> NotAuthenticated:
    return NotAuthenticated("PKI-LOGIN-PROOF", problem=problem)
