"""Joining over the conversation of the API: what a token gives, and how each failure is told."""

from __future__ import annotations

import datetime as dt
import io

import pytest

from teleport.api.caller import Caller
from teleport.api.pb import join_pb2 as pb
from teleport.api.services import join as join_api
from teleport.base.errors import TeleportError
from teleport.model.identity import Identity
from teleport.pki import check, codec, keys, ssh, x509
from tests.support.auth_cluster import CLUSTER, HOST_UUID, Cluster, document_of, public_keys, run
from tests.support.joiner import SECRET, STRANGER, Shows, join, make, refused
from tests.support.log_lines import said

__all__ = ["said"]


def identity_of(pem: str) -> Identity:
    return codec.from_x509(x509.parse(pem.encode()))


def test_a_host_joins_and_gets_the_names_of_the_specification() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, roles=["Node", "Kube", "Bot"], bot_name="b")
        joined = await join(cluster, additional_principals=("n1.lan", "192.0.2.1"), dns_names=("k.example.com",))
        assert (joined.system_roles, joined.cluster) == (("Instance", "Node", "Kube"), CLUSTER)
        certificate = ssh.parse(keys.load_ssh_line(joined.certificates.ssh_certificate))
        id = joined.host_id
        assert certificate.principals == (
            f"{id}.{CLUSTER}", id, f"n1.{CLUSTER}", "n1", "localhost", "127.0.0.1", "::1", "n1.lan", "192.0.2.1",
        )  # fmt: skip
        identity = identity_of(joined.certificates.tls_certificate)
        assert (identity.name, identity.roles) == (f"{id}.{CLUSTER}", ("Instance",))
        assert identity.system_roles == ("Instance", "Kube", "Node")
        assert identity.join_token == ""  # it is a secret, and certificates are none
        assert b"k.example.com" in x509.encode(x509.parse(joined.certificates.tls_certificate.encode()))
        found = check.check_x509(
            x509.encode(x509.parse(joined.certificates.tls_certificate.encode())), now=cluster.clock.now(),
            authorities=await cluster.service.authorities.every(), source_ip="", cluster=CLUSTER,
        )  # fmt: skip
        assert found == identity
        assert [authority.type for authority in joined.certificates.authorities] == ["host", "user"]

    run(story)


def test_a_node_gets_no_dns_names_of_tls_servers() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        joined = await join(cluster, dns_names=("k.example.com",))
        assert b"k.example.com" not in x509.encode(x509.parse(joined.certificates.tls_certificate.encode()))

    run(story)


def test_what_is_recorded_of_a_join(said: io.StringIO) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        joined = await join(cluster)
        (event,) = await cluster.events("instance.join")
        assert event["code"] == "TJ002I"
        shown = {name: event[name] for name in ("host_id", "node_name", "role", "method", "token_name", "addr.remote")}
        assert shown == {
            "host_id": joined.host_id, "node_name": "n1", "role": "Instance,Node", "method": "token",
            "token_name": "*" * 24 + SECRET[24:], "addr.remote": "192.0.2.7:40000",
        }  # fmt: skip
        assert "Instance has joined the cluster" in said.getvalue()
        assert SECRET not in said.getvalue() + str(await cluster.events())

    run(story)


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"token": "unknown"}, "AUTH-JOIN-TOKEN",
         '"n1" can not join the cluster with role "Instance", token expired or not found'),
        ({"token": "../x"}, "AUTH-JOIN-TOKEN", "token expired or not found"),
        ({"join_method": "iam"}, "AUTH-JOIN-METHOD",
         "client requested join method iam, provision token only supports method token"),
        ({"system_role": "Node"}, "AUTH-JOIN-AS", "nobody joins as 'Node'"),
        ({"services": ("Node", "Kube")}, "AUTH-JOIN-ROLES",
         "can not join the cluster, the token does not allow role Kube"),
        ({"system_role": "Bot"}, "AUTH-JOIN-ROLES", "can not join the cluster, the token does not allow role Bot"),
        ({"expires": dt.datetime(2031, 1, 1, tzinfo=dt.UTC)}, "AUTH-JOIN-EXPIRES",
         "'expires' cannot be set on join for non-bot certificates"),
        ({"additional_principals": (f"{HOST_UUID}.x",)}, "AUTH-HOST-REQUEST", "name of another host"),
        ({"additional_principals": ("teleport.cluster.local",)}, "AUTH-HOST-REQUEST", "Auth and Proxy"),
        ({"dns_names": ("a.teleport.cluster.local",)}, "AUTH-HOST-REQUEST", "Auth and Proxy"),
        ({"host_name": "a b"}, "AUTH-HOST-REQUEST", "neither a host name"),
        ({"ssh_public_key": "none"}, "PKI-KEY", ""),
    ],
)  # fmt: skip
def test_who_is_turned_away(fields: dict[str, object], code: str, text: str) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        error = await refused(cluster, **fields)
        assert (error.code, text in error.what) == (code, True), error.what
        (event,) = await cluster.events("bot.join" if fields.get("system_role") == "Bot" else "instance.join")
        assert (event["success"], event["code"]) == (False, "TJ001E" if "system_role" in fields and
                fields["system_role"] == "Bot" else "TJ002E")  # fmt: skip

    run(story)


def test_a_token_for_bots_alone_makes_no_instance() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, roles=["Bot", "Instance"], bot_name="b")
        error = await refused(cluster)
        assert error.what == "cannot requisition instance certs (token contains no local service roles)"
        assert (await refused(cluster, system_role="Bot")).code == "AUTH-BOT-GONE"

    run(story)


def test_the_log_knows_what_who_asks_does_not_learn(said: io.StringIO) -> None:
    async def story(cluster: Cluster) -> None:
        soon = (cluster.clock.now() + dt.timedelta(minutes=30)).isoformat()
        await cluster.admin.create(document_of("token", SECRET, {"roles": ["Node"]}, expires=soon))
        await cluster.admin.create(document_of("token", "removed-token-0123", {"roles": ["Node"]}))
        await cluster.admin.delete("token", "removed-token-0123")
        cluster.clock.advance(dt.timedelta(minutes=31))
        told = {(await refused(cluster, token=name)).what for name in (SECRET, "removed-token-0123", "never-was-there")}
        assert len(told) == 1
        errors = [event["error"] for event in await cluster.events("instance.join")]
        assert ["expired at" in errors[0], "was removed" in errors[1], "no token has this name" in errors[2]] == [
            True
        ] * 3
        lines = said.getvalue()
        assert lines.count("Failure to join cluster occurred") == 3
        assert "it expired at 2030-01-01T00:30:00" in lines
        assert "never-was-there" not in lines + str(await cluster.events())

    run(story)


def test_an_instance_that_joins_again_keeps_its_id_and_unites_its_roles() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        await make(cluster, "second-token-of-the-host", roles=["App"])
        first = await join(cluster)
        mine = Caller(identity_of(first.certificates.tls_certificate), "192.0.2.7:40001")
        second = await join(cluster, caller=mine, token="second-token-of-the-host", services=("Node", "App"))
        assert second.host_id == first.host_id
        assert set(second.system_roles) == {"Instance", "Node", "App"}
        assert (await join(cluster)).host_id != first.host_id
        cluster.clock.advance(dt.timedelta(days=400))
        assert (await refused(cluster, caller=mine)).code == "API-EXPIRED"

    run(story)


def test_a_certificate_of_another_sort_is_no_former_one() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        for caller in (cluster.host("Node"), cluster.user("alice", "editor")):
            joined = await join(cluster, caller=caller)
            assert joined.host_id != HOST_UUID
            assert joined.system_roles == ("Instance", "Node")

    run(story)


def test_what_a_proxy_passes_on_does_not_inherit_its_identity() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        client = cluster.client(cluster.host("Instance", "Proxy"))
        joined = await _forwarded(client, cluster)
        assert joined.host_id not in ("", HOST_UUID)
        assert list(joined.system_roles) == ["Instance", "Node"]
        (event,) = await cluster.events("instance.join")
        assert event["addr.remote"] == "203.0.113.9:1234"

    run(story)


@pytest.mark.parametrize("roles", [(), ("Instance", "Node"), ("Auth",)])
def test_only_a_proxy_passes_on(roles: tuple[str, ...]) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        client = cluster.client(cluster.host(*roles) if roles else STRANGER)
        with pytest.raises(TeleportError) as caught:
            await _forwarded(client, cluster)
        assert caught.value.code == "AUTH-JOIN-FORWARDED"

    run(story)


async def _forwarded(client: object, cluster: Cluster) -> pb.JoinResult:
    keys = public_keys(cluster.entropy)
    told = pb.JoinForwarded(client_address="203.0.113.9:1234")
    init = pb.JoinInit(token_name=SECRET, system_role="Instance", host_name="n1", forwarded=told)
    async with client.channel.talk(join_api.JOIN) as talk:  # type: ignore[attr-defined]
        await talk.send(pb.JoinRequest(init=init))
        await talk.receive()
        await talk.send(pb.JoinRequest(start=pb.JoinStart(**keys)))
        return (await talk.receive()).result


def test_locks_are_about_the_host_the_token_and_the_role(said: io.StringIO) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        first = await join(cluster)
        mine = Caller(identity_of(first.certificates.tls_certificate), "192.0.2.7:40001")
        for target, caller in (
            ({"server_id": first.host_id}, mine), ({"join_token": SECRET}, STRANGER), ({"role": "Node"}, STRANGER),
        ):  # fmt: skip
            lock = await cluster.admin.create(document_of("lock", "l", {"target": target}))
            error = await refused(cluster, caller=caller)
            assert (error.code, SECRET in str(error)) == ("POL-LOCKED", False)
            await cluster.admin.delete("lock", lock.name)
        assert SECRET not in said.getvalue() + str(await cluster.events("instance.join"))
        assert (await join(cluster)).host_id

    run(story)


def test_a_token_that_goes_away_during_the_conversation_is_good_for_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)

        class Slow(Shows):
            async def first(self, accepted: object) -> bytes:
                await cluster.admin.delete("token", SECRET)
                return b""

        assert (await refused(cluster, Slow("token"))).code == "AUTH-TOKEN-REMOVED"

    run(story)
