"""Certificates of hosts: names, roles, and who gets them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.messages import HostRequest, MadeCertificates
from teleport.base import errors
from teleport.pki import check, codec, keys, ssh, x509
from tests.support.auth_cluster import CLUSTER, HOST_UUID, Cluster, document_of, public_keys, role, rule, run

OTHER = "99999999-2222-4333-8444-555555555555"


def request(cluster: Cluster, **fields: Any) -> HostRequest:
    shape: dict[str, Any] = {"host_uuid": HOST_UUID, "node_name": "n1", "roles": ("Node",)}
    return HostRequest(**{**shape, **public_keys(cluster.entropy), **fields})


def names_of(issued: MadeCertificates) -> tuple[str, ...]:
    return ssh.parse(keys.load_ssh_line(issued.ssh_certificate)).principals


def test_the_administrator_gets_certificates_for_a_host() -> None:
    async def story(cluster: Cluster) -> None:
        issued = await cluster.admin.issue_host(request(cluster, principals=("192.0.2.1", "n1.lan")))
        assert names_of(issued) == (
            f"{HOST_UUID}.{CLUSTER}", HOST_UUID, f"n1.{CLUSTER}", "n1", "localhost", "127.0.0.1", "::1", "192.0.2.1",
            "n1.lan",
        )  # fmt: skip
        identity = codec.from_x509(x509.parse(issued.tls_certificate.encode()))
        assert (identity.name, identity.kind, identity.roles) == (f"{HOST_UUID}.{CLUSTER}", "host", ("Node",))
        assert identity.expires == issued.expires == cluster.clock.now() + dt.timedelta(days=365)
        assert [authority.type for authority in issued.authorities] == ["host", "user"]
        found = check.check_host(
            keys.load_ssh_line(issued.ssh_certificate), host="n1", now=cluster.clock.now(), cluster=CLUSTER,
            authorities=await cluster.service.authorities.every(),
        )  # fmt: skip
        assert found == identity
        (event,) = await cluster.events("cert.create")
        assert (event["cert_type"], event["user"]) == ("host", "admin@test")

    run(story)


def test_a_host_renews_its_own_and_no_other() -> None:
    async def story(cluster: Cluster) -> None:
        mine = cluster.client(cluster.host("Instance", "Node"))
        assert names_of(await mine.issue_host(request(cluster)))
        for wrong in ({"host_uuid": OTHER}, {"roles": ("Proxy",)}, {"roles": ("Node", "Auth")}):
            with pytest.raises(errors.AccessDenied) as caught:
                await mine.issue_host(request(cluster, **wrong))
            assert caught.value.code == "AUTH-HOST-SELF"

    run(story)


def test_a_locked_host_renews_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(document_of("lock", "", {"target": {"server_id": HOST_UUID}}))
        with pytest.raises(errors.AccessDenied) as caught:
            await cluster.client(cluster.host("Instance", "Node")).issue_host(request(cluster))
        assert caught.value.code == "POL-LOCKED"

    run(story)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host_uuid": "n1"},
        {"host_uuid": HOST_UUID.upper().replace("1", "A")},
        {"roles": ()},
        {"roles": ("Bot",)},
        {"roles": ("Admin",)},
        {"node_name": "a,b"},
        {"node_name": "a b"},
        {"principals": ("*",)},
        {"principals": ("x\ny",)},
        {"principals": (OTHER,)},
        {"principals": (OTHER.upper(),)},
        {"principals": ("teleport.cluster.local",)},
        {"principals": ("remote.kube.proxy.teleport.cluster.local",)},
        {"principals": tuple(f"n{n}" for n in range(101))},
    ],
)
def test_a_host_cannot_have_these_names_or_roles(wrong: dict[str, Any]) -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(errors.BadParameter) as caught:
            await cluster.admin.issue_host(request(cluster, **wrong))
        assert caught.value.code == "AUTH-HOST-REQUEST"

    run(story)


@pytest.mark.parametrize(("asked", "seconds"), [(1, 60), (7200, 7200), (1e9, 365 * 86400)])
def test_validity_is_bounded(asked: float, seconds: float) -> None:
    async def story(cluster: Cluster) -> None:
        issued = await cluster.admin.issue_host(request(cluster, ttl=asked))
        assert (issued.expires - cluster.clock.now()).total_seconds() == seconds

    run(story)


def test_proxies_carry_names_of_the_cluster() -> None:
    async def story(cluster: Cluster) -> None:
        name = "remote.kube.proxy.teleport.cluster.local"
        assert name in names_of(await cluster.admin.issue_host(request(cluster, roles=("Proxy",), principals=(name,))))

    run(story)


def test_the_checks_are_the_callers_rights() -> None:
    async def story(cluster: Cluster) -> None:
        # The method table keeps people out; a rule is asked for as well, should it ever let them in.
        from teleport.auth.authorize import Authorizer

        await cluster.admin.create(role("signer", rules=[rule("host_cert", "create")]))
        authorizer = Authorizer(cluster.service.store, cluster.service._denials, cluster.clock, CLUSTER)
        assert await authorizer.require(cluster.user("bob", "signer"), "create", "host_cert")
        with pytest.raises(errors.AccessDenied):
            await authorizer.require(cluster.user("bob", "access"), "create", "host_cert")

    run(story)
