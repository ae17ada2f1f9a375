"""The agent pool: states, claims, waits, what the log says. In virtual time, against bare tunnels."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from teleport.agents import pool as module
from teleport.agents.pool import MOST, AgentPool
from teleport.base import log, tasks
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.memory import memory_pair
from teleport.net.stream import Peer, Stream
from teleport.net.tunnel import DOUBT, PATIENCE, Tunnel
from teleport.pki import keys
from teleport.wire.tunnel import DISCOVERY, TRANSPORT, Opening, write_discovery, write_opening
from tests.support import virtual_loop
from tests.support.authorities import cluster

HOME = cluster()
TARGET = "proxy.example.com:443"


def certificate(name: str, role: str = "Proxy") -> bytes:
    identity = HOME.host_identity(
        name=f"{name}.example.com", roles=(role,), system_roles=(role,), principals=(f"{name}.example.com", name)
    )
    return HOME.tls(identity, keys.make_p256(HOME.entropy).public_key())


PROXIES = {name: certificate(name) for name in ("one", "two")}


class Valve:
    """A stream from which nothing comes while it is shut; nothing is lost."""

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self.peer, self.write, self.write_eof = inner.peer, inner.write, inner.write_eof
        self.close = inner.close
        self.open = asyncio.Event()
        self.open.set()

    async def read(self, limit: int = 65536) -> bytes:
        data = await self._inner.read(limit)
        await self.open.wait()
        return data


class Proxies:
    """Proxies behind a balancer that leads to each in turn."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.tunnels: list[tuple[str, Tunnel]] = []
        self.dials: list[float] = []
        self.down = False
        self.valves: list[Valve] = []

    async def dial(self) -> Stream:
        self.dials.append(asyncio.get_running_loop().time())
        if self.down:
            raise Unavailable("NET-REFUSED", address=TARGET)
        name = self.names[len(self.dials) % len(self.names)]
        near, far = memory_pair(peers=(Peer("agent"), Peer(TARGET, PROXIES[name])))
        self.tunnels.append((name, Tunnel(near)))
        self.valves.append(Valve(far))
        return self.valves[-1]

    async def end(self) -> None:
        for _, tunnel in self.tunnels:
            await tunnel.close()


@contextlib.asynccontextmanager
async def pool(
    proxies: Proxies, serve: Callable[[Stream], Coroutine[Any, Any, None]], most: int = MOST
) -> AsyncIterator[AgentPool]:
    made = AgentPool(
        dial=proxies.dial, serve=serve, target=TARGET, kind="node", entropy=virtual_loop.current().entropy, most=most
    )  # fmt: skip
    ready, failures = asyncio.Event(), list[BaseException]()
    task = tasks.spawn(made.run(ready.set), name="pool", on_error=failures.append)
    if not proxies.down:
        await ready.wait()
        await asyncio.sleep(0.1)
    try:
        yield made
    finally:
        await tasks.cancel(task)
        await proxies.end()
    assert failures == []


async def echo(stream: Stream) -> None:
    await stream.write(f"{stream.peer.address}: ".encode() + await stream.read())


def opening(channel: str = TRANSPORT, kind: str = "node") -> bytes:
    return write_opening(Opening(channel=channel, conn_type=kind, client_src_addr="203.0.113.9:5"))


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    former = log.get_level()
    log.set_level("DEBUG")
    yield caplog
    log.set_level(former)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.pathname.endswith("agents/pool.py")]


def test_s0_15_to_19_what_an_agent_says_of_its_way(debug: pytest.LogCaptureFixture) -> None:
    """S0-15, S0-16, S0-17, S0-18, S0-19: connected with the proxy's principals, states, discovery, the end."""

    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            assert agents.connected
            control = await proxies.tunnels[0][1].dial(opening(DISCOVERY))
            await control.write(write_discovery(["one"]))
            await asyncio.sleep(1)
        assert not agents.connected

    virtual_loop.run(main())
    assert said(debug) == [
        "Changing state initial -> connecting.",
        "Agent connected to proxy: [one.example.com one].",
        "Changing state connecting -> connected.",
        "Discovery request channel opened: teleport-discovery.",
        "handleDiscovery requests channel.",
        "Pool is closing agent.",
        "Changing state connected -> closed.",
    ]
    fields = [getattr(record, "fields", {}) for record in debug.records if record.pathname.endswith("agents/pool.py")]
    assert [(found["leaseID"], found["target"]) for found in fields] == [(1, TARGET)] * 7


def test_connections_come_with_the_address_of_who_they_are_for() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            stream = await proxies.tunnels[0][1].dial(opening())
            assert len(agents) == 1
            await stream.write(b"here")
            assert await stream.read() == b"203.0.113.9:5: here"
            assert await stream.read() == b""
            await stream.close()

    virtual_loop.run(main())


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (opening(kind="db"), "connection rejected: no local db"), (opening("x"), "no such channel"),
        (b"{", "not a message of a reverse tunnel"),
    ],
)  # fmt: skip
def test_what_is_not_served_is_refused(header: bytes, text: str) -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo):
            with pytest.raises(Unavailable) as caught:
                await proxies.tunnels[0][1].dial(header)
            assert text in caught.value.fields["text"]

    virtual_loop.run(main())


def test_a_tunnel_to_each_proxy_that_is_known() -> None:
    """An agent that reaches a proxy which another holds hangs up, and tries until it has reached the other."""

    async def main() -> None:
        proxies = Proxies("one", "one", "one", "two")
        async with pool(proxies, echo) as agents:
            control = await proxies.tunnels[0][1].dial(opening(DISCOVERY))
            await control.write(write_discovery(["one", "two"])[:9])
            await control.write(write_discovery(["one", "two"])[9:])
            await asyncio.sleep(30)
            open_now = [name for name, tunnel in proxies.tunnels if tunnel.reason is None]
            assert sorted(open_now) == ["one", "two"]
            assert agents.connected

    virtual_loop.run(main())


async def name_proxies(proxies: Proxies, *names: str) -> None:
    """Let the proxy that was reached first say which there are."""
    control = await proxies.tunnels[0][1].dial(opening(DISCOVERY))
    await control.write(write_discovery(names))


def test_the_tunnel_to_a_proxy_that_is_gone_is_not_missed() -> None:
    """Whichever of the agents held it; and a proxy that comes is reached in seconds, however often that has failed."""

    async def main() -> None:
        proxies = Proxies("one", "two")
        async with pool(proxies, echo) as agents:
            (first, tunnel) = proxies.tunnels[0]
            (second,) = {"one", "two"} - {first}
            control = await tunnel.dial(opening(DISCOVERY))
            await control.write(write_discovery(["one", "two"]))
            await asyncio.sleep(30)
            assert [*agents.proxies] == ["one", "two"]
            proxies.names = [second]
            await tunnel.close("killed")
            control = await proxies.tunnels[1][1].dial(opening(DISCOVERY))
            await control.write(write_discovery([second]))
            await asyncio.sleep(20)
            assert [*agents.proxies] == [second]
            dials = len(proxies.dials)
            await asyncio.sleep(60)
            assert len(proxies.dials) == dials, "nobody looks for what is gone"
            proxies.names = ["one", "two"]
            await control.write(write_discovery(["one", "two"]))
            await asyncio.sleep(10)
            assert [*agents.proxies] == ["one", "two"]

    virtual_loop.run(main())


def test_no_more_tunnels_than_are_wanted() -> None:
    async def main() -> None:
        proxies = Proxies("one", "two")
        async with pool(proxies, echo, most=1) as agents:
            await name_proxies(proxies, "one", "two")
            await asyncio.sleep(30)
            assert (len(agents.proxies), len(proxies.dials)) == (1, 1)

    virtual_loop.run(main())


def test_a_proxy_that_stops_is_left_and_what_is_open_goes_on() -> None:
    async def main() -> None:
        proxies = Proxies("one", "two")
        async with pool(proxies, echo, most=1) as agents:
            tunnel = proxies.tunnels[0][1]
            held, stream = agents.proxies, await tunnel.dial(opening())
            draining = tasks.spawn(tunnel.drain(), name="drain", on_error=lambda _: None)
            await asyncio.sleep(10)
            assert agents.connected
            assert agents.proxies != held
            await stream.write(b"still")
            assert await stream.read() == b"203.0.113.9:5: still"
            await stream.close()
            async with asyncio.timeout(10):
                await draining

    virtual_loop.run(main())


def test_waits_grow_to_eight_seconds_and_begin_anew() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        proxies.down = True
        async with pool(proxies, echo) as agents:
            await asyncio.sleep(120)
            waits = [after - before for before, after in zip(proxies.dials, proxies.dials[1:], strict=False)]
            assert all(0.5 * step <= wait <= step for wait, step in zip(waits, [*range(1, 9), 1, 2], strict=False))
            assert max(waits) <= 8
            proxies.down = False
            await asyncio.sleep(8)
            assert agents.connected

    virtual_loop.run(main())


def test_a_tunnel_that_is_lost_is_opened_again() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            await proxies.tunnels[0][1].close("restarting")
            await asyncio.sleep(1.1)
            assert (len(proxies.tunnels), agents.connected) == (2, True)
            await asyncio.sleep(60)
            await proxies.tunnels[1][1].close("restarting")
            await asyncio.sleep(0.1)
            assert agents.connected, "one that has lasted is opened again at once"


def test_a_tunnel_that_is_cut_at_once_is_not_dialled_on_and_on() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo):
            for _ in range(600):
                await proxies.tunnels[-1][1].close("go away")
                await asyncio.sleep(0.1)
            assert len(proxies.dials) < 30

    virtual_loop.run(main())


def test_what_is_no_proxy_is_left() -> None:
    async def main(name: str) -> None:
        proxies = Proxies(name)
        made = AgentPool(dial=proxies.dial, serve=echo, target=TARGET, kind="node",
                         entropy=virtual_loop.current().entropy)  # fmt: skip
        task = tasks.spawn(made.run(lambda: None), name="pool", on_error=lambda _: None)
        await asyncio.sleep(20)
        assert len(proxies.dials) > 2
        assert not made.connected
        await tasks.cancel(task)
        await proxies.end()

    PROXIES.update(auth=certificate("auth", "Auth"), nobody=b"")
    for name in ("auth", "nobody"):
        virtual_loop.run(main(name))


def test_draining_lets_connections_go_on_and_takes_no_more() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            tunnel = proxies.tunnels[0][1]
            control, stream = await tunnel.dial(opening(DISCOVERY)), await tunnel.dial(opening())
            failures = list[BaseException]()
            agents.drain(60.0, failures.append)
            await asyncio.sleep(1)
            assert not agents.connected
            with pytest.raises(TeleportError):
                await tunnel.dial(opening())
            assert len(agents) == 1, "the control stream keeps nobody waiting"
            await stream.write(b"still")
            assert await stream.read() == b"203.0.113.9:5: still"
            await stream.close()
            await asyncio.sleep(1)
            assert (len(agents), failures) == (0, [])
            await control.close()

    virtual_loop.run(main())


IN_DOUBT = module.LOOK + DOUBT + 0.1


def test_a_tunnel_that_does_not_answer_is_left_to_its_connections() -> None:
    """Within ten seconds there is another one; what is slow, and not dead, goes on, and ends with its connections."""

    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            former = proxies.tunnels[0][1]
            await former.dial(opening(DISCOVERY))
            stream = await former.dial(opening())
            proxies.valves[0].open.clear()
            await asyncio.sleep(IN_DOUBT)
            assert (len(proxies.tunnels), agents.connected) == (2, True)
            new = await proxies.tunnels[1][1].dial(opening())
            await new.write(b"here")
            assert await new.read() == b"203.0.113.9:5: here"
            proxies.valves[0].open.set()
            await stream.write(b"slow")
            assert await stream.read() == b"203.0.113.9:5: slow"
            with pytest.raises(Unavailable, match="takes no new connections"):
                await former.dial(opening())
            await stream.close()
            await asyncio.sleep(1)
            assert former.reason is not None, "its last connection has ended"
            await asyncio.sleep(600)
            assert (len(proxies.dials), agents.connected) == (2, True)

    virtual_loop.run(main())


def test_a_dead_tunnel_ends_although_another_has_its_place() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            await proxies.tunnels[0][1].dial(opening())
            proxies.valves[0].open.clear()
            await asyncio.sleep(module.LOOK + PATIENCE + 5)
            assert proxies.tunnels[0][1].reason is not None
            assert (len(agents), agents.connected, len(proxies.dials)) == (0, True, 2)

    virtual_loop.run(main())


def test_a_doubt_that_passes_changes_nothing() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            proxies.down = True
            proxies.valves[0].open.clear()
            await asyncio.sleep(IN_DOUBT + 2)
            tried = len(proxies.dials)
            assert tried > 1
            proxies.valves[0].open.set()
            await asyncio.sleep(60)
            assert (len(proxies.dials), len(proxies.tunnels), agents.connected) == (tried, 1, True)
            proxies.down = False
            await proxies.tunnels[0][1].close("restarting")
            await asyncio.sleep(5)
            assert (len(proxies.tunnels), agents.connected) == (2, True)

    virtual_loop.run(main())


def test_tunnels_in_doubt_do_not_pile_up() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo):
            for number in range(8):
                with contextlib.suppress(IndexError, TeleportError):
                    await proxies.tunnels[number][1].dial(opening())
                    proxies.valves[number].open.clear()
                await asyncio.sleep(IN_DOUBT / 2)
                await asyncio.sleep(IN_DOUBT / 2)
                assert sum(tunnel.reason is None for _, tunnel in proxies.tunnels) <= module.LEFT + 1

    virtual_loop.run(main())


def test_waiting_for_an_answer_counts_as_waiting() -> None:
    """A dial that takes ten seconds to fail is followed by the next one at once."""

    async def main() -> None:
        proxies = Proxies("one")
        proxies.down = True

        async def dial() -> Stream:
            await asyncio.sleep(10)
            return await proxies.dial()

        made = AgentPool(dial=dial, serve=echo, target=TARGET, kind="node", entropy=virtual_loop.current().entropy)
        task = tasks.spawn(made.run(lambda: None), name="pool", on_error=lambda _: None)
        await asyncio.sleep(200)
        assert len(proxies.dials) in (19, 20)
        await tasks.cancel(task)

    virtual_loop.run(main())


def test_a_proxy_that_leaves_keeps_what_is_open_while_there_is_another_tunnel_already() -> None:
    async def main() -> None:
        proxies = Proxies("one")
        async with pool(proxies, echo) as agents:
            former = proxies.tunnels[0][1]
            stream = await former.dial(opening())
            leaving = tasks.spawn(former.drain(), name="leaving", on_error=lambda _: None)
            await asyncio.sleep(10)
            assert agents.connected
            later = await proxies.tunnels[1][1].dial(opening())
            second = await former.dial(opening())  # the proxy may still have callers of its own
            for each in (stream, later, second):
                await each.write(b"x")
                assert await each.read() == b"203.0.113.9:5: x"
                await each.close()
            await former.close()
            await tasks.cancel(leaving)
            await asyncio.sleep(1)
            assert len(proxies.dials) == 2

    virtual_loop.run(main())
