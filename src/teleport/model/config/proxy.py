"""`proxy_service`: the web address of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct
from teleport.model.address import Address, parse_addr
from teleport.model.config.section import Fault, OneOrMore, ServiceSection, addresses, trying
from teleport.model.later import Later, Unacted, UnactedSwitch

WEB_PORT = 3080
LISTEN = f"0.0.0.0:{WEB_PORT}"


class KeyPair(Struct, frozen=True, kw_only=True):
    """Files of a certificate and its key, PEM."""

    key_file: str
    cert_file: str


class ProxySection(ServiceSection, frozen=True, kw_only=True):
    """The Proxy Service."""

    web_listen_addr: str = LISTEN
    public_addr: OneOrMore = ()
    https_keypairs: tuple[KeyPair, ...] = ()
    """Certificates of the web address; none: one that the process makes and signs itself."""

    listen_addr: Unacted = None
    tunnel_listen_addr: Unacted = None
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
    https_keypairs_reload_interval: Annotated[Any, Later((0, "0s", "0"))] = None
    acme: Unacted = None
    proxy_protocol: UnactedSwitch = None
    trust_x_forwarded_for: UnactedSwitch = None
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

    def faults(self) -> Iterator[Fault]:
        """Return addresses out of grammar and files without a path."""
        yield from trying(("web_listen_addr",), lambda: self.web_listen)
        yield from trying(("public_addr",), addresses, self.public_addr, WEB_PORT)
        for index, pair in enumerate(self.https_keypairs):
            for key, value in (("key_file", pair.key_file), ("cert_file", pair.cert_file)):
                if not value.startswith("/") or "\0" in value:
                    name = f"proxy_service.https_keypairs[{index}].{key}"
                    yield Fault(
                        ("https_keypairs", index, key), BadParameter("CONFIG-PATH", key=name, value=ascii(value[:80]))
                    )
