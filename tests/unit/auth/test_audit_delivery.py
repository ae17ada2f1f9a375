"""Delivery: each event of a service once, in its own name; gaps are refused until they are admitted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from teleport.api.audit_query_calls import AuditQueryCalls
from teleport.base import errors
from teleport.model.events.base import document
from teleport.model.events.session import Exec
from teleport.model.events.user import UserLogin
from tests.support.auth_cluster import HOST_UUID, Cluster, run

OTHER = "22222222-2222-4333-8444-555555555555"


def ran(*commands: str) -> list[dict[str, Any]]:
    return [document(Exec(command=name, exit_code="0", user="bob", login="root")) for name in commands]


def calls(cluster: Cluster, **who: str) -> AuditQueryCalls:
    return AuditQueryCalls(cluster.client(cluster.host("Node", **who)))


async def stored(cluster: Cluster) -> list[str]:
    return [event["command"] for event in await cluster.events("exec")]


def test_what_comes_again_is_not_stored_again() -> None:
    async def story(cluster: Cluster) -> None:
        node = calls(cluster)
        await node.deliver("run-1", 1, ran("a", "b"))
        await node.deliver("run-1", 1, ran("a", "b"))
        await node.deliver("run-1", 2, ran("b", "c"))
        await node.deliver("run-1", 1, ran("a"))
        await node.deliver("run-2", 1, ran("d"))
        await calls(cluster, uuid=OTHER).deliver("run-1", 1, ran("e"))
        assert await stored(cluster) == ["a", "b", "c", "d", "e"]
        owners = [event["server_id"] for event in await cluster.events("exec")]
        assert owners == [HOST_UUID] * 4 + [OTHER]

    run(story)


def test_the_same_events_on_many_connections_at_once_are_stored_once() -> None:
    async def story(cluster: Cluster) -> None:
        await asyncio.gather(
            *(calls(cluster).deliver("run-1", 1, ran("a", "b")) for _ in range(5)), return_exceptions=True
        )
        await calls(cluster).deliver("run-1", 1, ran("a", "b", "c"))
        assert await stored(cluster) == ["a", "b", "c"]

    run(story)


def test_a_gap_is_refused_until_it_is_admitted() -> None:
    async def story(cluster: Cluster) -> None:
        node = calls(cluster)
        await node.deliver("run-1", 1, ran("a"))
        with pytest.raises(errors.CompareFailed) as caught:
            await node.deliver("run-1", 3, ran("c"))
        assert caught.value.code == "AUTH-AUDIT-GAP"
        assert caught.value.fields["expected"] == "2"
        await node.deliver("run-1", 3, ran("c"), after_gap=True)
        await node.deliver("run-1", 2, ran("b"))  # too late: the service has said that it is lost
        assert await stored(cluster) == ["a", "c"]

    run(story)


def test_a_service_speaks_for_itself_only() -> None:
    async def story(cluster: Cluster) -> None:
        node = calls(cluster)
        with pytest.raises(errors.AccessDenied) as caught:
            await node.deliver("run-1", 1, [*ran("a"), document(UserLogin(user="bob", success=True))])
        assert caught.value.code == "AUTH-ESCALATION"
        await node.deliver("run-1", 1, [{**ran("a")[0], "server_id": OTHER, "uid": "chosen", "cluster_name": "x"}])
        (event,) = await cluster.events("exec")
        assert (event["server_id"], event["cluster_name"]) == (HOST_UUID, "example.com")
        assert event["uid"] != "chosen"
        with pytest.raises(errors.AccessDenied):
            await AuditQueryCalls(cluster.client(cluster.user("eve", "editor"))).deliver("run-1", 1, ran("a"))

    run(story)


@pytest.mark.parametrize(("writer", "first"), [("", 1), ("a/b", 1), ("x" * 65, 1), ("run-1", 0), ("run-1", -3)])
def test_names_and_numbers_that_cannot_be(writer: str, first: int) -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(errors.BadParameter) as caught:
            await calls(cluster).deliver(writer, first, ran("a"))
        assert caught.value.code == "AUTH-AUDIT-WRITER"

    run(story)


def test_a_restarted_auth_service_knows_what_it_has() -> None:
    async def story(cluster: Cluster) -> None:
        await calls(cluster).deliver("run-1", 1, ran("a", "b"))
        await cluster.service.close()
        cluster.service = cluster.build()
        await cluster.service.start()
        await calls(cluster).deliver("run-1", 1, ran("a", "b", "c"))
        assert await stored(cluster) == ["a", "b", "c"]

    run(story)
