"""Way: how to get from here to one proxy or Auth Service, whatever stands between.

    way = Way("proxy.example.com:443", network=network, entropy=entropy, environment=os.environ)
    stream = await way.open(["teleport-reversetunnel"], context, "teleport.cluster.local")

What is here: the straight way, the one through an HTTP CONNECT proxy, and the one inside a WebSocket, for load
balancers that end TLS. Which one is needed is found out at the first connection and remembered. What is not: the
protocols themselves (`wire.http_connect`, `wire.websocket`), and what the environment's variables mean
(`model.proxy_env`).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence

from teleport.base.entropy import Entropy
from teleport.model.address import Address, parse_addr
from teleport.model.proxy_env import upgrade_wanted
from teleport.net import tls
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.net.tls import TlsStream
from teleport.pki.tls_settings import public_context

WEB_PORT = 443
"""Port of a proxy given without one."""
TIMEOUT = 15.0
"""Seconds for each handshake."""


class Way:
    """How one address is reached. Kept by whoever dials it, so that what was found out is remembered."""

    def __init__(
        self,
        address: str,
        *,
        network: Network,
        entropy: Entropy,
        environment: Mapping[str, str] | None = None,
        web: Callable[[], ssl.SSLContext] = public_context,
        upgrade: bool | None = None,
    ) -> None:
        """`environment`: variables for proxies and upgrades (`model.proxy_env`); without it none are followed. `web`:
        whom to trust as a TLS proxy or as a load balancer that ends TLS (`pki.tls_settings.public_context`). `upgrade`:
        what is known from before; None finds it out when something does not work.

        Raises BadParameter (KIND-ADDRESS, NET-UPGRADE-VALUE).
        """
        self.address: Address = parse_addr(address, WEB_PORT)
        self._network = network
        self._entropy = entropy
        self._environment = environment or {}
        self._web = web
        wanted = upgrade_wanted(self._environment, self.address)
        self._fixed = wanted is not None
        self._upgrade = upgrade if wanted is None else wanted

    @property
    def upgraded(self) -> bool | None:
        """Whether connections are upgraded; None while nobody knows. Worth remembering for the next program."""
        return self._upgrade

    async def open(self, alpn: Sequence[str], context: ssl.SSLContext, server_name: str) -> TlsStream:
        """Return a TLS connection with one of the protocols `alpn`, which `context` offers from now on; `server_name`
        is asked for, and checked by the context. Close what you open.

        Raises NotAuthenticated (NET-TLS-*), Unavailable (NET-*), TimedOut (NET-*), AccessDenied (NET-DENIED,
        NET-CONNECT-*), BadParameter (NET-CONNECT-*).
        """
        carrier = await self.carrier()
        context.set_alpn_protocols(list(alpn))  # no turn of the loop lies between this and its use
        return await tls.client_handshake(carrier, context, TIMEOUT, server_name=server_name)

    async def carrier(self) -> Stream:
        """Return a connection on which the proxy awaits a TLS handshake, the real one. Raises as `open`."""
        return await self._network.dial(str(self.address))
