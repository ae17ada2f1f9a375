"""Heartbeats: what a bot says of itself, at its start and then every half hour."""

from __future__ import annotations

import asyncio
import datetime as dt
import platform

from teleport.api.bot_calls import BotCalls
from teleport.base.clock import Clock
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.bot.health import Health
from teleport.bot.parts import Bot
from teleport.model.kinds.bot_instance import LONGEST_REASON, Heartbeat, ServiceHealth
from teleport.version import VERSION

log = logger("TBOT")

NAME = "heartbeat"
INTERVAL = 30 * 60.0
SETTLING = 30.0
"""Seconds in which the services of a bot should have reported; the first heartbeat waits for that."""
LAST_WORDS = 5.0
"""Seconds that the heartbeat of a bot may take that ends when it is done."""


class Heartbeats:
    """Tells the Auth Service."""

    def __init__(
        self, bot: Bot, health: Health, *, host_name: str, method: str, one_shot: bool, clock: Clock,
        started: dt.datetime,
    ) -> None:  # fmt: skip
        self._bot = bot
        self._health = health
        self._host_name = host_name
        self._method = method
        self._one_shot = one_shot
        self._clock = clock
        self._started = started
        self._said = False

    async def beat(self) -> None:
        """Say it once. Raises NotFound (AUTH-BOT-NO-INSTANCE) and what dialling raises."""
        said = Heartbeat(
            hostname=self._host_name, is_startup=not self._said,
            uptime=(self._clock.now() - self._started).total_seconds(), one_shot=self._one_shot,
            join_method=self._method, version=VERSION, architecture=platform.machine(), os=platform.system().lower(),
            kind="tbot",
        )  # fmt: skip
        services = [
            ServiceHealth(name=name, status=each.state, reason=_short(each.reason), updated_at=self._clock.now())
            for name, each in self._health.conditions.items()
        ]
        async with self._bot.client() as client:
            await BotCalls(client).beat(said, services)
        self._said = True

    async def once(self) -> None:
        """Say it at the end of a bot that runs once. What comes of it changes nothing."""
        try:
            async with asyncio.timeout(LAST_WORDS):
                await self.beat()
        except (TeleportError, TimeoutError) as error:
            log.warn("The heartbeat was not sent", error=error)


async def settled(health: Health, changed: asyncio.Event) -> None:
    """Return when every service has reported, or after a while."""
    try:
        async with asyncio.timeout(SETTLING):
            while not health.settled:
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass


def _short(reason: str) -> str:
    """Return what the Auth Service takes of a reason: so many bytes, which may be fewer characters."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")
