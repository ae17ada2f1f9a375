"""The way from this process to an Auth Service elsewhere: several servers, tried one after the other.

A server is an Auth Service or a proxy, which passes the connection on unopened: the same TLS with the same protocol
name (`teleport-auth@<hex of the cluster>`) is right for both. What authenticates the two ends to each other stands in
the caller's context.

The server that answered last is tried first, the others in an order by chance: processes that lose one of them spread
over the rest, and none dials a dead one again and again.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence

from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError
from teleport.client import answering
from teleport.client.cluster import first_of
from teleport.client.tunnel_way import TunnelWay
from teleport.model.address import Address
from teleport.model.config.teleport_section import PROXY_PORTS
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.net.way import Way

SUSPECT = ("NET-TLS-", "NET-UPGRADE-", "NET-ALPN-", "API-UNAVAILABLE", "NET-RESET", "CLIENT-NO-SERVER")
"""How codes of errors begin that come when something else answers."""


class AuthWay:
    """Dials the servers that a configuration names."""

    def __init__(
        self, servers: Sequence[Address], *, network: Network, entropy: Entropy, environment: Mapping[str, str],
        proxies: bool = False,
    ) -> None:  # fmt: skip
        """`proxies`: the servers are proxies, before which a load balancer may stand. Raises BadParameter (NET-*)."""
        self._network, self._environment = network, environment
        self.proxies = proxies or any(server.port in PROXY_PORTS for server in servers[:1])
        self._ways = {
            str(server): Way(
                str(server), network=network, entropy=entropy, environment=environment,
                upgrade=None if proxies or server.port in PROXY_PORTS else False,
            )
            for server in servers
        }  # fmt: skip
        self.target = next(iter(self._ways), "")
        """The first server, for logs."""
        self._tunnel_ways = {
            server: TunnelWay(way, network=network, entropy=entropy, environment=environment)
            for server, way in self._ways.items()
        }
        self._entropy = entropy
        self._last = ""
        """The server that answered last."""
        self._hosts = {str(server): server.host for server in servers}

    async def bare(self) -> Stream:
        """Return a connection on which nothing was said. Raises what dialling raises, and for several servers of which
        none answers Unavailable (CLIENT-NO-SERVER)."""

        async def dial(address: str) -> Stream:
            return await self._ways[address].carrier()

        return await self._first(dial)

    async def named(self, error: TeleportError) -> TeleportError:
        """Return an error that names what answers at a server that is not what the configuration takes it for; else
        `error`."""
        if not error.code.startswith(SUSPECT):
            return error
        wanted = answering.PROXY if self.proxies else answering.AUTH
        for server in self._ways:
            told = await answering.named(error, self._network, server, self._environment, wanted=wanted)
            if told is not error:
                return told
        return error

    async def open(
        self, context: ssl.SSLContext, alpn: Sequence[str], server_name: str = "", *,
        vouched: ssl.SSLContext | None = None,
    ) -> Stream:  # fmt: skip
        """Return a TLS connection with one of the protocols `alpn`; `server_name` is asked for, without it the host
        that is dialled; `vouched` as for `Way.open`. Raises as `bare`, and NotAuthenticated or Unavailable
        (NET-TLS-*)."""

        async def dial(address: str) -> Stream:
            return await self._ways[address].open(alpn, context, server_name or self._hosts[address], vouched=vouched)

        return await self._first(dial)

    async def tunnel(self, context: ssl.SSLContext, alpn: Sequence[str], server_name: str) -> Stream:
        """As `open`, to the port for tunnels of a proxy that has one of its own. Raises as `TunnelWay.open`."""

        async def dial(address: str) -> Stream:
            return await self._tunnel_ways[address].open(alpn, context, server_name)

        return await self._first(dial)

    async def _first(self, dial: Callable[[str], Awaitable[Stream]]) -> Stream:
        async def noting(address: str) -> Stream:
            stream = await dial(address)
            self._last = address
            return stream

        order = sorted(self._ways, key=lambda address: (address != self._last, self._entropy.token(8)))
        return await first_of(order, noting)
