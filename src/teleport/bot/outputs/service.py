"""What outputs with certificates have in common: a section, a destination, a key with its certificates, an interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from teleport.bot.outputs.certified import Certified
from teleport.bot.parts import Bot
from teleport.bot.services import Means
from teleport.model.config.tbot_destinations import DestinationSection


class Section(Protocol):
    """A section with a destination."""

    @property
    def destination(self) -> DestinationSection:
        """Where files go."""
        ...


S = TypeVar("S", bound=Section)


class OutputService(Generic[S]):
    """A part of `bot.parts.Service`; each output adds `prepare` and `generate`."""

    runs_once = True

    def __init__(self, section: S, *, name: str, ttl: float, interval: float, means: Means) -> None:
        """`ttl`: seconds that certificates shall last."""
        self.name = name
        self.interval = interval
        self._section = section
        self._means = means
        self._ttl = ttl
        self._destination = means.destination(section.destination)
        self._certified = Certified(self._destination, ttl=ttl, clock=means.clock, entropy=means.entropy)

    async def serve(self, bot: Bot, ready: Callable[[], None]) -> None:
        """Nothing: an output does not listen."""
