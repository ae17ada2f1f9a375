"""How the parts of a bot are, and how often they did their work: for `/readyz` and `/metrics`.

Nothing here is about the network: `bot.diagnostics` serves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["initializing", "healthy", "unhealthy"]

RETRIES = (0, 1, 2, 3, 4, 5)
"""Bounds of the histogram of retries that successful rounds took."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Condition:
    """How one part is."""

    state: State = "initializing"
    reason: str = ""


class Health:
    """Conditions by name."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        """`on_change` is called after each report."""
        self._conditions: dict[str, Condition] = {}
        self._on_change = on_change

    def expect(self, name: str) -> None:
        """A part of this name will report."""
        self._conditions.setdefault(name, Condition())

    def report(self, name: str, state: State, reason: str = "") -> None:
        """A part says how it is."""
        self._conditions[name] = Condition(state, reason)
        self._on_change()

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """Every part."""
        return self._conditions

    @property
    def ready(self) -> bool:
        """Whether every part is healthy."""
        return all(each.state == "healthy" for each in self._conditions.values())

    @property
    def settled(self) -> bool:
        """Whether every part has reported."""
        return all(each.state != "initializing" for each in self._conditions.values())


@dataclass(slots=True)
class Histogram:
    """How often a value was at most each bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        self.counts = [0] * len(self.bounds)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.total += value
        self.count += 1
        for place, bound in enumerate(self.bounds):
            self.counts[place] += value <= bound


@dataclass(slots=True)
class Tally:
    """The rounds of one task."""

    rounds: int = 0
    failed: int = 0
    retries: Histogram = field(default_factory=lambda: Histogram(RETRIES))
    """Of the rounds that succeeded."""
    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))


Tallies = dict[tuple[str, str], Tally]
"""By service and task."""
