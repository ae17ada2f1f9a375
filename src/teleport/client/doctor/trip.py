"""Trip: the way from here to a cluster, as one run of the checks sees it, and what earlier checks learned."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.model.address import Address, parse_addr
from teleport.model.proxy_env import ConnectProxy, connect_proxy
from teleport.net.network import Network
from teleport.net.way import WEB_PORT, Way
from teleport.pki.tls_settings import public_context

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared only


@dataclass
class Trip:
    """Where to, with what, and what is known so far."""

    address: Address
    """Of the proxy, or of an Auth Service."""
    environment: Mapping[str, str]
    network: Network
    clock: Clock
    entropy: Entropy
    insecure: bool = False
    """Whether the web port's certificate is believed unseen."""
    is_auth: bool = False
    """Whether the address is an Auth Service's, which has no web port."""
    cluster: str = ""
    """Name of the cluster, where somebody knows it already."""
    signed_in: ssl.SSLContext | None = None
    """Context with a certificate of the cluster; None for whoever is not signed in."""
    found: dict[str, Any] = field(default_factory=dict)
    """What `/webapi/find` said."""
    server: str = ""
    """What an HTTP answer said of the program that made it."""
    date: str = ""
    """Its `Date` field."""
    balancer: bool = False
    """Whether TLS ends before the proxy."""

    @property
    def asked(self) -> str:
        """Where to, for errors."""
        return str(self.address)

    @property
    def proxy(self) -> ConnectProxy | None:
        """The HTTP CONNECT proxy on the way. Raises BadParameter (NET-CONNECT-*)."""
        return connect_proxy(self.environment, *self.address)

    @property
    def first_hop(self) -> Address:
        """What is dialled from here."""
        proxy = self.proxy
        return self.address if proxy is None else proxy.address

    def way(self, address: Address | None = None) -> Way:
        """Return a new way, which has found out nothing yet; to another address of the cluster, if one is given."""
        return Way(
            str(address or self.address), network=self.network, entropy=self.entropy, environment=self.environment,
            roots=self.web_context, upgrade=False if self.is_auth else None,
        )  # fmt: skip

    def own_port(self, protocol: str, usual: int) -> Address:
        """Return where the proxy says that a protocol (`ssh`, `tunnel`) is served. A port that listens everywhere is
        reached at the host of the proxy. Raises LookupError and TypeError where it says nothing."""
        said = self.found["proxy"]["ssh"]["listen_addr" if protocol == "ssh" else f"{protocol}_listen_addr"]
        listen = parse_addr(str(said), usual)
        return Address(self.public.host, listen.port) if listen.host in _EVERYWHERE else listen

    @property
    def public(self) -> Address:
        """The address under which the proxy says that it is reached. Raises as `own_port`."""
        said = self.found["proxy"]["ssh"].get("public_addr")
        return parse_addr(str(said), WEB_PORT) if said else self.address

    def web_context(self) -> ssl.SSLContext:
        """Return what believes the web port as browsers would, or anything."""
        return public_context(insecure=self.insecure)
