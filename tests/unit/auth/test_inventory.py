"""The inventory: what a process may say of itself, silence, restarts and copies, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from teleport.api.caller import Caller
from teleport.api.inventory_calls import ControlStream, InventoryCalls
from teleport.api.inventory_messages import Clone, Hello, Ping
from teleport.auth import inventory
from teleport.base import tasks
from teleport.base.errors import AccessDenied, BadParameter, NotFound, TeleportError, TimedOut
from teleport.model.kinds.instance import Instance
from tests.support import virtual_loop
from tests.support.auth_cluster import HOST_UUID, Cluster

NODE = Hello(version="1.2.3", hostname="node-1", services=("Node",), process_id="first")
AGAIN = dataclasses.replace(NODE, process_id="second", hostname="node-2")


def play(story: Callable[[Cluster], Awaitable[None]]) -> None:
    """Run a story with the regular work of the service beside it."""

    async def main() -> None:
        cluster = Cluster(clock=virtual_loop.LoopClock(asyncio.get_running_loop(), virtual_loop.START))  # type: ignore[arg-type]
        await cluster.service.start()
        asking = tasks.spawn(cluster.service.inventory.run(), name="asking", on_error=cluster.failures.append)
        try:
            await story(cluster)
        finally:
            await tasks.cancel(asking)
            await cluster.close()
        assert cluster.failures == []

    virtual_loop.run(main())


def caller(cluster: Cluster, *roles: str, address: str = "192.0.2.7:5000") -> Caller:
    return dataclasses.replace(cluster.host(*(roles or ("Instance", "Node"))), address=address)


@contextlib.asynccontextmanager
async def attending(
    cluster: Cluster, hello: Hello = NODE, *, answers: bool = True, address: str = "192.0.2.7:5000"
) -> AsyncIterator[tuple[ControlStream, list[Clone]]]:
    """Hold a control stream that answers pings, or does not; yield it and the copies that it was told of."""
    told: list[Clone] = []
    async with InventoryCalls(cluster.client(caller(cluster, address=address))).attend(hello) as stream:

        async def listen() -> None:
            while True:
                word = await stream.next()
                if isinstance(word, Clone):
                    told.append(word)
                elif isinstance(word, Ping) and answers:
                    await stream.pong(word.number)

        listening = tasks.spawn(listen(), name="listen", on_error=lambda error: None)
        try:
            yield stream, told
        finally:
            await tasks.cancel(listening)


async def connected(cluster: Cluster) -> list[str]:
    return [one.hello.process_id for one in await cluster.service.inventory.connected(_admin(cluster))] or []


def _admin(cluster: Cluster) -> Caller:
    return Caller(cluster.identity("admin@test", kind="admin", roles=("Admin",)), "local:uid=0,pid=1")


def test_a_process_is_listed_with_what_it_was_let_in_for() -> None:
    async def story(cluster: Cluster) -> None:
        async with attending(cluster):
            entry = await cluster.service.store.get(Instance, HOST_UUID)
            assert (entry.spec.hostname, entry.spec.services, entry.spec.version) == ("node-1", ("Node",), "1.2.3")
            seconds = await InventoryCalls(cluster.admin).ping(HOST_UUID)
            assert 0 <= seconds < inventory.PATIENCE
        for services in (("Proxy",), ("Node", "Auth")):
            with pytest.raises(AccessDenied) as caught:
                async with attending(cluster, dataclasses.replace(NODE, services=services)):
                    pass
            assert caught.value.code == "INV-SERVICES"
        async with attending(cluster, dataclasses.replace(NODE, services=("Auth",)), address=inventory.MEMORY):
            pass

    play(story)


def test_what_it_says_of_itself_is_checked() -> None:
    async def story(cluster: Cluster) -> None:
        for change in ({"version": "new"}, {"hostname": "a\nb"}, {"external_upgrader": "x" * 5000}):
            with pytest.raises(BadParameter):
                async with attending(cluster, dataclasses.replace(NODE, **change)):  # type: ignore[arg-type]
                    pass
        for refused in ("Db",):
            with pytest.raises(TeleportError):
                async with InventoryCalls(cluster.client(caller(cluster, refused))).attend(NODE):
                    pass
        with pytest.raises(TeleportError):
            async with InventoryCalls(cluster.client(Caller(None))).attend(NODE):
                pass

    play(story)


def test_who_does_not_answer_is_not_connected_until_it_says_something() -> None:
    async def story(cluster: Cluster) -> None:
        async with attending(cluster, answers=False) as (stream, _):
            assert await connected(cluster) == ["first"]
            with pytest.raises(TimedOut) as caught:
                await InventoryCalls(cluster.admin).ping(HOST_UUID)
            assert caught.value.code == "INV-NO-ANSWER"
            await asyncio.sleep(inventory.ASK_EVERY + inventory.PATIENCE + 1)
            assert await connected(cluster) == []
            with pytest.raises(NotFound):
                await InventoryCalls(cluster.admin).ping(HOST_UUID)
            await stream.heartbeat()
            await asyncio.sleep(1)
            assert await connected(cluster) == ["first"]

    play(story)


def test_an_entry_lives_as_long_as_its_process_and_goes_with_a_goodbye() -> None:
    async def story(cluster: Cluster) -> None:
        async with attending(cluster) as (stream, _):
            for _ in range(60):
                await asyncio.sleep(60)
                await stream.heartbeat()
            assert await connected(cluster) == ["first"]
            entry = await cluster.service.store.get(Instance, HOST_UUID)
            assert entry.metadata.expires is not None
            assert entry.metadata.expires > cluster.clock.now()
            await stream.goodbye()
            await asyncio.sleep(1)
            with pytest.raises(NotFound):
                await cluster.service.store.get(Instance, HOST_UUID)

    play(story)


def test_who_goes_without_a_word_ends_with_its_entry() -> None:
    async def story(cluster: Cluster) -> None:
        async with attending(cluster):
            pass
        await asyncio.sleep(1)
        assert await connected(cluster) == []
        await cluster.service.store.get(Instance, HOST_UUID)
        await asyncio.sleep(inventory.LIFE.total_seconds())
        with pytest.raises(NotFound):
            await cluster.service.store.get(Instance, HOST_UUID)

    play(story)


def test_two_processes_under_one_id_are_told_of_each_other() -> None:
    async def story(cluster: Cluster) -> None:
        async with attending(cluster) as (_, one), attending(cluster, AGAIN, address="192.0.2.8:6000") as (_, two):
            await asyncio.sleep(inventory.SETTLING + 1)
            assert one == [Clone("192.0.2.8:6000", "node-2")]
            assert two == [Clone("192.0.2.7:5000", "node-1")]
            (event,) = await cluster.events("instance.clone")
            assert (event["server_id"], event["other_hostname"]) == (HOST_UUID, "node-1")
            assert (await cluster.service.store.get(Instance, HOST_UUID)).spec.clones == ("192.0.2.7:5000",)

    play(story)


@pytest.mark.parametrize("answers", [True, False])
def test_a_restart_is_no_copy(answers: bool) -> None:
    """The stream of before the restart ends, or hangs without an answer."""

    async def story(cluster: Cluster) -> None:
        async with contextlib.AsyncExitStack() as stack:
            former = await stack.enter_async_context(contextlib.AsyncExitStack())
            await former.enter_async_context(attending(cluster, answers=answers))
            _, told = await stack.enter_async_context(attending(cluster, AGAIN))
            if answers:
                await former.aclose()
            await asyncio.sleep(inventory.SETTLING + inventory.PATIENCE + inventory.ASK_EVERY)
            assert told == []
            assert await cluster.events("instance.clone") == []
            assert await connected(cluster) == ["second"]

    play(story)
