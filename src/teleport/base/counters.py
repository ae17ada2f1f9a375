"""Counts of what has happened in this process, for whoever shows them.

A part gets its Counter from outside and adds to it; how it is shown is another's matter.
"""

from __future__ import annotations

from collections.abc import Iterator


class Counter:
    """A number that only grows."""

    def __init__(self, name: str, help: str) -> None:
        self.name = name
        """As Prometheus names it, with its unit and `_total`."""
        self.help = help
        self.value = 0

    def add(self, count: int = 1) -> None:
        """Count `count` more."""
        self.value += count


class Counters:
    """The counters of a process, each there from its first mention on."""

    def __init__(self) -> None:
        self._known: dict[str, Counter] = {}

    def get(self, name: str, help: str) -> Counter:
        """Return the counter of this name; all who name it share it."""
        return self._known.setdefault(name, Counter(name, help))

    def __iter__(self) -> Iterator[Counter]:
        return iter(tuple(self._known.values()))
