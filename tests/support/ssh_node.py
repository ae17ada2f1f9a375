"""An SSH Service on a free port of loopback, its cluster, and stock `ssh` as its client.

`World` stands in for the auth service: a fixed set of authorities, roles and locks, and lists of what was
recorded. The auth service has tests of its own, and a node must decide alike whoever feeds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import pwd
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teleport.access.denial import Denial
from teleport.access.roleset import RoleSet
from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from teleport.base.clock import Clock, ManualClock, SystemClock
from teleport.base.entropy import SystemEntropy, new_id
from teleport.base.errors import LimitExceeded, TeleportError
from teleport.model.events.base import Event, document
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from teleport.model.kinds.role import Role
from teleport.model.kinds.session_termination import SessionTermination
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.net.network import SystemNetwork
from teleport.net.ssh_settings import HostKey
from teleport.pki import issue, keys, ssh
from tests.support import policy
from tests.support.authorities import Cluster, cluster
from tests.support.until import until

LOGIN = pwd.getpwuid(os.geteuid()).pw_name
"""The account that every machine has for us: our own."""


@dataclass
class World:
    """The cluster as the node sees it."""

    cluster: Cluster
    clock: Clock
    roles: list[Role] = field(default_factory=list)
    locked: tuple[Lock, ...] = ()
    as_of: dt.datetime | None = None
    revision: int = 0
    resource: Node = field(default_factory=lambda: policy.node("node-uuid-1", "node-1", env="prod"))
    events: list[Event] = field(default_factory=list)
    denials: dict[str, Denial] = field(default_factory=dict)
    trackers: dict[str, SessionTracker] = field(default_factory=dict)
    leases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Places by user; those of other nodes under `elsewhere/<user>`."""
    lease_failure: TeleportError | None = None
    endings: list[SessionTermination] = field(default_factory=list)

    def authorities(self) -> Sequence[CertAuthority]:
        return self.cluster.both

    async def role_set(self, identity: Identity) -> RoleSet:
        return RoleSet.build([role for role in self.roles if role.name in identity.roles], identity.traits)

    @property
    def held(self) -> tuple[Lock, ...]:
        return self.locked

    @held.setter
    def held(self, locks: tuple[Lock, ...]) -> None:
        self.locked = locks
        self.revision += 1

    def locks(self) -> tuple[Lock, ...]:
        return self.locked

    def locks_as_of(self) -> dt.datetime | None:
        return self.as_of

    async def changed(self, seen: int) -> int:
        while self.revision == seen:  # noqa: ASYNC110 - tests change it from any place
            await asyncio.sleep(0.01)
        return self.revision

    def node(self) -> Node:
        return self.resource

    async def record_denial(self, denial: Denial, identity: Identity, client: str) -> str:
        id = new_id(SystemEntropy())
        self.denials[id] = denial
        return id

    async def track(self, tracker: SessionTracker) -> None:
        self.trackers[tracker.name] = tracker

    async def untrack(self, session_id: str) -> None:
        self.trackers.pop(session_id, None)

    async def hold_leases(self, user: str, leases: Sequence[str], most: int) -> None:
        if self.lease_failure is not None:
            raise self.lease_failure
        others = self.leases.get(f"elsewhere/{user}", ())
        if 0 < most < len(others) + len(leases) and not {*leases} <= {*self.leases.get(user, ())}:
            raise LimitExceeded("AUTH-LEASES", name=user, limit=most)
        self.leases[user] = tuple(leases)

    def terminations(self) -> Sequence[SessionTermination]:
        return self.endings

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    def told(self, code: str) -> list[dict[str, Any]]:
        """Return the events with this code, as documents."""
        return [document(event) for event in self.events if event.code == code]

    async def wait_for(self, code: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the events with this code once there are `count`."""
        await until(lambda: len(self.told(code)) >= count)
        return self.told(code)


def world(*, name: str = "example.com", seed: int = 7) -> World:
    """Make a cluster whose role `dev` reaches the node as LOGIN. Its clock stands still at the real time:
    stock ssh checks host certificates with the machine's own clock."""
    now = SystemClock().now().replace(microsecond=0)
    roles = [policy.role("dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}})]
    return World(cluster(name, seed, now), ManualClock(now), roles)


@dataclass
class Client:
    """A user's key and certificate in files, as stock ssh wants them."""

    folder: Path
    world: World
    key: keys.PrivateKey
    certificate: ssh.SSHCertificate

    @property
    def public(self) -> bytes:
        return keys.ssh_blob(self.key.public_key())

    def options(self, address: str) -> list[str]:
        host, _, port = address.rpartition(":")
        pairs = {
            "IdentityFile": self.folder / "id", "CertificateFile": self.folder / "id-cert.pub",
            "IdentitiesOnly": "yes", "IdentityAgent": "none", "BatchMode": "yes", "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts", "GlobalKnownHostsFile": "none", "Port": port,
            "HostName": host, "HostKeyAlias": "node-1", "ConnectTimeout": "10",
        }  # fmt: skip
        return ["-F", "none", *(word for name, value in pairs.items() for word in ("-o", f"{name}={value}"))]

    async def run(
        self, node: SSHService, *arguments: str, program: str = "ssh", login: str = LOGIN, stdin: bytes = b"",
        target: str | None = None, env: dict[str, str] | None = None,
    ) -> tuple[int, bytes, str]:  # fmt: skip
        """Run stock ssh (or sftp) with options before the target and the command after `--`; return status,
        output and what it said on standard error."""
        cut = arguments.index("--") if "--" in arguments else len(arguments)
        options, command = arguments[:cut], arguments[cut + 1 :]
        argv = [program, *options, *self.options(node.address), target or f"{login}@node-1", *command]
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": str(self.folder), **(env or {})},
        )  # fmt: skip
        try:
            async with asyncio.timeout(60):
                out, err = await process.communicate(stdin)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return process.returncode, out, err.decode(errors="replace")


def client(world: World, folder: Path, **identity: Any) -> Client:
    """Make a user of the world's cluster with files in `folder`. Not to be called inside the event loop."""
    folder.mkdir(exist_ok=True)
    key = keys.make_ed25519(SystemEntropy())
    who = world.cluster.identity(
        **{"roles": ("dev",), "principals": (LOGIN,), "expires": world.clock.now() + dt.timedelta(hours=1), **identity}
    )
    certificate = world.cluster.ssh(who, keys.ssh_blob(key.public_key()), now=world.clock.now())
    return write(Client(folder, world, key, certificate))


def write(made: Client) -> Client:
    """Write the files of a client."""
    private = made.folder / "id"
    private.write_bytes(keys.private_openssh(made.key))
    private.chmod(0o600)
    (made.folder / "id-cert.pub").write_text(made.certificate.line() + "\n")
    authority = made.world.cluster.host.spec.active_keys.ssh[0].public_key
    (made.folder / "known_hosts").write_text(f"@cert-authority * {authority}\n")
    return made


def host_key(world: World) -> HostKey:
    """Make a host key with a certificate for `node-1`."""
    key = keys.make_ed25519(SystemEntropy())
    identity = world.cluster.host_identity(
        name=f"node-uuid-1.{world.cluster.name}", principals=("node-1", "127.0.0.1"),
        expires=world.clock.now() + dt.timedelta(hours=10),
    )  # fmt: skip
    blob = keys.ssh_blob(key.public_key())
    return HostKey(keys.private_openssh(key), world.cluster.ssh(identity, blob, now=world.clock.now()).blob)


@contextlib.asynccontextmanager
async def serving(world: World, spawner: Spawner, host: HostKey, **changes: Any) -> AsyncIterator[SSHService]:
    """Run a service on a free port."""
    service = SSHService(
        **{
            "clock": world.clock, "entropy": SystemEntropy(), "network": SystemNetwork(), "spawner": spawner,
            "authority": world, "host_keys": lambda: [host], "cluster": world.cluster.name, "address": "127.0.0.1:0",
            **changes,
        }
    )  # fmt: skip
    ready = asyncio.Event()
    running = asyncio.get_running_loop().create_task(service.run(ready.set))
    waiting = asyncio.get_running_loop().create_task(ready.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        if running.done():
            running.result()
        yield service
    finally:
        waiting.cancel()
        running.cancel()
        await asyncio.wait([running, waiting])


async def issue_for(made: Client, identity: Identity) -> ssh.SSHCertificate:
    """Issue another certificate for a client's key, inside the event loop."""
    cluster = made.world.cluster
    return await issue.ssh_certificate(
        cluster.signer, cluster.user, identity, key=made.public, now=made.world.clock.now(), entropy=cluster.entropy
    )
