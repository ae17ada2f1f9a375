"""TunnelWay: where a proxy whose ports are separate takes the tunnels of agents.

The proxy says it at its web port (`/webapi/find`), which is asked anew after every failure. The answer proves nothing
and need not: whoever answers at the address has to show a certificate of the cluster. Through which HTTP CONNECT proxy
each of the two addresses is reached, the environment says of each.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, TimedOut, Unavailable
from teleport.base.log import logger
from teleport.model.address import Address, parse_addr
from teleport.model.config.proxy import PORTS, WEB_PORT
from teleport.net import tls
from teleport.net.http_get import get
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.net.way import Way
from teleport.pki import contexts
from teleport.version import VERSION
from teleport.wire.buffer import ProtocolError

log = logger("NODE:PROXY")

TIMEOUT = 15.0
"""Seconds until the proxy has said where tunnels go."""
_EVERY = ("0.0.0.0", "::")  # noqa: S104 - compared only


class TunnelWay:
    """The way to one proxy."""

    def __init__(self, web: Way, *, network: Network, entropy: Entropy, environment: Mapping[str, str]) -> None:
        """`web` leads to the proxy's web port. `environment`: variables for CONNECT proxies (`model.proxy_env`)."""
        self._web = web
        self._network = network
        self._entropy = entropy
        self._environment = environment
        self._way: Way | None = None

    async def open(self, alpn: Sequence[str], context: ssl.SSLContext, server_name: str) -> Stream:
        """Return a TLS connection for a tunnel. Raises Unavailable (NET-NOT-A-PROXY) and what `Way.open` raises."""
        way = self._way or await self._find()
        try:
            opened = await way.open(alpn, context, server_name)
        except TeleportError:
            self._way = None
            raise
        self._way = way
        return opened

    async def _find(self) -> Way:
        try:
            async with asyncio.timeout(TIMEOUT):
                said = await self._ask()
        except TimeoutError:
            raise TimedOut("NET-TIMEOUT", address=self._web.address, seconds=f"{TIMEOUT:g}") from None
        found = tunnel_address(said, self._web.address)
        if found is None:
            return self._web
        log.debug("Tunnels have a port of their own", address=found, web=self._web.address)
        return Way(
            str(found), network=self._network, entropy=self._entropy, environment=self._environment, upgrade=False
        )  # fmt: skip

    async def _ask(self) -> Mapping[str, Any]:
        """Return what the proxy says of itself."""
        host = str(self._web.address)
        carrier = await self._web.reach()
        opened = await tls.client_handshake(
            carrier, contexts.unverified_context(alpn=("http/1.1",)), TIMEOUT, server_name=self._web.address.host
        )  # fmt: skip
        try:
            _, body = await get(opened, host, "/webapi/find", agent=f"teleport/{VERSION}", timeout=TIMEOUT)
            said = json.loads(body)["proxy"]
        except (ProtocolError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise Unavailable(
                "NET-NOT-A-PROXY", address=host, server="without a name", problem=f"its answer cannot be read: {error}"
            ) from None
        finally:
            await opened.close()
        return said if isinstance(said, dict) else {}


def tunnel_address(said: Mapping[str, Any], web: Address) -> Address | None:
    """Return where tunnels go, by what a proxy says that was reached at `web` (network specification, section 6.3);
    None: to the web port. Raises BadParameter (KIND-ADDRESS) for what is no address."""
    ssh = said.get("ssh")
    if said.get("tls_routing_enabled") is not False or not isinstance(ssh, dict):
        return None
    listens = parse_addr(str(ssh.get("tunnel_listen_addr") or f"{web.host}:{PORTS['tunnel']}"), PORTS["tunnel"])
    if own := ssh.get("ssh_tunnel_public_addr"):
        return parse_addr(str(own), listens.port)
    for name in ("ssh_public_addr", "public_addr"):
        if public := ssh.get(name):
            return Address(parse_addr(str(public), WEB_PORT).host, listens.port)
    return Address(web.host, listens.port) if listens.host in _EVERY else listens
