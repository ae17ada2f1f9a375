"""Packets are protected as asyncssh protects them, and what was changed on the way is not opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asyncssh.encryption import Encryption, get_encryption, get_encryption_params
from hypothesis import given
from hypothesis import strategies as st

from teleport.net.ssh_ciphers import LENGTH, TAG, PacketCipher, take_over

NAMES = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")
FIRST = b"\1\2\3\4" + b"\xff" * 8
"""A first nonce whose counter goes over at once."""


def theirs(name: str) -> Encryption:
    key_size, nonce_size, *_ = get_encryption_params(name.encode())
    return get_encryption(name.encode(), bytes(range(key_size)), FIRST[:nonce_size])


def ours(name: str) -> PacketCipher:
    cipher = take_over(theirs(name))
    assert cipher is not None
    return cipher


def sealed(cipher: PacketCipher, number: int, plain: bytes) -> bytes:
    wire = bytearray(LENGTH + len(plain) + TAG)
    cipher.seal(number, plain, memoryview(wire))
    return bytes(wire)


every_cipher = pytest.mark.parametrize("name", NAMES)
plain_packets = st.lists(st.binary(min_size=8, max_size=300), min_size=1, max_size=5)
numbers = st.integers(0, (1 << 32) - 10)


@every_cipher
@given(plains=plain_packets, first=numbers)
def test_what_we_seal_they_open(name: str, plains: list[bytes], first: int) -> None:
    cipher, peer = ours(name), theirs(name)
    for number, plain in enumerate(plains, first):
        wire = sealed(cipher, number, plain)
        start, length = peer.decrypt_header(number, wire[:8], LENGTH)
        assert int.from_bytes(length, "big") == len(plain)
        assert peer.decrypt_packet(number, start, wire[8:-TAG], LENGTH, wire[-TAG:]) == plain


@every_cipher
@given(plains=plain_packets, first=numbers)
def test_what_they_seal_we_open(name: str, plains: list[bytes], first: int) -> None:
    cipher, peer = ours(name), theirs(name)
    for number, plain in enumerate(plains, first):
        wire = b"".join(peer.encrypt_packet(number, len(plain).to_bytes(LENGTH, "big"), plain))
        assert cipher.length(number, wire[:LENGTH]) == len(plain)
        assert cipher.open(number, wire[:LENGTH], memoryview(wire)[LENGTH:]) == plain


@every_cipher
@given(data=st.data(), plain=st.binary(min_size=8, max_size=100))
def test_nothing_that_was_changed_is_opened(name: str, data: st.DataObject, plain: bytes) -> None:
    wire = bytearray(sealed(ours(name), 7, plain))
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert ours(name).open(7, bytes(wire[:LENGTH]), wire[LENGTH:]) is None


@pytest.mark.parametrize("change", [lambda n: n + 1, lambda n: n - 1], ids=["later", "earlier"])
def test_a_packet_of_another_number_is_not_opened(change: Callable[[int], int]) -> None:
    """AES-GCM counts by itself; the number is ChaCha20's nonce."""
    wire = sealed(ours(NAMES[2]), 7, b"x" * 16)
    assert ours(NAMES[2]).open(change(7), wire[:LENGTH], wire[LENGTH:]) is None


def test_a_repeated_packet_is_not_opened() -> None:
    cipher = ours(NAMES[0])
    wire = sealed(ours(NAMES[0]), 0, b"x" * 16)
    assert cipher.open(0, wire[:LENGTH], wire[LENGTH:]) == b"x" * 16
    assert cipher.open(1, wire[:LENGTH], wire[LENGTH:]) is None


def test_ciphers_with_a_mac_of_their_own_stay_with_asyncssh() -> None:
    made: Any = get_encryption(b"aes128-ctr", bytes(16), bytes(16), b"hmac-sha2-256", bytes(32))
    assert take_over(made) is None
    assert take_over(None) is None
