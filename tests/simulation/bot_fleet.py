"""A fleet: bots that were all started in the same second, renewing for weeks of virtual time with the loop of tbot.

What must hold: they come at the pace of their interval and no other, they do not come together again after the first
round, none is locked, and no certificate comes near its end. The Auth Service is the one of `bot_world`: real but for
the certificates and who signs them.

    python -m tests.simulation.bot_fleet --bots 1000 --days 30
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Renewal
from teleport.api.caller import Caller
from teleport.api.join_calls import JoinCalls
from teleport.api.join_messages import Asked
from teleport.base.entropy import SeededEntropy, fraction
from teleport.bot.health import Health, Tally
from teleport.bot.loop import IDENTITY_ATTEMPTS, JITTER, Bell, Loop
from teleport.bot.parts import Held
from teleport.client.joining.join import converse
from teleport.client.joining.token import TokenMethod
from teleport.model.kinds.lock import Lock
from tests.simulation.bot_world import (
    Auth,
    copy_of_store,
    digest,
    held_of,
    own_identity,
    prepare,
    public_keys,
    quiet,
    token_of,
)
from tests.support.bot_doors import Line, Place
from tests.support.virtual_loop import current, run

INTERVAL = 1200.0
DAY = 86400.0
SETTLED = 3600.0
"""Seconds after which the common start is no longer counted."""


@dataclass
class Figures:
    """What was measured."""

    bots: int
    days: float
    renewals: int = 0
    seconds: Counter[int] = field(default_factory=Counter)
    """Renewals that came in each second."""
    shortest_left: float = 1e9
    """Seconds that a certificate had left when it was replaced, at the least."""
    pace: list[float] = field(default_factory=list)
    """Of each bot: mean seconds between its renewals."""
    locks: int = 0

    @property
    def mean(self) -> float:
        """Renewals in a second, at the mean."""
        return self.renewals / (self.days * DAY)

    @property
    def peak(self) -> int:
        """Most renewals in one second, once the bots have settled."""
        return max((number for second, number in self.seconds.items() if second >= SETTLED), default=0)

    def lines(self) -> list[str]:
        """Return the figures for people."""
        first = max(number for second, number in self.seconds.items() if second < SETTLED)
        return [
            f"{self.bots} bots, {self.days:g} days: {self.renewals} renewals, {self.mean:.3f} in a second at the mean",
            f"most in one second: {first} in the first hour after a common start, {self.peak} afterwards",
            f"seconds between renewals: {min(self.pace):.1f} to {max(self.pace):.1f}, interval {INTERVAL:g}",
            f"shortest life that was left: {self.shortest_left / 60:.1f} minutes; locks: {self.locks}",
        ]

    def check(self) -> None:
        """Raise AssertionError for a broken promise."""
        expected = INTERVAL * (1 - JITTER / 2)
        assert self.locks == 0, "a bot was locked"
        assert all(abs(pace - expected) < INTERVAL * 0.02 for pace in self.pace), "the bots drift"
        assert self.peak <= max(4, 0.02 * self.bots), "the bots come together"
        assert self.shortest_left > 3600 - INTERVAL - 60, "a certificate came near its end"


class Member:
    """One bot. Implements `bot.identity.Door`."""

    def __init__(self, number: int, auths: tuple[Auth, Auth], figures: Figures, seed: int) -> None:
        self._auth, self._token, self._figures = auths[number % 2], token_of(number), figures
        self._entropy = SeededEntropy(digest(seed, number))
        self.own = own_identity(
            Place(), False, self, token=lambda: self._token, method="token", clock=current().clock,
            entropy=self._entropy,
        )  # fmt: skip
        self._came: list[float] = []

    async def live(self) -> None:
        """Join, and renew for good."""
        await self.own.begin()
        loop = Loop(
            "identity", "bot-identity-renewal", self._renew, interval=INTERVAL, attempts=IDENTITY_ATTEMPTS,
            entropy=self._entropy, health=Health(lambda: None), tally=Tally(),
        )  # fmt: skip
        await loop.run(Bell(), at_once=False)

    async def _renew(self) -> None:
        now, figures = current().time(), self._figures
        self._came.append(now)
        figures.renewals += 1
        figures.seconds[int(now)] += 1
        left = (self.own.current.expires - current().clock.now()).total_seconds()
        figures.shortest_left = min(figures.shortest_left, left)
        await self.own.renew()

    @property
    def pace(self) -> float:
        """Mean seconds between renewals."""
        return (self._came[-1] - self._came[0]) / (len(self._came) - 1)

    async def join(self, key: str, former: Held | None) -> Held:
        ssh, tls = public_keys(key)
        asked = Asked(
            token=self._token, ssh_public_key=ssh, tls_public_key=tls, system_role="Bot", join_method="token"
        )  # fmt: skip
        async with JoinCalls(await self._client(None)).open() as conversation:
            return held_of(key, (await converse(conversation, asked, TokenMethod())).certificates)

    async def renew(self, held: Held, key: str) -> Held:
        ssh, tls = public_keys(key)
        client = await self._client(held)
        return held_of(key, await BotCalls(client).renew(Renewal(ssh_public_key=ssh, tls_public_key=tls)))

    async def _client(self, held: Held | None) -> Any:
        await asyncio.sleep(0.005 + 0.5 * fraction(self._entropy))
        caller = Caller(held.identity if held else None, f"192.0.2.{digest(0, self._token) % 250}:40000")
        return SimpleNamespace(channel=Line(self._auth, caller, current().clock))  # type: ignore[arg-type]


async def _live(bots: int, days: float, seed: int) -> Figures:
    backend, signer = copy_of_store(current().clock, bots)
    auths = tuple(Auth(backend, f"fleet-{n}", current().clock, current().entropy, signer, False) for n in (0, 1))
    figures = Figures(bots, days)
    members = [Member(number, auths, figures, seed) for number in range(bots)]  # type: ignore[arg-type]
    tasks = [asyncio.get_running_loop().create_task(member.live()) for member in members]
    end = days * DAY
    while (now := current().time()) < end:
        await asyncio.sleep(min(SETTLED, end - now))
        for records in backend._logs.values():
            del records[:-1]  # weeks of an audit log are not what is looked at
        for task in tasks:
            if task.done():
                task.result()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    figures.pace = [member.pace for member in members]
    figures.locks = len(await auths[0].store.list(Lock))
    await backend.close()
    return figures


def live(bots: int, days: float, seed: int) -> Figures:
    """Let a fleet live, and return what was measured."""
    prepare(bots)
    with quiet():
        return run(_live(bots, days, seed), seed=seed)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    figures = live(options.bots, options.days, options.seed)
    for line in figures.lines():
        print(f"fleet: {line}")  # noqa: T201
    print(f"fleet: seed {options.seed}, {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
    figures.check()
    return 0


if __name__ == "__main__":
    sys.exit(main())
