"""`proxy_service`: the web address of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct, Switch
from teleport.model.address import Address, parse_addr
from teleport.model.config.section import (
    OFF,
    Fault,
    OneOrMore,
    ServiceSection,
    addresses,
    proxy_mode,
    trying,
    unknown,
)
from teleport.model.later import Later, Unacted

WEB_PORT = 3080
PEER_PORT = 3021
"""Port for other proxies, where proxies reach agents over each other (networking guide)."""
LISTEN = f"0.0.0.0:{WEB_PORT}"
PORTS = {"ssh": 3023, "tunnel": 3024, "kube": 3026, "mysql": 3036, "postgres": 5432}
"""Ports of protocols that may have one beside the web port (networking guide)."""
SEPARATE = ("ssh", "tunnel", "kube", "mysql")
"""Those that have one wherever ports are separate; PostgreSQL has one only where the file names it."""
NEVER = Duration(0)


class KeyPair(Struct, frozen=True, kw_only=True):
    """Files of a certificate and its key, PEM."""

    key_file: str
    cert_file: str


class ProxySection(ServiceSection, frozen=True, kw_only=True):
    """The Proxy Service."""

    web_listen_addr: str = LISTEN
    public_addr: OneOrMore = ()
    https_keypairs: tuple[KeyPair, ...] = ()
    """Certificates of the web address; none: one that the process makes and signs itself. Of several, a client gets the
    first that has the name it asks for, else the first."""

    https_keypairs_reload_interval: Duration = NEVER
    """How often the files are read again; 0: when the process is told to (SIGHUP)."""
    proxy_protocol: bool | str = ""
    """Whether a load balancer says who its clients are: `on`, `off`; empty: nobody has said."""
    trust_x_forwarded_for: Switch = OFF
    """Whether a load balancer says in X-Forwarded-For who its clients are. Only where nobody else reaches the port."""
    listen_addr: str = ""
    """A port of its own for SSH clients; empty: none, or the usual one where ports are separate."""

    tunnel_listen_addr: str = ""
    """The same for tunnels of agents."""
    kube_listen_addr: str = ""
    """The same for Kubernetes clients, which are told that there is no such service."""
    mysql_listen_addr: str = ""
    """The same for clients of MySQL, which are told so too."""
    postgres_listen_addr: str = ""
    """The same for clients of PostgreSQL; empty: the web port takes them."""

    tunnel_public_addr: OneOrMore = ()
    """Under which address agents reach that port, where it is another than the web port's; the first counts."""

    peer_listen_addr: str = f"0.0.0.0:{PEER_PORT}"
    """Where other proxies come for the agents that are connected to this one, with `tunnel_strategy: proxy_peering`."""

    peer_public_addr: str = ""
    """Under which address they do; each proxy needs one of its own. Empty: that of this machine."""

    ssh_public_addr: Unacted = None
    kube_public_addr: Unacted = None
    mysql_public_addr: Unacted = None
    postgres_public_addr: Unacted = None
    mongo_public_addr: Unacted = None
    kubernetes: Unacted = None
    mongo_listen_addr: Unacted = None
    acme: Unacted = None
    ui: Unacted = None
    idp: Annotated[Any, Later(({"saml": {"enabled": False}},))] = None
    automatic_upgrades_channels: Unacted = None
    limit: Unacted = None
    cors: Unacted = None

    @property
    def web_listen(self) -> Address:
        """Where the web server listens."""
        return parse_addr(self.web_listen_addr, WEB_PORT)

    @property
    def public(self) -> tuple[Address, ...]:
        """Addresses under which people reach the web server; the first is the one that links carry."""
        return addresses(self.public_addr, self.web_listen.port or WEB_PORT)

    @property
    def tunnel_public(self) -> Address | None:
        """Where agents open tunnels when ports are separate; None: at the host of the web port."""
        own = self.own_port("tunnel")
        return next(iter(addresses(self.tunnel_public_addr, own.port if own else PORTS["tunnel"])), None)

    @property
    def peer_listen(self) -> Address:
        """Where other proxies come in."""
        return parse_addr(self.peer_listen_addr, PEER_PORT)

    @property
    def peer_public(self) -> Address | None:
        """The address that other proxies dial, where somebody has said it."""
        return parse_addr(self.peer_public_addr, self.peer_listen.port) if self.peer_public_addr else None

    def own_port(self, protocol: str) -> Address | None:
        """Return where the file says that a protocol of PORTS has a port of its own."""
        said = getattr(self, "listen_addr" if protocol == "ssh" else f"{protocol}_listen_addr")
        return parse_addr(said, PORTS[protocol]) if said else None

    def faults(self) -> Iterator[Fault]:
        """Return addresses out of grammar and files without a path."""
        yield from trying(("web_listen_addr",), lambda: self.web_listen)
        for protocol in PORTS:
            key = "listen_addr" if protocol == "ssh" else f"{protocol}_listen_addr"
            yield from trying((key,), self.own_port, protocol)
        yield from trying(("tunnel_public_addr",), lambda: self.tunnel_public)
        yield from trying(("peer_listen_addr",), lambda: self.peer_listen)
        yield from trying(("peer_public_addr",), lambda: self.peer_public)
        yield from trying(("proxy_protocol",), proxy_mode, self.proxy_protocol)
        if self.https_keypairs_reload_interval < 0:
            wrong = unknown("time", str(self.https_keypairs_reload_interval), "0, 10m, 1h and so on")
            yield Fault(("https_keypairs_reload_interval",), wrong)
        yield from trying(("public_addr",), addresses, self.public_addr, WEB_PORT)
        for index, pair in enumerate(self.https_keypairs):
            for key, value in (("key_file", pair.key_file), ("cert_file", pair.cert_file)):
                if not value.startswith("/") or "\0" in value:
                    name = f"proxy_service.https_keypairs[{index}].{key}"
                    yield Fault(
                        ("https_keypairs", index, key), BadParameter("CONFIG-PATH", key=name, value=ascii(value[:80]))
                    )
