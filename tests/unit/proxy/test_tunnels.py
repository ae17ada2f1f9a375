"""The proxy's side of reverse tunnels: who may keep one, and connections through them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from teleport.agents.pool import AgentPool
from teleport.base import tasks
from teleport.base.clock import SystemClock
from teleport.base.errors import AccessDenied, NotFound, TeleportError
from teleport.model.identity import Identity
from teleport.net import tls
from teleport.net.memory import memory_pair
from teleport.net.peek import PeekStream
from teleport.net.stream import Peer, Stream
from teleport.pki import authority, contexts, keys, x509
from teleport.proxy import tunnels as module
from teleport.proxy.fellows import Fellows
from teleport.proxy.tunnels import YOUNG, Tunnels
from teleport.wire.tunnel import ALPN
from tests.support import virtual_loop
from tests.support.authorities import cluster

NOW = SystemClock().now().replace(microsecond=0)
"""OpenSSL looks at the clock of the machine."""
HOME, OTHER = cluster(now=NOW), cluster(seed=2, now=NOW)
UUID = "00000000-0000-4000-8000-00000000abcd"
KEY = keys.make_p256(HOME.entropy)


class View:
    """What a proxy knows of its cluster."""

    def authorities(self) -> list[Any]:
        return HOME.both

    def proxies(self) -> tuple[()]:
        return ()


def certified(role: str, *, issuer: Any = HOME, **changes: Any) -> tuple[str, str]:
    """Return certificate and key of a service."""
    identity: Identity = issuer.host_identity(
        **{"name": f"{UUID}.{issuer.name}", "roles": (role,), "system_roles": (role,),
           "expires": NOW + dt.timedelta(hours=1), **changes}
    )  # fmt: skip
    return x509.pem(issuer.tls(identity, KEY.public_key(), now=NOW)), keys.private_pem(KEY).decode()


PROXY, NODE = certified("Proxy", principals=("p1.example.com", "p1")), certified("Node")
OTHERS = {role: certified(role) for role in ("Proxy", "Instance", "Auth")}
FOREIGN = certified("Node", issuer=OTHER)
HOSTS = authority.trusted_tls(HOME.both, "host")


class Site:
    """A proxy, and agents that come to it."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.tunnels = self.start()

    def start(self) -> Tunnels:
        """Return the tunnels of a process of the proxy."""
        context = contexts.server_context(
            certificate=PROXY[0], key=PROXY[1], client_authorities=HOSTS, client_required=True, alpn=(ALPN,)
        )
        view: Any = View()
        clock = virtual_loop.LoopClock(virtual_loop.current(), NOW)
        return Tunnels(
            cluster=view, name=HOME.name, clock=clock, context=lambda: context, fellows=Fellows(view, "p1")
        )  # fmt: skip

    async def dial(self, pair: tuple[str, str] = NODE) -> Stream:
        near, far = memory_pair(peers=(Peer("10.0.0.9:1"), Peer("proxy")))
        hello: Any = type("Hello", (), {"server_name": ""})()
        serving = self.tunnels.serve(PeekStream(near), hello)
        self.tasks.append(tasks.spawn(serving, name="proxy", on_error=self.failures.append))
        context = contexts.client_context(host_authorities=HOSTS, certificate=pair[0], key=pair[1], alpn=(ALPN,))
        return await tls.client_handshake(far, context)

    def pool(self, answer: bytes, pair: tuple[str, str] = NODE) -> AgentPool:
        async def serve(stream: Stream) -> None:
            await stream.write(answer + stream.peer.address.encode())

        entropy = virtual_loop.current().entropy
        return AgentPool(dial=lambda: self.dial(pair), serve=serve, target="p:443", kind="node", entropy=entropy)

    @contextlib.asynccontextmanager
    async def connected(self, answer: bytes = b"") -> AsyncIterator[AgentPool]:
        pool, ready = self.pool(answer), asyncio.Event()
        task = tasks.spawn(pool.run(ready.set), name="pool", on_error=self.failures.append)
        await ready.wait()
        await asyncio.sleep(0.1)
        yield pool
        await tasks.cancel(task)
        await asyncio.sleep(0.1)

    async def end(self) -> None:
        for task in self.tasks:
            await tasks.cancel(task)


def play(story: Any) -> None:
    async def main() -> None:
        site = Site()
        try:
            await story(site)
        finally:
            await site.end()

    virtual_loop.run(main())


async def read(stream: Stream) -> bytes:
    found = await stream.read()
    await stream.close()
    return found


def test_a_service_is_reached_as_long_as_its_agent_is_there() -> None:
    async def story(site: Site) -> None:
        assert not site.tunnels.connected(UUID, "node")
        async with site.connected(b"hello "):
            assert site.tunnels.connected(UUID, "node")
            assert await read(await site.tunnels.dial(UUID, "node", "203.0.113.9:5")) == b"hello 203.0.113.9:5"
            for host, kind in ((UUID, "db"), ("other", "node")):
                with pytest.raises(NotFound) as caught:
                    await site.tunnels.dial(host, kind, "")
                assert caught.value.code == "PROXY-NO-TUNNEL"
        assert not site.tunnels.connected(UUID, "node")
        with pytest.raises(NotFound):
            await site.tunnels.dial(UUID, "node", "")
        assert site.failures == []

    play(story)


def test_the_newest_tunnel_counts_and_the_former_stands_in() -> None:
    async def story(site: Site) -> None:
        async with site.connected(b"first"):
            async with site.connected(b"second") as second:
                assert await read(await site.tunnels.dial(UUID, "node", "")) == b"second"
                second.drain(60.0, site.failures.append)
                await asyncio.sleep(1)
                assert await read(await site.tunnels.dial(UUID, "node", "")) == b"first"
            assert await read(await site.tunnels.dial(UUID, "node", "")) == b"first"

    play(story)


def test_when_a_proxy_leaves_its_agents_come_to_the_next_one_which_waits_for_them() -> None:
    async def story(site: Site) -> None:
        async with site.connected(b"hello"):
            former, site.tunnels = site.tunnels, site.start()
            dialled = tasks.spawn(site.tunnels.dial(UUID, "node", ""), name="dial", on_error=site.failures.append)
            await asyncio.sleep(1)
            assert not dialled.done()
            former.held.drain(60.0, site.failures.append)
            assert await read(await dialled) == b"hello"
            assert (len(former.held), len(site.tunnels.held)) == (1, 1)
            assert await read(await former.dial(UUID, "node", "")) == b"hello", "its own callers are served to the end"

    play(story)


def test_an_agent_that_takes_no_more_is_waited_for() -> None:
    async def story(site: Site) -> None:
        async with site.connected(b"first") as first:
            await asyncio.sleep(YOUNG)
            first.drain(60.0, site.failures.append)
            await asyncio.sleep(1)
            dialled = tasks.spawn(site.tunnels.dial(UUID, "node", ""), name="dial", on_error=site.failures.append)
            await asyncio.sleep(1)
            async with site.connected(b"second"):
                assert await read(await dialled) == b"second"
        began = virtual_loop.current().time()
        with pytest.raises(NotFound):
            await site.tunnels.dial(UUID, "node", "")
        assert virtual_loop.current().time() == began, "nobody is expected any more"

    play(story)


def test_a_tunnel_that_came_while_another_did_not_answer_is_tried() -> None:
    async def story(site: Site) -> None:
        dead = await site.dial()
        await asyncio.sleep(0.1)
        waiting = tasks.spawn(site.tunnels.dial(UUID, "node", ""), name="dial", on_error=site.failures.append)
        await asyncio.sleep(1)
        async with site.connected(b"second"):
            assert await read(await waiting) == b"second"
        await dead.close()
        assert site.failures == []

    play(story)


@pytest.mark.parametrize("role", OTHERS)
def test_who_is_no_agent_keeps_no_tunnel(role: str) -> None:
    async def story(site: Site) -> None:
        stream = await site.dial(OTHERS[role])
        with contextlib.suppress(TeleportError):
            assert await stream.read() == b""
        await asyncio.sleep(1)
        (failure,) = site.failures
        assert isinstance(failure, AccessDenied)
        assert failure.code == "PROXY-NOT-AN-AGENT"
        await stream.close()

    play(story)


def test_another_cluster_is_refused() -> None:
    async def story(site: Site) -> None:
        with contextlib.suppress(TeleportError):
            stream = await site.dial(FOREIGN)
            await stream.read()
        await asyncio.sleep(1)
        (failure,) = site.failures
        assert getattr(failure, "code", "").startswith("NET-TLS-")

    play(story)


def test_a_tunnel_ends_with_its_certificate() -> None:
    async def story(site: Site) -> None:
        async with site.connected():
            await asyncio.sleep(3599)
            assert site.tunnels.connected(UUID, "node")
            await asyncio.sleep(1.5)
            assert not site.tunnels.connected(UUID, "node")

    play(story)


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)

    async def story(site: Site) -> None:
        async with site.connected():
            stream = await site.dial()
            with contextlib.suppress(TeleportError):
                await stream.read()
            await asyncio.sleep(1)
            assert [getattr(failure, "code", "") for failure in site.failures] == ["PROXY-TUNNELS-FULL"]
            await stream.close()

    play(story)


def test_a_proxy_that_stops_lets_its_agents_go_and_uses_their_tunnels_for_what_it_still_has() -> None:
    async def story(site: Site) -> None:
        async def echo(stream: Stream) -> None:
            await stream.write(await stream.read())

        entropy = virtual_loop.current().entropy
        pool = AgentPool(dial=site.dial, serve=echo, target="p:443", kind="node", entropy=entropy)
        running = tasks.spawn(pool.run(lambda: None), name="pool", on_error=site.failures.append)
        await asyncio.sleep(1)
        stream = await site.tunnels.dial(UUID, "node", "203.0.113.9:5")
        site.tunnels.held.drain(60.0, site.failures.append)
        await asyncio.sleep(1)
        assert len(site.tunnels.held) == 1
        await stream.write(b"still")
        assert await read(stream) == b"still"
        await asyncio.sleep(60)
        assert (pool.connected, len(site.tunnels.held)) == (False, 1), "who dials it again is let go again"
        late = await site.tunnels.dial(UUID, "node", "203.0.113.9:6")
        await late.write(b"too")
        assert await read(late) == b"too"
        await tasks.cancel(running)
        assert site.failures == []

    play(story)
