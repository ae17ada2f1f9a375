"""The proxy's way to nodes, put together: a live copy of the cluster, a certified identity, the two doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from teleport.agents.forwarding.service import Forwarding
from teleport.agents.ssh.ends import Ends
from teleport.api.client import AuthClient
from teleport.api.messages import HostRequest
from teleport.api.openssh_calls import OpenSSHCalls
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.net import ssh_settings
from teleport.net.network import Network
from teleport.net.ssh_settings import HostKey, KeepAlive
from teleport.pki import authority, contexts, keys, x509
from teleport.process import facts
from teleport.process.event_spool import event_spool
from teleport.process.recording import recording
from teleport.process.settings import Settings
from teleport.proxy.cluster import LiveCluster
from teleport.proxy.reach import Reach
from teleport.proxy.ssh import Doors
from teleport.proxy.vouch import Vouch
from teleport.wire.reach import ALPN

log = logger("PROXY")

_REMOTE_KUBE = "remote.kube.proxy.teleport.cluster.local"
_EVERY = ("0.0.0.0", "::")  # noqa: S104 - compared only


@asynccontextmanager
async def node_access(
    settings: Settings, *, client: AuthClient, registrar: AuthClient, host_uuid: str, network: Network, clock: Clock,
    entropy: Entropy,
) -> AsyncIterator[tuple[Doors, Vouch]]:  # fmt: skip
    """Yield the doors, and what vouches for clients, while the copy of the cluster is kept live.

    `client` acts as the proxy; `registrar` may have certificates made for this host. Keys stay in memory and live
    as long as the process.
    """
    async with event_spool(client, settings.data_dir, "proxy", clock=clock, entropy=entropy) as outbox:
        cluster = LiveCluster(client, emit=outbox.emit, clock=clock, entropy=entropy)
        async with (
            _forwarding(settings, client, cluster, host_uuid, clock, entropy) as forwarding,
            _doors(settings, cluster, registrar, host_uuid, network, clock, entropy, forwarding) as made,
        ):
            yield made


@asynccontextmanager
async def _forwarding(
    settings: Settings, client: AuthClient, cluster: LiveCluster, host_uuid: str, clock: Clock, entropy: Entropy
) -> AsyncIterator[Forwarding]:
    """Yield what ends connections at the proxy, and send its recordings."""
    auth = settings.auth
    recorded = recording(client, cluster, settings.data_dir, clock=clock, entropy=entropy, proxy=host_uuid)
    async with recorded as (recorder, uploader):
        sending = tasks.spawn(uploader.run(lambda: None), name="proxy: recordings", on_error=_unsent)
        forwarding = Forwarding(
            view=cluster, trackers=client, certifier=OpenSSHCalls(client), recorder=recorder, clock=clock,
            entropy=entropy, cluster=settings.cluster_name, proxy=host_uuid,
            ends=Ends(
                with_certificate=auth.cuts_expired, idle=float(auth.client_idle_timeout),
                idle_message=auth.client_idle_timeout_message,
            ),
            keep_alive=KeepAlive(float(auth.keep_alive_interval), auth.keep_alive_count_max),
            web_address=settings.public_address,
        )  # fmt: skip
        try:
            yield forwarding
        finally:
            await forwarding.close()
            await tasks.cancel(sending)


@asynccontextmanager
async def _doors(
    settings: Settings, cluster: LiveCluster, registrar: AuthClient, host_uuid: str, network: Network, clock: Clock,
    entropy: Entropy, forwarding: Forwarding,
) -> AsyncIterator[tuple[Doors, Vouch]]:  # fmt: skip
    complete = asyncio.Event()
    following = tasks.spawn(cluster.follow(complete.set), name="proxy: live copy", on_error=_lost)
    try:
        await complete.wait()
        key, ssh_key = keys.make_p256(entropy), keys.make_ed25519(entropy)
        issued = await registrar.issue_host(
            HostRequest(
                host_uuid=host_uuid, node_name=settings.nodename, roles=("Proxy",),
                ssh_public_key=keys.ssh_line(keys.ssh_blob(ssh_key.public_key())),
                tls_public_key=keys.public_pem(key.public_key()),
                principals=names(settings, facts.outward_address),
            )
        )  # fmt: skip
        host_key = HostKey(keys.private_pem(ssh_key), keys.load_ssh_line(issued.ssh_certificate))
        doors = Doors(
            reach=Reach(
                cluster=cluster, name=settings.cluster_name, network=network, clock=clock, forwarder=forwarding
            ),
            cluster=cluster, name=settings.cluster_name, clock=clock, entropy=entropy,
            context=contexts.server_context(
                certificate=issued.tls_certificate, key=keys.private_pem(key).decode(),
                client_authorities=authority.trusted_tls(cluster.authorities(), "user"), client_required=True,
                alpn=(ALPN,),
            ),
            settings=ssh_settings.options([host_key]),
        )  # fmt: skip
        certificate = x509.encode(x509.parse(issued.tls_certificate.encode()))
        yield doors, Vouch(key, certificate, cluster=cluster, name=settings.cluster_name, clock=clock)
    finally:
        await tasks.cancel(following)


def names(settings: Settings, outward: Callable[[], str]) -> tuple[str, ...]:
    """Return the names of the proxy beside those of its host: public addresses, addresses that it listens on, and the
    name under which the proxy of another cluster is asked for Kubernetes. `outward` tells the machine's own address,
    for a proxy that listens on every one."""
    listens = [address.host for address in (settings.proxy.web_listen, settings.proxy_ssh) if address is not None]
    reached = [outward() if host in _EVERY else host for host in listens]
    public = [address.host for address in settings.proxy.public]
    return tuple(dict.fromkeys(name for name in (*public, *reached, _REMOTE_KUBE) if name))


def _unsent(error: BaseException) -> None:
    log.error("Recordings of the proxy are no longer sent", error=error)


def _lost(error: BaseException) -> None:
    log.error("The proxy no longer follows the cluster", error=error)
