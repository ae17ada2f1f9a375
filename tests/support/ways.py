"""What stands between a client and a proxy, in memory: CONNECT proxies and load balancers that end TLS.

between = Between(network)
await between.connect_proxy("corporate.example:3128")
await between.balancer("public.example:443", web.serve)
"""

from __future__ import annotations

import asyncio

from teleport.base.errors import TeleportError
from teleport.net.listen import Handler, Listener
from teleport.net.memory_network import MemoryNetwork
from teleport.net.relay import Relay
from teleport.net.stream import Stream
from teleport.net.tls import server_handshake
from tests.support.check_stream import read_exactly
from tests.support.tls import Authority


class Between:
    """Everything that stands on the network."""

    def __init__(self, network: MemoryNetwork, web: Authority) -> None:
        """`web` issues the certificates of balancers and TLS proxies."""
        self.network = network
        self.web = web
        self.requests: list[str] = []
        """Heads of the requests that CONNECT proxies got."""
        self._listeners: list[Listener] = []

    async def connect_proxy(self, address: str, *, tls: bool = False, answer: str = "200 OK") -> None:
        """Listen as an HTTP CONNECT proxy; with another `answer` than 200 as one that refuses."""

        async def serve(stream: Stream) -> None:
            if tls:
                stream = await server_handshake(stream, self.web.server(pem=self.web.issue(address.partition(":")[0])))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += await read_exactly(stream, 1)
            self.requests.append(head.decode())
            await stream.write(f"HTTP/1.1 {answer}\r\nServer: corporate\r\n\r\n".encode())
            if answer.startswith("200"):
                await Relay(stream, await self.network.dial(head.decode().split()[1])).run()
            await stream.close()

        self._listeners.append(await self.network.listen(address, serve))

    async def balancer(self, address: str, behind: Handler, *, alpn: tuple[str, ...] = ("http/1.1",)) -> None:
        """Listen as a load balancer that ends TLS; `behind` gets what was inside."""

        async def serve(stream: Stream) -> None:
            context = self.web.server(alpn=alpn, pem=self.web.issue(address.partition(":")[0]))
            try:
                opened = await server_handshake(stream, context)
            except TeleportError:
                return
            await behind(opened)
            await opened.close()

        self._listeners.append(await self.network.listen(address, serve))

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(listener.close(0) for listener in self._listeners))
