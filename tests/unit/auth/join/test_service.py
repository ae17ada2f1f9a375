"""Joining over the conversation of the API: what a token gives, and how each failure is told."""

from __future__ import annotations

from typing import Any

from teleport.api.caller import Caller
from teleport.api.join_calls import JoinCalls
from teleport.api.join_messages import Asked, Joined
from teleport.client.joining.join import converse
from teleport.client.joining.token import TokenMethod
from tests.support.auth_cluster import Cluster, document_of, public_keys, run

TOKEN = "0123456789abcdef0123456789abcdef"
STRANGER = Caller(None, "192.0.2.7:40000")


async def join(cluster: Cluster, caller: Caller = STRANGER, method: Any = None, **fields: Any) -> Joined:
    asked = Asked(**{"token": TOKEN, "host_name": "n1", **public_keys(cluster.entropy), **fields})
    async with JoinCalls(cluster.client(caller)).open() as conversation:
        return await converse(conversation, asked, method or TokenMethod())


def test_a_host_joins() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(document_of("token", TOKEN, {"roles": ["Node", "Kube"]}))
        joined = await join(cluster)
        assert joined.system_roles == ("Instance", "Node", "Kube")
        (event,) = await cluster.events("instance.join")
        assert (event["success"], event["host_id"], event["method"]) == (True, joined.host_id, "token")
        assert TOKEN not in str(await cluster.events())

    run(story)
