"""Running the process: children first, then the event loop, then services until a signal ends them.

The signer and the spawner are started before the event loop, so that neither shares memory, descriptors
or threads with the part that reads the network.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

from teleport.agents.ssh.command import raise_descriptor_limit
from teleport.agents.ssh.spawner import Spawner
from teleport.base.clock import SystemClock
from teleport.base.disk import Disk, SystemDisk
from teleport.base.entropy import Entropy, SystemEntropy, new_uuid
from teleport.base.log import logger
from teleport.base.process_name import set_name
from teleport.net.network import SystemNetwork
from teleport.pki.signer import SignerProcess
from teleport.process import preflight
from teleport.process.assembly import World, services
from teleport.process.children import Child
from teleport.process.debug import DebugService
from teleport.process.drain import DrainableNetwork
from teleport.process.heap import Heap
from teleport.process.life import Life
from teleport.process.pulse import Pulse
from teleport.process.reload import Reloader
from teleport.process.settings import Settings
from teleport.process.signals import Signals
from teleport.process.supervisor import Entry, Supervisor
from teleport.version import VERSION

log = logger("PROC:1")

COLLECT = (1000, 3, 1)
"""How often garbage is looked for. What is there after the start is frozen, so that a look through everything else is
short; and a short look after some twenty sessions stops the loop for milliseconds, one after hundreds for a tenth of a
second."""


def run(settings: Settings, reread: Callable[[], Settings], *, pid_file: str = "", debug: bool = False) -> None:
    """Run until SIGTERM, SIGINT or the end of the last session after SIGQUIT.

    `reread` reads the configuration again for SIGHUP; `debug` is the flag that wins over its log level.
    Raises what a critical service raised.
    """
    preflight.check(settings)
    heap = Heap()
    heap.share()
    set_name("teleport")
    raise_descriptor_limit()  # what a shell or a container allows to begin with is a thousand connections
    disk, entropy = SystemDisk(), SystemEntropy()
    disk.make_dir(str(settings.data_dir), mode=0o700)
    for warning in settings.warnings:
        log.warn(warning)
    log.info("Starting Teleport", version=VERSION, config_file=settings.source, services=",".join(_enabled(settings)))
    spawner = _spawner(settings) if settings.ssh.enabled else None
    try:
        if pid_file:
            disk.write(pid_file, f"{os.getpid()}\n".encode(), mode=0o644)
        pulse, reloader = Pulse(), Reloader(settings, reread, debug=debug)
        with Signals(pulse) as signals:
            asyncio.run(_main(settings, disk, entropy, spawner, reloader, signals, pulse, heap))
    finally:
        if spawner is not None:
            spawner.close()
        if pid_file:
            Path(pid_file).unlink(missing_ok=True)
    log.info("The process has stopped")


def _spawner(settings: Settings) -> Spawner:
    return Spawner.launch(host_users=not settings.ssh.disable_create_host_user)


async def _main(
    settings: Settings,
    disk: Disk,
    entropy: Entropy,
    spawner: Spawner | None,
    reloader: Reloader,
    signals: Signals,
    pulse: Pulse,
    heap: Heap,
) -> None:
    signer = SignerProcess(settings.data_dir) if settings.auth.enabled else None
    network = DrainableNetwork(SystemNetwork(), kept=(str(settings.auth.listen),))
    world = World(
        clock=SystemClock(),
        entropy=entropy,
        disk=disk,
        network=network,
        signer=signer,
        spawner=spawner,
        host_uuid=_host_uuid(settings, disk, entropy) if settings.auth.enabled else "",
        parts=reloader.parts,
    )
    entries = services(settings, world)
    supervisor = Supervisor(entries, entropy=entropy)
    helpers = {"signer": signer, "spawner": spawner}
    children = [Child(name, helper.pid) for name, helper in helpers.items() if helper is not None]
    supervisor.entries[:0] = [Entry(child, critical=False) for child in children]
    if settings.debug_enabled:
        debug = DebugService(
            network, settings.data_dir / "debug.sock", lambda: supervisor, pulse=pulse, counters=world.counters
        )  # fmt: skip
        supervisor.entries.insert(0, Entry(debug, critical=False))
    life = Life(stop=supervisor.stop, network=network, reloader=reloader)
    try:
        async with life.running(signals, pulse, heap.run(entropy)):
            await supervisor.run(lambda: _started(supervisor))
    finally:
        if signer is not None:
            await signer.close()


def _enabled(settings: Settings) -> list[str]:
    sections = {"auth": settings.auth, "proxy": settings.proxy, "node": settings.ssh}
    return [name for name, section in sections.items() if section.enabled]


def _started(supervisor: Supervisor) -> None:
    log.info("The service has started", services=_names(supervisor))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


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
