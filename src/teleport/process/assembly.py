"""Assembly: settings to services. The only place that knows all programs of the house.

Programs in one process meet as they would across machines: over `AuthClient`, here on a stream of memory
whose caller is the service's own identity, so that the same tables decide what it may do.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from teleport.agents.ssh.cluster_authority import ClusterAuthority
from teleport.agents.ssh.labels import CommandLabels
from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from teleport.api.messages import HostRequest
from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.model.kinds.node import CommandLabel
from teleport.net.network import Network
from teleport.net.ssh_settings import HostKey
from teleport.pki import contexts, keys
from teleport.pki.signer import Signer
from teleport.process.control_plane import ControlPlane
from teleport.process.node_access import node_access
from teleport.process.reload import Apply, Parts
from teleport.process.settings import Settings
from teleport.process.supervisor import Entry
from teleport.proxy import ping, web_certificate
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
        listen = str(settings.proxy.web_listen)
        application = app.build(
            accounts=self._auth.client("Proxy"),
            entropy=world.entropy,
            cluster=settings.cluster_name,
            public_address=settings.public_address,
            settings=ping.settings(
                cluster=settings.cluster_name,
                listen_address=listen,
                public_addresses=[str(address) for address in settings.proxy.public],
            ),
            auth_settings=ping.auth_settings(second_factor=settings.auth.authentication.required),
        )
        doors = node_access(
            settings, client=self._auth.client("Proxy"), registrar=self._auth.client("Instance"),
            host_uuid=world.host_uuid, network=world.network, clock=world.clock, entropy=world.entropy,
        )  # fmt: skip
        async with WebServer(application) as web, doors as nodes:
            service = ProxyService(
                network=world.network,
                address=listen,
                auth_address=lambda: self._auth.address,
                context=self._context(self._certificate(settings)),
                web=web.serve,
                nodes=nodes,
            )
            world.parts.add("proxy_service.https_keypairs", self._renewal(service))
            await service.run(ready)

    def _renewal(self, service: ProxyService) -> Apply:
        """Return what gives new handshakes the certificate that stands in the files now."""
        in_use = self._certificate(self._settings)

        def renew(settings: Settings) -> bool:
            nonlocal in_use
            found = self._certificate(settings)
            if found == in_use:
                return False
            service.use(self._context(found))
            in_use = found
            return True

        return renew

    @staticmethod
    def _context(pair: tuple[str, str]) -> ssl.SSLContext:
        return contexts.web_context(certificate=pair[0], key=pair[1], alpn=("http/1.1",))

    def _certificate(self, settings: Settings) -> tuple[str, str]:
        world = self._world
        if settings.proxy.https_keypairs:
            pair = settings.proxy.https_keypairs[0]
            return web_certificate.configured(pair.cert_file, pair.key_file, world.disk)
        names = [*(address.host for address in settings.proxy.public), settings.nodename, "localhost", "127.0.0.1"]
        return web_certificate.self_signed(
            str(settings.data_dir),
            list(dict.fromkeys(names)),
            disk=world.disk,
            clock=world.clock,
            entropy=world.entropy,
        )


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
            clock=world.clock,
            entropy=world.entropy,
        )
        host_key = await self._host_key()
        service = SSHService(
            clock=world.clock,
            entropy=world.entropy,
            network=world.network,
            spawner=self._spawner,
            authority=authority,
            host_keys=lambda: (host_key,),
            cluster=settings.cluster_name,
            address=str(settings.ssh.listen),
        )
        async with AsyncExitStack() as stack:
            await commands.start()
            stack.push_async_callback(commands.stop)
            async with asyncio.TaskGroup() as group:
                await _started(group, authority.follow)
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


def _reachable(listen: str, nodename: str) -> str:
    """Return the address that others dial: the host's name where the service listens on every address."""
    host, _, port = listen.rpartition(":")
    return f"{nodename}:{port}" if host in ("0.0.0.0", "[::]", "::", "") else listen  # noqa: S104 - compared only
