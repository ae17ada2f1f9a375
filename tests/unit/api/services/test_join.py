"""The conversation of a join: its order, its bounds, and how a proxy passes it on."""

from __future__ import annotations

import asyncio

import pytest

from teleport.api import rpc
from teleport.api.caller import Caller
from teleport.api.client import AuthClient, over_stream
from teleport.api.join_calls import JoinCalls
from teleport.api.join_messages import Asked
from teleport.api.pb import join_pb2 as pb
from teleport.api.services import join as api
from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.client.joining.join import converse, join
from teleport.client.joining.token import TokenMethod
from teleport.net.memory import memory_pair
from teleport.net.stream import Stream
from tests.support.auth_cluster import Cluster, public_keys, run
from tests.support.joiner import SECRET, STRANGER, make
from tests.support.joiner import join as join_memory

INIT = pb.JoinRequest(init=pb.JoinInit(token_name=SECRET, system_role="Instance", host_name="n1"))


async def say(client: AuthClient, *requests: pb.JoinRequest, hear: int = 1) -> None:
    """Say these things, and hear what comes after each of them."""
    async with client.channel.talk(api.JOIN) as talk:
        for request in requests:
            await talk.send(request)
            for _ in range(hear):
                await talk.receive()


async def code_of(client: AuthClient, *requests: pb.JoinRequest, hear: int = 1) -> str:
    """Return the error that comes of saying these things."""
    with pytest.raises(TeleportError) as caught:
        await say(client, *requests, hear=hear)
    return caught.value.code


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([pb.JoinRequest()], "API-JOIN-STEP"), ([pb.JoinRequest(start=pb.JoinStart())], "API-JOIN-STEP"),
        ([pb.JoinRequest(solution=b"x")], "API-JOIN-STEP"), ([INIT, INIT], "API-JOIN-STEP"),
        ([INIT, pb.JoinRequest(solution=b"x")], "API-JOIN-STEP"),
        ([INIT, pb.JoinRequest(start=pb.JoinStart(proof=b"x" * api.LARGEST))], "API-TOO-LARGE"),
    ],
)  # fmt: skip
def test_it_has_an_order_and_messages_have_a_size(requests: list[pb.JoinRequest], code: str) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        assert await code_of(cluster.client(STRANGER), *requests) == code

    run(story)


def test_whoever_says_nothing_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        monkeypatch.setattr(api, "LONGEST", 0.05)

        async with asyncio.timeout(30):
            assert await code_of(cluster.client(STRANGER), INIT, hear=2) == "API-DEADLINE"

    run(story)


def test_who_leaves_in_the_middle_leaves_nothing_behind() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        await say(cluster.client(STRANGER), INIT)
        assert (await join_memory(cluster)).host_id
        assert len(await cluster.events("instance.join")) == 1

    run(story)


def test_a_proxy_passes_a_conversation_on_with_the_address_of_who_holds_it() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        upstream = cluster.client(cluster.host("Instance", "Proxy"))
        server = rpc.Server(
            api.relay(upstream.channel), clock=cluster.clock, entropy=cluster.entropy,
            on_defect=lambda *defect: cluster.failures.append(defect[2]),
        )  # fmt: skip
        serving: list[asyncio.Task[None]] = []

        async def dial() -> Stream:
            ours, theirs = memory_pair()
            work = server.serve(ours, Caller(None, "203.0.113.7:555"))
            serving.append(tasks.spawn(work, name="proxy", on_error=cluster.failures.append))
            return theirs

        joined = await join(dial, Asked(token=SECRET, host_name="n1", **public_keys(cluster.entropy)), TokenMethod())
        assert joined.system_roles == ("Instance", "Node")
        (event,) = await cluster.events("instance.join")
        assert event["addr.remote"] == "203.0.113.7:555"
        async with AuthClient(over_stream(dial)) as client:
            assert (await JoinCalls(client).cluster_ca()).certificates
            forged = pb.JoinInit(token_name="x", system_role="Instance")
            forged.forwarded.client_address = "192.0.2.99:1"
            assert await code_of(client, pb.JoinRequest(init=forged)) == "AUTH-JOIN-TOKEN"
            assert await code_of(client, pb.JoinRequest(solution=b"x")) == "API-JOIN-STEP"
        assert (await cluster.events("instance.join"))[-1]["addr.remote"] == "203.0.113.7:555"
        await server.close()
        await asyncio.gather(*serving, return_exceptions=True)

    run(story)


def test_a_server_that_asks_on_and_on_is_left() -> None:
    class Endless:
        async def begin(self, asked: Asked) -> None:
            """Accept everything."""

        async def start(self, asked: Asked, proof: bytes) -> bytes:
            return b"?"

        async def answer(self, solution: bytes) -> bytes:
            return b"?"

    class Patient(TokenMethod):
        async def solve(self, challenge: bytes) -> bytes:
            return b"!"

    asked = Asked(token=SECRET, ssh_public_key="", tls_public_key="")
    with pytest.raises(TeleportError) as caught:
        asyncio.run(converse(Endless(), asked, Patient()))  # type: ignore[arg-type]
    assert caught.value.code == "CLIENT-JOIN-CHALLENGES"
