"""Check: one thing that a doctor looks at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from teleport.client.doctor.report import Finding

S = TypeVar("S")
"""What is examined."""


class Check(NamedTuple, Generic[S]):
    """One thing to look at."""

    name: str
    run: Callable[[S], Awaitable[str | Finding]]
    """Returns evidence, or a finding of another sort; raises what is wrong."""
    needs: tuple[str, ...] = ()
    """Checks without which this one says nothing."""
    applies: Callable[[S], bool] = lambda _: True
    """Whether there is something to look at. Checks that do not apply are not named in the report."""
