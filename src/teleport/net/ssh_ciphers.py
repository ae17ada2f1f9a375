"""Packet protection of SSH with the two ciphers that authenticate by themselves: AES-GCM and ChaCha20-Poly1305.

One object per key and direction, which keeps what a key costs to set up; asyncssh makes it anew for each packet.
Keys and first nonces are asyncssh's, from its key exchange. What packets are and mean is in `ssh_packets`.
"""

from __future__ import annotations

from typing import Any, Protocol

from asyncssh.crypto.cipher import GCMCipher
from asyncssh.encryption import ChachaEncryption, GCMEncryption
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.poly1305 import Poly1305

Bytes = bytes | bytearray | memoryview

LENGTH = 4
"""Bytes of a packet before what `packet length` counts."""
TAG = 16
"""Bytes behind it."""
_COUNTS = (1 << 64) - 1
_ZEROS = bytes(64)
"""One block of ChaCha20's key stream."""


class PacketCipher(Protocol):
    """Protects the packets of one direction under one key. Every packet of that key goes through one object."""

    block: int
    """What the lengths of packets are multiples of, the length field left out (it is not encrypted with the rest)."""

    def length(self, number: int, head: bytes) -> int:
        """Return what the first four bytes of packet `number` say: how many more follow before the tag."""
        ...

    def seal(self, number: int, plain: Bytes, into: memoryview) -> None:
        """Write packet `number` as it goes over the wire: LENGTH and TAG more than `plain`, which is padding length,
        payload and padding."""
        ...

    def open(self, number: int, head: bytes, sealed: Bytes) -> bytes | None:
        """Return the plain packet `number`, of which `sealed` ends with the tag; None when it is not genuine."""
        ...


class GcmPackets:
    """AES-GCM: the length in clear is associated data, the nonce counts packets (RFC 5647 §7)."""

    block = 16

    def __init__(self, cipher: GCMCipher) -> None:
        """Take over key and nonce of `cipher`, which must not be used again: a nonce never comes twice."""
        self._aead = AESGCM(cipher._key)
        self._fixed, self._count = cipher._iv[:4], int.from_bytes(cipher._iv[4:], "big")

    def length(self, number: int, head: bytes) -> int:
        """See PacketCipher."""
        return int.from_bytes(head, "big")

    def seal(self, number: int, plain: Bytes, into: memoryview) -> None:
        """See PacketCipher."""
        into[:LENGTH] = head = len(plain).to_bytes(LENGTH, "big")
        self._aead.encrypt_into(self._nonce(), plain, head, into[LENGTH:])

    def open(self, number: int, head: bytes, sealed: Bytes) -> bytes | None:
        """See PacketCipher."""
        try:
            return self._aead.decrypt(self._nonce(), sealed, head)
        except InvalidTag:
            return None

    def _nonce(self) -> bytes:
        nonce = self._fixed + self._count.to_bytes(8, "big")
        self._count = (self._count + 1) & _COUNTS
        return nonce


class ChaChaPackets:
    """ChaCha20-Poly1305 as OpenSSH has it (PROTOCOL.chacha20poly1305): the nonce is the packet's number; the length is
    encrypted with a key of its own; the tag is over both, its key the first block of the packet's key stream."""

    block = 8

    def __init__(self, key: bytes, length_key: bytes) -> None:
        self._stream, self._lengths = _key_stream(key), _key_stream(length_key)

    def length(self, number: int, head: bytes) -> int:
        """See PacketCipher."""
        self._lengths.reset_nonce(_nonce(number))
        return int.from_bytes(self._lengths.update(head), "big")

    def seal(self, number: int, plain: Bytes, into: memoryview) -> None:
        """See PacketCipher."""
        self._lengths.reset_nonce(_nonce(number))
        into[:LENGTH] = self._lengths.update(len(plain).to_bytes(LENGTH, "big"))
        tag_key = self._begin(number)
        self._stream.update_into(plain, into[LENGTH:])
        into[-TAG:] = Poly1305.generate_tag(tag_key, into[:-TAG])

    def open(self, number: int, head: bytes, sealed: Bytes) -> bytes | None:
        """See PacketCipher."""
        view = memoryview(sealed)
        check = Poly1305(self._begin(number))
        check.update(head)
        check.update(view[:-TAG])
        try:
            check.verify(bytes(view[-TAG:]))
        except InvalidSignature:
            return None
        return bytes(self._stream.update(view[:-TAG]))

    def _begin(self, number: int) -> bytes:
        """Go to the key stream of a packet, behind its first block, of which the key of the tag is returned."""
        self._stream.reset_nonce(_nonce(number))
        return bytes(self._stream.update(_ZEROS)[:32])


def _nonce(number: int) -> bytes:
    """The counter of blocks, which begins at 0, and the number of the packet."""
    return bytes(8) + number.to_bytes(8, "big")


def _key_stream(key: bytes) -> Any:
    return Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()


def take_over(encryption: Any) -> PacketCipher | None:
    """Return what protects packets in place of asyncssh's object for one key; None for ciphers that need a MAC."""
    if type(encryption) is GCMEncryption:
        return GcmPackets(encryption._cipher)
    if type(encryption) is ChachaEncryption:
        return ChaChaPackets(encryption._cipher._key, encryption._cipher._adkey)
    return None
