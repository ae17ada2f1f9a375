"""Vouch: the proxy tells the Auth Service, with its signature, for whom it opens a connection.

The Auth Service then sees the client, not the proxy, as the source: in the audit log, for certificates bound to an
address, and where it bounds what one source may take. The same check is made of headers that another proxy of the
cluster signed (network specification, section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from teleport.base.clock import Clock
from teleport.base.log import logger
from teleport.net.proxy_protocol import Mode, ProxyProtocol, introduction
from teleport.net.stream import Stream
from teleport.pki import client_address
from teleport.proxy.cluster import Cluster
from teleport.wire.proxy_header import Endpoint, ProxyHeader

log = logger("PROXY")

Signing = Callable[[], tuple[ec.EllipticCurvePrivateKey, bytes]]


class Vouch:
    """Signs with the proxy's host certificate, and checks what other proxies signed."""

    def __init__(self, signing: Signing, *, cluster: Cluster, name: str, clock: Clock) -> None:
        """`signing` returns the proxy's key and its certificate (DER) as they are now; `name` is the cluster's."""
        self._signing = signing
        self._cluster = cluster
        self._name = name
        self._clock = clock

    def introduce(self, client: Stream, target: Stream) -> bytes:
        """Return the header with which `target` learns who `client` is; empty where one has no IP address."""
        return introduction(client, target, self._sign)

    def headers(self, mode: Mode) -> ProxyProtocol:
        """Return what stands before every connection of the proxy's listeners."""
        return ProxyProtocol(mode, clock=self._clock, log=log, verify=self._verify)

    def _sign(self, source: Endpoint, destination: Endpoint) -> tuple[int, bytes]:
        key, certificate = self._signing()
        return client_address.sign(
            key, certificate, cluster=self._name, source=source, destination=destination,
            now=self._clock.now(),
        )  # fmt: skip

    async def _verify(self, header: ProxyHeader) -> None:
        client_address.check(
            header, authorities=self._cluster.authorities(), now=self._clock.now(), cluster=self._name
        )  # fmt: skip
