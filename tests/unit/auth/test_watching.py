"""A watch on which nothing happens ends with the rights of its caller, within seconds of virtual time."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from teleport.api.caller import Caller
from teleport.api.messages import Change
from teleport.auth import watching
from teleport.base import errors
from tests.support import virtual_loop
from tests.support.auth_cluster import Cluster, document_of, node, role, rule, running


def in_virtual_time(story: Callable[[Cluster], Awaitable[None]]) -> None:
    async def body() -> None:
        async with running(clock=virtual_loop.current().clock) as cluster:
            await story(cluster)

    virtual_loop.run(body())


async def watch(cluster: Cluster, caller: Caller, *kinds: str) -> AsyncGenerator[Change, None]:
    changes = cluster.client(caller).watch(*kinds)
    assert (await anext(changes)).type == "init"
    return changes


async def end_of(changes: AsyncGenerator[Change, None]) -> tuple[str, float]:
    """Return the code with which a watch ends, and how long that took."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(errors.TeleportError) as caught:
        async for _ in changes:
            pass
    return caught.value.code, asyncio.get_running_loop().time() - began


async def after(seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
    await asyncio.sleep(seconds)
    await work()


def test_an_idle_watch_goes_on_for_hours() -> None:
    async def story(cluster: Cluster) -> None:
        changes = await watch(cluster, cluster.user("alice", "auditor", "editor"), "role")
        await asyncio.sleep(7200)
        await cluster.admin.upsert(role("dev", logins=["dev"]))
        assert (await anext(changes)).type == "put"
        await changes.aclose()

    in_virtual_time(story)


def test_a_lock_on_its_caller_ends_it_at_once() -> None:
    async def story(cluster: Cluster) -> None:
        alice = await watch(cluster, cluster.user("alice", "editor"), "user")
        bob = await watch(cluster, cluster.user("bob", "editor"), "user")
        lock = document_of("lock", "l1", {"target": {"user": "alice"}, "message": "gone"})
        (code, seconds), _ = await asyncio.gather(end_of(alice), after(100, lambda: cluster.admin.create(lock)))
        assert (code, 100 <= seconds < 101) == ("POL-LOCKED", True)
        await cluster.admin.create(document_of("user", "carol", {"roles": ["access"]}))
        change = await anext(bob)
        assert change.resource is not None
        assert change.resource.name == "carol", "what others hear of locks is nothing"
        await bob.aclose()

    in_virtual_time(story)


def test_a_role_that_loses_the_rule_ends_it_at_once() -> None:
    async def story(cluster: Cluster) -> None:
        reading = role("reader", rules=[rule("token", "list readnosecrets")])
        await cluster.admin.create(reading)
        changes = await watch(cluster, cluster.user("alice", "reader"), "token")
        weaker = role("reader", rules=[rule("token", "list")])
        (code, seconds), _ = await asyncio.gather(end_of(changes), after(50, lambda: cluster.admin.upsert(weaker)))
        assert (code, 50 <= seconds < 51) == ("POL-NO-VERB", True)

    in_virtual_time(story)


def test_the_end_of_the_certificate_ends_it() -> None:
    async def story(cluster: Cluster) -> None:
        caller = cluster.user("alice", "editor")
        left = (caller.known().expires - cluster.clock.now()).total_seconds()
        changes = await watch(cluster, caller, "role")
        code, seconds = await end_of(changes)
        assert code == "API-EXPIRED"
        assert left <= seconds + 0.01 <= left + 2
        assert await cluster.events("access.denied") == []

    in_virtual_time(story)


def test_a_lock_that_ends_by_itself_is_no_reason_and_a_role_that_is_gone_is_one() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("short", rules=[rule("user", "list readnosecrets")]))
        changes = await watch(cluster, cluster.user("alice", "short"), "user")
        (code, seconds), _ = await asyncio.gather(
            end_of(changes), after(5, lambda: cluster.admin.delete("role", "short"))
        )  # fmt: skip
        assert (code, seconds < 6) == ("POL-ROLE-MISSING", True)

    in_virtual_time(story)


def test_a_service_hears_of_locks_on_itself() -> None:
    async def story(cluster: Cluster) -> None:
        caller = cluster.host("Node")
        changes = await watch(cluster, caller, "lock")
        host = caller.known().name.removesuffix(f".{cluster.service.cluster}")
        await cluster.admin.create(document_of("lock", "l1", {"target": {"server_id": host}}))
        assert (await anext(changes)).type == "put"
        await asyncio.sleep(3 * watching.LOOK_EVERY)
        await cluster.admin.create(document_of("lock", "l2", {"target": {"user": "bob"}}))
        assert (await anext(changes)).type == "put"
        await changes.aclose()

    in_virtual_time(story)


def test_a_slow_reader_is_told_and_can_begin_again() -> None:
    async def story(cluster: Cluster) -> None:
        service, caller = cluster.service, cluster.user("alice", "editor")
        watched = service.methods["/teleport.v1.Resources/Watch"]
        changes = watched.run(caller, watched.call.request(kinds=["node"]))
        await cluster.admin.upsert(role("access-all", logins=["root"], node_labels={"*": "*"}))
        await anext(changes)
        cluster.backend._feed._bound = 3
        for open_watch in cluster.backend._feed._open:
            open_watch._bound = 3
        host = cluster.client(cluster.host("Node"))
        for number in range(8):
            await host.upsert(node(cluster.host("Node").known().name.split(".")[0], f"n{number}"))
        with pytest.raises(errors.Unavailable) as caught:
            async for _ in changes:
                pass
        assert caught.value.code == "STORE-WATCH-BEHIND"
        again = await watch(cluster, caller, "user")
        await cluster.admin.create(document_of("user", "carol", {"roles": ["access"]}))
        assert (await anext(again)).type == "put"
        await again.aclose()

    in_virtual_time(story)


def test_how_long_it_waits_between_looks() -> None:
    async def story(cluster: Cluster) -> None:
        view = watching._View(None, cluster.clock, cluster.user("alice", "editor"), ("list", "read"), [])  # type: ignore[arg-type]
        assert view.patience() == watching.LOOK_EVERY
        await asyncio.sleep((dt.timedelta(days=1) - dt.timedelta(seconds=4)).total_seconds())
        assert 3.9 < view.patience() < 4.1
        await asyncio.sleep(10)
        assert view.patience() == 0.1

    in_virtual_time(story)
