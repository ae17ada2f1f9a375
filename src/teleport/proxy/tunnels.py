"""Tunnels: the agents that are connected to this proxy, and connections to services through them.

An agent dials the proxy and keeps the connection (`agents.pool`); the proxy opens streams in it. Who is at the other
end says the certificate of the host authority: its id, and by its system role the kind of service. Of several tunnels
of one service the newest counts; one that does not answer is closed by its own keep-alive (`net.tunnel`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

from teleport.access.system import host_id
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, NotFound, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.model.identity import Identity
from teleport.net import tls
from teleport.net.router import RoutedStream
from teleport.net.stream import Stream
from teleport.net.tunnel import Tunnel
from teleport.pki.check import check_x509
from teleport.proxy.cluster import Cluster
from teleport.proxy.fellows import Fellows
from teleport.proxy.open_tunnels import OpenTunnels
from teleport.wire.tls_hello import ClientHello
from teleport.wire.tunnel import ALPN as ALPN
from teleport.wire.tunnel import DISCOVERY, TRANSPORT, Opening, write_discovery, write_opening

log = logger("PROXY:SERVER")

KINDS = {"Node": "node"}
"""System roles of agents, and what their services are called in a tunnel."""
RESYNC = 60.0
"""Seconds between two messages that name the proxies."""
MOST = 10_000
"""Tunnels at a time."""
YOUNG = 30.0
"""Seconds after the start in which agents of a former process are expected to come."""
ARRIVAL = 10.0
"""Seconds that a connection waits for an agent that is expected."""


class Tunnels:
    """Serves connections that asked for `teleport-reversetunnel`, and dials through them."""

    def __init__(
        self, *, cluster: Cluster, name: str, clock: Clock, context: Callable[[], ssl.SSLContext],
        fellows: Fellows,
    ) -> None:  # fmt: skip
        """`context` demands a certificate of the host authority; `name` is the cluster's; agents hear of the
        `fellows`."""
        self._cluster = cluster
        self._name = name
        self._clock = clock
        self._context = context
        self._fellows = fellows
        self._open: dict[tuple[str, str], list[Tunnel]] = {}
        self.held = OpenTunnels("tunnels of agents", fellows.leave, used=True)
        self._young_until = asyncio.get_running_loop().time() + YOUNG
        self._came: set[asyncio.Future[None]] = set()
        """Those who wait for an agent."""

    async def serve(self, stream: RoutedStream, hello: ClientHello) -> None:
        """Keep one agent's tunnel until it ends, at the latest with the certificate that opened it. Raises what the
        handshake and the check of the certificate raise."""
        opened = await tls.server_handshake(stream, self._context(), server_name=hello.server_name)
        try:
            identity = self._identify(opened)
            key = host_id(identity), _kind(identity)
            if len(self.held) >= MOST:
                raise Unavailable("PROXY-TUNNELS-FULL", limit=MOST)
        except BaseException:
            await opened.close()
            raise
        await self._keep(Tunnel(opened), key, identity)

    async def _keep(self, tunnel: Tunnel, key: tuple[str, str], identity: Identity) -> None:
        self._open.setdefault(key, []).insert(0, tunnel)
        self.held.add(tunnel)
        for waiting in self._came:
            if not waiting.done():
                waiting.set_result(None)
        telling = tasks.spawn(self._tell(tunnel), name="tunnel discovery", on_error=_not_told)
        log.info("An agent has connected", host_uuid=key[0], kind=key[1], address=tunnel.peer.address)
        try:
            left = (identity.expires - self._clock.now()).total_seconds()
            async with asyncio.timeout(left):
                reason = await tunnel.closed()
            log.info("An agent is gone", host_uuid=key[0], kind=key[1], reason=reason)
        except TimeoutError:
            log.info("An agent's certificate has ended", host_uuid=key[0], kind=key[1])
        finally:
            self._open[key].remove(tunnel)
            if not self._open[key]:
                del self._open[key]
            self.held.discard(tunnel)
            await tasks.cancel(telling)
            await tunnel.close("the proxy closed it")

    async def _tell(self, tunnel: Tunnel) -> None:
        """Tell the agent which proxies there are: at once, when that has changed, and now and then."""
        try:
            stream = await tunnel.dial(write_opening(Opening(channel=DISCOVERY)))
        except TeleportError as error:
            log.debug("An agent does not hear of the other proxies", address=tunnel.peer.address, error=error)
            return
        try:
            while True:
                known = self._fellows.ids
                await stream.write(write_discovery(known))
                if self.held.draining:
                    return
                await self._fellows.news(known, RESYNC)
        finally:
            await stream.close()

    def _identify(self, stream: Stream) -> Identity:
        peer = stream.peer
        return check_x509(
            peer.certificate, authorities=self._cluster.authorities(), now=self._clock.now(),
            source_ip=peer.proven_ip, cluster=self._name,
        )  # fmt: skip

    def connected(self, host_uuid: str, kind: str) -> bool:
        """Whether a service has a tunnel to this proxy."""
        return (host_uuid, kind) in self._open

    async def dial(self, host_uuid: str, kind: str, client: str) -> Stream:
        """Return a connection to a service; `client` is the address for whom it is. A service whose agent takes no more
        connections, or has not come since this proxy has started, is waited for. Raises NotFound (PROXY-NO-TUNNEL), and
        of the failures of all tunnels the last (NET-TUNNEL-*)."""
        opening = Opening(
            channel=TRANSPORT, server_id=f"{host_uuid}.{self._name}", conn_type=kind, client_src_addr=client
        )  # fmt: skip
        key, end = (host_uuid, kind), asyncio.get_running_loop().time() + ARRIVAL
        error: TeleportError = NotFound("PROXY-NO-TUNNEL", kind=kind, host=host_uuid)
        tried: list[Tunnel] = []
        while True:
            while tunnel := self._next(host_uuid, kind, tried):
                tried.append(tunnel)
                try:
                    return await tunnel.dial(write_opening(opening))
                except TeleportError as failure:
                    error = failure
            if not await self._comes(key, tried, end):
                raise error

    async def _comes(self, key: tuple[str, str], tried: Sequence[Tunnel], end: float) -> bool:
        """Wait for another tunnel of a service than those that were tried, if one is expected; say whether there is
        one."""
        loop = asyncio.get_running_loop()
        expected = any(tunnel.draining for tunnel in tried) or (not tried and loop.time() < self._young_until)
        while not {*self._open.get(key, ())} - {*tried}:
            if not expected:
                return False
            waiting = loop.create_future()
            self._came.add(waiting)
            try:
                async with asyncio.timeout_at(end):
                    await waiting
            except TimeoutError:
                return False
            finally:
                self._came.discard(waiting)
        return True

    def _next(self, host_uuid: str, kind: str, tried: Sequence[Tunnel]) -> Tunnel | None:
        """Return the newest tunnel that was not tried; one may have come while another did not answer."""
        return next((tunnel for tunnel in self._open.get((host_uuid, kind), ()) if tunnel not in tried), None)


def _not_told(error: BaseException) -> None:
    log.debug("An agent hears no more of the other proxies", error=error)


def _kind(identity: Identity) -> str:
    """Return the kind of service that a certificate is for. Raises AccessDenied (PROXY-NOT-AN-AGENT)."""
    kind = KINDS.get(identity.roles[0] if identity.is_host and identity.roles else "")
    if kind is None:
        raise AccessDenied("PROXY-NOT-AN-AGENT", name=identity.name, known=", ".join(KINDS))
    return kind
