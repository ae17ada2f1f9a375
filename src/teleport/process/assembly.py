"""Assembly: settings to services. The only place that knows all programs of the house.

Programs in one process meet as they would across machines: over `AuthClient`, here on a stream of memory
whose caller is the service's own identity, so that the same tables decide what it may do.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from teleport.agents.pool import MOST, AgentPool
from teleport.agents.ssh.cluster_authority import ClusterAuthority
from teleport.agents.ssh.ends import Ends
from teleport.agents.ssh.enhanced import observer as enhanced
from teleport.agents.ssh.labels import CommandLabels
from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from teleport.agents.ssh.switches import Switches
from teleport.api.event_outbox import EventOutbox
from teleport.api.openssh_calls import OpenSSHCalls
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.counters import Counters
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.client.auth_way import AuthWay
from teleport.model.address import Address
from teleport.model.command_labels import CommandLabel
from teleport.model.config.section import proxy_mode
from teleport.model.config.ssh import EnhancedRecording
from teleport.net.network import Network
from teleport.net.ssh_settings import KeepAlive
from teleport.net.stream import Stream
from teleport.pki.signer import Signer
from teleport.process import facts, presence
from teleport.process.auth_access import AuthAccess
from teleport.process.control_plane import ControlPlane
from teleport.process.drain import DrainableNetwork
from teleport.process.duty import Duty
from teleport.process.event_spool import event_spool, service_journal
from teleport.process.health import Health
from teleport.process.inventory import InventoryStream
from teleport.process.joining import Joining
from teleport.process.membership import Membership
from teleport.process.node_access import node_access
from teleport.process.place import Place, placed
from teleport.process.presence import Presence
from teleport.process.recording import recording
from teleport.process.reload import Parts
from teleport.process.settings import Settings
from teleport.process.supervisor import READY_WITHIN, Entry
from teleport.process.web_keys import WebKeys
from teleport.proxy import ping
from teleport.proxy.join_door import JoinDoor
from teleport.proxy.service import ProxyService
from teleport.store.turns import Turns
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
    signer: Signer | None
    """None where the Auth Service runs elsewhere."""
    spawner: Spawner | None
    host_uuid: str = ""
    """Id of the host of an Auth Service; others get theirs when they join."""
    counters: Counters = field(default_factory=Counters)
    parts: Parts = field(default_factory=Parts)
    """What services can change while they run; each registers its own."""
    health: Health = field(default_factory=Health)
    duty: Duty = field(default_factory=Duty)
    place: Place | None = None
    """Where spools stand; None: at the usual place."""


def services(settings: Settings, world: World) -> list[Entry]:
    """Return the services that the settings ask for, in the order in which they start."""
    first, patience = _access(settings, world)
    entries = [Entry(first, patience=patience)]
    if settings.proxy.enabled:
        entries.append(Entry(Proxy(world, first), patience=patience))
    if settings.ssh.enabled and world.spawner is not None:
        entries.append(Entry(Node(world, first, world.spawner), patience=patience))
    stream = InventoryStream(first, entropy=world.entropy, runs_auth=bool(settings.auth.enabled), duty=world.duty)
    entries.append(Entry(stream, critical=False))
    return entries


def _access(settings: Settings, world: World) -> tuple[ControlPlane | Membership, float | None]:
    """Return what gives access to the Auth Service, and how long services may take to be ready: where it runs elsewhere
    they wait for it as long as it takes."""
    if settings.auth.enabled and world.signer is not None:
        plane = ControlPlane(settings, world.clock, world.entropy, world.network, world.signer, world.host_uuid)
        return plane, READY_WITHIN
    way = AuthWay(
        settings.join.servers, network=world.network, entropy=world.entropy, environment=settings.environment,
        proxies=settings.join.proxy_server is not None,
    )  # fmt: skip
    member = Membership(
        settings, disk=world.disk, clock=world.clock, entropy=world.entropy, way=way,
        join=Joining(settings, way, disk=world.disk, clock=world.clock, entropy=world.entropy),
    )  # fmt: skip
    return member, None


class Proxy:
    """The Proxy Service with its web application."""

    name = "proxy"

    def __init__(self, world: World, access: AuthAccess) -> None:
        self._world = world
        self._access = access
        self._service: ProxyService | None = None

    async def _serve_inner(self, stream: Stream) -> None:
        """Serve what comes inside an upgraded connection. There are none before the service accepts connections."""
        if self._service is not None:
            await self._service.serve_inner(stream)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        settings, world = self._access.settings, self._world
        web_keys = WebKeys(settings, disk=world.disk, clock=world.clock, entropy=world.entropy)
        application = app.build(
            accounts=self._access.client("Proxy"),
            entropy=world.entropy,
            cluster=settings.cluster_name,
            public_address=settings.public_address,
            settings=_addresses(settings),
            auth_settings=ping.auth_settings(second_factor=settings.auth.authentication.required),
            servers=OpenSSHCalls(self._access.client("Proxy")),
            inner=self._serve_inner,
            trust_forwarded=bool(settings.proxy.trust_x_forwarded_for),
        )
        doors = node_access(
            self._access, network=world.network, clock=world.clock, entropy=world.entropy, place=world.place
        )  # fmt: skip
        joins = JoinDoor(self._access.client("Proxy"), clock=world.clock, entropy=world.entropy)
        async with WebServer(application) as web, doors as opened:
            self._service = service = ProxyService(
                network=world.network,
                address=str(settings.proxy.web_listen),
                ports={name: str(address) for name, address in settings.proxy_ports.items()},
                one_port=settings.tls_routing,
                dial_auth=self._access.dial_auth,
                context=web_keys.context,
                inner_context=opened.proof.web,
                web=web.serve,
                nodes=opened.doors,
                joins=joins.serve,
                vouch=opened.vouch,
                tunnels=opened.tunnels,
                peer_address=str(settings.proxy.peer_listen),
                peers=opened.door.serve if opened.door else None,
                headers=opened.vouch.headers(proxy_mode(settings.proxy.proxy_protocol)),
            )
            world.health.follow(self.name, lambda: _without_auth(opened.proof.as_of()))
            world.parts.add("proxy_service.https_keypairs", web_keys.renew)
            follow = tasks.spawn(web_keys.follow(), name="web certificates", on_error=_renewal_failed)
            present = self._presence()
            if isinstance(world.network, DrainableNetwork):
                world.network.add(service.passed_on)

            def serving() -> None:
                present.start()
                ready()

            try:
                await service.run(serving)
            finally:
                await present.stop()
                await tasks.cancel(follow)
                await joins.close()

    def _presence(self) -> Presence:
        access, world = self._access, self._world
        present = Presence(
            access.client("Proxy"), lambda: presence.of_proxy(access.settings, access.host_uuid), clock=world.clock,
            entropy=world.entropy,
        )  # fmt: skip
        if isinstance(world.network, DrainableNetwork):
            world.network.add(present)
        return present


def _addresses(settings: Settings) -> dict[str, Any]:
    """Return what `/webapi/find` says."""
    return ping.settings(
        cluster=settings.cluster_name,
        web_address=str(settings.proxy.web_listen),
        ports={} if settings.tls_routing else {name: str(each) for name, each in settings.proxy_ports.items()},
        one_port=settings.tls_routing,
        tunnel_address=str(settings.proxy.tunnel_public or ""),
        public_addresses=[str(address) for address in settings.proxy.public],
    )


def _renewal_failed(error: BaseException) -> None:
    log.error("The certificates of the web port are no longer read again", error=error)


class Node:
    """The SSH Service with its live view of the cluster."""

    name = "node"

    def __init__(self, world: World, access: AuthAccess, spawner: Spawner) -> None:
        self._world = world
        self._access = access
        self._client = access.client("Node")
        self._spawner = spawner

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        world, data_dir = self._world, self._access.settings.data_dir
        turns = service_journal(data_dir, placed("node", world.place))
        async with event_spool(self._client, turns, "node", clock=world.clock, entropy=world.entropy) as outbox:
            await self._serve(ready, outbox, turns)

    async def _serve(self, ready: Callable[[], None], outbox: EventOutbox, turns: Turns) -> None:
        settings, world = self._access.settings, self._world
        commands = CommandLabels(
            {
                command.name: CommandLabel(command=command.command, period=command.period)
                for command in settings.ssh.commands
            }
        )
        authority = ClusterAuthority(
            self._client,
            host_uuid=self._access.host_uuid,
            hostname=settings.nodename,
            address="" if self._access.proxy else _reachable(settings),
            in_tunnel=(lambda: pool.connected) if self._access.proxy else None,
            proxies=(lambda: pool.proxies) if self._access.proxy and settings.peering else tuple,
            labels=settings.ssh.labels,
            commands=commands,
            public_addresses=[str(address) for address in settings.ssh.public],
            emit=outbox.emit,
            clock=world.clock,
            entropy=world.entropy,
            on_duty=lambda: world.duty.on,
        )
        identity = self._access.identity("Node")
        stack = AsyncExitStack()
        recorder, uploader = await stack.enter_async_context(
            recording(
                self._client,
                authority,
                settings.data_dir,
                turns,
                clock=world.clock,
                entropy=world.entropy,
                place=world.place,
            )
        )
        service = SSHService(
            clock=world.clock,
            entropy=world.entropy,
            network=world.network,
            spawner=self._spawner,
            authority=authority,
            host_keys=lambda: (identity.current.host_key,),
            cluster=settings.cluster_name,
            address="" if self._access.proxy else str(settings.ssh.listen),
            keep_alive=lambda: KeepAlive.of(authority.networking()),
            ends=lambda: Ends.of(authority.networking(), with_certificate=settings.auth.cuts_expired),
            recorder=recorder,
            switches=Switches.of(settings.ssh),
            counters=world.counters,
            enhanced=_enhanced(settings.ssh.enhanced_recording),
            host_users=not settings.ssh.disable_create_host_user,
            alone=lambda: world.place is None or world.place.alone,
            web_address=settings.public_address if settings.proxy.enabled else "",
        )
        pool = self._pool(service, authority.moved)
        checks = [lambda: _without_auth(authority.locks_as_of())]
        if self._access.proxy:
            checks.insert(0, lambda: "" if pool.connected else "there is no tunnel to a proxy")
        world.health.follow(self.name, *checks)
        async with stack:
            await commands.start()
            stack.push_async_callback(commands.stop)
            async with asyncio.TaskGroup() as group:
                await _started(group, authority.follow)
                await _started(group, uploader.run)
                await _started(group, service.run)
                if self._access.proxy:
                    await _started(group, pool.run)
                await _started(group, authority.announce)
                ready()

    def _pool(self, service: SSHService, moved: Callable[[], None]) -> AgentPool:
        """Return what keeps the tunnels of a node that is not dialled; `moved` is called when they lead to other
        proxies and the node tells of them."""
        access, network = self._access, self._world.network
        strategy = access.settings.auth.tunnel_strategy
        pool = AgentPool(
            dial=lambda: access.dial_proxy("Node"), serve=service.serve, target=access.proxy, kind="node",
            entropy=self._world.entropy, most=strategy.connections or MOST,
            moved=moved if strategy.connections else lambda: None,
        )  # fmt: skip
        if access.proxy and isinstance(network, DrainableNetwork):
            network.add(pool)
        return pool


def _without_auth(as_of: dt.datetime | None) -> str:
    """Say since when the Auth Service is not heard; None: it is."""
    return "" if as_of is None else f"the Auth Service cannot be reached since {as_of:%Y-%m-%dT%H:%M:%SZ}"


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


def _reachable(settings: Settings) -> str:
    """Return the address that others dial: what somebody has said, else where the service listens, and where that is
    every address, this machine's own, or its name where the Auth Service beside it knows that."""
    listen, said = settings.ssh.listen, settings.advertised
    if said is not None:
        return str(Address(said.host, said.port or listen.port))
    if listen.host not in ("0.0.0.0", "::"):  # noqa: S104 - compared only
        return str(listen)
    host = settings.nodename if settings.auth.enabled else facts.outward_address() or settings.nodename
    return str(Address(host, listen.port))
