"""Assembly: settings to services. The only place that knows all programs of the house.

Programs in one process meet as they would across machines: over `AuthClient`, here on a stream of memory
whose caller is the service's own identity, so that the same tables decide what it may do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from teleport.agents.ssh.cluster_authority import ClusterAuthority
from teleport.agents.ssh.ends import Ends
from teleport.agents.ssh.enhanced import observer as enhanced
from teleport.agents.ssh.labels import CommandLabels
from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from teleport.agents.ssh.switches import Switches
from teleport.api.event_outbox import EventOutbox
from teleport.api.messages import HostRequest
from teleport.api.openssh_calls import OpenSSHCalls
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.counters import Counters
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.model.config.section import proxy_mode
from teleport.model.config.ssh import EnhancedRecording
from teleport.model.kinds.node import CommandLabel
from teleport.net.network import Network
from teleport.net.ssh_settings import HostKey, KeepAlive
from teleport.pki import keys
from teleport.pki.signer import Signer
from teleport.process.control_plane import ControlPlane
from teleport.process.event_spool import event_spool
from teleport.process.node_access import node_access
from teleport.process.recording import recording
from teleport.process.reload import Parts
from teleport.process.settings import Settings
from teleport.process.supervisor import Entry
from teleport.process.web_keys import WebKeys
from teleport.proxy import ping
from teleport.proxy.service import ProxyService
from teleport.web import app
from teleport.web.server import WebServer

log = logger("PROC:1")


@dataclass(frozen=True)
class World:
    """Everything that comes from outside the process."""

    clock: Clock
    entropy: Entropy
    disk: Disk
    network: Network
    signer: Signer
    spawner: Spawner | None
    host_uuid: str
    counters: Counters = field(default_factory=Counters)
    parts: Parts = field(default_factory=Parts)
    """What services can change while they run; each registers its own."""


def services(settings: Settings, world: World) -> list[Entry]:
    """Return the services that the settings ask for, in the order in which they start."""
    auth = ControlPlane(settings, world.clock, world.entropy, world.network, world.signer, world.host_uuid)
    entries = [Entry(auth)]
    if settings.proxy.enabled:
        entries.append(Entry(Proxy(settings, world, auth)))
    if settings.ssh.enabled and world.spawner is not None:
        entries.append(Entry(Node(settings, world, auth, world.spawner)))
    return entries


class Proxy:
    """The Proxy Service with its web application."""

    name = "proxy"

    def __init__(self, settings: Settings, world: World, auth: ControlPlane) -> None:
        self._settings = settings
        self._world = world
        self._auth = auth

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        settings, world = self._settings, self._world
        web_keys = WebKeys(settings, disk=world.disk, clock=world.clock, entropy=world.entropy)
        application = app.build(
            accounts=self._auth.client("Proxy"),
            entropy=world.entropy,
            cluster=settings.cluster_name,
            public_address=settings.public_address,
            settings=_addresses(settings),
            auth_settings=ping.auth_settings(second_factor=settings.auth.authentication.required),
            servers=OpenSSHCalls(self._auth.client("Proxy")),
        )
        access = node_access(
            settings, client=self._auth.client("Proxy"), registrar=self._auth.client("Instance"),
            host_uuid=world.host_uuid, network=world.network, clock=world.clock, entropy=world.entropy,
        )  # fmt: skip
        async with WebServer(application) as web, access as (nodes, vouch):
            service = ProxyService(
                network=world.network,
                address=str(settings.proxy.web_listen),
                ssh_address=str(settings.proxy_ssh or ""),
                one_port=settings.tls_routing,
                auth_address=lambda: self._auth.address,
                context=web_keys.context,
                web=web.serve,
                nodes=nodes,
                vouch=vouch,
                headers=vouch.headers(proxy_mode(settings.proxy.proxy_protocol)),
            )
            world.parts.add("proxy_service.https_keypairs", web_keys.renew)
            follow = tasks.spawn(web_keys.follow(), name="web certificates", on_error=_renewal_failed)
            try:
                await service.run(ready)
            finally:
                await tasks.cancel(follow)


def _addresses(settings: Settings) -> dict[str, Any]:
    """Return what `/webapi/find` says."""
    return ping.settings(
        cluster=settings.cluster_name,
        web_address=str(settings.proxy.web_listen),
        ssh_address="" if settings.tls_routing else str(settings.proxy_ssh),
        public_addresses=[str(address) for address in settings.proxy.public],
    )


def _renewal_failed(error: BaseException) -> None:
    log.error("The certificates of the web port are no longer read again", error=error)


class Node:
    """The SSH Service with its live view of the cluster."""

    name = "node"

    def __init__(self, settings: Settings, world: World, auth: ControlPlane, spawner: Spawner) -> None:
        self._settings = settings
        self._world = world
        self._client = auth.client("Node")
        self._registrar = auth.client("Instance")
        self._spawner = spawner

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        world = self._world
        async with event_spool(
            self._client, self._settings.data_dir, "node", clock=world.clock, entropy=world.entropy
        ) as outbox:  # fmt: skip
            await self._serve(ready, outbox)

    async def _serve(self, ready: Callable[[], None], outbox: EventOutbox) -> None:
        settings, world = self._settings, self._world
        commands = CommandLabels(
            {
                command.name: CommandLabel(command=command.command, period=command.period)
                for command in settings.ssh.commands
            }
        )
        authority = ClusterAuthority(
            self._client,
            host_uuid=world.host_uuid,
            hostname=settings.nodename,
            address=_reachable(str(settings.ssh.listen), settings.nodename),
            labels=settings.ssh.labels,
            commands=commands,
            public_addresses=[str(address) for address in settings.ssh.public],
            emit=outbox.emit,
            clock=world.clock,
            entropy=world.entropy,
        )
        host_key = await self._host_key()
        stack = AsyncExitStack()
        recorder, uploader = await stack.enter_async_context(
            recording(self._client, authority, settings.data_dir, clock=world.clock, entropy=world.entropy)
        )
        service = SSHService(
            clock=world.clock,
            entropy=world.entropy,
            network=world.network,
            spawner=self._spawner,
            authority=authority,
            host_keys=lambda: (host_key,),
            cluster=settings.cluster_name,
            address=str(settings.ssh.listen),
            keep_alive=KeepAlive(float(settings.auth.keep_alive_interval), settings.auth.keep_alive_count_max),
            ends=Ends(
                with_certificate=settings.auth.cuts_expired,
                idle=float(settings.auth.client_idle_timeout),
                idle_message=settings.auth.client_idle_timeout_message,
            ),
            recorder=recorder,
            switches=Switches.of(settings.ssh),
            counters=world.counters,
            enhanced=_enhanced(settings.ssh.enhanced_recording),
            host_users=not settings.ssh.disable_create_host_user,
            web_address=settings.public_address if settings.proxy.enabled else "",
        )
        async with stack:
            await commands.start()
            stack.push_async_callback(commands.stop)
            async with asyncio.TaskGroup() as group:
                await _started(group, authority.follow)
                await _started(group, uploader.run)
                await _started(group, service.run)
                await _started(group, authority.announce)
                ready()

    async def _host_key(self) -> HostKey:
        """Make keys for this run and have them certified; the keys stay in memory."""
        settings, world = self._settings, self._world
        ssh_key, tls_key = keys.make_ed25519(world.entropy), keys.make_p256(world.entropy)
        issued = await self._registrar.issue_host(
            HostRequest(
                host_uuid=world.host_uuid,
                node_name=settings.nodename,
                roles=("Node",),
                ssh_public_key=keys.ssh_line(keys.ssh_blob(ssh_key.public_key())),
                tls_public_key=keys.public_pem(tls_key.public_key()),
                principals=tuple(address.host for address in settings.ssh.public),
            )
        )
        return HostKey(keys.private_pem(ssh_key), keys.load_ssh_line(issued.ssh_certificate))


async def _started(group: asyncio.TaskGroup, run: Callable[[Callable[[], None]], object]) -> None:
    """Start a part and wait until it is ready; the group ends when it fails."""
    is_ready = asyncio.Event()

    async def part() -> None:
        await run(is_ready.set)  # type: ignore[misc]

    group.create_task(part())
    await is_ready.wait()


def _enhanced(section: EnhancedRecording) -> enhanced.Settings | None:
    """Return how sessions are observed; None: they are not."""
    if not section.enabled:
        return None
    return enhanced.Settings(section.cgroup_path, section.root_path, section.pages)


def _reachable(listen: str, nodename: str) -> str:
    """Return the address that others dial: the host's name where the service listens on every address."""
    host, _, port = listen.rpartition(":")
    return f"{nodename}:{port}" if host in ("0.0.0.0", "[::]", "::", "") else listen  # noqa: S104 - compared only
