"""Joining: who may take part in the running session of somebody else.

Owners may join their own sessions in every mode. Others need a policy (`join_sessions`) of one of their roles that
names a role of the owner, the kind of session and the mode; a policy on the deny side of any role takes that away. A
role of the owner is one that they held when the session began. Whoever may join a session also sees that it runs.

Not here: conditions on the caller, which come before (`access.standing`), and the answer (`access.checker`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, get_args

from teleport.access.action import JoinMode
from teleport.access.denial import Reasons, Step
from teleport.access.labels import matcher
from teleport.base.errors import BadParameter
from teleport.model.identity import Identity
from teleport.model.kinds.role import Role
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.role_spec import JoinSessions, Side

MODES: tuple[JoinMode, ...] = get_args(JoinMode)
_MOST = 3
"""Changes that an explanation suggests, and names of a list that it shows beyond which there are dots."""
_NAMES = 10


class Policy(NamedTuple):
    """One entry of `join_sessions` of a role."""

    role: str
    side: Side
    policy: JoinSessions

    def names(self, owner_roles: Iterable[str]) -> bool:
        """Whether one of the owner's roles is meant. A pattern that cannot be read names nobody, and denies all."""
        try:
            tests = [matcher(pattern) for pattern in self.policy.roles]
        except BadParameter:
            return self.side == "deny"
        return any(fits(name) for name in owner_roles for fits in tests)

    def speaks_of(self, kind: str, mode: str) -> bool:
        """Whether kind and mode are meant."""
        kinds, modes = self.policy.kinds, self.policy.modes
        return (kind in kinds or "*" in kinds) and (mode in modes or "*" in modes)

    def applies(self, tracker: SessionTracker, mode: str) -> bool:
        """Whether it speaks of joining this session in this mode."""
        return self.speaks_of(tracker.spec.kind, mode) and self.names(owner_roles(tracker))

    def __str__(self) -> str:
        policy = self.policy
        parts = (("modes", policy.modes), ("kinds", policy.kinds), ("roles", policy.roles))
        return ", ".join(f"{what} [{_listed(values)}]" for what, values in parts)


def policies(role: Role) -> Iterator[Policy]:
    """Yield what a role says of joining. Allowing counts from version v5 on, denying always."""
    for side, conditions in role.sides():
        if side == "deny" or role.joins_sessions:
            yield from (Policy(role.name, side, each) for each in conditions.join_sessions)


def owner_roles(tracker: SessionTracker) -> tuple[str, ...]:
    """Return the roles that the owner of a session held when it began."""
    return tuple(policy.name for policy in tracker.spec.host_policies)


def owns(caller: Identity, tracker: SessionTracker) -> bool:
    """Whether it is the caller's own session."""
    return bool(tracker.spec.host_user) and tracker.spec.host_user == caller.name and caller.kind in ("human", "bot")


def denies(known: Iterable[Policy], tracker: SessionTracker, mode: str) -> bool:
    """Whether a policy forbids it."""
    return any(each.side == "deny" and each.applies(tracker, mode) for each in known)


def allowing(known: Iterable[Policy], tracker: SessionTracker, mode: str) -> str:
    """Return the role that lets its holders join; empty if none does."""
    return next((each.role for each in known if each.side == "allow" and each.applies(tracker, mode)), "")


def showing(known: Sequence[Policy], tracker: SessionTracker | None) -> str:
    """Return the role that shows its holders a session because they may join it; without a session, one that may show
    some. Empty if none does."""
    if tracker is None:
        return next((each.role for each in known if each.side == "allow"), "")
    found = (allowing(known, tracker, mode) for mode in MODES if not denies(known, tracker, mode))
    return next(filter(None, found), "")


def join_reasons(
    caller: Identity, known: Iterable[Policy], tracker: SessionTracker, mode: str, before: Sequence[Step]
) -> Reasons:
    """Explain a refusal. `before` are the conditions on the caller."""
    found = f"{mode}, {tracker.spec.kind}, owner's roles [{_listed(owner_roles(tracker))}]"
    steps = tuple(
        Step(
            role=each.role, side=each.side, condition="join_sessions", matched=each.applies(tracker, mode),
            wanted=str(each), found=found,
        )
        for each in known
    )  # fmt: skip
    denying = [step for step in steps if step.side == "deny" and step.matched]
    given = f"mode {mode}, kind {tracker.spec.kind} and a role of the owner"
    near = list(dict.fromkeys(step.role for step in steps if step.side == "allow"))[:_MOST]
    if denying:
        help_ = [", and ".join(f'remove join_sessions from the deny side of role "{step.role}"' for step in denying)]
    else:
        help_ = [f'let join_sessions of role "{role}" name {given}' for role in near]
        help_ = help_ or [f'give user "{caller.name}" a role (v5 or later) whose join_sessions names {given}']
    nearest = denying[0] if denying else next((step for step in steps if step.side == "allow"), None)
    return Reasons((*before, *steps), nearest, tuple(help_))


def _listed(values: Sequence[str]) -> str:
    return " ".join(values[:_NAMES]) + (" ..." if len(values) > _NAMES else "")
