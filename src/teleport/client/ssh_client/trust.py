"""Keys of a connection: whom a host is believed to be, and what the user proves themselves with.

A host has a certificate of a known authority for the name that was dialled, or it is not believed: there is no first
use, and plain host keys are not even offered (`transport.HOST_KEYS`).
"""

from __future__ import annotations

import os

from teleport.base.errors import BadParameter, NotAuthenticated
from teleport.base.lean import Callable, Iterable, NamedTuple, dt
from teleport.client.profile import MAX_FILE, Home, Profile
from teleport.pki import keys, ssh
from teleport.pki.ssh_check import check_server
from teleport.pki.ssh_wire import Malformed, Reader

_RSA = {b"rsa-sha2-256": "SHA256", b"rsa-sha2-512": "SHA512"}
_SUFFIX = "-cert-v01@openssh.com"


class HostTrust(NamedTuple):
    """Who may answer."""

    host: str
    """The name that was dialled: it must be a principal of the host's certificate."""
    authorities: frozenset[bytes]
    """Blobs of the keys that may vouch for hosts."""
    now: Callable[[], dt.datetime]

    def verify(self, algorithm: str, host_key: bytes, signature: bytes, signed: bytes) -> None:
        """Raise unless the host is the one that was dialled and has signed `signed`.

        NotAuthenticated and AccessDenied (PKI-*) as `pki.ssh_check.check_server`, and PKI-BAD-SIGNATURE."""
        certificate = check_server(host_key, host=self.host, trusted=self.authorities, now=self.now())
        if not _proves(algorithm.removesuffix(_SUFFIX).encode(), certificate.key, signature, signed):
            raise NotAuthenticated("PKI-BAD-SIGNATURE")


def _proves(algorithm: bytes, blob: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the signature was made by the key, with the algorithm that was agreed on and no other."""
    key = keys.load_ssh_blob(blob)
    try:
        reader = Reader(signature)
        kind, raw = reader.string(), reader.string()
        reader.end()
    except Malformed:
        return False
    if kind != algorithm:
        return False
    if kind in _RSA:
        return _proves_rsa(kind, key, raw, signed)
    return keys.verify_ssh_signature(key, signature, signed)


def _proves_rsa(kind: bytes, key: keys.PublicKey, raw: bytes, signed: bytes) -> bool:
    if not isinstance(key, keys.RSAPublicKey):
        return False
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    try:
        key.verify(raw, signed, padding.PKCS1v15(), getattr(hashes, _RSA[kind])())
    except InvalidSignature:
        return False
    return True


class UserKey(NamedTuple):
    """A private key and the certificate for it."""

    private: keys.PrivateKey | Callable[[bytes], bytes]
    """The key, or what signs with it: an SSH agent."""
    certificate: bytes
    """Blob of the certificate."""

    @property
    def algorithm(self) -> bytes:
        """Type of the certificate: the algorithm of a request to sign in."""
        return Reader(self.certificate).string()

    def sign(self, data: bytes) -> bytes:
        """Return an SSH signature blob. Raises what an agent raises."""
        if not isinstance(self.private, keys.PrivateKey):
            return self.private(data)
        return keys.ssh_signature(self.private.public_key(), keys.sign(self.private, data))


def user_key(home: Home, profile: Profile) -> UserKey:
    """Return what the profile's user signs in with; a key that is not on the disk is one of the SSH agent.

    Raises BadParameter (PKI-KEY, DISK-*), NotFound (DISK-*, CLIENT-AGENT-KEY)."""
    files = home.files(profile)
    line = home.disk.read(files.ssh_certificate, limit=MAX_FILE).decode("ascii", "replace")
    blob = keys.load_ssh_line(line)
    if not ssh.is_certificate(blob):
        raise BadParameter("PKI-KEY", thing=files.ssh_certificate, problem="it is no certificate")
    if not home.disk.exists(files.ssh_key):
        from teleport.client import agent

        return UserKey(agent.signer(os.environ, blob), blob)
    return UserKey(keys.load_private(home.disk.read(files.ssh_key, limit=MAX_FILE, private=True)), blob)


def host_authorities(home: Home, profile: Profile) -> frozenset[bytes]:
    """Return who may vouch for nodes of the profile's cluster, from the lines that sign-in has written.

    Raises BadParameter (PKI-KEY, DISK-*), NotFound (DISK-*)."""
    text = home.disk.read(home.files(profile).own_known_hosts, limit=MAX_FILE).decode(errors="replace")
    return frozenset(_vouching(text.splitlines()))


def _vouching(lines: Iterable[str]) -> Iterable[bytes]:
    for line in lines:
        words = line.split()
        if words[:1] == ["@cert-authority"]:
            yield keys.load_ssh_line(" ".join(words[2:4]))
