"""The Proxy Service: one TLS port, and what stands behind each name and protocol on it.

Connections for the Auth Service are passed on unopened, so that client and Auth Service prove their
certificates to each other; everything else is the web application's, which is handed in.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.net import tls
from teleport.net.network import Network
from teleport.net.relay import Relay
from teleport.net.router import Route, RoutedStream, Router
from teleport.net.stream import Stream
from teleport.wire.tls_hello import ClientHello

log = logger("PROXY")

AUTH_PREFIX = "teleport-auth@"
"""Beginning of the ALPN name that asks for the Auth Service; the cluster's name follows in hex."""


class ProxyService:
    """Listens on the web address."""

    name = "proxy"

    def __init__(
        self,
        *,
        network: Network,
        address: str,
        auth_address: Callable[[], str],
        context: ssl.SSLContext,
        web: Callable[[Stream], Awaitable[None]],
    ) -> None:
        """`web` serves a connection whose TLS has been opened with `context`."""
        self._network = network
        self._address = address
        self._auth_address = auth_address
        self._context = context
        self._web = web
        self.address = ""
        """Where the service listens, once it is ready."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        router = Router(
            [Route("auth", self._pass_to_auth, alpn=(f"{AUTH_PREFIX}*",))],
            default=self._serve_web,
        )

        async def serve(stream: Stream) -> None:
            try:
                await router(stream)
            except TeleportError as error:
                log.debug("A connection was not served", peer=stream.peer.address, error=error)

        listener = await self._network.listen(self._address, serve)
        try:
            self.address = listener.address
            log.info("Proxy Service is listening", address=self.address)
            ready()
            await listener.serve_forever()
        finally:
            await listener.close()

    async def _pass_to_auth(self, stream: RoutedStream, hello: ClientHello) -> None:
        auth = await self._network.dial(self._auth_address())
        await Relay(stream, auth).run()

    async def _serve_web(self, stream: RoutedStream, hello: ClientHello) -> None:
        opened = await tls.server_handshake(stream, self._context, server_name=hello.server_name)
        try:
            await self._web(opened)
        finally:
            await opened.close()
