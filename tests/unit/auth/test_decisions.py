"""Refusals kept and explained; asking in advance."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.access import explain
from teleport.access.action import Conditions, Connect
from teleport.access.checker import decide
from teleport.access.denial import Denial
from teleport.access.roleset import RoleSet
from teleport.auth.denials import KEPT, WINDOW
from teleport.base import errors
from tests.support.auth_cluster import HOST_UUID, Cluster, document_of, node, role, rule, run, user


async def refused(cluster: Cluster, name: str = "bob") -> str:
    """Let somebody be refused; return the id that they are told."""
    with pytest.raises(errors.AccessDenied) as caught:
        await cluster.client(cluster.user(name, "access")).delete("role", "editor")
    assert caught.value.id in caught.value.fix
    return caught.value.id


def test_a_refusal_has_an_id_behind_which_the_reasons_stand() -> None:
    async def story(cluster: Cluster) -> None:
        id = await refused(cluster)
        found = await cluster.admin.explain(id)
        assert (found.id, found.count, found.reporter) == (id, 1, "auth")
        assert (found.denial["code"], found.denial["user"], found.denial["request"]) == (
            "POL-NO-VERB", "bob", "delete role",
        )  # fmt: skip
        assert found.denial["succeed_if"]

    run(story)


def test_repeated_refusals_are_one_with_a_count() -> None:
    async def story(cluster: Cluster) -> None:
        ids = {await refused(cluster) for _ in range(5)}
        assert len(ids) == 1
        assert await refused(cluster, "carol") not in ids
        (id,) = ids
        assert (await cluster.admin.explain(id)).count == 5
        assert [(e["user"], e.get("count", 1)) for e in await cluster.events("access.denied")] == [
            ("bob", 1), ("carol", 1),
        ]  # fmt: skip
        cluster.clock.advance(WINDOW)
        assert await refused(cluster) not in ids
        events = await cluster.events("access.denied")
        assert [(e["user"], e.get("count", 1)) for e in events] == [("bob", 1), ("carol", 1), ("bob", 5), ("bob", 1)]
        assert [e["decision_id"] for e in events][2] == id
        found = await cluster.admin.explain(id)
        assert (found.count, found.last_seen) == (5, found.first_seen)

    run(story)


def test_counts_in_memory_are_written_at_the_end() -> None:
    async def story(cluster: Cluster) -> None:
        (id,) = {await refused(cluster) for _ in range(3)}
        await cluster.service.close()
        cluster.service = cluster.build()
        assert (await cluster.admin.explain(id)).count == 3

    run(story)


def test_refusals_are_forgotten_after_thirty_days() -> None:
    async def story(cluster: Cluster) -> None:
        id = await refused(cluster)
        cluster.clock.advance(WINDOW + dt.timedelta(seconds=1))
        await refused(cluster, "carol")
        assert (await cluster.admin.explain(id)).count == 1
        cluster.clock.advance(KEPT)
        with pytest.raises(errors.NotFound) as caught:
            await cluster.admin.explain(id)
        assert caught.value.code == "AUTH-DECISION"

    run(story)


def test_an_explanation_needs_the_right_to_read_events_and_roles() -> None:
    async def story(cluster: Cluster) -> None:
        id = await refused(cluster)
        await cluster.admin.create(role("events", rules=[rule("event", "read list")]))
        await cluster.admin.create(role("both", rules=[rule("event role", "read list")]))
        for held, may in ((("events",), False), (("editor",), False), (("both",), True), (("auditor", "editor"), True)):
            client = cluster.client(cluster.user("eve", *held))
            if may:
                assert (await client.explain(id)).id == id
                continue
            with pytest.raises(errors.AccessDenied):
                await client.explain(id)

    run(story)


@pytest.mark.parametrize("id", ["", "x", "../roles/access", "0" * 26, "0" * 5000])
def test_an_id_that_nobody_was_given_is_not_found(id: str) -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(errors.NotFound) as caught:
            await cluster.admin.explain(id)
        assert caught.value.code == "AUTH-DECISION"

    run(story)


def denial_on_a_node(cluster: Cluster) -> Denial:
    caller = cluster.identity("bob", roles=("dev",), principals=("root",))
    roles = RoleSet.build([role("dev", logins=["root"], node_labels={"env": "dev"})], {})  # type: ignore[list-item]
    world = Conditions(now=cluster.clock.now(), cluster="example.com")
    denial = decide(caller, roles, Connect("root"), node(HOST_UUID, "n", env="prod"), world)
    assert isinstance(denial, Denial)
    return denial


def test_a_node_keeps_what_it_refused() -> None:
    async def story(cluster: Cluster) -> None:
        client = cluster.client(cluster.host("Node"))
        record = explain.to_record(denial_on_a_node(cluster))
        id = await client.record_denial(record, client_address="192.0.2.9:1")
        cluster.clock.advance(dt.timedelta(seconds=5))
        assert await client.record_denial(explain.to_record(denial_on_a_node(cluster))) == id
        found = await cluster.admin.explain(id)
        assert (found.count, found.reporter) == (2, f"{HOST_UUID}.example.com")
        assert found.denial["code"] == "POL-NO-LABELS"
        (event,) = await cluster.events("access.denied")
        assert (event["user"], event["server_id"], event["decision_id"]) == ("bob", HOST_UUID, id)

    run(story)


def test_what_is_no_record_is_refused() -> None:
    async def story(cluster: Cluster) -> None:
        client = cluster.client(cluster.host("Node"))
        for bad in (b"", b"{}", b"[]", b"\xff"):
            with pytest.raises(errors.BadParameter):
                await client.record_denial(bad)
        with pytest.raises(errors.LimitExceeded):
            await client.record_denial(b" " * 300_000)
        with pytest.raises(errors.AccessDenied):
            await cluster.client(cluster.host("Instance")).record_denial(b"{}")

    run(story)


def test_asking_in_advance_gives_what_connecting_would() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.client(cluster.host("Node")).upsert(node(HOST_UUID, "n1", env="dev"))
        await cluster.admin.create(role("dev", logins=["dev"], node_labels={"env": "dev"}))
        await cluster.admin.create(user("bob", "dev"))
        for target in ("n1", HOST_UUID):
            verdict = await cluster.admin.can("bob", "dev", target)
            assert (verdict.granted, verdict.decision["role"]) == (True, "dev")
        verdict = await cluster.admin.can("bob", "root", "n1")
        assert (verdict.granted, verdict.decision["code"]) == (False, "POL-NO-LOGIN")
        await cluster.admin.create(document_of("lock", "", {"target": {"user": "bob"}}))
        assert (await cluster.admin.can("bob", "dev", "n1")).decision["code"] == "POL-LOCKED"
        for who, where in (("nobody", "n1"), ("bob", "n2")):
            with pytest.raises(errors.NotFound):
                await cluster.admin.can(who, "dev", where)
        with pytest.raises(errors.AccessDenied):
            await cluster.client(cluster.user("bob", "access")).can("bob", "dev", "n1")

    run(story)
