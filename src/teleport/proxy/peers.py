"""Peers: proxies reach agents over each other, where agents keep tunnels to some of the proxies only.

A proxy that has no tunnel of a node dials the proxy that has (the node's entry names it), over TLS on which both prove
with their host certificates that they are proxies. What is said there is what a proxy says to an agent: one tunnel
between two proxies (`net.tunnel`), a stream with the same header for each connection. Who may connect was decided by
the proxy that asks; the one that is asked passes bytes on, to its own agents and never to a third proxy.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

from teleport.access.system import host_id
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, NotFound, TeleportError, TimedOut, Unavailable
from teleport.base.log import logger
from teleport.model.address import parse_addr
from teleport.model.config.proxy import PEER_PORT
from teleport.model.identity import Identity
from teleport.net import tls
from teleport.net.network import Network
from teleport.net.relay import Relay
from teleport.net.stream import Stream
from teleport.net.tunnel import Call, Tunnel
from teleport.pki import x509
from teleport.pki.check import check_x509
from teleport.proxy.cluster import Cluster
from teleport.proxy.fellows import Fellows
from teleport.proxy.open_tunnels import OpenTunnels
from teleport.proxy.tunnels import Tunnels
from teleport.wire.tunnel import TRANSPORT, Opening, read_opening, write_opening

log = logger("PROXY:PEER")

DIAL_TIMEOUT = 10.0
"""Seconds until there is a tunnel to another proxy."""
MOST = 64
"""Proxies that are served at a time, and that are asked for one node."""


class Checker:
    """Says which proxy is at the other end of a TLS connection."""

    def __init__(self, cluster: Cluster, name: str, clock: Clock) -> None:
        """`name` is the cluster's."""
        self._cluster = cluster
        self._name = name
        self._clock = clock

    def __call__(self, stream: Stream) -> Identity:
        """Return its identity. Raises AccessDenied (PROXY-NOT-A-PEER) and what the check of a certificate raises."""
        identity = check_x509(
            stream.peer.certificate, authorities=self._cluster.authorities(), now=self._clock.now(),
            source_ip=stream.peer.proven_ip, cluster=self._name,
        )  # fmt: skip
        if not identity.is_host or identity.roles[:1] != ("Proxy",):
            raise AccessDenied("PROXY-NOT-A-PEER", name=identity.name)
        return identity

    def left(self, identity: Identity) -> float:
        """Return the seconds until its certificate ends."""
        return (identity.expires - self._clock.now()).total_seconds()


class PeerDoor:
    """Serves other proxies."""

    def __init__(self, *, tunnels: Tunnels, check: Checker, context: Callable[[], ssl.SSLContext]) -> None:
        """`context` demands a certificate of the host authority."""
        self._tunnels = tunnels
        self._check = check
        self._context = context
        self.held = OpenTunnels("tunnels of proxies")

    async def serve(self, stream: Stream) -> None:
        """Serve one proxy until it goes, at the latest until its certificate ends. Raises what the handshake and the
        check of the certificate raise, Unavailable (PROXY-TUNNELS-FULL)."""
        opened = await tls.server_handshake(stream, self._context(), require_alpn=True)
        try:
            identity = self._check(opened)
            if len(self.held) >= MOST:
                raise Unavailable("PROXY-TUNNELS-FULL", limit=MOST)
        except BaseException:
            await opened.close()
            raise
        log.info("A proxy has connected", host_uuid=host_id(identity), address=opened.peer.address)
        await self._keep(Tunnel(opened), self._check.left(identity))

    async def _keep(self, tunnel: Tunnel, seconds: float) -> None:
        passing: set[asyncio.Task[None]] = set()
        self.held.add(tunnel)
        try:
            async with asyncio.timeout(seconds):
                async for call in tunnel.accept():
                    task = tasks.spawn(self._pass(call), name="connection of a proxy", on_error=_not_passed)
                    passing.add(task)
                    task.add_done_callback(passing.discard)
                await tunnel.closed()
        except TimeoutError:
            log.info("A proxy's certificate has ended", address=tunnel.peer.address)
        finally:
            self.held.discard(tunnel)
            await tunnel.close("the proxy closed it")
            for task in tuple(passing):
                await tasks.cancel(task)

    async def _pass(self, call: Call) -> None:
        """Lead one connection to an agent that has a tunnel here."""
        try:
            opening = read_opening(call.header)
            if opening.channel != TRANSPORT:
                await call.refuse("no such channel")
                return
            host = opening.server_id.partition(".")[0]
            agent = await self._tunnels.dial(host, opening.conn_type, opening.client_src_addr)
        except TeleportError as error:
            await call.refuse(error.what)
            return
        try:
            client = await call.answer()
        except BaseException:
            await agent.close()
            raise
        await Relay(client, agent).run()


class Peers:
    """Dials agents over other proxies; keeps one tunnel to each that was needed."""

    def __init__(
        self, *, fellows: Fellows, network: Network, check: Checker, name: str, context: Callable[[], ssl.SSLContext]
    ) -> None:
        """`context` trusts the host authority and shows this proxy's certificate; `name` is the cluster's."""
        self._fellows = fellows
        self._network = network
        self._check = check
        self._name = name
        self._context = context
        self._tunnels: dict[str, Tunnel] = {}
        self._dialling: dict[str, asyncio.Lock] = {}

    async def dial(self, host_uuid: str, kind: str, client: str, proxies: Sequence[str]) -> Stream:
        """Return a connection to a service that has a tunnel to one of `proxies`; `client` as for `Tunnels.dial`.

        Raises NotFound (PROXY-NO-TUNNEL) where none is named, otherwise of the failures of all the last.
        """
        opening = Opening(
            channel=TRANSPORT, server_id=f"{host_uuid}.{self._name}", conn_type=kind, client_src_addr=client
        )  # fmt: skip
        error: TeleportError = NotFound("PROXY-NO-TUNNEL", kind=kind, host=host_uuid)
        for proxy in proxies[:MOST]:
            try:
                tunnel = await self._tunnel(proxy)
                return await tunnel.dial(write_opening(opening))
            except TeleportError as failure:
                error = failure
        raise error

    async def close(self) -> None:
        """End every tunnel."""
        for tunnel in tuple(self._tunnels.values()):
            await tunnel.close("the proxy closed it")

    async def _tunnel(self, proxy: str) -> Tunnel:
        """Return a tunnel to another proxy. Raises Unavailable (PROXY-PEER-*, NET-*), AccessDenied (PROXY-NOT-A-PEER),
        TimedOut (NET-*)."""
        held = self._usable(proxy)
        if held is not None:
            return held
        record = self._fellows.find(proxy)
        if record is None or not record.spec.peer_addr:
            raise Unavailable("PROXY-PEER-GONE", proxy=proxy[:80])
        async with self._dialling.setdefault(proxy, asyncio.Lock()):  # of several that need it one dials
            return self._usable(proxy) or await self._connect(proxy, record.spec.peer_addr)

    def _usable(self, proxy: str) -> Tunnel | None:
        held = self._tunnels.get(proxy)
        return held if held is not None and held.reason is None and not held.draining else None

    async def _connect(self, proxy: str, address: str) -> Tunnel:
        where = str(parse_addr(address, PEER_PORT))
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                stream = await self._network.dial(where)
                opened = await tls.client_handshake(
                    stream, self._context(), server_name=x509.CLUSTER_NAME, require_alpn=True
                )  # fmt: skip
        except TimeoutError:
            raise TimedOut("NET-TIMEOUT", address=where, seconds=f"{DIAL_TIMEOUT:g}") from None
        try:
            found = host_id(self._check(opened))
            if found != proxy:
                raise Unavailable("PROXY-PEER-OTHER", address=where, name=found, proxy=proxy)
        except BaseException:
            await opened.close()
            raise
        log.info("Connected to another proxy", host_uuid=proxy, address=where)
        tunnel = self._tunnels[proxy] = Tunnel(opened)
        return tunnel


def _not_passed(error: BaseException) -> None:
    log.debug("A connection of another proxy has failed", error=error)
