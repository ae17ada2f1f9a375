"""pki.login_request: what is a signed request to log in, and everything that is not."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.net.ssh import Proof
from teleport.net.ssh_settings import SIGNATURES
from teleport.pki import issue, keys, login_request
from teleport.pki.ssh_wire import Malformed, string
from tests.support import proofs
from tests.support.authorities import cluster

NOW = SystemClock().now().replace(microsecond=0)
OURS = cluster(now=NOW)
SESSION = b"s" * 32
KEY = keys.make_ed25519(SystemEntropy())
RSA_KEY = rsa.generate_private_key(65537, 2048)
P256_KEY = keys.make_p256(SystemEntropy())


def certificate(key: Any = KEY) -> bytes:
    fields = {"principals": ("alice",), "expires": NOW + dt.timedelta(hours=1)}
    issued = issue.ssh_certificate(
        OURS.signer,
        OURS.user,
        OURS.identity(**fields),
        key=keys.ssh_blob(key.public_key()),
        now=NOW,
        entropy=OURS.entropy,
    )
    return asyncio.run(issued).blob


CERTIFICATE = certificate()


def read(shown: Proof) -> login_request.Login:
    return login_request.read(shown.session_id, shown.message, shown.signature)


def signed(blob: bytes = CERTIFICATE, /, login: str = "alice", **changes: bytes) -> Proof:
    """A proof whose message says something else, rightly signed."""
    return proofs.sign(KEY, blob, login, SESSION, proofs.request(login, blob, **changes))


def by(key: Any, algorithm: bytes, sign: Callable[[bytes], bytes], named: bytes = b"") -> Proof:
    blob = certificate(key)
    message = proofs.request("alice", blob, algorithm + proofs.SUFFIX)
    value = sign(string(SESSION) + message)
    return Proof(SESSION, message, string(named or algorithm) + string(value), blob, "alice")


def by_rsa(algorithm: bytes, digest: hashes.HashAlgorithm, named: bytes = b"") -> Proof:
    return by(RSA_KEY, algorithm, lambda data: RSA_KEY.sign(data, padding.PKCS1v15(), digest), named)


def by_p256() -> Proof:
    def sign(data: bytes) -> bytes:
        blob = keys.ssh_signature(P256_KEY.public_key(), P256_KEY.sign(data, ec.ECDSA(hashes.SHA256())))
        return blob[4 + len(b"ecdsa-sha2-nistp256") + 4 :]

    return by(P256_KEY, b"ecdsa-sha2-nistp256", sign)


def test_every_algorithm_that_the_service_takes_is_believed() -> None:
    shown = {
        "ssh-ed25519": signed(),
        "ecdsa-sha2-nistp256": by_p256(),
        "rsa-sha2-512": by_rsa(b"rsa-sha2-512", hashes.SHA512()),
        "rsa-sha2-256": by_rsa(b"rsa-sha2-256", hashes.SHA256()),
    }
    assert set(shown) == set(SIGNATURES)
    for each in shown.values():
        found = read(each)
        assert (found.account, found.certificate.blob) == ("alice", each.certificate)


WRONG = {
    "another key signed": proofs.sign(keys.make_ed25519(SystemEntropy()), CERTIFICATE, "alice", SESSION),
    "another session": replace(signed(), session_id=b"t" * 32),
    "a short session id": proofs.sign(KEY, CERTIFICATE, "alice", b"s" * 19),
    "a long session id": proofs.sign(KEY, CERTIFICATE, "alice", b"s" * 65),
    "no signature": replace(signed(), signature=b""),
    "half a signature": replace(signed(), signature=signed().signature[:40]),
    "more than a signature": replace(signed(), signature=signed().signature + b"\0"),
    "a signature without name": replace(signed(), signature=string(b"\xff") + string(b"x")),
    "a flipped bit": replace(signed(), signature=signed().signature[:-1] + bytes([signed().signature[-1] ^ 1])),
    "SHA-1": by_rsa(b"ssh-rsa", hashes.SHA1()),  # noqa: S303 - to be refused
    "another hash than it says": by_rsa(b"rsa-sha2-512", hashes.SHA256()),
    "another algorithm than the request": by_rsa(b"rsa-sha2-512", hashes.SHA256(), b"rsa-sha2-256"),
    "an RSA name for Ed25519": signed(algorithm=string(b"rsa-sha2-256" + proofs.SUFFIX)),
    "an algorithm without certificate": signed(algorithm=string(b"ssh-ed25519")),
    "a plain key": signed(keys.ssh_blob(KEY.public_key())),
    "no key at all": signed(b""),
    "another message": signed(number=b"\x33"),
    "another service": signed(service=string(b"ssh-userauth")),
    "another method": signed(method=string(b"password")),
    "a question without signature": signed(signed=b"\0"),
    "bytes after the end": signed(rest=b"\0"),
    "cut short": signed(certificate=b"\0\0\1"),
    "a message longer than any": signed(rest=bytes(200 * 1024)),
    "an empty message": signed(
        number=b"", user=b"", service=b"", method=b"", signed=b"", algorithm=b"", certificate=b""
    ),
    "a user that is no text": signed(user=string(b"\xff")),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_none(name: str) -> None:
    with pytest.raises(Malformed):
        read(WRONG[name])


@pytest.mark.parametrize("cut", range(0, len(signed().message), 7))
def test_a_message_cut_anywhere(cut: int) -> None:
    with pytest.raises(Malformed):
        read(proofs.sign(KEY, CERTIFICATE, "alice", SESSION, signed().message[:cut] or b"\0"))
