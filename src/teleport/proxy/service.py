"""The Proxy Service: one TLS port, and what stands behind each name and protocol on it.

Connections for the Auth Service are passed on unopened, so that client and Auth Service prove their
certificates to each other; those for nodes go to `proxy.ssh`; everything else is the web application's, which
is handed in.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.net import tls
from teleport.net.network import Network
from teleport.net.relay import Relay
from teleport.net.router import PlainRoute, Route, RoutedStream, Router
from teleport.net.stream import Stream
from teleport.proxy.ssh import Doors
from teleport.wire.reach import ALPN
from teleport.wire.tls_hello import ClientHello

log = logger("PROXY")

GRACE = 1.0
"""Seconds that connections get to end by themselves when the service stops: many wait for nothing in particular."""
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
        nodes: Doors | None = None,
    ) -> None:
        """`web` serves a connection whose TLS has been opened with `context`; `nodes` leads to nodes."""
        self._network = network
        self._address = address
        self._auth_address = auth_address
        self._context = context
        self._web = web
        self._nodes = nodes
        self._auth_is_down = False
        self.address = ""
        """Where the service listens, once it is ready."""

    def use(self, context: ssl.SSLContext) -> None:
        """Open connections that come from now on with `context`, for example with a renewed certificate."""
        self._context = context

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        routes, plain = [Route("auth", self._pass_to_auth, alpn=(f"{AUTH_PREFIX}*",))], []
        if self._nodes is not None:
            routes.append(Route("nodes", self._nodes.serve_tls, alpn=(ALPN,)))
            plain.append(PlainRoute("ssh", self._nodes.serve_ssh, start=b"SSH-"))
        router = Router(routes, plain=plain, default=self._serve_web)

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
            await listener.close(GRACE)

    async def _pass_to_auth(self, stream: RoutedStream, hello: ClientHello) -> None:
        await Relay(stream, await self._dial_auth()).run()

    async def _dial_auth(self) -> Stream:
        """Connect to the Auth Service. The log tells when it is gone and when it is back, not of each client."""
        address = self._auth_address()
        try:
            auth = await self._network.dial(address)
        except TeleportError as error:
            if not self._auth_is_down:
                log.warn("The Auth Service cannot be reached, clients are turned away", address=address, error=error)
            self._auth_is_down = True
            raise
        if self._auth_is_down:
            log.info("The Auth Service can be reached again", address=address)
        self._auth_is_down = False
        return auth

    async def _serve_web(self, stream: RoutedStream, hello: ClientHello) -> None:
        opened = await tls.server_handshake(stream, self._context, server_name=hello.server_name)
        try:
            await self._web(opened)
        finally:
            await opened.close()
