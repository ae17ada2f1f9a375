"""Where agents keep their tunnels: what a proxy says, what is made of it, what it asks again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import TeleportError
from teleport.client import tunnel_way
from teleport.client.tunnel_way import TunnelWay, tunnel_address
from teleport.model.address import Address
from teleport.net.memory_network import MemoryNetwork
from teleport.net.stream import Stream
from teleport.net.tls import server_handshake
from teleport.net.way import Way
from tests.support import virtual_loop
from tests.support.tls import Authority

WEB = Address("proxy.example", 3080)
SPLIT = {"tls_routing_enabled": False}


@pytest.mark.parametrize(
    ("ssh", "expected"),
    [
        ({}, "proxy.example:3024"),
        ({"tunnel_listen_addr": "0.0.0.0:4024"}, "proxy.example:4024"),
        ({"tunnel_listen_addr": "10.0.0.5:4024"}, "10.0.0.5:4024"),
        ({"tunnel_listen_addr": "10.0.0.5:4024", "public_addr": "p.example:443"}, "p.example:4024"),
        ({"public_addr": "p.example:443", "ssh_public_addr": "s.example:3023"}, "s.example:3024"),
        ({"public_addr": "p.example:443", "ssh_tunnel_public_addr": "t.example"}, "t.example:3024"),
        ({"tunnel_listen_addr": "[::]:4024", "ssh_tunnel_public_addr": "t.example:24"}, "t.example:24"),
    ],
)
def test_the_address_of_a_port_for_tunnels(ssh: dict[str, str], expected: str) -> None:
    """S3-17: the port is that of the listener, the host the most particular one that is named."""
    assert str(tunnel_address({**SPLIT, "ssh": ssh}, WEB)) == expected


@pytest.mark.parametrize("said", [{}, {"tls_routing_enabled": True, "ssh": {}}, {**SPLIT, "ssh": 5}, {"ssh": {}}])
def test_otherwise_tunnels_go_to_the_web_port(said: dict[str, Any]) -> None:
    assert tunnel_address(said, WEB) is None


class World:
    """A proxy that answers at its web port as it is told, and takes tunnels at another."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.authority = Authority()
        self.answer = b""
        self.asked: list[str] = []
        self.taken: list[str] = []
        entropy = SeededEntropy(1)
        web = Way(str(WEB), network=self.network, entropy=entropy, upgrade=False)
        self.way = TunnelWay(web, network=self.network, entropy=entropy, environment={})
        self._listeners: list[Any] = []

    async def listen(self) -> None:
        self._listeners.append(await self.network.listen(str(WEB), self._web))
        for address in ("proxy.example:4024", "other.example:4024"):
            self._listeners.append(await self.network.listen(address, self._tunnel(address)))

    async def _web(self, stream: Stream) -> None:
        context = self.authority.server(alpn=("http/1.1", "teleport-reversetunnel"))
        opened = await server_handshake(stream, context)
        if opened.peer.alpn == "teleport-reversetunnel":
            self.taken.append(str(WEB))
        else:
            self.asked.append((await opened.read()).decode().splitlines()[0])
            if not self.answer:
                await asyncio.sleep(3600)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.answer)}\r\n\r\n"
            await opened.write(head.encode() + self.answer)
        await opened.close()

    def _tunnel(self, address: str) -> Callable[[Stream], Awaitable[None]]:
        async def serve(stream: Stream) -> None:
            context = self.authority.server(alpn=("teleport-reversetunnel",), pem=self.authority.issue("proxy.example"))
            opened = await server_handshake(stream, context)
            self.taken.append(address)
            await opened.close()

        return serve

    def says(self, **ssh: str) -> None:
        self.answer = json.dumps({"proxy": {**SPLIT, "ssh": ssh}}).encode()

    async def open(self) -> str:
        opened = await self.way.open(("teleport-reversetunnel",), self.authority.client(), "proxy.example")
        await opened.read()
        await opened.close()
        return self.taken[-1]

    async def end(self) -> None:
        for listener in self._listeners:
            await listener.close(0.0)


def play(story: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        await world.listen()
        try:
            await story(world)
        finally:
            await world.end()

    virtual_loop.run(main())


def test_the_proxy_is_asked_once_and_anew_after_a_failure() -> None:
    async def story(world: World) -> None:
        world.says(tunnel_listen_addr="0.0.0.0:4024")
        assert [await world.open(), await world.open()] == ["proxy.example:4024"] * 2
        assert world.asked == ["GET /webapi/find HTTP/1.1"]
        world.network.refuse("proxy.example:4024")
        world.says(ssh_tunnel_public_addr="other.example:4024")
        with pytest.raises(TeleportError):
            await world.open()
        assert await world.open() == "other.example:4024"
        assert len(world.asked) == 2

    play(story)


def test_one_port_for_all_is_the_web_port() -> None:
    async def story(world: World) -> None:
        world.answer = b'{"proxy": {"tls_routing_enabled": true}}'
        assert await world.open() == str(WEB)

    play(story)


@pytest.mark.parametrize("answer", [b"{", b"[]", b"5", b'{"proxy": {"tls_routing_enabled": false, "ssh": ', b"\xff"])
def test_what_is_no_answer_is_told(answer: bytes) -> None:
    async def story(world: World) -> None:
        world.answer = answer
        with pytest.raises(TeleportError) as caught:
            await world.open()
        assert caught.value.code == "NET-NOT-A-PROXY"

    play(story)


def test_who_does_not_answer_is_given_up() -> None:
    async def story(world: World) -> None:
        async with asyncio.timeout(3 * tunnel_way.TIMEOUT):
            with pytest.raises(TeleportError) as caught:
                await world.open()
        assert caught.value.code in ("NET-TIMEOUT", "NET-NOT-A-PROXY", "NET-FIRST-BYTES")

    play(story)
