"""The proxy's live copy of its cluster, with the rights of a proxy and no others."""

from __future__ import annotations

import asyncio

from teleport.access import explain
from teleport.access.action import Connect
from teleport.access.checker import decide
from teleport.access.denial import Denial
from teleport.model.events.access import AuthAttempt
from teleport.model.events.base import document
from teleport.proxy.cluster import LiveCluster
from tests.support import auth_cluster, policy
from tests.support.auth_cluster import Cluster, document_of, node, role, run


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is the copy's, which tells nobody
            await asyncio.sleep(0.005)


def test_the_copy_follows_the_cluster():
    async def story(made: Cluster) -> None:
        uuid = "22222222-2222-4333-8444-555555555555"
        own = made.client(made.host("Node", uuid=uuid))
        await own.upsert(node(uuid, "node-1", env="prod"))
        client = made.proxy
        live = LiveCluster(
            client, emit=lambda event: client.emit(document(event)), clock=made.clock, entropy=made.entropy
        )
        ready = asyncio.Event()
        following = asyncio.get_running_loop().create_task(live.follow(ready.set))
        await asyncio.wait_for(ready.wait(), 10)
        assert [entry.spec.hostname for entry in live.nodes()] == ["node-1"]
        assert {entry.spec.type for entry in live.authorities()} >= {"host", "user"}
        assert live.locks_as_of() is None
        alice = made.identity("alice", roles=("dev",), principals=("root",))
        assert (await live.role_set(alice)).names == frozenset()
        await made.admin.create(role("dev", logins=["root"], node_labels={"env": ["prod"]}))
        await made.admin.create(document_of("lock", "lock-1", {"target": {"user": "bob"}}))
        await until(live.locks)
        assert (await live.role_set(alice)).names == {"dev"}
        assert [lock.name for lock in live.locks()] == ["lock-1"]
        denial = decide(alice, await live.role_set(alice), Connect("root"), policy.node(env="x"),
                        policy.conditions(cluster=auth_cluster.CLUSTER, now=made.clock.now()))  # fmt: skip
        assert isinstance(denial, Denial)
        id = await live.record_denial(explain.to_record(denial), "192.0.2.1:4000")
        await live.emit(AuthAttempt(user="alice", login="root", error="no"))
        (denied,) = await made.events("access.denied")
        assert denied["decision_id"] == id
        assert denied["addr.remote"] == "192.0.2.1:4000"
        (attempt,) = await made.events("auth")
        assert attempt["server_id"] == auth_cluster.HOST_UUID
        following.cancel()
        await asyncio.wait([following])
        assert live.nodes()  # the last known state stays in use
        made.clock.advance(auth_cluster.dt.timedelta(seconds=90))
        as_of = live.locks_as_of()
        assert as_of is not None
        assert (made.clock.now() - as_of).total_seconds() >= 90

    run(story)
