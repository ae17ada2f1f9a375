"""Ways to a proxy: straight, through a CONNECT proxy, inside a WebSocket."""

from __future__ import annotations

import asyncio

from teleport.base.entropy import SeededEntropy
from teleport.net.memory_network import MemoryNetwork
from teleport.net.stream import Stream
from teleport.net.tls import server_handshake
from teleport.net.way import Way
from tests.support.tls import NAME, authority


def test_straight_way() -> None:
    async def run() -> None:
        network = MemoryNetwork()

        async def serve(stream: Stream) -> None:
            tls = await server_handshake(stream, authority().server(alpn=["one", "two"]))
            await tls.write(tls.peer.alpn.encode())
            await tls.close()

        listener = await network.listen("proxy.example:443", serve)
        way = Way("proxy.example", network=network, entropy=SeededEntropy(1))
        stream = await way.open(["two"], authority().client(), NAME)
        assert await stream.read() == b"two"
        assert (stream.peer.alpn, way.upgraded) == ("two", None)
        await stream.close()
        await listener.close()

    asyncio.run(run())
