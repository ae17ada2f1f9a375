"""Proxies that reach agents over each other: who is served, who is believed, what is asked. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from teleport.base.clock import SystemClock
from teleport.base.errors import NotFound, TeleportError, Unavailable
from teleport.model.kinds.proxy import Proxy, ProxySpec
from teleport.model.resource import Metadata
from teleport.net import tls
from teleport.net.listen import Listener
from teleport.net.memory import memory_pair
from teleport.net.memory_network import MemoryNetwork
from teleport.net.stream import Stream
from teleport.net.tunnel import Tunnel
from teleport.pki import authority, contexts, keys, x509
from teleport.proxy import peers as module
from teleport.proxy.fellows import Fellows
from teleport.proxy.peers import Checker, PeerDoor, Peers
from teleport.wire.tunnel import DISCOVERY, PEER_ALPN, Opening, write_opening
from tests.support import virtual_loop
from tests.support.authorities import cluster

NOW = SystemClock().now().replace(microsecond=0)  # OpenSSL judges certificates by the machine's clock
HOME, OTHER = cluster("example.com", 3, NOW), cluster("other.example", 4, NOW)
KEY = keys.make_p256(HOME.entropy)
NODE = "node-id"
HOSTS = authority.trusted_tls(HOME.both, "host")


def pair(name: str, role: str = "Proxy", issuer: Any = HOME) -> tuple[str, str]:
    """Return certificate and key of a host, that end after an hour."""
    identity = issuer.host_identity(
        name=f"{name}.{issuer.name}", roles=(role,), system_roles=(role,), principals=(name,),
        expires=NOW + dt.timedelta(hours=1),
    )  # fmt: skip
    return x509.pem(issuer.tls(identity, KEY.public_key(), now=NOW)), keys.private_pem(KEY).decode()


PAIRS = {name: pair(name) for name in ("one", "two", "three")}
STRANGERS = {
    "node": pair("n", "Node"), "auth": pair("a", "Auth"), "instance": pair("i", "Instance"),
    "other cluster": pair("one", issuer=OTHER),
}  # fmt: skip


class Agents:
    """Stands in for the tunnels of agents of one proxy."""

    def __init__(self, *here: str) -> None:
        self.here = here
        self.asked: list[tuple[str, str, str]] = []

    async def dial(self, host: str, kind: str, client: str) -> Stream:
        self.asked.append((host, kind, client))
        if host not in self.here:
            raise NotFound("PROXY-NO-TUNNEL", kind=kind, host=host)
        near, far = memory_pair()
        await far.write(b"SSH-2.0-agent\r\n")
        await far.write_eof()
        return near


class World:
    """Proxies that know each other; `one` asks."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.clock = virtual_loop.LoopClock(virtual_loop.current(), NOW)
        self.records: dict[str, str] = {}
        self.failures: list[BaseException] = []
        self.dialled: list[str] = []
        self.doors: dict[str, PeerDoor] = {}
        self._listeners: list[Listener] = []
        self.check = Checker(self, HOME.name, self.clock)  # type: ignore[arg-type]
        self.peers = Peers(
            fellows=Fellows(self, "one"), network=self, check=self.check, name=HOME.name,  # type: ignore[arg-type]
            context=lambda: self.client(PAIRS["one"]),
        )  # fmt: skip

    def authorities(self) -> Any:
        return HOME.both

    def proxies(self) -> Sequence[Proxy]:
        return [
            Proxy(version="v2", metadata=Metadata(name=name), spec=ProxySpec(peer_addr=address))
            for name, address in self.records.items()
        ]

    async def changed(self, seen: int) -> int:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def dial(self, address: str) -> Stream:
        self.dialled.append(address)
        return await self.network.dial(address)

    def client(self, held: tuple[str, str]) -> Any:
        return contexts.client_context(
            host_authorities=HOSTS, certificate=held[0], key=held[1], alpn=(PEER_ALPN,)
        )  # fmt: skip

    async def door(self, name: str, agents: Agents, *, shows: str = "", address: str = "") -> None:
        """Let a proxy listen; `shows` is whose certificate it has."""
        held = PAIRS[shows or name]
        context = contexts.server_context(
            certificate=held[0], key=held[1], client_authorities=HOSTS, client_required=True, alpn=(PEER_ALPN,)
        )  # fmt: skip
        tunnels: Any = agents
        door = self.doors[name] = PeerDoor(tunnels=tunnels, check=self.check, context=lambda: context)

        async def serve(stream: Stream) -> None:
            try:
                await door.serve(stream)
            except TeleportError as error:
                self.failures.append(error)

        self.records[name] = address or f"{name}.example:3021"
        self._listeners.append(await self.network.listen(self.records[name], serve))

    async def ask(self, *proxies: str) -> bytes:
        """Return what a node says that is connected to these proxies."""
        stream = await self.peers.dial(NODE, "node", "203.0.113.9:5", proxies)
        said = b""
        while data := await stream.read():
            said += data
        await stream.close()
        return said

    async def end(self) -> None:
        await self.peers.close()
        for listener in self._listeners:
            await listener.close(0.0)


def play(story: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        try:
            await story(world)
        finally:
            await world.end()

    virtual_loop.run(main())


async def failure(world: World, *proxies: str) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await world.ask(*proxies)
    return caught.value


def test_an_agent_is_reached_over_the_proxy_that_has_it() -> None:
    """The one that is asked learns for whom it is; of several connections at once one opens the tunnel."""

    async def story(world: World) -> None:
        agents = Agents(NODE)
        await world.door("two", agents)
        found = await asyncio.gather(*(world.ask("two") for _ in range(5)))
        assert found == [b"SSH-2.0-agent\r\n"] * 5
        assert agents.asked == [(NODE, "node", "203.0.113.9:5")] * 5
        assert world.dialled == ["two.example:3021"]
        assert len(world.doors["two"].held) == 1

    play(story)


def test_of_several_the_next_is_asked() -> None:
    """One that is gone, one that has lost the agent, one that has it. Nobody asks a third one for another."""

    async def story(world: World) -> None:
        without, has = Agents(), Agents(NODE)
        await world.door("two", without)
        await world.door("three", has)
        assert (await failure(world)).code == "PROXY-NO-TUNNEL"
        assert (await failure(world, "gone")).code == "PROXY-PEER-GONE"
        refused = await failure(world, "gone", "two")
        assert refused.code == "NET-TUNNEL-REFUSED"
        assert f"no node reverse tunnel for {NODE} found" in refused.what
        assert has.asked == []
        assert await world.ask("gone", "two", "three") == b"SSH-2.0-agent\r\n"

    play(story)


@pytest.mark.parametrize("who", STRANGERS)
def test_what_is_no_proxy_of_the_cluster_is_not_served(who: str) -> None:
    async def story(world: World) -> None:
        await world.door("two", Agents(NODE))
        stream = await world.network.dial("two.example:3021")
        with contextlib.suppress(TeleportError):
            opened = await tls.client_handshake(stream, world.client(STRANGERS[who]), server_name=x509.CLUSTER_NAME)
            assert await opened.read() == b""
            await opened.close()
        await asyncio.sleep(1)
        (error,) = world.failures
        assert isinstance(error, TeleportError)
        assert error.code.startswith("NET-TLS-" if who == "other cluster" else "PROXY-NOT-A-PEER")
        assert len(world.doors["two"].held) == 0

    play(story)


def test_another_proxy_at_the_address_is_not_believed() -> None:
    async def story(world: World) -> None:
        await world.door("two", Agents(NODE), shows="three")
        error = await failure(world, "two")
        assert error.code == "PROXY-PEER-OTHER"
        assert (error.fields["name"], error.fields["proxy"]) == ("three", "two")

    play(story)


def test_one_that_does_not_answer_is_given_up() -> None:
    async def story(world: World) -> None:
        async def hang(stream: Stream) -> None:
            await asyncio.sleep(3600)

        world.records["two"] = "two.example"
        listener = await world.network.listen("two.example:3021", hang)
        async with asyncio.timeout(30):
            assert (await failure(world, "two")).code in ("NET-TIMEOUT", "NET-TLS-TIMEOUT")
        await listener.close(0.0)

    play(story)


def test_a_proxy_that_stops_is_dialled_anew_when_it_is_back() -> None:
    async def story(world: World) -> None:
        await world.door("two", Agents(NODE))
        await world.ask("two")
        world.doors["two"].held.drain(60.0, world.failures.append)
        await asyncio.sleep(1)
        assert len(world.doors["two"].held) == 0
        await world.door("two", Agents(NODE), address="again.example:3021")
        assert await world.ask("two") == b"SSH-2.0-agent\r\n"
        assert world.dialled == ["two.example:3021", "again.example:3021"]

    play(story)


def test_only_connections_to_services_are_passed_on() -> None:
    async def story(world: World) -> None:
        agents = Agents(NODE)
        await world.door("two", agents)
        stream = await world.network.dial("two.example:3021")
        opened = await tls.client_handshake(stream, world.client(PAIRS["one"]), server_name=x509.CLUSTER_NAME)
        tunnel = Tunnel(opened)
        for header in (write_opening(Opening(channel=DISCOVERY)), b"{"):
            with pytest.raises(Unavailable):
                await tunnel.dial(header)
        assert agents.asked == []
        await tunnel.close()

    play(story)


def test_it_ends_with_its_certificate() -> None:
    async def story(world: World) -> None:
        await world.door("two", Agents(NODE))
        await world.ask("two")
        await asyncio.sleep(3599)
        assert len(world.doors["two"].held) == 1
        await asyncio.sleep(3)
        assert len(world.doors["two"].held) == 0

    play(story)


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 0)

    async def story(world: World) -> None:
        await world.door("two", Agents(NODE))
        stream = await world.network.dial("two.example:3021")
        opened = await tls.client_handshake(stream, world.client(PAIRS["one"]), server_name=x509.CLUSTER_NAME)
        with contextlib.suppress(TeleportError):
            assert await opened.read() == b""
        await opened.close()
        await asyncio.sleep(1)
        assert [getattr(error, "code", "") for error in world.failures] == ["PROXY-TUNNELS-FULL"]

    play(story)
