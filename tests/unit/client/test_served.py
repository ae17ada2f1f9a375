"""client.served: what is there for whoever asks, and the words for accounts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.access.served import Listed
from teleport.client import served
from teleport.client.profile import Profile
from teleport.model.resource import load
from tests.support.auth_cluster import CLUSTER, Cluster, role, run
from tests.unit.model.samples import SAMPLES, UUID


def profile(*roles: str) -> Profile:
    return Profile("p:443", "carol", CLUSTER, dt.datetime(2040, 1, 1, tzinfo=dt.UTC), roles=roles)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "(unknown)"), (Listed((), ()), "(none)"), (Listed((), ("*",)), "(none)"),
        (Listed(("alice",), ()), "[alice]"), (Listed(("a", "b"), ("c",)), "[a b]"), (Listed(("*",), ()), "[*]"),
        (Listed(("*",), ("root", "x")), "[* except: [root x]]"),
    ],
)  # fmt: skip
def test_accounts_in_words(found: Listed | None, text: str) -> None:
    assert served.accounts_text(found) == text


def test_what_is_registered_and_what_agents_serve_are_one_list() -> None:
    async def story(cluster: Cluster) -> None:
        every = {"db_labels": {"*": "*"}, "app_labels": {"*": "*"}, "kubernetes_labels": {"*": "*"}}
        await cluster.admin.create(role("people", **every, db_users=["alice"]))
        client = cluster.client(cluster.user("carol", "people"))
        agent = cluster.client(cluster.host("Instance", "App", "Db", "Kube", uuid=UUID))
        for kind, server, ask in (
            ("db", "db_server", served.databases), ("app", "app_server", served.applications),
            ("kube_cluster", "kube_server", served.kubernetes_clusters),
        ):  # fmt: skip
            assert await ask(client) == []
            await agent.upsert(load(SAMPLES[server]).with_metadata(expires=None))
            name = SAMPLES[kind]["metadata"]["name"]
            assert [entry.name for entry in await ask(client)] == [name]
            await cluster.admin.create(load(SAMPLES[kind]))
            other: dict[str, Any] = {**SAMPLES[kind], "metadata": {"name": "another"}}
            await cluster.admin.create(load(other))
            assert [entry.name for entry in await ask(client)] == ["another", name]
            assert [entry.name for entry in await ask(client, labels={"env": "dev"})] == [name]

    run(story)


def test_accounts_follow_from_the_roles_as_they_are_now() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("people", db_labels={"env": "dev"}, db_users=["alice", "bob"]))
        client = cluster.client(cluster.user("carol", "people"))
        database: Any = load(SAMPLES["db"])
        holder = profile("people")
        roles = await served.roles_of(client, holder)
        assert served.accounts(roles, holder, database) == Listed(("alice", "bob"), ())
        gone = profile("people", "gone")
        assert served.accounts(await served.roles_of(client, gone), gone, database) is None

    run(story)
