"""Host certificates for OpenSSH servers: for whoever may create a host_cert, with the names that were asked for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.client import AuthClient
from teleport.api.openssh_calls import OpenSSHCalls
from teleport.api.openssh_messages import ServerRequest
from teleport.base.errors import AccessDenied, BadParameter
from teleport.pki import check, keys, ssh
from tests.support.auth_cluster import CLUSTER, Cluster, role, rule, run


def request(cluster: Cluster, **changes: Any) -> ServerRequest:
    fields: dict[str, Any] = {
        "ssh_public_key": keys.ssh_blob(keys.make_p256(cluster.entropy).public_key()),
        "principals": ("build-1.example.com",), "expires": cluster.clock.now() + dt.timedelta(hours=1),
    }  # fmt: skip
    return ServerRequest(**{**fields, **changes})


async def signer(cluster: Cluster, **changes: Any) -> AuthClient:
    """Return somebody whose role allows it."""
    await cluster.admin.upsert(role("host-signer", rules=[rule("host_cert", "create")]))
    return cluster.client(cluster.user("alice", "host-signer", **changes))


def test_it_names_what_was_asked_for_and_nothing_else() -> None:
    async def story(cluster: Cluster) -> None:
        asked = request(cluster)
        made = await OpenSSHCalls(await signer(cluster)).issue_server(asked)
        certificate = ssh.parse(made.certificate)
        assert (certificate.principals, certificate.key) == (("build-1.example.com",), asked.ssh_public_key)
        assert made.expires == asked.expires
        found = check.check_host(
            made.certificate, host="build-1.example.com", now=cluster.clock.now(), cluster=CLUSTER,
            authorities=await cluster.service.authorities.every(),
        )  # fmt: skip
        assert found.kind == "host"
        (event,) = await cluster.events("cert.create")
        assert (event["cert_type"], event["user"]) == ("host", "alice")

    run(story)


@pytest.mark.parametrize("authority", ["user", "openssh"])
def test_it_comes_with_the_keys_of_users(authority: str) -> None:
    async def story(cluster: Cluster) -> None:
        made = await OpenSSHCalls(await signer(cluster)).issue_server(request(cluster, trusts=authority))
        own = await cluster.service.authorities.own(authority)
        assert made.user_authorities == tuple(key.public_key for key in own.trusted_ssh())

    run(story)


def test_without_the_rule_nobody_gets_one() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.upsert(role("plain", logins=["root"]))
        nobody = cluster.client(cluster.user("alice", "plain"))
        with pytest.raises(AccessDenied) as caught:
            await OpenSSHCalls(nobody).issue_server(request(cluster))
        assert caught.value.id
        assert "host_cert" in str(await cluster.admin.explain(caught.value.id))

    run(story)


def test_bots_come_again_and_others_wait_a_year() -> None:
    async def story(cluster: Cluster) -> None:
        far, now = cluster.clock.now() + dt.timedelta(days=4000), cluster.clock.now()
        people = await OpenSSHCalls(await signer(cluster)).issue_server(request(cluster, expires=far))
        bots = await OpenSSHCalls(await signer(cluster, kind="bot")).issue_server(request(cluster, expires=far))
        assert (people.expires - now, bots.expires - now) == (dt.timedelta(days=365), dt.timedelta(days=1))

    run(story)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"principals": ()}, "1 to 100 names"),
        ({"principals": ("",)}, "none may be empty"),
        ({"principals": tuple(f"h{n}" for n in range(101))}, "1 to 100 names"),
        ({"principals": ("*",)}, "neither a host name nor an IP address"),
        ({"principals": ("22222222-2222-4333-8444-555555555555",)}, "name of another host"),
        ({"principals": ("teleport.cluster.local",)}, "name of the Auth and Proxy Services"),
        ({"trusts": "host"}, "not 'host'"),
        ({"expires": dt.datetime(2000, 1, 1, tzinfo=dt.UTC)}, "ended already"),
        ({"ssh_public_key": b"\0\0\0\x01x"}, ""),
    ],
)
def test_what_no_server_can_have(changes: dict[str, Any], said: str) -> None:
    async def story(cluster: Cluster) -> None:
        client = OpenSSHCalls(await signer(cluster))
        with pytest.raises(BadParameter) as caught:
            await client.issue_server(request(cluster, **changes))
        assert said in caught.value.what

    run(story)
