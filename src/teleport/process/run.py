"""Running the process: children first, then the event loop, then services until a signal ends them.

The signer and the spawner are started before the event loop, so that neither shares memory, descriptors
or threads with the part that reads the network.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from teleport.agents.ssh.spawner import Spawner
from teleport.base.clock import SystemClock
from teleport.base.disk import Disk, SystemDisk
from teleport.base.entropy import Entropy, SystemEntropy, new_uuid
from teleport.base.errors import BadParameter, NotSupported
from teleport.base.log import logger
from teleport.base.process_name import set_name
from teleport.net.network import SystemNetwork
from teleport.pki.signer import SignerProcess
from teleport.process.assembly import World, services
from teleport.process.debug import DebugService
from teleport.process.settings import Settings
from teleport.process.supervisor import Entry, Supervisor
from teleport.version import VERSION

log = logger("PROC:1")


def run(settings: Settings, *, pid_file: str = "") -> None:
    """Run until SIGTERM or SIGINT. Raises what a critical service raised."""
    _check(settings)
    set_name("teleport")
    disk, entropy = SystemDisk(), SystemEntropy()
    disk.make_dir(str(settings.data_dir), mode=0o700)
    for warning in settings.warnings:
        log.warn(warning)
    log.info("Starting Teleport", version=VERSION, config_file=settings.source, cluster=settings.cluster_name)
    spawner = Spawner.launch() if settings.ssh.enabled else None
    try:
        if pid_file:
            disk.write(pid_file, f"{os.getpid()}\n".encode(), mode=0o644)
        asyncio.run(_main(settings, disk, entropy, spawner))
    finally:
        if spawner is not None:
            spawner.close()
        if pid_file:
            Path(pid_file).unlink(missing_ok=True)
    log.info("The process has stopped")


def _check(settings: Settings) -> None:
    enabled = [
        name for name, section in (("proxy_service", settings.proxy), ("ssh_service", settings.ssh)) if section.enabled
    ]
    if settings.auth.enabled:
        return
    if not enabled:
        raise BadParameter("PROC-NO-SERVICE", source=settings.source)
    raise NotSupported("PROC-AGENT-ALONE", services=" and ".join(enabled), source=settings.source)


async def _main(settings: Settings, disk: Disk, entropy: Entropy, spawner: Spawner | None) -> None:
    signer = SignerProcess(settings.data_dir)
    network = SystemNetwork()
    world = World(
        clock=SystemClock(),
        entropy=entropy,
        disk=disk,
        network=network,
        signer=signer,
        spawner=spawner,
        host_uuid=_host_uuid(settings, disk, entropy),
    )
    entries = services(settings, world)
    supervisor = Supervisor(entries, entropy=entropy)
    if settings.debug_enabled:
        debug = DebugService(network, settings.data_dir / "debug.sock", lambda: supervisor)
        supervisor.entries.insert(0, Entry(debug, critical=False))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    try:
        await supervisor.run(lambda: log.info("The service has started", services=_names(supervisor)))
    finally:
        await signer.close()


def _names(supervisor: Supervisor) -> str:
    return ",".join(entry.service.name for entry in supervisor.entries)


def _host_uuid(settings: Settings, disk: Disk, entropy: Entropy) -> str:
    """Return the host's UUID, made on the first start: one line in `<data_dir>/host_uuid`."""
    path = str(settings.data_dir / "host_uuid")
    if disk.exists(path):
        return disk.read(path, limit=100).decode().strip()
    made = new_uuid(entropy)
    disk.write(path, f"{made}\n".encode(), mode=0o600, exclusive=True)
    return made
