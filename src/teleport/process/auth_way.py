"""The way from this process to an Auth Service elsewhere: several servers, tried in their order.

A server is an Auth Service or a proxy, which passes the connection on unopened: the same TLS with the same protocol
name (`teleport-auth@<hex of the cluster>`) is right for both. What authenticates the two ends to each other stands in
the caller's context.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from teleport.client.cluster import first_of
from teleport.model.address import Address
from teleport.net import tls
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.pki import x509


class AuthWay:
    """Dials the servers that a configuration names."""

    def __init__(self, network: Network, servers: Sequence[Address]) -> None:
        self._network = network
        self.servers = tuple(str(server) for server in servers)

    async def bare(self) -> Stream:
        """Return a connection on which nothing was said. Raises what dialling raises, and for several servers of which
        none answers Unavailable (CLIENT-NO-SERVER)."""
        return await first_of(self.servers, self._network.dial)

    async def open(self, context: ssl.SSLContext) -> Stream:
        """Return a TLS connection. Raises as `bare`, and NotAuthenticated or Unavailable (NET-TLS-*)."""

        async def dial(address: str) -> Stream:
            stream = await self._network.dial(address)
            return await tls.client_handshake(stream, context, server_name=x509.CLUSTER_NAME)

        return await first_of(self.servers, dial)
