"""Key exchange, the client's half: X25519 alone (RFC 8731), and with ML-KEM-768 (draft-ietf-sshm-mlkem-hybrid-kex).

What is here: the numbers, the hash over the exchange and the keys made of it. What is not: who signed that hash
(`trust`), or when keys change (`transport`).
"""

from __future__ import annotations

from teleport.base.entropy import Entropy
from teleport.base.lean import Callable, Protocol
from teleport.pki.library import library
from teleport.pki.ssh_wire import mpint, string
from teleport.wire.ssh import bad

try:
    from _hashlib import openssl_sha256 as sha256
except ImportError:  # Python without OpenSSL's
    from hashlib import sha256

_CIPHERTEXT, _POINT = 1088, 32


class Exchange(Protocol):
    """One exchange of keys."""

    public: bytes
    """What the client sends."""

    def secret(self, answer: bytes) -> bytes:
        """Return the shared secret as it goes into hashes. Raises ProtocolError (WIRE-SSH)."""


class Curve:
    """X25519."""

    def __init__(self, entropy: Entropy) -> None:
        self._key = library.x25519.from_private_bytes(entropy.token(32))
        self.public = self._key.public_key().public_bytes_raw()

    def secret(self, answer: bytes) -> bytes:
        return mpint(int.from_bytes(self.shared(answer), "big"))

    def shared(self, answer: bytes) -> bytes:
        """Return the shared secret itself. Raises ProtocolError (WIRE-SSH): also for points of small order."""
        try:
            return self._key.exchange(library.x25519.from_public_bytes(answer))
        except ValueError:
            raise bad("the server's part of the key exchange is no point of the curve") from None


class Hybrid:
    """X25519 and ML-KEM-768: safe as long as one of the two is."""

    def __init__(self, entropy: Entropy) -> None:
        self._curve = Curve(entropy)
        self._key = library.mlkem.from_mlkem768_seed_bytes(entropy.token(64))
        self.public = self._key.public_key().public_bytes_raw() + self._curve.public

    def secret(self, answer: bytes) -> bytes:
        if len(answer) != _CIPHERTEXT + _POINT:
            raise bad("the server's part of the key exchange has the wrong size")
        inner = self._key.decapsulate(answer[:_CIPHERTEXT])
        return string(sha256(inner + self._curve.shared(answer[_CIPHERTEXT:])).digest())


EXCHANGES: dict[str, Callable[[Entropy], Exchange]] = {
    "mlkem768x25519-sha256": Hybrid, "curve25519-sha256": Curve, "curve25519-sha256@libssh.org": Curve,
}  # fmt: skip
"""Best first. All hash with SHA-256."""


class Secrets:
    """What came out of an exchange: keys are derived of it (RFC 4253 §7.2)."""

    def __init__(self, secret: bytes, exchange_hash: bytes, session_id: bytes) -> None:
        self._base = secret + exchange_hash
        self._session_id = session_id

    def derive(self, letter: bytes, size: int) -> bytes:
        """Return key or IV `letter` (A to F)."""
        found = sha256(self._base + letter + self._session_id).digest()
        while len(found) < size:
            found += sha256(self._base + found).digest()
        return found[:size]


def hash_of(*, versions: tuple[bytes, bytes], offers: tuple[bytes, bytes], host_key: bytes, public: bytes,
            answer: bytes, secret: bytes) -> bytes:  # fmt: skip
    """Return the hash that the server signs: over everything that both sides have said (RFC 8731 §3.1)."""
    parts = (*versions, *offers, host_key, public, answer)
    return sha256(b"".join(string(part) for part in parts) + secret).digest()
