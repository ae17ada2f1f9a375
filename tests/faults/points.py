"""The list of fault points: classes of faults, and where in a subject's work they can strike.

A fault point is a subject, a class, and the number of the call that it strikes. How many calls there are is
counted in a run without faults. Everything else about a trial follows from its seed.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.library import EVERY, KINDS, mask

_GROWING = mask("write", "create", "link")


@dataclass(frozen=True)
class Fault:
    """A class of faults."""

    name: str
    about: str
    actions: tuple[str, ...]
    kinds: int = EVERY
    number: int = 0
    """The errno of calls that fail."""
    stays: bool = False
    """Whether every later call of these kinds fails, too."""
    power: bool = False
    """Whether the power is cut in the end, so that what was not synced may be lost."""


FAULTS: Final = {
    fault.name: fault
    for fault in (
        Fault("kill", "kill -9 before or after a change", ("kill-before", "kill-after")),
        Fault("torn", "kill -9 within a write: a part of it is there", ("torn",), mask("write")),
        Fault("power", "power cut: what was not synced may be lost", ("kill-before", "kill-after"), power=True),
        Fault("torn-power", "power cut within a write", ("torn",), mask("write"), power=True),
        Fault("short", "a write takes a part only, as write(2) may", ("short",), mask("write")),
        Fault("full", "disk full from then on (ENOSPC)", ("fail",), _GROWING, errno.ENOSPC, stays=True),
        Fault("full-once", "disk full for one call (ENOSPC)", ("fail",), _GROWING, errno.ENOSPC),
        Fault("broken", "every change fails from then on (EIO)", ("fail",), EVERY, errno.EIO, stays=True),
        Fault("broken-once", "one change fails (EIO)", ("fail",), EVERY, errno.EIO),
        Fault("sync-once", "a sync fails once (EIO), then a power cut", ("fail",), mask("sync"), errno.EIO, power=True),
        Fault(
            "sync", "syncs fail from then on (EIO), then a power cut", ("fail",), mask("sync"), errno.EIO, True, True
        ),
    )
}


@dataclass(frozen=True)
class Point:
    """Where and what. `python -m tests.faults run` with these four repeats a trial."""

    subject: str
    fault: Fault
    at: int
    seed: int

    def __str__(self) -> str:
        return f"--subject {self.subject} --class {self.fault.name} --at {self.at} --seed {self.seed}"


def choose(
    subject: str, calls: Mapping[str, int], number: int, chance: random.Random, faults: Sequence[Fault]
) -> list[Point]:
    """Return `number` points, spread over the classes; `calls`: how many of each kind were counted."""
    able = []
    for fault in faults:
        places = sum(calls[kind] for bit, kind in enumerate(KINDS) if fault.kinds >> bit & 1)
        if places:
            able.append((fault, places))
    points = []
    for turn in range(number):
        fault, places = able[turn % len(able)]
        points.append(Point(subject, fault, chance.randint(1, places), chance.getrandbits(31)))
    return points
