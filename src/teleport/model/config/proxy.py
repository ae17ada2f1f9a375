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
LISTEN = f"0.0.0.0:{WEB_PORT}"
SSH_PORT = 3023
SSH_LISTEN = f"0.0.0.0:{SSH_PORT}"
TUNNEL_LISTEN = "0.0.0.0:3024"
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
    """A port of its own for SSH clients; empty: none, or SSH_LISTEN where the ports are separate."""

    tunnel_listen_addr: Annotated[Any, Later((TUNNEL_LISTEN,))] = None
    peer_listen_addr: Unacted = None
    peer_public_addr: Unacted = None
    ssh_public_addr: Unacted = None
    tunnel_public_addr: Unacted = None
    kube_public_addr: Unacted = None
    mysql_public_addr: Unacted = None
    postgres_public_addr: Unacted = None
    mongo_public_addr: Unacted = None
    kube_listen_addr: Unacted = None
    kubernetes: Unacted = None
    mysql_listen_addr: Unacted = None
    postgres_listen_addr: Unacted = None
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
    def ssh_listen(self) -> Address | None:
        """Where the file says that SSH clients have a port of their own."""
        return parse_addr(self.listen_addr, SSH_PORT) if self.listen_addr else None

    def faults(self) -> Iterator[Fault]:
        """Return addresses out of grammar and files without a path."""
        yield from trying(("web_listen_addr",), lambda: self.web_listen)
        yield from trying(("listen_addr",), lambda: self.ssh_listen)
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
