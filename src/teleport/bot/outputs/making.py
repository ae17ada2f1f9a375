"""How outputs are made from their sections."""

from __future__ import annotations

from teleport.bot.outputs.certified import Certified
from teleport.bot.outputs.identity import IdentityService
from teleport.bot.services import Means
from teleport.model.config.tbot_services import IdentityOutput


def identity(section: IdentityOutput, *, name: str, ttl: float, interval: float, means: Means) -> IdentityService:
    """Return the service of an entry `identity`."""
    destination = means.destination(section.destination)
    certified = Certified(destination, ttl=ttl, clock=means.clock, entropy=means.entropy)
    return IdentityService(section, destination, certified, name=name, interval=interval, tbot=means.tbot)
