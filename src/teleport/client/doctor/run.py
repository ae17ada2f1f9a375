"""Running checks: each with its own limit, all within one, and none whose answer another one has made worthless."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

from teleport.base.errors import BadParameter, TeleportError, TimedOut
from teleport.base.text import did_you_mean
from teleport.client.doctor.check import Check
from teleport.client.doctor.report import Finding

EACH = 6.0
"""Seconds that one check may take."""
ALL = 19.0
"""Seconds for all of them."""


class Subject(Protocol):
    """What is examined."""

    @property
    def asked(self) -> str:
        """What a check waited for that took too long."""
        ...


S = TypeVar("S", bound=Subject)


async def examine(subject: S, checks: Sequence[Check[S]], only: Collection[str] = ()) -> list[Finding]:
    """Run checks in their order, or those of `only` and what they need.

    Raises BadParameter (CLIENT-NO-CHECK)."""
    loop = asyncio.get_running_loop()
    end = loop.time() + ALL
    findings: dict[str, Finding] = {}
    for check in _chosen(checks, only):
        if not check.applies(subject):
            continue
        missing = [name for name in check.needs if name in findings and findings[name].state in ("fail", "skip")]
        if missing:
            findings[check.name] = Finding(check.name, "skip", f"needs {', '.join(missing)}")
            continue
        began = loop.time()
        found = await _one(check, subject, min(EACH, end - began))
        findings[check.name] = found.took(loop.time() - began)
    return [*findings.values()]


async def _one(check: Check[S], subject: S, seconds: float) -> Finding:
    if seconds <= 0:
        return Finding(check.name, "skip", f"the {ALL:g} seconds of all checks are over")
    try:
        async with asyncio.timeout(seconds):
            found = await check.run(subject)
    except TeleportError as error:
        return Finding.of(check.name, error)
    except TimeoutError:
        return Finding.of(check.name, TimedOut("NET-TIMEOUT", address=subject.asked, seconds=f"{seconds:.0f}"))
    return found if isinstance(found, Finding) else Finding(check.name, "ok", found)


def _chosen(checks: Sequence[Check[S]], only: Collection[str]) -> Sequence[Check[S]]:
    known = {check.name: check for check in checks}
    for name in only:
        if name not in known:
            raise BadParameter("CLIENT-NO-CHECK", name=name[:40], known=", ".join(known),
                               hint=did_you_mean(name, known))  # fmt: skip
    if not only:
        return checks
    wanted, waiting = set[str](), [*only]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += known[name].needs
    return [check for check in checks if check.name in wanted]
