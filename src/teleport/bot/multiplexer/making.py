"""How the multiplexer is made from its section."""

from __future__ import annotations

from teleport.bot.multiplexer.service import Multiplexer
from teleport.bot.outputs.certified import Certified
from teleport.bot.services import Means
from teleport.model.config.tbot_services import SshMultiplexer


def multiplexer(section: SshMultiplexer, *, name: str, ttl: float, interval: float, means: Means) -> Multiplexer:
    """Return the service of an entry `ssh-multiplexer`."""
    destination = means.destination(section.destination)
    certified = Certified(destination, ttl=ttl, clock=means.clock, entropy=means.entropy)
    return Multiplexer(
        section, destination, certified, name=name, interval=interval, tbot=means.tbot,
        environment=means.environment, entropy=means.entropy, disk=means.disk,
    )  # fmt: skip
