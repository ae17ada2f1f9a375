"""Rotations of the cluster's authorities: whoever trusts them, or has their certificates, is renewed soon after.

Reference: machine identity, section 9.7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from teleport.api.cluster_view import ClusterView
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.bot.health import Health
from teleport.bot.parts import Bot
from teleport.model.kinds.cert_authority import CertAuthority

log = logger("TBOT")

NAME = "ca-rotation"
TYPES = ("host", "user", "db")
CALM = 10.0
"""Seconds after a change in which others are waited for: a rotation changes several authorities."""


async def follow(
    bot: Bot, renew: Callable[[], None], health: Health, *, clock: Clock, entropy: Entropy
) -> None:  # fmt: skip
    """Call `renew` after each change of the cluster's authorities, until cancelled."""
    async with bot.client() as client:
        view = ClusterView(client, ("cert_authority",), clock=clock, entropy=entropy)
        following = tasks.spawn(
            view.run(lambda: health.report(NAME, "healthy")), name=NAME,
            on_error=lambda error: health.report(NAME, "unhealthy", str(error)),
        )  # fmt: skip
        try:
            await _watch(view, bot.cluster, renew)
        finally:
            await tasks.cancel(following)


async def _watch(view: ClusterView, cluster: str, renew: Callable[[], None]) -> None:
    seen = await view.changed(0)
    known = _trusted(view, cluster)
    while True:
        seen = await view.changed(seen)
        if _trusted(view, cluster) == known:
            continue
        await asyncio.sleep(CALM)
        known = _trusted(view, cluster)
        log.info("The authorities of the cluster have changed, everything is renewed")
        renew()


def _trusted(view: ClusterView, cluster: str) -> list[str]:
    """Return what tells one state of the authorities from another."""
    own = [each for each in view.all(CertAuthority) if each.spec.cluster_name == cluster and each.spec.type in TYPES]
    return sorted(repr((each.name, each.spec.active_keys, each.spec.additional_trusted_keys)) for each in own)
