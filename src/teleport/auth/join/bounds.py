"""Bounds: how often one source may fail to join, and how many may be joining at a time."""

from __future__ import annotations

import datetime as dt
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from teleport.auth.refusals import source_of
from teleport.base.clock import Clock
from teleport.base.errors import LimitExceeded

FAILURES = 60
"""Attempts of one source that may fail in a minute."""
OF_ONE = 32
"""Conversations of one source at a time."""
OF_ALL = 512
WINDOW = dt.timedelta(minutes=1)
_SOURCES = 10_000
"""Sources that are remembered; the one that failed longest ago makes room."""


class Bounds:
    """Counts conversations."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._failed: OrderedDict[str, tuple[dt.datetime, int]] = OrderedDict()

    @contextmanager
    def attempt(self, address: str) -> Iterator[None]:
        """Hold a place for one conversation; one that ends with an error counts against its source, whose address is
        given without a port. Raises LimitExceeded (AUTH-JOIN-OFTEN)."""
        source = source_of(address)
        self._check(source)
        self._open[source] += 1
        try:
            yield
        except BaseException:
            self._count(source)
            raise
        finally:
            self._open[source] -= 1
            if not self._open[source]:
                del self._open[source]

    def _check(self, source: str) -> None:
        shown = source or "this source"
        if self._failures(source) >= FAILURES:
            raise LimitExceeded("AUTH-JOIN-OFTEN", source=shown, problem=f"{FAILURES} have failed within a minute")
        if self._open[source] >= OF_ONE or self._open.total() >= OF_ALL:
            raise LimitExceeded("AUTH-JOIN-OFTEN", source=shown, problem="many others are under way")

    def _failures(self, source: str) -> int:
        since, count = self._failed.get(source, (self._clock.now(), 0))
        return count if self._clock.now() - since < WINDOW else 0

    def _count(self, source: str) -> None:
        count = self._failures(source)
        since = self._failed.pop(source)[0] if count else self._clock.now()
        self._failed[source] = (since, count + 1)
        while len(self._failed) > _SOURCES:
            self._failed.popitem(last=False)
