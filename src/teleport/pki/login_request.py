"""A signed request to log in by SSH (RFC 4252 §7): who logs in as what, and whether the certificate's key signed it.

A client signs the session id of its connection together with the request. Whoever is shown both needs no trust in
the server to know that the holder of the key wanted to log in there. What is here: form and signature. What is not:
whether the certificate is good (`pki.check`), and that a session id counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from teleport.base.errors import BadParameter
from teleport.pki import keys, ssh
from teleport.pki.ssh_wire import Malformed, Reader, string

SSH_MSG_USERAUTH_REQUEST = b"\x32"
SESSION_ID_BYTES = range(20, 65)
"""Lengths of an exchange hash: SHA-1 to SHA-512."""
LARGEST = 128 * 1024
"""Bytes of a request at most: a certificate and a few names."""
_SUFFIX = "-cert-v01@openssh.com"
_PLAIN = ("ssh-ed25519", "ecdsa-sha2-nistp256")
_RSA: Mapping[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}


class Login(NamedTuple):
    """What a request says, and its signature proves."""

    account: str
    certificate: ssh.SSHCertificate


def read(session_id: bytes, message: bytes, signature: bytes) -> Login:
    """Return who wants to log in as which account; `message` is the request without the session id in front.

    Raises Malformed unless the message is a request with a certificate and nothing else, and the certificate's key
    signed it, over this session, by the algorithm that it names."""
    if len(session_id) not in SESSION_ID_BYTES:
        raise Malformed("the session id has not 20 to 64 bytes")
    account, algorithm, blob = _fields(message)
    try:
        certificate = ssh.parse(blob)
    except BadParameter as error:
        raise Malformed(f"the certificate cannot be read: {error.fields['problem']}") from None
    if not _signed(keys.load_ssh_blob(certificate.key), algorithm, signature, string(session_id) + message):
        raise Malformed("the signature is not by the key of the certificate, over this connection")
    return Login(account, certificate)


def _fields(message: bytes) -> tuple[str, str, bytes]:
    """Return account, algorithm and certificate."""
    if len(message) > LARGEST:
        raise Malformed("the signed message is too long")
    reader = Reader(message)
    number, account = reader.take(1), reader.text()
    about = reader.string(), reader.string(), reader.take(1)
    algorithm, blob = reader.text(), reader.string()
    reader.end()
    if number != SSH_MSG_USERAUTH_REQUEST or about != (b"ssh-connection", b"publickey", b"\1"):
        raise Malformed("the signed message is no request to log in with a key")
    return account, algorithm, blob


def _signed(key: keys.PublicKey, algorithm: str, signature: bytes, message: bytes) -> bool:
    """Whether a signature blob is by this key with the algorithm that the request names, one of a closed list."""
    plain, reader = algorithm.removesuffix(_SUFFIX), Reader(signature)
    name, value = reader.text(), reader.string()
    reader.end()
    if plain == algorithm or name != plain:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return name in _RSA and _signed_rsa(key, value, message, _RSA[name])
    return name in _PLAIN and keys.verify_ssh_signature(key, signature, message)


def _signed_rsa(key: rsa.RSAPublicKey, signature: bytes, message: bytes, digest: hashes.HashAlgorithm) -> bool:
    try:
        key.verify(signature, message, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True
