"""pki.issue: who gets which certificate from which authority."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from cryptography import x509 as library

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.pki import authority, codec, issue, keys, ssh, x509
from teleport.pki.signer import MemorySigner
from tests.support import authorities

HOME = authorities.cluster()
AWAY = authorities.cluster("other.com", seed=2)
KEY = keys.make_p256(SeededEntropy(3)).public_key()
BLOB = keys.ssh_blob(KEY)
SERVICES = ["teleport.cluster.local", "*.teleport.cluster.local", "6578616d706c652e636f6d.teleport.cluster.local"]


def names_of(certificate: bytes) -> list[Any]:
    extensions = x509.parse(certificate).extensions
    try:
        names = extensions.get_extension_for_class(library.SubjectAlternativeName).value
    except library.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def test_users_are_clients_only() -> None:
    certificate = HOME.tls(HOME.identity(), KEY)
    parsed = x509.parse(certificate)
    assert x509.allows(parsed, "client")
    assert not x509.allows(parsed, "server")
    assert names_of(certificate) == []
    assert codec.from_x509(parsed) == HOME.identity()
    assert parsed.not_valid_before_utc == authorities.NOW - dt.timedelta(minutes=1)


def test_ssh_certificates_begin_a_minute_ago() -> None:
    certificate = HOME.ssh(HOME.identity(), BLOB)
    assert certificate.valid_before - certificate.valid_after == 3660
    assert ssh.verify(certificate)
    assert codec.from_ssh(certificate) == HOME.identity()
    assert HOME.ssh(HOME.host_identity(), BLOB).type == "host"


@pytest.mark.parametrize("changes", [{"roles": ("Auth",)}, {"roles": ("Instance",), "system_roles": ("Node", "Proxy")}])
def test_auth_and_proxy_carry_the_name_of_the_cluster(changes: dict[str, Any]) -> None:
    certificate = HOME.tls(HOME.host_identity(**changes), KEY, "proxy.example.com", "10.0.0.1", "proxy.example.com")
    assert names_of(certificate) == [*SERVICES, "proxy.example.com", "10.0.0.1"]
    assert x509.allows(x509.parse(certificate), "server")


def test_other_hosts_cannot_pass_for_the_cluster() -> None:
    node = HOME.host_identity()
    assert names_of(HOME.tls(node, KEY, "node1")) == [SERVICES[2], "node1"]
    for name in ("teleport.cluster.local", "x.Teleport.Cluster.Local."):
        with pytest.raises(BadParameter, match="only Auth and Proxy"):
            HOME.tls(node, KEY, name)


@pytest.mark.parametrize("identity", [HOME.host_identity(), AWAY.identity()], ids=["host", "other cluster"])
def test_an_authority_vouches_for_its_own_kind_and_cluster(identity: Any) -> None:
    async def run(form: str) -> None:
        common = {"now": authorities.NOW, "entropy": HOME.entropy}
        if form == "ssh":
            await issue.ssh_certificate(HOME.signer, HOME.user, identity, key=BLOB, **common)  # type: ignore[arg-type]
        else:
            spki = keys.spki(KEY)
            await issue.tls_certificate(HOME.signer, HOME.user, identity, spki=spki, **common)  # type: ignore[arg-type]

    for form in ("ssh", "tls"):
        with pytest.raises(BadParameter, match="does not vouch"):
            asyncio.run(run(form))


def test_a_login_at_a_server_without_an_agent() -> None:
    async def make(ca_type: Any) -> ssh.SSHCertificate:
        signer = MemorySigner(SeededEntropy(5))
        ca = await authority.create(signer, ca_type, "example.com", now=authorities.NOW, entropy=SeededEntropy(6))
        return await issue.login_certificate(
            signer, ca, user="alice", login="root", key=BLOB, extensions=("permit-pty",), now=authorities.NOW,
            expires=authorities.NOW + dt.timedelta(minutes=2), entropy=SeededEntropy(7),
        )  # fmt: skip

    made = asyncio.run(make("openssh"))
    assert ssh.verify(made)
    assert (made.type, made.key_id, made.principals) == ("user", "alice", ("root",))
    assert (made.valid_before - made.valid_after, dict(made.extensions)) == (180, {"permit-pty": ""})
    with pytest.raises(BadParameter) as caught:
        asyncio.run(make("user"))
    assert caught.value.code == "PKI-IDENTITY"
