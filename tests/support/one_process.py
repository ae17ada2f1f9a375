"""The services of one process, in this one: real store, network on loopback and spawner; the signer in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from teleport.agents.ssh.spawner import Spawner
from teleport.api.client import AuthClient, over_stream
from teleport.base import tasks
from teleport.base.clock import SystemClock
from teleport.base.disk import MemoryDisk, SystemDisk
from teleport.base.entropy import SeededEntropy
from teleport.net.network import SystemNetwork
from teleport.pki.signer import MemorySigner
from teleport.process.assembly import World
from teleport.process.settings import Settings, find_config
from teleport.process.supervisor import Service

UUID = "00000000-0000-4000-8000-00000000abcd"
CONFIG = """\
version: v3
teleport: {{nodename: node-1, data_dir: {data}}}
auth_service: {{enabled: {auth}, cluster_name: c.example, listen_addr: '127.0.0.1:0'}}
proxy_service: {{enabled: {proxy}, web_listen_addr: '127.0.0.1:0', public_addr: 'localhost:3080'}}
ssh_service: {{enabled: {ssh}, listen_addr: '127.0.0.1:0', labels: {{env: dev}}}}
"""


def settings(data: Path, *, auth: str = "yes", proxy: str = "yes", ssh: str = "yes") -> Settings:
    """Return the settings of a process on free ports."""
    disk = MemoryDisk()
    disk.write("/c.yaml", CONFIG.format(data=data, auth=auth, proxy=proxy, ssh=ssh).encode())
    return find_config("/c.yaml", {"TELEPORT_ALLOW_NO_SECOND_FACTOR": "yes"}, disk)


def world(spawner: Spawner | None = None) -> World:
    """Return what services need of the machine. Made inside the event loop."""
    entropy = SeededEntropy(5)
    return World(
        clock=SystemClock(), entropy=entropy, disk=SystemDisk(), network=SystemNetwork(timeout=5),
        signer=MemorySigner(entropy), spawner=spawner, host_uuid=UUID,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    """Run a service from its readiness to the end of the block."""
    ready = asyncio.Event()
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        failures.append(error)
        ready.set()

    task = tasks.spawn(service.run(ready.set), name=service.name, on_error=failed)
    await ready.wait()
    try:
        if failures:
            raise failures[0]
        yield
    finally:
        await tasks.cancel(task)


def admin(data: Path) -> AuthClient:
    """Return a client over the admin socket."""
    return AuthClient(over_stream(lambda: SystemNetwork().dial(f"unix:{data}/admin.sock")))
