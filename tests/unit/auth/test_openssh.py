"""Certificates for connections that the proxy ends: for the names of a node, and for one login of one user."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest

from teleport.api.openssh_calls import OpenSSHCalls
from teleport.api.openssh_messages import LoginAt
from teleport.base.errors import TeleportError
from teleport.model.identity import Identity
from teleport.model.resource import Resource, load
from teleport.pki import check, issue, keys, ssh
from teleport.pki.login_proof import LoginProof
from teleport.pki.ssh_wire import string
from tests.support.auth_cluster import (
    CLUSTER,
    HOST_UUID,
    Cluster,
    document_of,
    node,
    role,
    run,
)

PLAIN = "22222222-2222-4333-8444-555555555555"
SESSION = bytes(range(32))


def plain(name: str = PLAIN, hostname: str = "plain-1", **labels: str) -> Resource[Any]:
    return load(
        {
            "kind": "node", "sub_kind": "openssh", "metadata": {"name": name, "labels": {"env": "dev", **labels}},
            "spec": {"hostname": hostname, "addr": "192.0.2.7:22"},
        }
    )  # fmt: skip


async def proof(cluster: Cluster, identity: Identity, login: str = "root", session: bytes = SESSION) -> LoginProof:
    """Let a user sign in at the proxy."""
    key = keys.make_ed25519(cluster.entropy)
    certificate = await issue.ssh_certificate(
        cluster.signer, await cluster.service.authorities.own("user"), identity,
        key=keys.ssh_blob(key.public_key()), now=cluster.clock.now(), entropy=cluster.entropy,
    )  # fmt: skip
    message = bytes([50]) + string(login.encode()) + string(b"ssh-connection") + string(b"publickey") + b"\1"
    message += string(b"ssh-ed25519-cert-v01@openssh.com") + string(certificate.blob)
    signature = keys.ssh_signature(key.public_key(), keys.sign(key, string(session) + message))
    return LoginProof(certificate.blob, session, message, signature)


async def asked(cluster: Cluster, login: str = "root", session: bytes = SESSION, **changes: Any) -> LoginAt:
    identity = cluster.identity("alice", roles=("dev",), principals=("root", "daemon"))
    fields = {
        "node": PLAIN, "login": login, "ssh_public_key": keys.ssh_blob(keys.make_ed25519(cluster.entropy).public_key()),
        "proof": await proof(cluster, identity, login, session), "client_address": "192.0.2.9:4000",
    }  # fmt: skip
    return LoginAt(**{**fields, **changes})


async def stage(cluster: Cluster) -> OpenSSHCalls:
    options = {"forward_agent": True, "port_forwarding": False}
    await cluster.admin.create(role("dev", logins=["root"], node_labels={"env": "dev"}, options=options))
    await cluster.admin.create(plain())
    return OpenSSHCalls(cluster.proxy)


async def code_of(work: Awaitable[object]) -> str:
    with pytest.raises(TeleportError) as caught:
        await work
    return caught.value.code


def test_a_user_who_signed_in_goes_on_as_that_login_alone() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        request = await asked(cluster)
        made = await calls.issue_login(request)
        found = ssh.parse(made.certificate)
        assert ssh.verify(found)
        (ca,) = (await cluster.service.authorities.own("openssh")).trusted_ssh()
        assert keys.ssh_line(found.authority) == " ".join(ca.public_key.split()[:2])
        assert (found.type, found.key_id, found.principals, found.key) == (
            "user", "alice", ("root",), request.ssh_public_key,
        )  # fmt: skip
        assert set(found.extensions) == {"permit-pty", "permit-agent-forwarding"}
        assert found.valid_before == int((cluster.clock.now() + dt.timedelta(minutes=2)).timestamp())
        assert made.expires.timestamp() == found.valid_before
        (event,) = await cluster.events("cert.create")
        assert (event["identity"]["user"], event["identity"]["logins"], event["target"]) == ("alice", ("root",), PLAIN)
        assert (event["user"], event["addr.remote"]) == (f"{HOST_UUID}.{CLUSTER}", "192.0.2.9:4000")

    run(story)


def test_a_sign_in_is_good_for_one_certificate() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        request = await asked(cluster)
        first, second = await asyncio.gather(
            calls.issue_login(request), calls.issue_login(request), return_exceptions=True
        )  # fmt: skip
        (refused,) = [each for each in (first, second) if isinstance(each, TeleportError)]
        assert refused.code == "AUTH-OPENSSH-REPLAY"
        await calls.issue_login(await asked(cluster, session=bytes(32)))
        assert len(await cluster.events("cert.create")) == 2

    run(story)


def test_the_auth_service_decides_for_itself() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        assert await code_of(calls.issue_login(await asked(cluster, "daemon"))) == "POL-NO-LOGIN"
        assert await code_of(calls.issue_login(await asked(cluster, login="daemon", node="nowhere"))) == "POL-NOT-FOUND"
        lock = document_of("lock", "", {"target": {"user": "alice"}})
        await cluster.admin.create(lock)
        assert await code_of(calls.issue_login(await asked(cluster))) == "POL-LOCKED"
        assert await cluster.events("cert.create") == []
        assert len(await cluster.events("access.denied")) >= 2

    run(story)


def test_what_a_proxy_makes_up_is_worth_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        honest = await asked(cluster)
        other = LoginProof(honest.proof.certificate, bytes(32), honest.proof.message, honest.proof.signature)
        assert await code_of(calls.issue_login(await asked(cluster, proof=other))) == "PKI-LOGIN-PROOF"
        nobody = await asked(cluster, login="daemon", proof=honest.proof)
        assert await code_of(calls.issue_login(nobody)) == "PKI-LOGIN-PROOF"
        agent = cluster.client(cluster.host("Node"))
        assert await code_of(OpenSSHCalls(agent).issue_login(honest)) == "API-AUDIENCE"
        assert await code_of(OpenSSHCalls(cluster.admin).issue_login(honest)) == "API-AUDIENCE"

    run(story)


def test_the_proxy_stands_for_servers_without_an_agent() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        key = keys.ssh_blob(keys.make_ed25519(cluster.entropy).public_key())
        made = await calls.issue_target(PLAIN, key)
        names = (f"{PLAIN}.{CLUSTER}", PLAIN, f"plain-1.{CLUSTER}", "plain-1", "192.0.2.7")
        assert ssh.parse(made.certificate).principals == names
        for name in names:
            check.check_host(
                made.certificate, host=name, authorities=await cluster.service.authorities.every(),
                now=cluster.clock.now(), cluster=CLUSTER,
            )  # fmt: skip
        assert made.expires == cluster.clock.now() + dt.timedelta(hours=1)
        assert [event["cert_type"] for event in await cluster.events("cert.create")] == ["host"]

    run(story)


def test_the_proxy_does_not_stand_for_nodes_with_an_agent() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        await cluster.client(cluster.host("Node")).upsert(node(HOST_UUID, "n1", env="dev"))
        key = keys.ssh_blob(keys.make_ed25519(cluster.entropy).public_key())
        assert await code_of(calls.issue_target(HOST_UUID, key)) == "AUTH-OPENSSH-TARGET"
        for mode in ("node", "node-sync", "off"):
            await recorded(cluster, mode)
            assert await code_of(calls.issue_login(await asked(cluster, node=HOST_UUID))) == "AUTH-OPENSSH-TARGET"
        assert await code_of(calls.issue_target("nowhere", key)) == "POL-NOT-FOUND"
        assert await code_of(calls.issue_target(PLAIN, b"\0\0\0\x03abc")) == "PKI-KEY"

    run(story)


async def recorded(cluster: Cluster, mode: str) -> None:
    """Set how sessions are recorded."""
    await cluster.admin.upsert(document_of("session_recording_config", "session-recording-config", {"mode": mode}))


@pytest.mark.parametrize("mode", ["proxy", "proxy-sync"])
def test_where_recording_is_at_the_proxy_a_node_gets_what_the_user_has_and_who_records(mode: str) -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        await cluster.client(cluster.host("Node")).upsert(node(HOST_UUID, "n1", env="dev"))
        await recorded(cluster, mode)
        await calls.issue_target(HOST_UUID, keys.ssh_blob(keys.make_ed25519(cluster.entropy).public_key()))
        request = await asked(cluster, node=HOST_UUID)
        made = await calls.issue_login(request)
        carried = check.check_user(
            made.certificate, proven_key=request.ssh_public_key, login="root", now=cluster.clock.now(),
            authorities=[await cluster.service.authorities.own("user")], source_ip="", cluster=CLUSTER,
        )  # fmt: skip
        own = cluster.identity("alice", roles=("dev",), principals=("root", "daemon"))
        assert carried == msgspec.structs.replace(
            own, principals=("root",), recorded_by=HOST_UUID, only_at=HOST_UUID, expires=made.expires
        )  # fmt: skip
        assert made.expires == cluster.clock.now() + dt.timedelta(minutes=2)
        (event,) = [event for event in await cluster.events("cert.create") if event["cert_type"] == "user"]
        assert (event["identity"]["logins"], event["target"]) == (("root",), HOST_UUID)

    run(story)


def test_nobody_gets_such_a_certificate_without_a_sign_in_of_their_own() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await stage(cluster)
        await cluster.client(cluster.host("Node")).upsert(node(HOST_UUID, "n1", env="dev"))
        await recorded(cluster, "proxy")
        honest = await asked(cluster, node=HOST_UUID)
        mallory = await proof(
            cluster, cluster.identity("mallory", roles=("none",), principals=("root",)), session=bytes(32)
        )
        stolen = LoginProof(honest.proof.certificate, bytes(32), mallory.message, mallory.signature)
        assert await code_of(calls.issue_login(await asked(cluster, node=HOST_UUID, proof=stolen))) == "PKI-LOGIN-PROOF"
        assert (await code_of(calls.issue_login(await asked(cluster, node=HOST_UUID, proof=mallory)))).startswith(
            "POL-"
        )
        other = await asked(cluster, login="daemon", node=HOST_UUID, proof=honest.proof)
        assert await code_of(calls.issue_login(other)) == "PKI-LOGIN-PROOF"
        assert await code_of(calls.issue_login(await asked(cluster, "daemon", node=HOST_UUID))) == "POL-NO-LOGIN"
        for client in (cluster.client(cluster.host("Node")), cluster.admin):
            assert await code_of(OpenSSHCalls(client).issue_login(honest)) == "API-AUDIENCE"
        await calls.issue_login(honest)
        assert await code_of(calls.issue_login(honest)) == "AUTH-OPENSSH-REPLAY"
        elsewhere = await asked(cluster, proof=honest.proof)
        assert await code_of(calls.issue_login(elsewhere)) == "AUTH-OPENSSH-REPLAY"
        carried = cluster.identity("alice", roles=("dev",), principals=("root",), recorded_by="p", only_at=HOST_UUID)
        again = await proof(cluster, carried, session=b"\1" * 32)
        assert await code_of(calls.issue_login(await asked(cluster, node=HOST_UUID, proof=again))) == "PKI-CARRIED"

    run(story)
