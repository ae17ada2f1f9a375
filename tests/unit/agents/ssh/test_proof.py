"""The spawner's own check of a login: what it believes, and everything that it does not."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from teleport.agents.ssh import proof
from teleport.agents.ssh.spawner_messages import Admit
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import BadParameter, TeleportError
from teleport.net.ssh import Proof
from teleport.pki import issue, keys
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


def test_a_login_is_believed_until_its_certificate_ends() -> None:
    assert check(signed()) == int((NOW + dt.timedelta(hours=1)).timestamp())


def test_a_proof_that_is_none() -> None:
    """Of what forms there are none: `test_login_request`."""
    assert code_of(replace(signed(), login="root")) == "SSH-ADMIT-PROOF"
    assert code_of(replace(signed(), session_id=b"t" * 32)) == "SSH-ADMIT-PROOF"
    assert code_of(replace(signed(), signature=b"")) == "SSH-ADMIT-PROOF"


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
