"""Envelopes of session recordings: a data key for each recording, wrapped to the cluster's recording key.

The key is wrapped with HPKE (RFC 9180, base mode: X25519, HKDF-SHA256, AES-256-GCM), chunks are sealed with
AES-256-GCM. Who makes a recording holds its data key while it runs and forgets it then: what a node has written
it cannot read again. The private key is in the signer process alone (`pki.custody`), which unwraps data keys and
does nothing else with it.

The nonce is the number of the chunk: a data key is made anew for each recording and seals each number once. The
associated data are head and key part of the chunk, so that no sealed payload passes for another's.
"""

from __future__ import annotations

import struct
import zlib

from cryptography.exceptions import InternalError, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, Internal
from teleport.wire import recording_chunk as chunks
from teleport.wire.recording_chunk import Chunk, Head

KEY_SIZE = 32
"""Bytes of a data key."""
_KEY_ID = 16
_TAG = 16
_INFO = b"teleport session recording v1"
_COMPRESSION = 1
"""Level of zlib: text of terminals shrinks to a third, at a third of the cost of the usual level."""
_WORTH = 64
"""Bytes below which nothing is compressed."""


def make_key(entropy: Entropy) -> X25519PrivateKey:
    """Make a recording key."""
    return X25519PrivateKey.from_private_bytes(entropy.token(32))


def private_pem(key: X25519PrivateKey) -> bytes:
    """Return the private key as unencrypted PKCS #8 PEM."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def load_private(data: bytes) -> X25519PrivateKey:
    """Read what `private_pem` wrote. Raises BadParameter (PKI-KEY)."""
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError, RuntimeError, UnsupportedAlgorithm, InternalError):  # more than the library says
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise _bad("the private key of recordings", "it is not X25519 in PEM")
    return key


def spki(key: X25519PrivateKey) -> bytes:
    """Return the public half, SubjectPublicKeyInfo in DER (RFC 8410)."""
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_public(data: bytes) -> X25519PublicKey:
    """Read a public key from SubjectPublicKeyInfo in DER. Raises BadParameter (PKI-KEY)."""
    try:
        key = serialization.load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm, InternalError):
        key = None
    if not isinstance(key, X25519PublicKey):
        raise _bad("the public key of recordings", "it is not X25519 in DER")
    return key


def wrap(data_key: bytes, public: X25519PublicKey) -> bytes:
    """Wrap a data key for the holder of the private key."""
    return _suite().encrypt(data_key, public, _INFO)


def unwrap(wrapped: bytes, private: X25519PrivateKey) -> bytes:
    """Return the data key. Raises BadParameter (PKI-RECORDING) when it is none that was wrapped to this key."""
    try:
        data_key = _suite().decrypt(wrapped, private, _INFO)
    except (InvalidTag, ValueError):
        raise _sealed("its data key was wrapped to another key, or changed") from None
    if len(data_key) != KEY_SIZE:
        raise _sealed("its data key has another length")
    return data_key


def key_part(key_id: str, wrapped: bytes) -> bytes:
    """Return the key part of a first chunk: the id of the recording key, then the wrapped data key."""
    return bytes.fromhex(key_id) + wrapped


def split_key_part(part: bytes) -> tuple[str, bytes]:
    """Return id of the recording key and wrapped data key. Raises BadParameter (PKI-RECORDING)."""
    if len(part) <= _KEY_ID:
        raise _sealed("it does not say to which key it is sealed")
    return part[:_KEY_ID].hex(), part[_KEY_ID:]


class DataKey:
    """The key of one recording, with what the first chunk says of it. It may be made before there is a recording, since
    wrapping it takes longer than sealing a chunk; whatever happens, it serves one."""

    def __init__(self, key_id: str, public: X25519PublicKey, entropy: Entropy) -> None:
        """`public` is the recording key with this id."""
        data_key = entropy.token(KEY_SIZE)
        self.key_id = key_id
        self.part = key_part(key_id, wrap(data_key, public))
        self._cipher = [AESGCM(data_key)]

    def spend(self) -> AESGCM:
        """Return the cipher, once: two recordings with one key would seal with the same nonces. Raises Internal
        (PKI-KEY-SPENT) the second time."""
        try:
            return self._cipher.pop()  # one step of the interpreter: of two threads one gets it
        except IndexError:
            raise Internal("PKI-KEY-SPENT") from None


class Sealer:
    """Writes the chunks of one recording. It cannot open what it sealed once it is gone, and keeps nothing else."""

    def __init__(self, session_id: str, key: DataKey) -> None:
        """`key` is spent."""
        self._cipher = key.spend()
        self._key = key.part
        self._session_id = session_id
        self._digest = chunks.START
        self.count = 0
        """Chunks so far."""

    def seal(self, frames: bytes, first: int, last: int, *, final: bool = False, compress: bool = True) -> bytes:
        """Return the next chunk: `frames` from `first` to `last`, milliseconds since the session began.

        Raises ProtocolError (WIRE-CHUNK) for more frames than a chunk holds.
        """
        plain = zlib.compress(frames, _COMPRESSION) if compress and len(frames) >= _WORTH else frames
        compressed = len(plain) < len(frames)
        if not compressed:
            plain = frames
        key = self._key if self.count == 0 else b""
        head = Head(
            self._session_id, self.count, first, last, final, compressed, len(key), len(plain) + _TAG, self._digest
        )  # fmt: skip
        payload = self._cipher.encrypt(_nonce(self.count), plain, head.encode() + key)
        written = chunks.build(head, key, payload)
        self.count, self._digest = self.count + 1, written[-chunks.DIGEST :]
        return written


class Opener:
    """Opens the chunks of one recording."""

    def __init__(self, data_key: bytes) -> None:
        self._cipher = AESGCM(data_key)

    def open(self, chunk: Chunk) -> bytes:
        """Return the frames. Raises BadParameter (PKI-RECORDING, WIRE-CHUNK) when the chunk was changed."""
        try:
            plain = self._cipher.decrypt(_nonce(chunk.head.number), chunk.payload, chunk.sealed_with)
        except InvalidTag:
            raise _sealed(f"chunk {chunk.head.number} was changed, or belongs to another recording") from None
        return chunks.unpack(plain, compressed=chunk.head.compressed)


def _suite() -> hpke.Suite:
    return hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _nonce(number: int) -> bytes:
    return struct.pack("!4xQ", number)


def _bad(thing: str, problem: str) -> BadParameter:
    return BadParameter("PKI-KEY", thing=thing, problem=problem)


def _sealed(problem: str) -> BadParameter:
    return BadParameter("PKI-RECORDING", problem=problem)
