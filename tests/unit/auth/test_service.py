"""The method table: who may try what, seen by every kind of caller; and what a start leaves behind."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil

import pytest

from teleport.api import pb, rpc
from teleport.api.caller import ADMIN, EVERYONE, NOBODY, PROXY, Caller
from teleport.base import errors
from teleport.base.errors import TeleportError
from teleport.store.backend import Delete
from tests.support.auth_cluster import CLUSTER, Cluster, run

FILES = tuple(
    importlib.import_module(f"{pb.__name__}.{found.name}")
    for found in pkgutil.iter_modules(pb.__path__)
    if found.name.endswith("_pb2")
)
"""Every published file, so that none can be forgotten here."""
REFUSED = {"API-NO-CERTIFICATE", "API-AUDIENCE"}

REFLECTION = {
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
}  # fmt: skip
NOBODY_MAY = {"Status/Ping", "Join/Join", "Join/GetClusterCACert"}
PEOPLE_MAY = {
    "Resources/Get", "Resources/List", "Resources/Create", "Resources/Upsert", "Resources/Update", "Resources/Delete",
    "Resources/Watch", "Users/CreateInvite", "Users/CreateReset", "Audit/Search", "Audit/Verify", "Decisions/Explain",
    "Decisions/Can", "Status/Ping", "Status/Get", "Certificates/IssueUser", "Certificates/IssueDatabase",
    "Recordings/List", "Recordings/Frames",
    "Recordings/Search", "Recordings/Keys", "Recordings/RotateKey", "AuditQuery/Query",
    "AuditProof/Head", "AuditProof/Check", "AuditProof/Export", "AuditProof/Prune", *REFLECTION,
    "Inventory/ListConnected", "Inventory/PingInstance", "OpenSSH/IssueServer", *NOBODY_MAY,
}  # fmt: skip
ALL_SERVICES_MAY = {name for name in PEOPLE_MAY if name.startswith(("Resources", "Status", "Join", "/grpc"))} | {
    "Audit/Emit", "AuditQuery/Deliver", "Decisions/Record", "Status/GetSettings", "Inventory/Attend",
}  # fmt: skip
WHO_MAY = {
    "nobody": NOBODY_MAY,
    "user": PEOPLE_MAY,
    "bot": PEOPLE_MAY | {"Bots/Renew", "Bots/IssueOutput", "Bots/Beat", "Bots/Standing"},
    "admin": PEOPLE_MAY | {"Certificates/IssueHost"},
    "Node": ALL_SERVICES_MAY | {"Recordings/Store", "Recordings/StoreWhole", "Recordings/Complete"},
    "Instance": ALL_SERVICES_MAY | {"Certificates/IssueHost"},
    "Auth": ALL_SERVICES_MAY | {"Certificates/IssueHost"},
    "Proxy": ALL_SERVICES_MAY | {
        "Login/DescribeInvite", "Login/CompleteInvite", "Login/Login", "OpenSSH/IssueTarget", "OpenSSH/IssueLogin",
        "OpenSSH/Join", "Recordings/Store", "Recordings/StoreWhole", "Recordings/Complete",
        "WebSessions/SignIn", "WebSessions/Describe", "WebSessions/SignOut", "WebSessions/List",
    },
    "Kube": NOBODY_MAY,
}  # fmt: skip


def caller_of(cluster: Cluster, word: str) -> Caller:
    if word == "nobody":
        return Caller(None)
    if word in ("user", "bot"):
        return cluster.user("x", "access", kind="human" if word == "user" else "bot")
    if word == "admin":
        return Caller(cluster.identity("admin@test", kind="admin", roles=("Admin",)))
    return cluster.host(word)


async def outcome(channel: rpc.Channel, call: rpc.Call) -> str:  # type: ignore[type-arg]
    try:
        if call.streams:
            series = channel.stream(call, call.request())
            await anext(series)
            await series.aclose()
        else:
            await channel.unary(call, call.request())
    except TeleportError as error:
        return error.code
    return "answered"


@pytest.mark.parametrize("word", WHO_MAY)
def test_the_method_table_admits_exactly_those_it_names(word: str) -> None:
    async def story(cluster: Cluster) -> None:
        client = cluster.client(caller_of(cluster, word))
        admitted = set()
        for path, method in cluster.service.methods.items():
            code = await outcome(client._channel, method.call)
            assert code != "API-INTERNAL", path
            if code not in REFUSED:
                admitted.add(path.removeprefix("/teleport.v1."))
        assert admitted == WHO_MAY[word]

    run(story)


def test_every_published_method_exists_with_its_shape_and_no_other_does() -> None:
    async def story(cluster: Cluster) -> None:
        published = {
            f"/{service.full_name}/{method.name}": (
                method.input_type.full_name, method.output_type.full_name, method.server_streaming,
            )
            for file in FILES
            for service in file.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }  # fmt: skip
        served = {
            path: (
                method.call.request.DESCRIPTOR.full_name, method.call.reply.DESCRIPTOR.full_name, method.call.streams,
            )
            for path, method in cluster.service.methods.items()
        }  # fmt: skip
        assert {path: shape for path, shape in served.items() if path not in REFLECTION} == published
        assert set(served) == set(published) | REFLECTION

    run(story)


def test_only_the_proxy_signs_people_in_and_only_ping_and_joining_are_open() -> None:
    async def story(cluster: Cluster) -> None:
        for path, method in cluster.service.methods.items():
            assert method.audience <= EVERYONE | {NOBODY}
            assert (NOBODY in method.audience) == (path.endswith("/Ping") or ".Join/" in path)
            if ".Login/" in path or ".WebSessions/" in path:
                assert method.audience == {PROXY}
            if path.endswith("IssueHost"):
                assert ADMIN in method.audience

    run(story)


def test_a_second_start_changes_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        before = [(item.key, item.value) async for item in cluster.backend.scan("/")]
        assert {key for key, _ in before} == {
            "/cluster_name/cluster-name", f"/authorities/host/{CLUSTER}", f"/authorities/user/{CLUSTER}",
            f"/authorities/audit/{CLUSTER}", f"/authorities/jwt/{CLUSTER}", f"/authorities/openssh/{CLUSTER}",
            f"/authorities/bound_keypair/{CLUSTER}", f"/authorities/db/{CLUSTER}", f"/authorities/db_client/{CLUSTER}",
            "/roles/access", "/roles/auditor", "/roles/editor", "/session_recording_config/session-recording-config",
            "/cluster_networking_config/cluster-networking-config",
        }  # fmt: skip
        again = cluster.build()
        await again.start()
        await again.close()
        assert [(item.key, item.value) async for item in cluster.backend.scan("/")] == before

    run(story)


def test_a_cluster_of_an_earlier_version_gets_the_authorities_it_does_not_have() -> None:
    async def story(cluster: Cluster) -> None:
        kept = {item.key: item.value async for item in cluster.backend.scan("/") if "/jwt/" not in item.key}
        await cluster.backend.commit(Delete(f"/authorities/jwt/{CLUSTER}"))
        again = cluster.build()
        await again.start()
        await again.close()
        after = {item.key: item.value async for item in cluster.backend.scan("/")}
        assert after.keys() - kept.keys() == {f"/authorities/jwt/{CLUSTER}"}
        assert after | kept == after
        (jwt,) = [ca async for ca in cluster.admin.list("cert_authority") if ca.sub_kind == "jwt"]
        event = (await cluster.events("resource.change"))[-1]
        assert (event["action"], event["sub_kind"], event["user"]) == ("create", "jwt", "system")
        assert [(key.algorithm, len(key.key_id)) for key in jwt.spec.active_keys.jwt] == [("ecdsa-p256", 32)]

    run(story)


def test_two_first_starts_at_once_make_one_cluster() -> None:
    async def body() -> None:
        cluster = Cluster()
        second = cluster.build()
        await asyncio.gather(cluster.service.start(), second.start())
        assert [ca.sub_kind async for ca in cluster.admin.list("cert_authority")] == [
            "audit",
            "bound_keypair",
            "db",
            "db_client",
            "host",
            "jwt",
            "openssh",
            "user",
        ]
        await second.close()
        await cluster.close()

    asyncio.run(body())


def test_a_store_of_another_cluster_is_refused() -> None:
    async def story(cluster: Cluster) -> None:
        other = cluster.build()
        other.cluster = "other.example.com"
        with pytest.raises(errors.BadParameter) as caught:
            await other.start()
        assert caught.value.code == "AUTH-OTHER-CLUSTER"
        await other.close()

    run(story)


def test_status_and_ping_tell_the_facts() -> None:
    async def story(cluster: Cluster) -> None:
        name, version = await cluster.client(Caller(None)).ping()
        status = await cluster.client(cluster.user("bob", "access")).status()
        assert (status.cluster, status.version) == (name, version) == (CLUSTER, version)
        assert [(a.type, a.state, a.last_rotated) for a in status.authorities] == [
            (kind, "standby", "") for kind in ("host", "user", "jwt")
        ]  # fmt: skip
        assert [pin[:7] for pin in status.ca_pins] == ["sha256:"]

    run(story)
