"""How outputs are made from their sections. What an output needs is imported when a configuration has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teleport.bot.outputs.certified import Certified
from teleport.bot.parts import Destination
from teleport.bot.services import Means
from teleport.model.config.tbot_services import (
    ApplicationOutput,
    DatabaseOutput,
    IdentityOutput,
    KubernetesOutput,
    KubernetesV2Output,
)

if TYPE_CHECKING:
    from teleport.bot.outputs.application import ApplicationService
    from teleport.bot.outputs.database import DatabaseService
    from teleport.bot.outputs.identity import IdentityService
    from teleport.bot.outputs.kubernetes import KubernetesService
    from teleport.bot.outputs.kubernetes_v2 import KubernetesV2Service


def identity(section: IdentityOutput, *, name: str, ttl: float, interval: float, means: Means) -> IdentityService:
    """Return the service of an entry `identity`."""
    from teleport.bot.outputs.identity import IdentityService

    destination = means.destination(section.destination)
    certified = _certified(destination, ttl, means)
    return IdentityService(section, destination, certified, name=name, interval=interval, tbot=means.tbot)


def application(
    section: ApplicationOutput, *, name: str, ttl: float, interval: float, means: Means
) -> ApplicationService:  # fmt: skip
    """Return the service of an entry `application`."""
    from teleport.bot.outputs.application import ApplicationService

    destination = means.destination(section.destination)
    return ApplicationService(section, destination, _certified(destination, ttl, means), name=name, interval=interval)


def database(section: DatabaseOutput, *, name: str, ttl: float, interval: float, means: Means) -> DatabaseService:
    """Return the service of an entry `database`."""
    from teleport.bot.outputs.database import DatabaseService

    destination = means.destination(section.destination)
    return DatabaseService(section, destination, _certified(destination, ttl, means), name=name, interval=interval)


def kubernetes(
    section: KubernetesOutput, *, name: str, ttl: float, interval: float, means: Means
) -> KubernetesService:  # fmt: skip
    """Return the service of an entry `kubernetes`."""
    from teleport.bot.outputs.kubernetes import KubernetesService

    destination = means.destination(section.destination)
    certified = _certified(destination, ttl, means)
    return KubernetesService(section, destination, certified, name=name, interval=interval, tbot=means.tbot)


def kubernetes_v2(
    section: KubernetesV2Output, *, name: str, ttl: float, interval: float, means: Means
) -> KubernetesV2Service:  # fmt: skip
    """Return the service of an entry `kubernetes/v2`."""
    from teleport.bot.outputs.kubernetes_v2 import KubernetesV2Service

    destination = means.destination(section.destination)
    certified = _certified(destination, ttl, means)
    return KubernetesV2Service(section, destination, certified, name=name, interval=interval, tbot=means.tbot)


def _certified(destination: Destination, ttl: float, means: Means) -> Certified:
    return Certified(destination, ttl=ttl, clock=means.clock, entropy=means.entropy)
