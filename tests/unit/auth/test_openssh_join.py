"""Joining of servers without an agent: what a token gives, and what it does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.openssh_calls import OpenSSHCalls
from teleport.api.openssh_messages import Former, Joined, JoinServer, statement
from teleport.base.errors import TeleportError
from teleport.model.kinds.node import JOINED, Node
from teleport.pki import keys, ssh
from tests.support.auth_cluster import CLUSTER, HOST_UUID, Cluster, document_of, node, run

TOKEN = "0123456789abcdef0123456789abcdef"


class Server:
    """A server that wants to join: its host key."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.calls = OpenSSHCalls(cluster.proxy)
        self.key = keys.make_ed25519(cluster.entropy)

    @property
    def blob(self) -> bytes:
        return keys.ssh_blob(self.key.public_key())

    async def join(self, former: bytes = b"", **changes: Any) -> Joined:
        fields: dict[str, Any] = {
            "token": TOKEN, "hostname": "plain-1", "address": "192.0.2.7:22", "ssh_public_key": self.blob,
            "labels": {"env": "dev"}, "principals": ("plain-1.lan",), "client_address": "192.0.2.7",
        }  # fmt: skip
        fields |= changes
        if former:
            said = keys.sign(self.key, statement(fields["token"], self.blob))
            fields["former"] = Former(former, keys.ssh_signature(self.key.public_key(), said))
        return await self.calls.join(JoinServer(**fields))

    async def refused(self, former: bytes = b"", **changes: Any) -> str:
        with pytest.raises(TeleportError) as caught:
            await self.join(former, **changes)
        return caught.value.code


async def stage(cluster: Cluster) -> Server:
    await cluster.admin.create(document_of("token", TOKEN, {"roles": ["Node"]}))
    return Server(cluster)


async def found(cluster: Cluster, name: str) -> Node:
    got = await cluster.admin.get("node", name)
    assert isinstance(got, Node)
    return got


def test_a_server_joins() -> None:
    async def story(cluster: Cluster) -> None:
        server = await stage(cluster)
        joined = await server.join()
        made = await found(cluster, joined.host_uuid)
        assert (made.agentless, made.spec.hostname, made.spec.addr) == (True, "plain-1", "192.0.2.7:22")
        assert made.metadata.labels == {"env": "dev", JOINED: "openssh"}
        assert made.metadata.expires is None
        certificate = ssh.parse(joined.certificate)
        assert (certificate.type, certificate.key) == ("host", server.blob)
        assert certificate.principals == (
            f"{made.name}.{CLUSTER}", made.name, f"plain-1.{CLUSTER}", "plain-1", "192.0.2.7", "plain-1.lan",
        )  # fmt: skip
        assert (joined.cluster, joined.expires) == (CLUSTER, cluster.clock.now() + dt.timedelta(days=365))
        (ca,) = (await cluster.service.authorities.own("openssh")).trusted_ssh()
        assert joined.user_authorities == (ca.public_key,)
        (event,) = await cluster.events("instance.join")
        assert (event["success"], event["host_id"], event["node_name"]) == (True, made.name, "plain-1")
        assert TOKEN not in str(await cluster.events())

    run(story)


def test_it_keeps_its_id_when_it_proves_itself() -> None:
    async def story(cluster: Cluster) -> None:
        server = await stage(cluster)
        first = await server.join()
        second = await server.join(first.certificate, labels={"env": "prod"})
        assert second.host_uuid == first.host_uuid
        assert (await found(cluster, first.host_uuid)).metadata.labels["env"] == "prod"
        assert (await server.join()).host_uuid != first.host_uuid
        await cluster.admin.delete("node", first.host_uuid)
        assert (await server.join(first.certificate)).host_uuid == first.host_uuid

    run(story)


def test_nobody_takes_the_place_of_another() -> None:
    async def story(cluster: Cluster) -> None:
        server = await stage(cluster)
        joined = await server.join()
        thief = Server(cluster)
        assert await thief.refused(joined.certificate) == "AUTH-JOIN-FORMER"
        assert await server.refused(b"no certificate") == "AUTH-JOIN-FORMER"
        cluster.clock.advance(dt.timedelta(days=366))
        server.calls = OpenSSHCalls(cluster.proxy)
        assert await server.refused(joined.certificate) == "AUTH-JOIN-FORMER"

    run(story)


def test_the_id_of_a_node_with_an_agent_stays_its_own() -> None:
    async def story(cluster: Cluster) -> None:
        server = await stage(cluster)
        joined = await server.join()
        await cluster.admin.delete("node", joined.host_uuid)
        agent = cluster.client(cluster.host("Node", uuid=joined.host_uuid))
        await agent.upsert(node(joined.host_uuid, "n1"))
        assert await server.refused(joined.certificate) == "AUTH-JOIN-FORMER"

    run(story)


def test_a_token_for_something_else() -> None:
    async def story(cluster: Cluster) -> None:
        server = await stage(cluster)
        await cluster.admin.create(document_of("token", "p" * 32, {"roles": ["Proxy"]}))
        assert await server.refused(token="x" * 32) == "AUTH-JOIN-TOKEN"
        assert await server.refused(token="") == "AUTH-JOIN-TOKEN"
        assert await server.refused(token="p" * 32) == "AUTH-JOIN-ROLE"
        refusals = await cluster.events("instance.join")
        assert [(event["success"], event["code"]) for event in refusals] == [(False, "TJ002E")] * 3
        assert "token expired or not found" in refusals[0]["error"]

    run(story)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hostname": ""}, "KIND-FIELD"),
        ({"hostname": "a b"}, "AUTH-HOST-REQUEST"),
        ({"address": "192.0.2.7"}, "KIND-FIELD"),
        ({"labels": {"a b": "c"}}, "KIND-LABEL"),
        ({"labels": {"teleport.internal/x": "c"}}, "KIND-LABEL"),
        ({"principals": (HOST_UUID,)}, "AUTH-HOST-REQUEST"),
        ({"principals": ("teleport.cluster.local",)}, "AUTH-HOST-REQUEST"),
        ({"principals": tuple(f"n{n}" for n in range(21))}, "AUTH-HOST-REQUEST"),
        ({"ssh_public_key": b"\0\0\0\x03abc"}, "PKI-KEY"),
    ],
)  # fmt: skip
def test_what_cannot_be_registered(changes: dict[str, Any], code: str) -> None:
    async def story(cluster: Cluster) -> None:
        server = await stage(cluster)
        assert await server.refused(**changes) == code
        assert [entry async for entry in cluster.admin.list("node")] == []

    run(story)
