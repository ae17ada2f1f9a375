"""proxy: a Proxy Service that runs, as it last described itself.

Each proxy writes its own and takes it away when it stops; one that is not heard of ends by itself. Agents and other
proxies learn from these which proxies there are.
"""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.address import parse_addr
from teleport.model.config.proxy import PEER_PORT, WEB_PORT
from teleport.model.naming import check_name, check_text
from teleport.model.resource import Column, Resource, kind


class ProxySpec(Struct, frozen=True, kw_only=True):
    """Where a proxy is."""

    hostname: str = ""
    addr: str = ""
    """Where its web port listens."""
    public_addrs: tuple[str, ...] = ()
    peer_addr: str = ""
    """Where other proxies reach it for the agents that are connected to it; empty: they do not."""
    version: str = ""


def web_address(proxy: Proxy) -> str:
    """Return where people reach it."""
    return proxy.spec.public_addrs[0] if proxy.spec.public_addrs else proxy.spec.addr


@kind(
    key="proxies",
    versions=("v2",),
    aliases=("proxies",),
    writable=("rm",),
    columns=(
        Column("Host UUID", lambda proxy: str(proxy.name)),
        Column("Hostname", lambda proxy: str(proxy.spec.hostname)),
        Column("Public Address", web_address),
        Column("Peer Address", lambda proxy: str(proxy.spec.peer_addr)),
        Column("Version", lambda proxy: str(proxy.spec.version)),
    ),
)
class Proxy(Resource[ProxySpec], frozen=True, kw_only=True, tag="proxy"):
    """A proxy; its name is the host's UUID."""

    spec: ProxySpec = ProxySpec()

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar."""
        if self.spec.hostname:
            check_name("host", self.spec.hostname)
        check_text("proxy", "spec.version", self.spec.version)
        for addr in filter(None, (self.spec.addr, *self.spec.public_addrs)):
            parse_addr(addr, WEB_PORT)
        if self.spec.peer_addr:
            parse_addr(self.spec.peer_addr, PEER_PORT)
