"""A TPM in memory, as far as joins go: it opens credentials as the specification says, written apart from ours."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import struct
from typing import Any

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.x509.oid import NameOID

from teleport.api.join_proofs import TpmAsk, TpmInit, TpmSolution, read
from tests.support.joiner import Shows

EK = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
AK = bytes.fromhex("0023000b00050472") + bytes(2) + bytes.fromhex("00100018000b00030010") + b"\0\1x\0\1y"
WEAK_AK = AK.replace(bytes.fromhex("00050472"), bytes.fromhex("00040472"))
"""Not restricted: it would sign whatever it is given."""
FROM, UNTIL = dt.datetime(2029, 1, 1, tzinfo=dt.UTC), dt.datetime(2031, 1, 1, tzinfo=dt.UTC)


def der(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_hash(key: rsa.RSAPrivateKey = EK) -> str:
    return hashlib.sha256(der(key)).hexdigest()


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Maker:
    """A maker of chips, who certifies them."""

    def __init__(self, *, ca: bool | None = True, until: dt.datetime = UNTIL) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        builder = self._builder("maker", self.key.public_key(), 1, until)
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def _builder(self, name: str, key: Any, serial: int, until: dt.datetime) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named("maker")).public_key(key)
        return made.serial_number(serial).not_valid_before(FROM).not_valid_after(until)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def certify(self, key: Any = EK, *, serial: int = 0xBEEF, until: dt.datetime = UNTIL) -> bytes:
        public = key.public_key()
        made = self._builder("chip", public, serial, until).sign(self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.DER)


def open_credential(key: rsa.RSAPrivateKey, name: bytes, blob: bytes, secret: bytes) -> bytes:
    """Return what is in a credential. Raises AssertionError if its seal does not hold."""
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=b"IDENTITY\0")
    seed = key.decrypt(secret, oaep)
    (size,) = struct.unpack(">H", blob[:2])
    seal, hidden = blob[2 : 2 + size], blob[2 + size :]
    integrity = hmac.digest(seed, b"\0\0\0\1INTEGRITY\0" + struct.pack(">I", 256), "sha256")
    assert hmac.compare_digest(seal, hmac.digest(integrity, hidden + name, "sha256"))
    storage = hmac.digest(seed, b"\0\0\0\1STORAGE\0" + name + struct.pack(">I", 128), "sha256")[:16]
    opened = Cipher(algorithms.AES(storage), CFB(bytes(16))).decryptor().update(hidden)
    return opened[2 : 2 + struct.unpack(">H", opened[:2])[0]]


def machine(*, key: rsa.RSAPrivateKey = EK, certificate: bytes = b"", ak: bytes = AK, answer: Any = None) -> Shows:
    """A machine with a chip. `answer`: what it says instead of what was in the credential."""

    def solve(challenge: bytes) -> TpmSolution:
        asked = read(challenge, TpmAsk)
        if answer is not None:
            return TpmSolution(secret=answer(asked))
        name = b"\0\x0b" + hashlib.sha256(ak).digest()
        return TpmSolution(secret=open_credential(key, name, asked.blob, asked.secret))

    return Shows("tpm", TpmInit(ek_key=der(key), ek_cert=certificate, ak_public=ak), solve)
