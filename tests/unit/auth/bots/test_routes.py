"""Outputs for databases, applications and Kubernetes clusters: what is there for their roles, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.api.bot_messages import DatabaseRoute
from teleport.api.caller import Caller
from teleport.api.messages import MadeCertificates
from teleport.base.errors import TeleportError
from teleport.model.identity import Identity
from teleport.model.resource import Resource, load
from teleport.pki import check, codec, database, x509
from tests.support.auth_cluster import CLUSTER, Cluster, role, run
from tests.support.bots import HOME, NAME, Robot, make_bot

RULES = [{"resources": ["db_server", "db"], "verbs": ["read", "list"]}]
MACHINE_ID_DB = {"db_labels": {"*": "*"}, "db_names": ["example"], "db_users": ["alice"], "rules": RULES}
POSTGRES = {"protocol": "postgres", "uri": "db.example.com:5432"}
HOST = "55555555-2222-4333-8444-555555555555"


async def robot_with(cluster: Cluster, **allow: Any) -> Robot:
    """Return a bot whose one role, `machine-id-db`, allows this."""
    await make_bot(cluster, "machine-id-db")
    await allow_it(cluster, **allow)
    return await Robot.joined(cluster)


async def allow_it(cluster: Cluster, deny: dict[str, Any] | None = None, **allow: Any) -> None:
    await cluster.admin.upsert(document("role", "machine-id-db", {"allow": allow, "deny": deny or {}}, version="v5"))


async def create(cluster: Cluster, kind: str, name: str, spec: dict[str, Any], **labels: str) -> None:
    await cluster.admin.create(document(kind, name, spec, labels=labels))


def document(
    kind: str, name: str, spec: dict[str, Any], labels: dict[str, str] | None = None, **more: Any
) -> Resource[Any]:
    """Return a resource from its document; `more` are fields beside metadata and spec."""
    return load({"kind": kind, "metadata": {"name": name, "labels": labels or {}}, "spec": spec, **more})


async def refused(robot: Robot, **fields: Any) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await robot.output(**fields)
    return caught.value


def holder(made: MadeCertificates) -> Identity:
    """Return whom a certificate for databases was issued to; the SSH certificate says the same."""
    return database.identity_of(x509.parse(made.tls_certificate.encode()))


def test_a_database_is_there_only_for_roles_with_rules() -> None:
    """S1-38, S1-41: without rules on db_server and db the database is not found, as when it is absent; with the role
    of the page there are certificates."""

    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster, **{**MACHINE_ID_DB, "rules": []})
        absent = await refused(robot, database=DatabaseRoute(service="example"))
        await create(cluster, "db", "example", POSTGRES, env="dev")
        hidden = await refused(robot, database=DatabaseRoute(service="example"))
        for error in (absent, hidden):
            assert (error.code, error.what) == ("POL-NOT-FOUND", 'database "example" not found')
            assert error.id
        assert (absent.why, absent.fix.replace(absent.id, "")) == (hidden.why, hidden.fix.replace(hidden.id, ""))
        assert "list db" in str(await cluster.admin.explain(hidden.id))
        await allow_it(cluster, **MACHINE_ID_DB)
        made = await robot.output(database=DatabaseRoute(service="example"))
        found = holder(made)
        assert (found.name, found.roles, found.kind) == ("bot-example", ("machine-id-db",), "bot")
        assert (found.database_service, found.database_protocol) == ("example", "postgres")
        assert (found.database_user, found.database_name) == ("alice", "example")
        assert (found.database_users, found.database_names) == (("alice",), ("example",))
        assert found.disallow_reissue
        event = (await cluster.events("cert.create"))[-1]
        assert event["identity"]["route_to_database"] == {
            "service_name": "example", "protocol": "postgres", "username": "alice", "database": "example",
        }  # fmt: skip

    run(story)


def test_only_databases_take_the_certificate() -> None:
    """It is of the authority that databases trust, its common name the account; the cluster's own doors refuse it."""

    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster, **MACHINE_ID_DB)
        await create(cluster, "db", "example", POSTGRES)
        made = await robot.output(database=DatabaseRoute(service="example", name="example", username="alice"))
        certificate = x509.parse(made.tls_certificate.encode())
        assert certificate.subject.rfc4514_string() == "CN=alice"
        by_type = {entry.type: entry.tls_certificates for entry in made.authorities}
        (trusted,) = by_type["db_client"]
        assert by_type["db"]
        assert by_type["db"] != by_type["db_client"]
        assert x509.is_issued_by(certificate, x509.parse(trusted.encode()))
        every = [entry async for entry in cluster.admin.list("cert_authority")]
        with pytest.raises(TeleportError) as caught:
            check.check_x509(
                x509.encode(certificate), authorities=every, now=cluster.clock.now(), source_ip="",
                cluster=CLUSTER,
            )  # type: ignore[arg-type]  # fmt: skip
        assert caught.value.code == "PKI-UNKNOWN-CA"
        with pytest.raises(TeleportError):
            codec.from_x509(certificate)

    run(story)


def test_accounts_and_parts_are_those_of_the_roles() -> None:
    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster, **{**MACHINE_ID_DB, "db_users": ["alice", "bob"], "db_names": ["*"]})
        await create(cluster, "db", "example", POSTGRES)
        unnamed = await refused(robot, database=DatabaseRoute(service="example"))
        assert (unnamed.code, "alice, bob" in unnamed.why) == ("AUTH-BOT-ACCOUNT", True)
        found = holder(await robot.output(database=DatabaseRoute(service="example", username="bob")))
        assert (found.database_user, found.database_name, found.database_names) == ("bob", "", ("*",))
        other = await refused(robot, database=DatabaseRoute(service="example", username="root"))
        assert (other.code, other.what) == (
            "POL-NO-ACCOUNT",
            "access to db denied. User does not have permissions. Confirm database user and name.",
        )
        assert "db_users" in str(await cluster.admin.explain(other.id))
        await allow_it(cluster, **{**MACHINE_ID_DB, "db_users": ["*"]}, deny={"db_users": ["root"]})
        denied = await refused(robot, database=DatabaseRoute(service="example", username="root"))
        assert denied.code == "POL-DENY-RULE"
        part = await refused(robot, database=DatabaseRoute(service="example", username="bob", name="secrets"))
        assert part.code == "POL-NO-ACCOUNT"

    run(story)


def test_labels_hide_a_database() -> None:
    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster, **{**MACHINE_ID_DB, "db_labels": {"env": "dev"}})
        await create(cluster, "db", "example", POSTGRES, env="prod")
        error = await refused(robot, database=DatabaseRoute(service="example"))
        assert (error.code, error.what) == ("POL-NOT-FOUND", 'database "example" not found')

    run(story)


def test_what_an_agent_serves_is_there_too() -> None:
    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster, **MACHINE_ID_DB)
        served = {"kind": "db", "version": "v3", "metadata": {"name": "example"}, "spec": POSTGRES}
        agent = cluster.client(cluster.host("Instance", "Db", uuid=HOST))
        beat = document("db_server", "example", {"host_id": HOST, "database": served}, sub_kind=HOST)
        await agent.upsert(beat)
        found = holder(await robot.output(database=DatabaseRoute(service="example")))
        assert (found.database_protocol, found.database_user) == ("postgres", "alice")
        foreign = document("db_server", "example", {"host_id": "other", "database": served}, sub_kind="other")
        with pytest.raises(TeleportError) as caught:
            await agent.upsert(foreign)
        assert caught.value.code == "POL-NOT-FOUND"

    run(story)


def test_applications_and_clusters_stand_in_ordinary_certificates() -> None:
    async def story(cluster: Cluster) -> None:
        robot = await robot_with(
            cluster, app_labels={"env": "dev"}, kubernetes_labels={"env": "dev"}, kubernetes_groups=["viewers", "x"],
            kubernetes_users=["{{internal.kubernetes_users}}", "ci"], deny={"kubernetes_groups": ["x"]},
        )  # fmt: skip
        public = {"uri": "http://localhost:3000", "public_addr": "grafana.example.com"}
        await create(cluster, "app", "grafana", public, env="dev")
        await create(cluster, "kube_cluster", "example-k8s-cluster", {}, env="dev")
        for name, spec in (("app", public), ("kube_cluster", {})):
            await create(cluster, name, "hidden", spec, env="prod")
        app = identity_of_tls(await robot.output(app="grafana"))
        assert (app.app_name, app.app_public_addr, app.app_cluster) == ("grafana", "grafana.example.com", CLUSTER)
        assert app.kubernetes_cluster == app.database_service == ""
        kube = identity_of_tls(await robot.output(kubernetes_cluster="example-k8s-cluster"))
        assert (kube.kubernetes_cluster, kube.kubernetes_users) == ("example-k8s-cluster", ("ci",))
        assert kube.kubernetes_groups == ("viewers",)
        for fields, word in (({"app": "hidden"}, "app"), ({"kubernetes_cluster": "hidden"}, "kubernetes cluster")):
            error = await refused(robot, **fields)
            assert (error.code, error.what) == ("POL-NOT-FOUND", f'{word} "hidden" not found')

    run(story)


def identity_of_tls(made: MadeCertificates) -> Identity:
    return codec.from_x509(x509.parse(made.tls_certificate.encode()))


def test_a_cluster_without_anybody_to_be_in_it_is_refused() -> None:
    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster, kubernetes_labels={"*": "*"})
        await create(cluster, "kube_cluster", "k", {})
        error = await refused(robot, kubernetes_cluster="k")
        assert (error.code, "Confirm Kubernetes user or group." in error.what) == ("POL-NO-ACCOUNT", True)

    run(story)


def test_one_output_leads_to_one_thing() -> None:
    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster)
        error = await refused(robot, app="a", kubernetes_cluster="b")
        assert (error.code, NAME in error.what) == ("AUTH-BOT-ROUTES", True)

    run(story)


def test_the_bot_itself_may_not_list_databases() -> None:
    """S1-40: a bot's own certificates have no rights on databases, while an ordinary user with the labels sees them."""

    async def story(cluster: Cluster) -> None:
        robot = await robot_with(cluster, **MACHINE_ID_DB)
        await create(cluster, "db", "example", POSTGRES, env="dev")
        await cluster.admin.upsert(role("people", db_labels={"env": "dev"}))
        own = cluster.client(Caller(robot.identity, HOME))
        for kind in ("db", "db_server"):
            with pytest.raises(TeleportError) as caught:
                _ = [entry async for entry in own.list(kind)]
            assert (caught.value.code, caught.value.what) == (
                "POL-NO-VERB",
                f'access denied to perform action "list" on "{kind}"',
            )
        person = cluster.client(cluster.user("carol", "people"))
        assert [entry.name async for entry in person.list("db")] == ["example"]
        other = cluster.client(cluster.user("dave", "access"))
        await cluster.admin.upsert(role("access", db_labels={"env": "prod"}))
        assert [entry.name async for entry in other.list("db")] == []

    run(story)
