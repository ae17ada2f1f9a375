"""The way to an Auth Service elsewhere: which server answers, and what is said when none does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.client.auth_way import AuthWay
from teleport.model.address import Address
from teleport.net.network import SystemNetwork
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Stream
from tests.support.ports import free_ports


def play(story: Callable[[Address, Address], Awaitable[None]]) -> None:
    async def hello(stream: Stream) -> None:
        await stream.write(b"hello")
        await stream.close()

    async def main() -> None:
        listener = await SystemNetwork().listen("127.0.0.1:0", hello)
        dead, alive = free_ports(1)[0], int(listener.address.rpartition(":")[2])
        try:
            await story(Address("127.0.0.1", dead), Address("127.0.0.1", alive))
        finally:
            await listener.close(0.0)

    asyncio.run(main())


def way(*servers: Address, proxies: bool = False) -> AuthWay:
    return AuthWay(servers, network=SystemNetwork(), entropy=SeededEntropy(1), environment={}, proxies=proxies)


def test_the_first_server_that_answers() -> None:
    async def story(dead: Address, alive: Address) -> None:
        stream = await way(dead, alive).bare()
        assert await stream.read() == b"hello"
        await stream.close()

    play(story)


def test_several_servers_are_tried_in_an_order_by_chance_and_the_last_one_first() -> None:
    class Counting(SystemNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.dialled: list[str] = []

        async def dial(self, address: str) -> SocketStream:
            self.dialled.append(address)
            return await super().dial(address)

    async def story(dead: Address, alive: Address) -> None:
        firsts = set()
        for seed in range(16):
            network = Counting()
            servers = AuthWay((dead, alive), network=network, entropy=SeededEntropy(seed), environment={})
            for _ in range(3):
                stream = await servers.bare()
                assert await stream.read() == b"hello"
                await stream.close()
            firsts.add(network.dialled[0])
            assert network.dialled[-2:] == [str(alive)] * 2, "the one that answered stays the first"
        assert firsts == {str(dead), str(alive)}

    play(story)


def test_none_answers() -> None:
    async def story(dead: Address, alive: Address) -> None:
        with pytest.raises(Unavailable) as caught:
            await way(dead).bare()
        assert caught.value.code == "NET-REFUSED"
        with pytest.raises(Unavailable) as caught:
            await way(dead, Address("127.0.0.1", 1)).bare()
        assert caught.value.code == "CLIENT-NO-SERVER"
        assert str(dead) in caught.value.fields["attempts"]

    play(story)


def test_which_servers_look_like_proxies() -> None:
    assert not way(Address("a", 3025)).proxies
    assert way(Address("a", 443)).proxies
    assert way(Address("a", 3080), Address("b", 3025)).proxies
    assert not way(Address("a", 3025), Address("b", 443)).proxies
    assert way(Address("a", 8443), proxies=True).proxies
    assert way(Address("a", 8443), proxies=True).target == "a:8443"
