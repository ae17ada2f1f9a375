"""Denial: a refusal that knows why.

Its code is computed at once. The reasons of every role are computed when somebody reads them: most
refusals are counted, few are read, and a caller may have a thousand roles. All inputs are immutable, so
reading later gives what reading at once would have given.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from teleport.access.action import Action, Conditions, Target
from teleport.base.struct import Struct
from teleport.model.identity import Identity


class Step(Struct, frozen=True, kw_only=True):
    """One condition that was looked at."""

    role: str = ""
    """Role it belongs to; empty for conditions on the caller."""
    side: str = "caller"
    """caller, allow, deny or system."""
    condition: str
    """certificate, cluster, ip, roles, locks, logins, node_labels, node_labels_expression, rules, listing, ..."""
    matched: bool
    """Whether the condition holds. On the side deny a match is what refuses."""
    wanted: str
    found: str


class Reasons(NamedTuple):
    """Everything there is to say about a refusal."""

    steps: tuple[Step, ...]
    nearest: Step | None
    succeed_if: tuple[str, ...]
    logins: tuple[str, ...] = ()
    """Logins of the caller that do connect to the target."""


class Denial:
    """No, because. Compares by identity; `access.explain.fingerprint` says whether two are alike."""

    def __init__(
        self, code: str, caller: Identity, action: Action, target: Target, conditions: Conditions, *,
        reasons: Callable[[], Reasons], visible: Callable[[], bool], fields: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.code = code
        """Page of the catalogue."""
        self.caller = caller
        self.action = action
        self.target = target
        self.conditions = conditions
        self.fields = dict(fields or {})
        """Fields of the page that are known to the checker."""
        self._reasons = reasons
        self._visible = visible

    @functools.cached_property
    def reasons(self) -> Reasons:
        """Every condition of every role, the nearest miss, and what would help."""
        return self._reasons()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every condition of the caller and of every role, in the order in which they count."""
        return self.reasons.steps

    @property
    def nearest(self) -> Step | None:
        """The condition that alone stood in the way, in the role where the fewest did; None if nothing is near."""
        return self.reasons.nearest

    @property
    def succeed_if(self) -> tuple[str, ...]:
        """Changes any one of which would make the same request succeed, as far as roles and locks decide."""
        return self.reasons.succeed_if

    @functools.cached_property
    def visible(self) -> bool:
        """Whether the caller may know that the target exists.

        True for refusals that do not depend on the target, which an absent target would get as well. A lock
        on a server hides it from nobody who could list it before.
        """
        return self._visible()

    def __repr__(self) -> str:
        return f"Denial({self.code}, {self.caller.name}, {self.action})"
