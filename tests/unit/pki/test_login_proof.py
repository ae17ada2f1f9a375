"""pki.login_proof: a login that a third party can check."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError
from teleport.model.identity import Identity
from teleport.pki import keys, login_proof
from teleport.pki.login_proof import LoginProof
from teleport.pki.ssh_wire import string
from tests.support import authorities

HOME = authorities.cluster()
KEY = keys.make_ed25519(SeededEntropy(11))
BLOB = keys.ssh_blob(KEY.public_key())
ALICE = HOME.identity(principals=("root", "ubuntu"))
CERTIFICATE = HOME.ssh(ALICE, BLOB).blob
SESSION = bytes(range(32))


def request(
    user: bytes = b"root", *, number: int = 50, service: bytes = b"ssh-connection", method: bytes = b"publickey",
    signed: int = 1, key: bytes = CERTIFICATE, more: bytes = b"", kind: bytes = b"ssh-ed25519",
) -> bytes:  # fmt: skip
    """Return a request as RFC 4252 section 7 writes it."""
    head = bytes([number]) + string(user) + string(service) + string(method)
    return head + bytes([signed]) + string(kind + b"-cert-v01@openssh.com") + string(key) + more


def proof(message: bytes | None = None, **changes: Any) -> LoginProof:
    message = request() if message is None else message
    signature = keys.ssh_signature(KEY.public_key(), keys.sign(KEY, string(SESSION) + message))
    return replace(LoginProof(CERTIFICATE, SESSION, message, signature), **changes)


def verify(given: LoginProof, login: str = "root", now: dt.datetime = authorities.NOW) -> Identity:
    return login_proof.verify(given, login=login, authorities=HOME.both, now=now, cluster="example.com")


def test_who_signed_in_is_known() -> None:
    assert verify(proof()) == ALICE
    assert verify(proof(request(b"ubuntu")), "ubuntu") == ALICE


@pytest.mark.parametrize(("name", "digest"), [(b"rsa-sha2-256", hashes.SHA256()), (b"rsa-sha2-512", hashes.SHA512())])
def test_people_may_have_rsa_keys(name: bytes, digest: hashes.HashAlgorithm) -> None:
    private = rsa.generate_private_key(65537, 2048)
    certificate = HOME.ssh(ALICE, keys.ssh_blob(private.public_key())).blob
    message = request(key=certificate, kind=name)
    made = private.sign(string(SESSION) + message, padding.PKCS1v15(), digest)
    assert verify(LoginProof(certificate, SESSION, message, string(name) + string(made))) == ALICE
    for wrong in (string(b"ssh-rsa") + string(made), string(name) + string(made[:-1] + b"\0"), string(name), b""):
        with pytest.raises(NotAuthenticated, match=r"signature|cut short"):
            verify(LoginProof(certificate, SESSION, message, wrong))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (proof(certificate=BLOB), "another certificate"),
        (proof(session_id=b"short"), "20 to 64"),
        (proof(session_id=bytes(65)), "20 to 64"),
        (proof(session_id=bytes(32)), "signature"),
        (proof(request(b"ubuntu")), "somebody else"),
        (proof(request()[:-1]), "cut short"),
        (proof(request(more=b"x")), "bytes follow"),
        (proof(bytes(200 * 1024)), "too long"),
        (proof(request(b"\xff")), "UTF-8"),
        (proof(request(number=51)), "no request"),
        (proof(request(service=b"ssh-userauth")), "no request"),
        (proof(request(method=b"hostbased")), "no request"),
        (proof(request(signed=0)), "no request"),
        (proof(request(key=BLOB)), "cannot be read"),
        (proof(signature=b""), "cut short"),
        (proof(signature=proof(request(b"ubuntu")).signature), "signature"),
    ],
)  # fmt: skip
def test_what_proves_nothing(given: LoginProof, said: str) -> None:
    with pytest.raises(NotAuthenticated, match=said) as caught:
        verify(given)
    assert caught.value.code == "PKI-LOGIN-PROOF"


def test_the_certificate_is_checked_like_any_other() -> None:
    with pytest.raises(TeleportError) as caught:
        verify(proof(), now=ALICE.expires)
    assert caught.value.code == "PKI-EXPIRED"
    with pytest.raises(AccessDenied) as refused:
        verify(proof(request(b"daemon")), "daemon")
    assert refused.value.code == "PKI-LOGIN-NOT-IN-PRINCIPALS"
    carried = HOME.ssh(HOME.identity(principals=("root",), recorded_by="proxy-1", only_at="node-1"), BLOB).blob
    with pytest.raises(AccessDenied) as caught_again:
        verify(proof(request(key=carried), certificate=carried))
    assert caught_again.value.code == "PKI-CARRIED"
    pinned = HOME.ssh(HOME.identity(principals=("root",), pinned_ip="192.0.2.1"), BLOB).blob
    with pytest.raises(AccessDenied) as caught_address:
        verify(proof(request(key=pinned), certificate=pinned))
    assert caught_address.value.code == "PKI-SOURCE-ADDRESS"
