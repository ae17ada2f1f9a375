"""The list of fault points: classes of faults, and where in a subject's work they can strike.

A fault point is a subject, a class, and the number of the call that it strikes. How many calls there are is
counted in a run without faults, for each of a few variants of the work. Everything else about a trial follows from
its seed.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Mapping, Sequence
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


VARIANTS: Final = 16
"""Different courses that the work of a subject can take; `seed % VARIANTS` says which."""


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
    subject: str, calls: Callable[[int], Mapping[str, int]], number: int, chance: random.Random, faults: Sequence[Fault]
) -> list[Point]:
    """Return `number` points, spread over the classes; `calls` counts those of a variant, by their kind."""
    points = []
    able = [fault for fault in faults if _places(fault, calls(0))]
    for turn in range(number):
        fault, seed = able[turn % len(able)], chance.getrandbits(31)
        points.append(Point(subject, fault, chance.randint(1, max(1, _places(fault, calls(seed % VARIANTS)))), seed))
    return points


def _places(fault: Fault, calls: Mapping[str, int]) -> int:
    return sum(calls[kind] for bit, kind in enumerate(KINDS) if fault.kinds >> bit & 1)
