"""Packets of SSH, sealed and opened: plain before keys are agreed on, then with AES-GCM or ChaCha20-Poly1305.

What is here: one packet at a time (RFC 4253 §6; RFC 5647 and OpenSSH's PROTOCOL.chacha20poly1305). Only ciphers that
authenticate what they encrypt. What is not: when a key changes (`transport`).
"""

from __future__ import annotations

from teleport.base.lean import Callable, NamedTuple, Protocol
from teleport.pki.library import is_wrong, library
from teleport.wire.ssh import bad

LARGEST = 65536
"""Most bytes of a packet, length and tag not counted: twice what a message of ours may need (RFC 4253 §6.1)."""
_HEAD = 4


class Cipher(Protocol):
    """One direction under one key. `sequence` is the number of the packet, modulo 2**32."""

    tag: int
    """Bytes that follow the packet."""

    def seal(self, payload: bytes, sequence: int) -> bytes:
        """Return the packet of a message."""

    def length(self, head: bytes, sequence: int) -> int:
        """Return the bytes between the first four and the tag. Raises ProtocolError (WIRE-SSH)."""

    def open(self, packet: bytes, sequence: int) -> bytes:
        """Return the message in a whole packet. Raises ProtocolError (WIRE-SSH)."""


class Kind(NamedTuple):
    """What a cipher needs."""

    make: Callable[[bytes, bytes, Callable[[int], bytes]], Cipher]
    """From key, IV and a source of padding."""
    key: int
    iv: int
    needs_strict: bool
    """Whether it is safe only if packets are counted anew with each key (CVE-2023-48795)."""


def _padded(payload: bytes, before: int, block: int, random: Callable[[int], bytes]) -> bytes:
    """Return padding length, payload and padding; `before` bytes of length count for the alignment."""
    padding = -(before + 1 + len(payload)) % block
    padding += block if padding < 4 else 0
    return b"".join((bytes((padding,)), payload, random(padding)))


def _unpadded(packet: bytes) -> bytes:
    end = len(packet) - packet[0]
    if packet[0] < 4 or end < 2:
        raise bad("a packet has no room for its padding")
    return packet[1:end]


def _checked(size: int, before: int, block: int) -> int:
    if not 8 <= size + before <= LARGEST or (size + before) % block:
        raise bad(f"a packet of {size} bytes")
    return size


class Plain:
    """Before keys are agreed on."""

    tag = 0

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random

    def seal(self, payload: bytes, sequence: int) -> bytes:
        body = _padded(payload, _HEAD, 8, self._random)
        return len(body).to_bytes(_HEAD, "big") + body

    def length(self, head: bytes, sequence: int) -> int:
        return _checked(int.from_bytes(head, "big"), _HEAD, 8)

    def open(self, packet: bytes, sequence: int) -> bytes:
        return _unpadded(packet[_HEAD:])


class AesGcm:
    """AES-GCM as OpenSSH has it: the length is not encrypted, and the nonce counts the packets under this key."""

    tag = 16

    def __init__(self, key: bytes, iv: bytes, random: Callable[[int], bytes]) -> None:
        self._aead = library.aead.AESGCM(key)
        self._fixed, self._count = iv[:4], int.from_bytes(iv[4:], "big")
        self._random = random

    def _nonce(self) -> bytes:
        nonce = self._fixed + self._count.to_bytes(8, "big")
        self._count = (self._count + 1) & 0xFFFFFFFFFFFFFFFF
        return nonce

    def seal(self, payload: bytes, sequence: int) -> bytes:
        body = _padded(payload, 0, 16, self._random)
        head = len(body).to_bytes(_HEAD, "big")
        return head + self._aead.encrypt(self._nonce(), body, head)

    def length(self, head: bytes, sequence: int) -> int:
        return _checked(int.from_bytes(head, "big"), 0, 16)

    def open(self, packet: bytes, sequence: int) -> bytes:
        try:
            body = self._aead.decrypt(self._nonce(), packet[_HEAD:], packet[:_HEAD])
        except Exception as error:
            raise (_wrong_tag() if is_wrong(error) else error) from None
        return _unpadded(body)


class ChaCha:
    """ChaCha20-Poly1305 as OpenSSH has it: two keys, one for lengths alone; the nonce is the number of the packet."""

    tag = 16

    def __init__(self, key: bytes, iv: bytes, random: Callable[[int], bytes]) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.ciphers import Cipher as Stream
        from cryptography.hazmat.primitives.ciphers import algorithms
        from cryptography.hazmat.primitives.poly1305 import Poly1305

        self._wrong, self._poly = InvalidSignature, Poly1305
        self._stream, self._algorithm = Stream, algorithms.ChaCha20
        self._main, self._lengths = key[:32], key[32:]
        self._random = random

    def _xor(self, key: bytes, data: bytes, sequence: int, block: int = 0) -> bytes:
        nonce = block.to_bytes(8, "little") + sequence.to_bytes(8, "big")
        return self._stream(self._algorithm(key, nonce), None).encryptor().update(data)

    def seal(self, payload: bytes, sequence: int) -> bytes:
        body = _padded(payload, 0, 8, self._random)
        head = self._xor(self._lengths, len(body).to_bytes(_HEAD, "big"), sequence)
        sealed = head + self._xor(self._main, body, sequence, 1)
        return sealed + self._poly.generate_tag(self._xor(self._main, bytes(32), sequence), sealed)

    def length(self, head: bytes, sequence: int) -> int:
        return _checked(int.from_bytes(self._xor(self._lengths, head, sequence), "big"), 0, 8)

    def open(self, packet: bytes, sequence: int) -> bytes:
        key = self._xor(self._main, bytes(32), sequence)
        try:
            self._poly.verify_tag(key, packet[: -self.tag], packet[-self.tag :])
        except self._wrong:
            raise _wrong_tag() from None
        return _unpadded(self._xor(self._main, packet[_HEAD : -self.tag], sequence, 1))


def _wrong_tag() -> Exception:
    return bad("a packet was changed on its way, or is not the next one")


CIPHERS: dict[str, Kind] = {
    "aes128-gcm@openssh.com": Kind(AesGcm, 16, 12, False),
    "aes256-gcm@openssh.com": Kind(AesGcm, 32, 12, False),
    "chacha20-poly1305@openssh.com": Kind(ChaCha, 64, 0, True),
}
"""Best first: OpenSSL does AES in hardware."""
