"""Running checks: each with its own limit, all within one, and none whose answer another one has made worthless."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from teleport.base.errors import BadParameter, TeleportError, TimedOut
from teleport.base.text import did_you_mean
from teleport.client.doctor.net import CHECKS, Check
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip

EACH = 6.0
"""Seconds that one check may take."""
ALL = 19.0
"""Seconds for all of them."""


async def examine(trip: Trip, only: Collection[str] = ()) -> list[Finding]:
    """Run the checks of the network in their order, or those of `only` and what they need.

    Raises BadParameter (CLIENT-NO-CHECK)."""
    loop = asyncio.get_running_loop()
    end = loop.time() + ALL
    findings: dict[str, Finding] = {}
    for check in _chosen(only):
        if check.of_proxy and trip.is_auth:
            continue
        missing = [name for name in check.needs if name in findings and findings[name].state in ("fail", "skip")]
        if missing:
            findings[check.name] = Finding(check.name, "skip", f"needs {', '.join(missing)}")
            continue
        began = loop.time()
        found = await _one(check, trip, min(EACH, end - began))
        findings[check.name] = found.took(loop.time() - began)
    return [*findings.values()]


async def _one(check: Check, trip: Trip, seconds: float) -> Finding:
    if seconds <= 0:
        return Finding(check.name, "skip", f"the {ALL:g} seconds of all checks are over")
    try:
        async with asyncio.timeout(seconds):
            found = await check.run(trip)
    except TeleportError as error:
        return Finding.of(check.name, error)
    except TimeoutError:
        return Finding.of(check.name, TimedOut("NET-TIMEOUT", address=trip.address, seconds=f"{seconds:.0f}"))
    return found if isinstance(found, Finding) else Finding(check.name, "ok", found)


def _chosen(only: Collection[str]) -> Sequence[Check]:
    known = {check.name: check for check in CHECKS}
    for name in only:
        if name not in known:
            raise BadParameter("CLIENT-NO-CHECK", name=name[:40], known=", ".join(known),
                               hint=did_you_mean(name, known))  # fmt: skip
    if not only:
        return CHECKS
    wanted, waiting = set[str](), [*only]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += known[name].needs
    return [check for check in CHECKS if check.name in wanted]
