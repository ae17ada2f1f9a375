"""The proxy's door for who joins: what is passed on, and how many at a time. Joining itself: tests/integration."""

from __future__ import annotations

import asyncio

import pytest

from teleport.api.client import AuthClient, over_stream
from teleport.api.join_calls import JoinCalls
from teleport.net.memory import memory_pair
from teleport.net.stream import Peer, Stream
from teleport.proxy import join_door
from teleport.proxy.join_door import JoinDoor
from tests.support.auth_cluster import Cluster, run


def test_the_authority_is_told_to_everybody_and_nothing_else_is_there() -> None:
    async def story(cluster: Cluster) -> None:
        door = JoinDoor(cluster.client(cluster.host("Proxy")), clock=cluster.clock, entropy=cluster.entropy)
        serving: list[asyncio.Future[None]] = []

        async def dial() -> Stream:
            near, far = memory_pair(peers=(Peer("proxy"), Peer("203.0.113.9:5")))
            serving.append(asyncio.get_running_loop().create_task(door.serve(far)))
            return near

        async with AuthClient(over_stream(dial)) as client:
            assert (await JoinCalls(client).cluster_ca()).certificates
            with pytest.raises(Exception) as caught:
                await client.status()
            assert getattr(caught.value, "code", "") == "API-STATUS"
        await door.close()
        await asyncio.wait(serving, timeout=5)

    run(story)


def test_one_too_many_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_door, "MOST", 0)

    async def story(cluster: Cluster) -> None:
        door = JoinDoor(cluster.client(cluster.host("Proxy")), clock=cluster.clock, entropy=cluster.entropy)
        near, far = memory_pair()
        await door.serve(far)
        assert await near.read() == b""
        await near.close()

    run(story)
