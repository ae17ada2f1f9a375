"""What a join method is: a function from what is asked to what was proven.

It looks at the proof and at nothing else: token, roles, names and locks are the business of `auth.join.service`,
which folds what was proven into the certificates. One method is one file; `auth.join.methods` is the table of all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from teleport.api.join_messages import Init, Start
from teleport.base.errors import AccessDenied
from teleport.model.kinds.token import Token
from teleport.store.backend import Op

Ask = Callable[[bytes], Awaitable[bytes]]
"""Puts a challenge to who joins, and returns the solution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who joins, and what they say."""

    token: Token
    init: Init
    start: Start
    ask: Ask
    host_id: str = ""
    """The host that it has proven to be by its certificate; empty: a new one."""
    bot_name: str = ""
    """The bot that joins; empty: a host does."""
    instance_id: str = ""
    """The instance of that bot that it has proven to be by its certificate; empty: a new one."""
    unlocked: Callable[[str], Awaitable[None]]
    """Raises AccessDenied (POL-LOCKED) where the token is locked, or the host of that id. It is asked again at the end:
    methods ask only where something must not happen while it is."""

    def refuse(self, problem: str) -> AccessDenied:
        """Return the error for a proof that does not hold."""
        method = self.token.spec.join_method
        return AccessDenied("AUTH-JOIN-PROOF", problem=problem, method=method, token=self.token.safe_name())

    def no_rule(self, who: str) -> AccessDenied:
        """Return the error for a proof that holds, of somebody whom no rule of the token names."""
        method = self.token.spec.join_method
        return AccessDenied("AUTH-JOIN-RULES", who=who, method=method, token=self.token.safe_name())


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a proof says, and what follows for the certificates."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    """For the record: which account, repository, machine it was."""
    host_id: str = ""
    """The only id that the host may have; empty: the Auth Service gives one."""
    instance_id: str = ""
    """The only id that the instance of a bot may have; empty: the Auth Service gives one."""
    previous_id: str = ""
    """The instance that this one comes after."""
    longest: dt.timedelta | None = None
    """Longest life of the certificates."""
    ops: Sequence[Op] = ()
    """Changes that are committed together with the record of the join, or not at all."""
    keepsake: bytes = b""
    """What who joins shall show the next time."""


Prove = Callable[[Request], Awaitable[Proven]]
"""A join method. Raises AccessDenied (AUTH-JOIN-PROOF, AUTH-JOIN-RULES), and BadParameter for what cannot be read."""
