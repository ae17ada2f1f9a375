"""The services of a bot: which program part serves which entry of `services`.

A part is imported when a configuration has such an entry: most bots have one or two, and hold little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.bot.parts import Destination, Service
from teleport.model.config.tbot_destinations import DestinationSection
from teleport.model.config.tbot_services import (
    ApplicationOutput,
    DatabaseOutput,
    IdentityOutput,
    KubernetesOutput,
    KubernetesV2Output,
    ServiceEntry,
    SshHostOutput,
    SshMultiplexer,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What services are made with."""

    clock: Clock
    entropy: Entropy
    environment: Mapping[str, str]
    disk: Disk
    destination: Callable[[DestinationSection], Destination]
    """Makes the destination of a section."""
    tbot: str
    """Path of this program."""
    ttl: float
    """Seconds that certificates last, where a service says nothing else."""
    interval: float


MAKERS: Mapping[type, str] = {
    ApplicationOutput: "teleport.bot.outputs.application:ApplicationService",
    DatabaseOutput: "teleport.bot.outputs.database:DatabaseService",
    IdentityOutput: "teleport.bot.outputs.identity:IdentityService",
    KubernetesOutput: "teleport.bot.outputs.kubernetes:KubernetesService",
    KubernetesV2Output: "teleport.bot.outputs.kubernetes_v2:KubernetesV2Service",
    SshHostOutput: "teleport.bot.outputs.ssh_host:SshHostService",
    SshMultiplexer: "teleport.bot.multiplexer.making:multiplexer",
}
"""`module:function` by the type of the section; the function takes section, name, ttl, interval and means."""


def make(entries: Sequence[ServiceEntry], means: Means) -> list[Service]:
    """Return the services in the order of the configuration. Raises what their parts raise."""
    services = []
    for number, entry in enumerate(entries, 1):
        name = entry.name or entry.default_name(number)
        ttl, interval = float(entry.credential_ttl or means.ttl), float(entry.renewal_interval or means.interval)
        module, _, function = MAKERS[type(entry)].partition(":")
        maker = getattr(import_module(module), function)
        services.append(maker(entry, name=name, ttl=ttl, interval=interval, means=means))
    return services
