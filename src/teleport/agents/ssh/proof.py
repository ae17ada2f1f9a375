"""Whether a client really logged in: the spawner's own check of what the SSH Service tells it.

The service decides and speaks with the network, and so may be taken over one day. The spawner therefore believes
signatures alone: the client's over this connection and this request (RFC 4252 §7), and the user authority's over
the client's certificate. Importing this file costs a tenth of a second and memory; nothing here keeps a state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from teleport.agents.ssh.spawner_messages import Admit
from teleport.base.errors import BadParameter, NotAuthenticated
from teleport.model.kinds.cert_authority import CertAuthority, CertAuthoritySpec, KeySet, SshKey
from teleport.model.resource import Metadata
from teleport.pki import keys, ssh
from teleport.pki.check import check_user
from teleport.pki.ssh_wire import Malformed, Reader, string

SSH_MSG_USERAUTH_REQUEST = b"\x32"
SESSION_ID_BYTES = range(20, 65)
"""Lengths of an exchange hash: SHA-1 to SHA-512."""
_SUFFIX = "-cert-v01@openssh.com"
_PLAIN = ("ssh-ed25519", "ecdsa-sha2-nistp256")
_RSA: Mapping[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}


def authorities(lines: Mapping[str, str]) -> tuple[CertAuthority, ...]:
    """Return the user authorities with these keys. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    try:
        for line in lines:
            keys.load_ssh_blob(keys.load_ssh_line(line))
    except BadParameter as error:
        raise BadParameter("SSH-SPAWN-MESSAGE", problem=error.what[:200]) from None
    return tuple(_authority(line, owner) for line, owner in lines.items())


def _authority(line: str, owner: str) -> CertAuthority:
    active = KeySet(ssh=(SshKey(public_key=line),))
    spec = CertAuthoritySpec(type="user", cluster_name=owner, active_keys=active)
    return CertAuthority(version="v2", sub_kind="user", metadata=Metadata(name=owner), spec=spec)


def verify(proof: Admit, trusted: Sequence[CertAuthority], cluster: str, now: dt.datetime) -> int:
    """Check that the client with this proof may log in now, and return when its certificate ends (seconds since 1970).

    Raises NotAuthenticated (SSH-ADMIT-PROOF) and what `pki.check.check_user` raises."""
    try:
        algorithm, blob = _request(proof)
        certificate = ssh.parse(blob)
        signed = string(proof.session_id) + proof.message
        if not _signed(keys.load_ssh_blob(certificate.key), algorithm, proof.signature, signed):
            raise Malformed("the signature is not by the key of the certificate, over this connection")
    except (Malformed, BadParameter) as error:
        raise NotAuthenticated("SSH-ADMIT-PROOF", problem=error) from None
    check_user(
        blob, proven_key=certificate.key, login=proof.login, authorities=trusted, now=now,
        source_ip=proof.source, cluster=cluster,
    )  # fmt: skip
    return certificate.valid_before


def _request(proof: Admit) -> tuple[str, bytes]:
    """Return algorithm and certificate of a request to log in. Raises Malformed unless it is nothing but one, for
    this login (RFC 4252 §7)."""
    if len(proof.session_id) not in SESSION_ID_BYTES:
        raise Malformed("the session id has no length of one")
    reader = Reader(proof.message)
    if reader.take(1) != SSH_MSG_USERAUTH_REQUEST:
        raise Malformed("the message is no request to authenticate")
    if reader.text() != proof.login:
        raise Malformed("it was signed for another account")
    if (reader.string(), reader.string(), reader.take(1)) != (b"ssh-connection", b"publickey", b"\1"):
        raise Malformed("it was signed for another service or method")
    algorithm, blob = reader.text(), reader.string()
    reader.end()
    return algorithm, blob


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
