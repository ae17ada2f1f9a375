"""Certificates of databases: who may have them made, for which names, and for how long."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.api.messages import DatabaseRequest
from teleport.base.errors import TeleportError
from teleport.pki import x509
from tests.support.auth_cluster import Cluster, public_keys, role, rule, run


def request(cluster: Cluster, *hosts: str, ttl: float = 0) -> DatabaseRequest:
    return DatabaseRequest(hosts=hosts, tls_public_key=public_keys(cluster.entropy)["tls_public_key"], ttl=ttl)


@pytest.mark.parametrize(
    ("asked", "given"),
    [(0, dt.timedelta(hours=12)), (1, dt.timedelta(minutes=1)), (7200, dt.timedelta(hours=2)),
     (1e12, dt.timedelta(days=365))],
)  # fmt: skip
def test_how_long(asked: float, given: dt.timedelta) -> None:
    async def story(cluster: Cluster) -> None:
        made = await cluster.admin.issue_database(request(cluster, "db.example.com", ttl=asked))
        assert made.expires - cluster.clock.now() == given
        assert x509.parse(made.tls_certificate.encode()).not_valid_after_utc == made.expires
        assert [entry.type for entry in made.authorities] == ["db", "db_client"]
        assert made.ssh_certificate == ""

    run(story)


def test_it_needs_a_rule() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("plain"))
        await cluster.admin.create(role("dba", rules=[rule("database_certificate", "create")]))
        with pytest.raises(TeleportError) as caught:
            await cluster.client(cluster.user("carol", "plain")).issue_database(request(cluster, "db"))
        assert (caught.value.code, bool(caught.value.id)) == ("POL-NO-VERB", True)
        await cluster.client(cluster.user("dave", "dba")).issue_database(request(cluster, "db"))
        event = (await cluster.events("cert.create"))[-1]
        assert (event["cert_type"], event["user"], event["identity"]["user"]) == ("database", "dave", "db")

    run(story)


@pytest.mark.parametrize(
    ("hosts", "code"),
    [((), "AUTH-HOST-REQUEST"), (("a",) * 101, "AUTH-HOST-REQUEST"),
     (("x.teleport.cluster.local.",), "AUTH-HOST-REQUEST"),
     (("a b",), "PKI-X509")],
)  # fmt: skip
def test_names_that_no_database_has(hosts: tuple[str, ...], code: str) -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(TeleportError) as caught:
            await cluster.admin.issue_database(request(cluster, *hosts))
        assert caught.value.code == code

    run(story)
