"""The proxy's way to nodes, put together: a live copy of the cluster, a certified identity, the two doors."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from teleport.agents.forwarding.service import Forwarding
from teleport.agents.ssh.ends import Ends
from teleport.api.client import AuthClient
from teleport.api.openssh_calls import OpenSSHCalls
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.net import ssh_settings
from teleport.net.network import Network
from teleport.net.ssh_settings import KeepAlive
from teleport.pki import authority, contexts, x509
from teleport.process.auth_access import AuthAccess
from teleport.process.drain import DrainableNetwork
from teleport.process.event_spool import event_spool, service_journal
from teleport.process.identity import HostIdentity, RoleIdentity
from teleport.process.place import Place, placed
from teleport.process.recording import recording
from teleport.process.settings import Settings
from teleport.process.web_keys import ALPN as WEB_ALPN
from teleport.proxy.cluster import LiveCluster
from teleport.proxy.fellows import Fellows
from teleport.proxy.peers import Checker, PeerDoor, Peers
from teleport.proxy.reach import Reach
from teleport.proxy.ssh import Doors
from teleport.proxy.tunnels import ALPN as TUNNEL_ALPN
from teleport.proxy.tunnels import Tunnels
from teleport.proxy.vouch import Vouch
from teleport.store.turns import Turns
from teleport.wire.reach import ALPN
from teleport.wire.tunnel import PEER_ALPN

log = logger("PROXY")


class NodeAccess(NamedTuple):
    """What the proxy needs for nodes."""

    doors: Doors
    vouch: Vouch
    proof: ProxyProof
    tunnels: Tunnels
    door: PeerDoor | None
    """For other proxies, where agents are reached over them."""


@asynccontextmanager
async def node_access(
    access: AuthAccess, *, network: Network, clock: Clock, entropy: Entropy, place: Place | None = None
) -> AsyncIterator[NodeAccess]:
    """Yield it while the copy of the cluster is kept live."""
    settings, client = access.settings, access.client("Proxy")
    turns = service_journal(settings.data_dir, placed("proxy", place))
    async with event_spool(client, turns, "proxy", clock=clock, entropy=entropy) as outbox:
        cluster = LiveCluster(client, emit=outbox.emit, clock=clock, entropy=entropy)
        async with (
            _forwarding(settings, client, cluster, turns, access.host_uuid, clock, entropy, place) as forwarding,
            _doors(access, cluster, network, clock, entropy, forwarding) as made,
        ):
            yield made


@asynccontextmanager
async def _forwarding(
    settings: Settings,
    client: AuthClient,
    cluster: LiveCluster,
    turns: Turns,
    host_uuid: str,
    clock: Clock,
    entropy: Entropy,
    place: Place | None,
) -> AsyncIterator[Forwarding]:
    """Yield what ends connections at the proxy, and send its recordings."""
    recorded = recording(
        client, cluster, settings.data_dir, turns, clock=clock, entropy=entropy, proxy=host_uuid, place=place
    )  # fmt: skip
    async with recorded as (recorder, uploader):
        sending = tasks.spawn(uploader.run(lambda: None), name="proxy: recordings", on_error=_unsent)
        forwarding = Forwarding(
            view=cluster, trackers=client, certifier=OpenSSHCalls(client), recorder=recorder, clock=clock,
            entropy=entropy, cluster=settings.cluster_name, proxy=host_uuid,
            ends=lambda: Ends.of(cluster.networking(), with_certificate=settings.auth.cuts_expired),
            keep_alive=lambda: KeepAlive.of(cluster.networking()),
            web_address=settings.public_address,
        )  # fmt: skip
        try:
            yield forwarding
        finally:
            await forwarding.close()
            await tasks.cancel(sending)


@asynccontextmanager
async def _doors(
    access: AuthAccess, cluster: LiveCluster, network: Network, clock: Clock, entropy: Entropy, forwarding: Forwarding
) -> AsyncIterator[NodeAccess]:
    complete, name = asyncio.Event(), access.settings.cluster_name
    async with AsyncExitStack() as stack:
        _keep(stack, cluster.follow(complete.set), "proxy: live copy")
        await complete.wait()
        proof = ProxyProof(access.identity("Proxy"), cluster)
        fellows = Fellows(cluster, access.host_uuid)
        _keep(stack, fellows.follow(), "proxy: fellows")
        tunnels = Tunnels(cluster=cluster, name=name, clock=clock, context=proof.agents, fellows=fellows)
        check = Checker(cluster, name, clock)
        door = peers = None
        if access.settings.peering:
            door = PeerDoor(tunnels=tunnels, check=check, context=proof.peers)
            peers = Peers(fellows=fellows, network=network, check=check, name=name, context=proof.to_peers)
            stack.push_async_callback(peers.close)
        if isinstance(network, DrainableNetwork):
            for held in (tunnels.held, *([door.held] if door else [])):
                network.add(held)
        reach = Reach(
            cluster=cluster, name=name, network=network, clock=clock, forwarder=forwarding, tunnels=tunnels,
            peers=peers,
        )  # fmt: skip
        doors = Doors(
            reach=reach,
            cluster=cluster, name=name, clock=clock, entropy=entropy, context=proof.context, settings=proof.ssh,
        )  # fmt: skip
        yield NodeAccess(doors, Vouch(proof.signing, cluster=cluster, name=name, clock=clock), proof, tunnels, door)


def _keep(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """Do something in the background until the stack is left."""
    stack.push_async_callback(tasks.cancel, tasks.spawn(work, name=name, on_error=_lost))


class ProxyProof:
    """What the proxy proves itself with, made anew when its certificates or the trusted authorities are others."""

    def __init__(self, identity: RoleIdentity, cluster: LiveCluster) -> None:
        self._identity = identity
        self._cluster = cluster
        self._made: dict[str, tuple[object, ssl.SSLContext]] = {}
        self._web: tuple[HostIdentity, ssl.SSLContext] | None = None
        self._ssh: tuple[HostIdentity, ssh_settings.ServerOptions] | None = None

    def as_of(self) -> dt.datetime | None:
        """Return when the copy of the cluster was last known to be true; None while it is live."""
        return self._cluster.locks_as_of()

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings for signed-in clients."""
        return self._context("user", ALPN)

    def peers(self) -> ssl.SSLContext:
        """Return the TLS settings for other proxies that come here."""
        return self._context("host", PEER_ALPN)

    def to_peers(self) -> ssl.SSLContext:
        """Return the TLS settings for connections to other proxies."""
        held, trusted = self._identity.current, authority.trusted_tls(self._cluster.authorities(), "host")
        return contexts.client_context(
            host_authorities=trusted, certificate=held.tls_certificate, key=held.keys.tls, alpn=(PEER_ALPN,)
        )  # fmt: skip

    def agents(self) -> ssl.SSLContext:
        """Return the TLS settings for agents."""
        return self._context("host", TUNNEL_ALPN)

    def _context(self, peers: str, alpn: str) -> ssl.SSLContext:
        held, trusted = self._identity.current, authority.trusted_tls(self._cluster.authorities(), peers)
        former = self._made.get(alpn)
        if former is not None and former[0] == (held, trusted):
            return former[1]
        context = contexts.server_context(
            certificate=held.tls_certificate, key=held.keys.tls, client_authorities=trusted, client_required=True,
            alpn=(alpn,),
        )  # fmt: skip
        self._made[alpn] = (held, trusted), context
        return context

    def web(self) -> ssl.SSLContext:
        """Return the TLS settings of the web port inside upgraded connections."""
        held = self._identity.current
        if self._web is None or self._web[0] is not held:
            context = contexts.web_context(certificate=held.tls_certificate, key=held.keys.tls, alpn=WEB_ALPN)
            self._web = held, context
        return self._web[1]

    def ssh(self) -> ssh_settings.ServerOptions:
        """Return the settings of the SSH server."""
        held = self._identity.current
        if self._ssh is None or self._ssh[0] is not held:
            self._ssh = held, ssh_settings.options([held.host_key])
        return self._ssh[1]

    def signing(self) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
        """Return the key and the certificate (DER) with which the proxy vouches for clients."""
        held = self._identity.current
        return held.signing_key, x509.encode(x509.parse(held.tls_certificate.encode()))


def _unsent(error: BaseException) -> None:
    log.error("Recordings of the proxy are no longer sent", error=error)


def _lost(error: BaseException) -> None:
    log.error("The proxy no longer follows the cluster", error=error)
