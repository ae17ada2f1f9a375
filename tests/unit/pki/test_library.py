"""The library by its shortest way: the same keys, and its errors told apart."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from teleport.pki import keys
from teleport.pki.library import is_wrong, library


def test_its_keys_are_those_of_the_front_door():
    assert isinstance(library.ed25519.from_private_bytes(bytes(32)), ed25519.Ed25519PrivateKey)
    assert isinstance(ed25519.Ed25519PrivateKey.generate(), keys.PrivateKey)
    assert isinstance(ed25519.Ed25519PrivateKey.generate().public_key(), keys.PublicKey)
    assert isinstance(ec.generate_private_key(ec.SECP256R1()), keys.PrivateKey)
    assert isinstance(ec.generate_private_key(ec.SECP256R1()).public_key(), keys.PublicKey)
    assert isinstance(rsa.generate_private_key(65537, 2048).public_key(), keys.PublicKey)
    assert isinstance(library.x25519.from_private_bytes(bytes(32)), x25519.X25519PrivateKey)
    assert isinstance(library.mlkem.from_mlkem768_seed_bytes(bytes(64)), MLKEM768PrivateKey)
    assert library.aead.AESGCM is AESGCM


def test_what_is_wrong_and_what_is_broken():
    key = library.ed25519.from_private_bytes(bytes(32))
    with pytest.raises(Exception) as signature:
        key.public_key().verify(bytes(64), b"message")
    with pytest.raises(Exception) as tag:
        library.aead.AESGCM(bytes(16)).decrypt(bytes(12), bytes(32), None)
    assert is_wrong(signature.value)
    assert is_wrong(tag.value)
    assert not is_wrong(ValueError())


def test_the_half_in_python_is_not_imported():
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from teleport.pki.library import library\n"
        "one = library.x25519.from_private_bytes(bytes([1] * 32))\n"
        "one.exchange(library.x25519.from_public_bytes(one.public_key().public_bytes_raw()))\n"
        "signed = library.ed25519.from_private_bytes(bytes(32))\n"
        "signed.public_key().verify(signed.sign(b'x'), b'x')\n"
        "library.aead.AESGCM(bytes(16)).encrypt(bytes(12), b'x', None)\n"
        "library.mlkem.from_mlkem768_seed_bytes(bytes(64)).public_key().public_bytes_raw()\n"
        "print([name for name in sys.modules if name.startswith('cryptography.') and 'bindings' not in name])"
    )
    done = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['cryptography.__about__', 'cryptography.hazmat']\n"
