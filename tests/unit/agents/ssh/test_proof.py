"""The spawner's own check of a login: what it believes, and everything that it does not."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from teleport.agents.ssh import proof
from teleport.agents.ssh.spawner_messages import Admit
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import BadParameter, TeleportError
from teleport.net.ssh import Proof
from teleport.net.ssh_settings import SIGNATURES
from teleport.pki import issue, keys
from teleport.pki.ssh_wire import string
from tests.support import proofs
from tests.support.authorities import Cluster, cluster

NOW = SystemClock().now().replace(microsecond=0)
OURS, THEIRS = cluster(now=NOW), cluster(seed=2, now=NOW)
SESSION = b"s" * 32
KEY = keys.make_ed25519(SystemEntropy())
RSA_KEY = rsa.generate_private_key(65537, 2048)
P256_KEY = keys.make_p256(SystemEntropy())


def certificate(key: Any = KEY, *, of: Cluster = OURS, **identity: Any) -> bytes:
    fields = {"principals": ("alice",), "expires": NOW + dt.timedelta(hours=1), **identity}
    issued = issue.ssh_certificate(
        of.signer, of.user, of.identity(**fields), key=keys.ssh_blob(key.public_key()), now=NOW, entropy=of.entropy
    )
    return asyncio.run(issued).blob


CERTIFICATE = certificate()


def check(shown: Proof, *, source: str = "", now: dt.datetime = NOW) -> int:
    request = Admit(1, shown.login, shown.session_id, shown.message, shown.signature, source)
    return proof.verify(request, proof.authorities(proofs.lines(OURS)), OURS.name, now)


def code_of(shown: Proof, **how: Any) -> str:
    with pytest.raises(TeleportError) as caught:
        check(shown, **how)
    assert all((caught.value.what, caught.value.why, caught.value.fix))
    return caught.value.code


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


def test_a_login_is_believed_until_its_certificate_ends() -> None:
    assert check(signed()) == int((NOW + dt.timedelta(hours=1)).timestamp())


def test_every_algorithm_that_the_service_takes_is_believed() -> None:
    shown = {
        "ssh-ed25519": signed(),
        "ecdsa-sha2-nistp256": by_p256(),
        "rsa-sha2-512": by_rsa(b"rsa-sha2-512", hashes.SHA512()),
        "rsa-sha2-256": by_rsa(b"rsa-sha2-256", hashes.SHA256()),
    }
    assert set(shown) == set(SIGNATURES)
    assert all(check(each) for each in shown.values())


WRONG = {
    "another key signed": proofs.sign(keys.make_ed25519(SystemEntropy()), CERTIFICATE, "alice", SESSION),
    "another session": replace(signed(), session_id=b"t" * 32),
    "a short session id": proofs.sign(KEY, CERTIFICATE, "alice", b"s" * 19),
    "a long session id": proofs.sign(KEY, CERTIFICATE, "alice", b"s" * 65),
    "another login than was signed": replace(signed(), login="root"),
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
    "an empty message": signed(
        number=b"", user=b"", service=b"", method=b"", signed=b"", algorithm=b"", certificate=b""
    ),
    "a user that is no text": signed(user=string(b"\xff")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_proof_that_is_none(name: str) -> None:
    assert code_of(WRONG[name]) == "SSH-ADMIT-PROOF"


@pytest.mark.parametrize("cut", range(0, len(signed().message), 7))
def test_a_message_cut_anywhere(cut: int) -> None:
    assert (
        code_of(proofs.sign(KEY, CERTIFICATE, "alice", SESSION, signed().message[:cut] or b"\0")) == "SSH-ADMIT-PROOF"
    )


def test_the_certificate_is_checked_as_the_service_checks_it() -> None:
    later = NOW + dt.timedelta(hours=2)
    pinned = certificate(pinned_ip="10.0.0.1")
    host = OURS.ssh(OURS.host_identity(principals=("alice",), expires=later), keys.ssh_blob(KEY.public_key()), now=NOW)
    assert code_of(signed(), now=later) == "PKI-EXPIRED"
    assert code_of(signed(), now=NOW - dt.timedelta(hours=1)) == "PKI-NOT-YET-VALID"
    assert code_of(signed(certificate(of=THEIRS))) == "PKI-UNKNOWN-CA"
    assert code_of(signed(login="root")) == "PKI-LOGIN-NOT-IN-PRINCIPALS"
    assert code_of(signed(host.blob)) == "PKI-WRONG-TYPE"
    assert code_of(signed(pinned), source="10.0.0.2") == "PKI-SOURCE-ADDRESS"
    assert code_of(signed(pinned), source="") == "PKI-SOURCE-ADDRESS"
    assert check(signed(pinned), source="10.0.0.1")


def test_a_certificate_that_was_changed_after_it_was_signed() -> None:
    at = CERTIFICATE.index(b"alice")
    assert code_of(signed(CERTIFICATE[:at] + b"clara" + CERTIFICATE[at + 5 :])) == "PKI-BAD-SIGNATURE"


@pytest.mark.parametrize("line", ["ssh-ed25519 AAAA", "nonsense", ""])
def test_authorities_that_cannot_be_used(line: str) -> None:
    with pytest.raises(BadParameter) as caught:
        proof.authorities({line: "example.com"})
    assert caught.value.code == "SSH-SPAWN-MESSAGE"
