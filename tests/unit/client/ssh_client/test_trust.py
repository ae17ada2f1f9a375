"""Whom our SSH client believes: certificates of a known authority, proven with the algorithm that was agreed on."""

from __future__ import annotations

from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, NotAuthenticated, TeleportError
from teleport.client import login
from teleport.client.profile import Home
from teleport.client.ssh_client.engine import State
from teleport.client.ssh_client.trust import host_authorities, user_key
from teleport.client.web_api import WebApi
from teleport.pki import keys
from teleport.pki.ssh_wire import string
from tests.support.signed_in import SETTINGS, Proxy
from tests.support.ssh_peer import HOST_KEY, Peer, certificate, engine, trust

ED25519 = "ssh-ed25519-cert-v01@openssh.com"


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("algorithm", ["rsa-sha2-512", "rsa-sha2-256"])
def test_a_server_with_an_rsa_key(rsa_key: rsa.RSAPrivateKey, algorithm: str) -> None:
    blob = certificate(rsa_key.public_key())
    peer = Peer(engine(), host_key=f"{algorithm}-cert-v01@openssh.com", blob=blob)
    peer.rsa = rsa_key
    peer.let_in()
    assert peer.client.state is State.OPEN


def test_another_algorithm_than_agreed(rsa_key: rsa.RSAPrivateKey) -> None:
    blob, message = certificate(rsa_key.public_key()), b"hash"
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    for name, chosen in (("ssh-rsa", hashes.SHA1()), ("rsa-sha2-256", hashes.SHA256())):  # noqa: S303
        signature = string(name.encode()) + string(rsa_key.sign(message, padding.PKCS1v15(), chosen))
        with pytest.raises(NotAuthenticated):
            trust().verify("rsa-sha2-512-cert-v01@openssh.com", blob, signature, message)


def test_signatures_that_are_none(rsa_key: rsa.RSAPrivateKey) -> None:
    own, other = certificate(HOST_KEY.public_key()), certificate(rsa_key.public_key())
    good = keys.ssh_signature(HOST_KEY.public_key(), keys.sign(HOST_KEY, b"hash"))
    trust().verify(ED25519, own, good, b"hash")
    wrong = [
        (own, b""),
        (own, good + b"x"),
        (own, good[:-1]),
        (other, good),
        (own, string(b"rsa-sha2-512") + string(b"")),
    ]
    for blob, signature in wrong:
        for algorithm in (ED25519, "rsa-sha2-512-cert-v01@openssh.com"):
            with pytest.raises(NotAuthenticated) as caught:
                trust().verify(algorithm, blob, signature, b"hash")
            assert caught.value.code == "PKI-BAD-SIGNATURE"
    signature = string(b"rsa-sha2-512") + string(bytes(256))
    with pytest.raises(NotAuthenticated):
        trust().verify("rsa-sha2-512-cert-v01@openssh.com", other, signature, b"hash")


def test_a_server_with_a_p256_key() -> None:
    key = keys.make_p256(SeededEntropy(8))
    signature = keys.ssh_signature(key.public_key(), keys.sign(key, b"hash"))
    trust().verify("ecdsa-sha2-nistp256-cert-v01@openssh.com", certificate(key.public_key()), signature, b"hash")


@pytest.mark.parametrize(
    ("code", "host"), [("PKI-HOST-NOT-IN-PRINCIPALS", "node-2"), ("PKI-NOT-A-CERTIFICATE", "node-1")]
)
def test_a_host_that_is_not_believed_gets_no_sign_in(code: str, host: str) -> None:
    blob = keys.ssh_blob(HOST_KEY.public_key()) if host == "node-1" else b""
    peer = Peer(engine(verify=trust(host).verify), blob=blob)
    peer.greet()
    peer.hear()
    peer.offers()
    with pytest.raises(TeleportError) as caught:
        peer.say(peer.answer())
    assert caught.value.code == code
    assert peer.hear()[-1][0] == 1
    assert peer.messages[-1][0] == 1


def test_what_sign_in_has_stored() -> None:
    signed_in = Home("/home", MemoryDisk())
    profile = login.sign_in(
        signed_in, cast(WebApi, Proxy()), SETTINGS, user="alice", password="x", entropy=SeededEntropy(4)
    )  # fmt: skip
    key = user_key(signed_in, profile)
    assert key.algorithm == b"ssh-ed25519-cert-v01@openssh.com"
    assert keys.verify_ssh_signature(key.private.public_key(), key.sign(b"x"), b"x")
    files, (authority,) = signed_in.files(profile), host_authorities(signed_in, profile)
    assert keys.ssh_line(authority) in signed_in.disk.read(files.own_known_hosts, limit=9999).decode()
    signed_in.disk.write(files.own_known_hosts, b"# mine\n\nnode-1 ssh-ed25519 AAAA\n")
    assert host_authorities(signed_in, profile) == frozenset()
    signed_in.disk.write(files.ssh_certificate, signed_in.disk.read(files.ssh_public_key, limit=9999))
    with pytest.raises(BadParameter):
        user_key(signed_in, profile)
