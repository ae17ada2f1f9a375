"""Case: one bot under examination, and what earlier checks have learned of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from teleport.base.errors import TeleportError
from teleport.bot.doctor.machine import Machine
from teleport.bot.parts import Bot, Destination, Held, Service
from teleport.bot.storage import Found
from teleport.client.doctor.trip import Trip
from teleport.model.config.tbot_destinations import DestinationSection
from teleport.model.config.tbot_services import IdentityOutput, ServiceEntry, SshMultiplexer
from teleport.model.config.tbot_yaml import Loaded


class Repair(NamedTuple):
    """What can be put right without a loss."""

    what: str
    """For the report."""
    do: Callable[[], None]


@dataclass
class Case:
    """A bot."""

    source: str
    """Path of the configuration; empty where flags made it."""
    loaded: Loaded
    machine: Machine
    bot: Bot
    """Acts with the certificates of the storage."""
    trip: Trip
    """The way to the cluster."""
    destination: Callable[[DestinationSection], Destination]
    service: Callable[[ServiceEntry, Destination], Service]
    """Makes a service that writes elsewhere than its section says."""
    token: Callable[[], str]
    """Returns the configured join token. Raises what reading its file raises."""
    now: Callable[[], dt.datetime]
    fault: TeleportError | None = None
    """What is wrong with the configuration; what it is about, `loaded` is without."""
    host: str = ""
    """Name of this machine, as the bot writes it."""
    login: str = ""
    """Who shall be signed in as on servers."""
    in_standing: bool = False
    """Whether the cluster serves the bot."""
    found: Found | None = None
    """What the storage holds."""
    interrupted: str = ""
    """Evidence that a renewal was; empty without any."""
    repairs: dict[str, Repair] = field(default_factory=dict)
    """By the name of the check."""

    @property
    def asked(self) -> str:
        """See client.doctor.run.Subject."""
        return self.trip.asked

    @property
    def held(self) -> Held | None:
        """The bot's own certificates, as they are stored."""
        return self.found.held if self.found else None

    @property
    def storage(self) -> Destination:
        """Where the bot keeps itself."""
        return self.destination(self.loaded.config.storage)

    @property
    def sections(self) -> list[tuple[ServiceEntry, str]]:
        """The services with their names."""
        config = self.loaded.config
        return [*zip(config.services, config.names, strict=True)]

    @property
    def with_ssh(self) -> list[tuple[IdentityOutput | SshMultiplexer, str]]:
        """The services that people go to servers with."""
        return [
            (section, name)
            for section, name in self.sections
            if isinstance(section, SshMultiplexer) or (isinstance(section, IdentityOutput) and section.ssh_config)
        ]
