"""A proxy on a free port of loopback, the cluster as it sees it, people with profiles, and counted nodes.

`World` stands in for the auth service: fixed authorities, roles, nodes and locks, and lists of what was recorded.
Certificates are judged by OpenSSL as well, so its clock stands still at the real time.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teleport.access import explain
from teleport.access.roleset import RoleSet
from teleport.base.clock import ManualClock, SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy, new_id
from teleport.base.errors import Unavailable
from teleport.base.log import logger
from teleport.client import known_hosts
from teleport.client.profile import Home, Profile
from teleport.model.events.base import Event
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from teleport.model.kinds.role import Role
from teleport.model.resource import load
from teleport.net import ssh_settings
from teleport.net.network import SystemNetwork
from teleport.net.proxy_protocol import ProxyProtocol
from teleport.net.ssh_settings import HostKey
from teleport.pki import authority, contexts, keys, x509
from teleport.proxy.reach import Reach
from teleport.proxy.service import ProxyService
from teleport.proxy.ssh import Doors
from teleport.wire.reach import ALPN
from tests.support import policy
from tests.support.authorities import Cluster, cluster

NODE_ID = "70000000-0000-4000-8000-000000000007"
BANNER = b"SSH-2.0-counted\r\n"
HELLO = b"SSH-2.0-test\r\n"


class CountingNode:
    """Listens, counts, says its banner, echoes, and says `END` after the client's end; a stubborn one just stays."""

    def __init__(self, banner: bytes = BANNER) -> None:
        self.banner = banner
        self.stubborn = False
        self._released = asyncio.Event()
        self.received = b""
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.met, self.idle = asyncio.Event(), asyncio.Event()
        """Set when somebody has connected, and while nobody is connected any more."""

    async def __aenter__(self) -> CountingNode:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._released.set()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        self.met.set()
        self.idle.clear()
        with contextlib.suppress(OSError):
            writer.write(self.banner)
            while data := await reader.read(65536):
                self.received = (self.received + data)[:1000]
                writer.write(data)
                await writer.drain()
            if self.stubborn:
                await self._released.wait()
            writer.write(b"END")
            await writer.drain()
        writer.close()
        self._open.discard(writer)
        if not self._open:
            self.idle.set()

    def resource(self, hostname: str = "node-1", name: str = NODE_ID, **labels: str) -> Node:
        """Return the node's record."""
        return record(hostname, f"127.0.0.1:{self.port}", name, **labels)


def record(hostname: str, address: str, name: str = NODE_ID, **labels: str) -> Node:
    """Return the record of a node."""
    made = load({"kind": "node", "metadata": {"name": name, "labels": labels},
                 "spec": {"hostname": hostname, "addr": address}})  # fmt: skip
    assert isinstance(made, Node)
    return made


@dataclass
class World:
    """The cluster as the proxy sees it (`proxy.cluster.Cluster`)."""

    cluster: Cluster
    clock: ManualClock
    host_key: HostKey
    tls: tuple[str, str]
    """Certificate and key of the proxy."""
    roles: list[Role] = field(default_factory=list)
    registered: list[Node] = field(default_factory=list)
    held: tuple[Lock, ...] = ()
    reachable: bool = True
    """Whether the auth service takes records."""
    denials: dict[str, explain.Record] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    network: Any = None

    def authorities(self) -> Sequence[CertAuthority]:
        return self.cluster.both

    def nodes(self) -> Sequence[Node]:
        return self.registered

    async def role_set(self, identity: Identity) -> RoleSet:
        return RoleSet.build([role for role in self.roles if role.name in identity.roles], identity.traits)

    def locks(self) -> tuple[Lock, ...]:
        return self.held

    def locks_as_of(self) -> dt.datetime | None:
        return None

    async def record_denial(self, record: bytes, client: str) -> str:
        self._check()
        id = new_id(SystemEntropy())
        self.denials[id] = explain.from_record(record)
        return id

    async def emit(self, event: Event) -> None:
        self._check()
        self.events.append(event)

    def _check(self) -> None:
        if not self.reachable:
            raise Unavailable("API-UNAVAILABLE", problem="it is down")

    def reach(self) -> Reach:
        """Return what the doors lead to."""
        network = self.network or SystemNetwork()
        return Reach(cluster=self, name=self.cluster.name, network=network, clock=self.clock)

    @contextlib.asynccontextmanager
    async def proxy(self, address: str = "127.0.0.1:0") -> AsyncIterator[ProxyService]:
        """Run a proxy."""
        certificate, key = self.tls
        user = authority.trusted_tls(self.cluster.both, "user")
        context = contexts.server_context(
            certificate=certificate, key=key, client_authorities=user, client_required=True, alpn=(ALPN,)
        )
        options = ssh_settings.options([self.host_key])
        doors = Doors(
            reach=self.reach(), cluster=self, name=self.cluster.name, clock=self.clock, entropy=SystemEntropy(),
            context=lambda: context, settings=lambda: options,
        )  # fmt: skip

        web_context = contexts.web_context(certificate=certificate, key=key, alpn=("teleport-reversetunnel",))

        async def no_web(stream: object) -> None: ...

        service = ProxyService(
            network=SystemNetwork(), address=address, dial_auth=lambda: SystemNetwork().dial("127.0.0.1:1"),
            context=lambda _: web_context, web=no_web, nodes=doors,
            headers=ProxyProtocol("", clock=self.clock, log=logger("PROXY")),
        )  # fmt: skip
        ready = asyncio.Event()
        running = asyncio.get_running_loop().create_task(service.run(ready.set))
        try:
            async with asyncio.timeout(20):
                await ready.wait()
            yield service
        finally:
            running.cancel()
            await asyncio.wait([running])


def world(name: str = "example.com", seed: int = 11) -> World:
    """Make a cluster whose role `dev` reaches nodes with `env: prod` as root. Not inside the event loop."""
    now = SystemClock().now().replace(microsecond=0)
    made = cluster(name, seed, now)
    identity = made.host_identity(
        name=f"proxy-1.{name}", roles=("Proxy",), system_roles=("Proxy",), principals=("localhost", "127.0.0.1"),
        expires=now + dt.timedelta(hours=10),
    )  # fmt: skip
    ssh_key, tls_key = keys.make_ed25519(SystemEntropy()), keys.make_p256(SystemEntropy())
    certificate = made.ssh(identity, keys.ssh_blob(ssh_key.public_key()), now=now)
    tls = x509.pem(made.tls(identity, tls_key.public_key(), "localhost", now=now)), keys.private_pem(tls_key).decode()
    dev = policy.role("dev", allow={"logins": ["root"], "node_labels": {"env": "prod"}})
    return World(made, ManualClock(now), HostKey(keys.private_openssh(ssh_key), certificate.blob), tls, [dev])


@dataclass
class Person:
    """A signed-in person: a home folder with a profile."""

    home: Home
    profile: Profile

    def at(self, address: str) -> Person:
        """Return the same person signed in at a proxy on another port."""
        port = address.rpartition(":")[2]
        profile = self.profile._replace(web_proxy_addr=f"localhost:{port}")
        self.home.save(profile)
        return Person(self.home, profile)


def person(
    made: World, folder: Path, *, issued: dt.datetime | None = None, trust: World | None = None, **changes: Any
) -> Person:  # fmt: skip
    """Write the profile of a person. `issued` is when the certificates were made, `trust` another cluster whose
    host authority the person believes in. Not inside the event loop."""
    now = issued or made.clock.now()
    fields = {"roles": ("dev",), "principals": ("root",), "expires": now + dt.timedelta(hours=1), **changes}
    identity = made.cluster.identity(**fields)
    home = Home(str(folder), SystemDisk())
    profile = Profile(
        web_proxy_addr="localhost:1", user=identity.name, cluster=(trust or made).cluster.name, roles=identity.roles,
        logins=identity.logins, valid_until=made.clock.now() + dt.timedelta(hours=1), proxy_version="9.8.7",
    )  # fmt: skip
    files, disk = home.files(profile), home.disk
    for folder_name in (home.root, f"{home.root}/keys", files.folder, f"{files.folder}/cas",
                        f"{files.folder}/{identity.name}-ssh"):  # fmt: skip
        disk.make_dir(folder_name, mode=0o700)
    ssh_key, tls_key = keys.make_ed25519(SystemEntropy()), keys.make_p256(SystemEntropy())
    certificate = made.cluster.ssh(identity, keys.ssh_blob(ssh_key.public_key()), now=now)
    disk.write(files.ssh_key, keys.private_openssh(ssh_key), mode=0o600)
    disk.write(files.ssh_certificate, certificate.line().encode() + b"\n", mode=0o600)
    disk.write(files.tls_key, keys.private_pem(tls_key), mode=0o600)
    disk.write(files.tls_certificate, x509.pem(made.cluster.tls(identity, tls_key.public_key(), now=now)).encode())
    hosts = (trust or made).cluster
    bundle = "".join(x509.pem(data) for data in authority.trusted_tls([hosts.host], "host"))
    disk.write(files.cluster_authorities, bundle.encode())
    lines = known_hosts.lines("localhost", profile.cluster, [hosts.host.spec.active_keys.ssh[0].public_key])
    disk.write(files.own_known_hosts, "".join(f"{line}\n" for line in lines).encode())
    home.save(profile)
    return Person(home, profile)
