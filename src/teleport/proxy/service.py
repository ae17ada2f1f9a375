"""The Proxy Service: one TLS port, perhaps one for SSH beside it, and what stands behind each name and protocol on it.

Connections for the Auth Service are passed on unopened, so that client and Auth Service prove their
certificates to each other; those for nodes go to `proxy.ssh`; everything else is the web application's, which
is handed in.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from teleport.base import tasks
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger
from teleport.net import tls
from teleport.net.listen import Listener
from teleport.net.network import Network
from teleport.net.proxy_protocol import ProxyProtocol
from teleport.net.relay import Relay
from teleport.net.router import UNRECOGNIZED_NAME, PlainRoute, Route, RoutedStream, RouteHandler, Router, refuse
from teleport.net.stream import Stream
from teleport.proxy import unserved
from teleport.proxy.join_door import ALPN as JOIN_ALPN
from teleport.proxy.ssh import Doors
from teleport.proxy.tunnels import ALPN as TUNNEL_ALPN
from teleport.proxy.tunnels import Tunnels
from teleport.proxy.vouch import Vouch
from teleport.wire.reach import ALPN
from teleport.wire.tls_hello import ClientHello

log = logger("PROXY")

QUIET = 3.0
"""Seconds without a byte after which somebody who speaks with the Auth Service is cut off where this process leaves."""
PARTING = 10.0
"""Seconds after which everybody is."""
GRACE = 1.0
"""Seconds that connections get to end by themselves when the service stops: many wait for nothing in particular."""
WEB_ALPN = ("http/1.1",)
KUBE_NAMES = ("kube-teleport-proxy-alpn.*", "kube.teleport.cluster.local")
"""Server names that ask for Kubernetes."""
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
        dial_auth: Callable[[], Awaitable[Stream]],
        context: Callable[[str], ssl.SSLContext],
        web: Callable[[Stream], Awaitable[None]],
        headers: ProxyProtocol,
        nodes: Doors | None = None,
        vouch: Vouch | None = None,
        tunnels: Tunnels | None = None,
        joins: Callable[[Stream], Awaitable[None]] | None = None,
        ports: Mapping[str, str] = {},
        one_port: bool = True,
        inner_context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """`web` serves a connection whose TLS has been opened with the context for the name that the client asked
        for, inside upgraded connections with `inner_context` (the proxy's host certificate); `joins` one of who has no
        certificate yet; `nodes` leads to nodes, `tunnels` keeps those of agents, `dial_auth` leads to an Auth Service.
        `headers` stand before every connection; with `vouch` the Auth Service learns who the client is. `ports` are
        addresses for one protocol alone each, by its name (`model.config.proxy.PORTS`); unless `one_port`, the web
        port does not take SSH.
        """
        self._network = network
        self._address = address
        self._dial = dial_auth
        self._context = context
        self._inner_context = inner_context
        self._web = web
        self._nodes = nodes
        self._headers = headers
        self._vouch = vouch
        self._tunnels = tunnels
        self._joins = joins
        self._ports = dict(ports)
        self._one_port = one_port
        self._auth_is_down = False
        self._passing: set[Relay] = set()
        self._parting: asyncio.Task[None] | None = None
        self._outer = self._web_router(context)
        self._inner = self._web_router(self._host_context)
        self.address = ""
        """Where the service listens, once it is ready."""
        self.ports: dict[str, str] = {}
        """Where protocols are served alone, by their names, once the service is ready."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        async with AsyncExitStack() as stack:
            web = await self._listen(self._address, self._outer, stack)
            self.address = web.address
            log.info("Proxy Service is listening", address=self.address)
            for protocol, address in self._ports.items():
                listener = await self._listen(address, self._alone(protocol), stack)
                self.ports[protocol] = listener.address
                log.info("Proxy Service is listening for one protocol", protocol=protocol, address=listener.address)
            ready()
            try:
                await web.serve_forever()
            finally:
                if self._parting is not None:
                    await tasks.cancel(self._parting)

    async def serve_inner(self, stream: Stream) -> None:
        """Serve what comes inside an upgraded connection: the same as on the port itself, with certificates of the
        host. The caller closes the stream."""
        await self._inner(stream)

    def _web_router(self, context: Callable[[str], ssl.SSLContext]) -> Router:
        def opened(serve: Callable[[Stream], Awaitable[None]]) -> RouteHandler:
            async def handle(stream: RoutedStream, hello: ClientHello) -> None:
                await _serve_open(serve, stream, hello, context(hello.server_name))

            return handle

        web = opened(self._web)
        routes = [
            Route("kube", self._no_kube, server_name=KUBE_NAMES),
            Route("auth", self._pass_to_auth, alpn=(f"{AUTH_PREFIX}*",)),
            Route("web", web, alpn=WEB_ALPN),
        ]
        if self._nodes is not None:
            routes.append(Route("nodes", self._nodes.serve_tls, alpn=(ALPN,)))
        tunnels = self._tunnels.serve if self._tunnels is not None else opened(_show_protocol)
        routes.append(Route("tunnels", tunnels, alpn=(TUNNEL_ALPN,)))
        if self._joins is not None:
            routes.append(Route("join", opened(self._joins), alpn=(JOIN_ALPN,)))
        plain = (*(self._ssh() if self._one_port else ()), *(() if "postgres" in self._ports else self._postgres()))
        return Router(routes, plain=plain, default=web)

    def _alone(self, protocol: str) -> Callable[[Stream], Awaitable[None]]:
        """Return what serves a port of one protocol."""
        if protocol == "mysql":
            return unserved.mysql  # its server speaks first: there is nothing to route by
        if protocol in ("ssh", "postgres"):
            return Router((), plain=self._ssh() if protocol == "ssh" else self._postgres())
        serve = self._no_kube if self._tunnels is None or protocol == "kube" else self._tunnels.serve
        return Router((Route(protocol, serve, alpn=("*",)),), default=serve)

    def _postgres(self) -> tuple[PlainRoute, ...]:
        return (PlainRoute("postgres", unserved.postgres(self._context), start=unserved.POSTGRES_TLS),)

    def _host_context(self, server_name: str) -> ssl.SSLContext:
        return self._inner_context() if self._inner_context else self._context(server_name)

    def _ssh(self) -> tuple[PlainRoute, ...]:
        return (PlainRoute("ssh", self._nodes.serve_ssh, start=b"SSH-"),) if self._nodes is not None else ()

    async def _listen(
        self, address: str, handler: Callable[[Stream], Awaitable[None]], stack: AsyncExitStack
    ) -> Listener:  # fmt: skip
        speaks_first = handler is unserved.mysql and not self._headers.expected
        serve = handler if speaks_first else self._headers.before(handler)

        async def handle(stream: Stream) -> None:
            try:
                await serve(stream)
            except TeleportError as error:
                log.debug("A connection was not served", peer=stream.peer.address, error=error)

        listener = await self._network.listen(address, handle)
        stack.push_async_callback(listener.close, GRACE)
        return listener

    async def _no_kube(self, stream: RoutedStream, hello: ClientHello) -> None:
        await refuse(stream, UNRECOGNIZED_NAME)
        raise Unavailable("PROXY-NO-KUBE", name=ascii(hello.server_name[:80]))

    async def _pass_to_auth(self, stream: RoutedStream, hello: ClientHello) -> None:
        auth = await self._dial_auth()
        try:
            if self._vouch is not None:
                await auth.write(self._vouch.introduce(stream, auth))
        except BaseException:
            await auth.close()
            raise
        relay = Relay(stream, auth)
        self._passing.add(relay)
        try:
            await relay.run()
        finally:
            self._passing.discard(relay)

    def leave(self) -> None:
        """Another process serves this address from here on. Agents are told to come again, and so are those who speak
        with the Auth Service through this one, when they say nothing for a moment; sessions go on."""
        if self._tunnels is not None:
            self._tunnels.leave()
        if self._parting is None:
            self._parting = tasks.spawn(self._part(), name="passing to auth", on_error=_not_parted)

    async def _part(self) -> None:
        loop = asyncio.get_running_loop()
        end, seen = loop.time() + PARTING, dict[Relay, int]()
        while True:
            await asyncio.sleep(QUIET)
            for relay in tuple(self._passing):
                if seen.get(relay) == relay.sent + relay.received or loop.time() > end:
                    relay.cut("this process of the proxy serves no more")
            seen = {relay: relay.sent + relay.received for relay in self._passing}

    async def _dial_auth(self) -> Stream:
        """Connect to the Auth Service. The log tells when it is gone and when it is back, not of each client."""
        try:
            auth = await self._dial()
        except TeleportError as error:
            if not self._auth_is_down:
                log.warn("The Auth Service cannot be reached, clients are turned away", error=error)
            self._auth_is_down = True
            raise
        if self._auth_is_down:
            log.info("The Auth Service can be reached again")
        self._auth_is_down = False
        return auth


async def _serve_open(
    serve: Callable[[Stream], Awaitable[None]], stream: RoutedStream, hello: ClientHello, context: ssl.SSLContext
) -> None:
    """Open TLS and serve what is inside."""
    opened = await tls.server_handshake(stream, context, server_name=hello.server_name)
    try:
        await serve(opened)
    finally:
        await opened.close()


async def _show_protocol(stream: Stream) -> None:
    """A client offers this protocol to find out whether TLS ends before this proxy: it has its answer already. Where
    there are tunnels, their handshake gives it."""


def _not_parted(error: BaseException) -> None:
    log.error("Those who speak with the Auth Service are not told to come again", error=error)
