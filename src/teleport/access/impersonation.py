"""Impersonation: whose roles somebody may have written into certificates of their own making, as bots do.

Each role that is asked for needs a role of the caller whose `impersonate` names it on the allow side, and none that
names it on the deny side. Patterns are those of labels; `where` may speak of `user` and of `impersonate_role`. What
cannot be read or evaluated never allows and always denies.

Not here: conditions on the caller, which come before (`access.standing`), and the answer (`access.checker`).
`impersonate.users` is about signing in other people's names, which a rule on `user` with the verb `use` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from teleport.access.denial import Reasons, Step
from teleport.access.labels import matcher
from teleport.access.predicate import WHERE, Value, evaluate, parse
from teleport.access.rules import user_data
from teleport.base.errors import BadParameter
from teleport.base.struct import plain
from teleport.model.identity import Identity, Traits
from teleport.model.kinds.role import Role
from teleport.model.resource import Resource
from teleport.model.role_spec import Side

_MOST = 3
_NAMES = 10


class Permission(NamedTuple):
    """What one side of a role says of impersonation."""

    role: str
    side: Side
    names: tuple[str, ...]
    """Patterns of names of roles."""
    where: str = ""

    def names_role(self, wanted: str) -> bool:
        """Whether a pattern means the role."""
        try:
            return any(matcher(pattern)(wanted) for pattern in self.names)
        except BadParameter:
            return self.side == "deny"

    def applies(self, wanted: Resource[Any], data: Mapping[str, Value]) -> bool:
        """Whether the role is meant, by name and by `where`."""
        if not self.names_role(wanted.name) or not self.where:
            return self.names_role(wanted.name)
        try:
            return evaluate(parse(self.where, WHERE), data)
        except BadParameter:
            return self.side == "deny"

    def __str__(self) -> str:
        more = f" where {self.where}" if self.where else ""
        return f"[{' '.join(self.names[:_NAMES])}{' ...' if len(self.names) > _NAMES else ''}]{more}"


def permissions(role: Role) -> Iterator[Permission]:
    """Yield what a role says."""
    for side, conditions in role.sides():
        said = conditions.impersonate
        if said is not None and said.roles:
            yield Permission(role.name, side, said.roles, said.where)


def data_of(caller: Identity, traits: Traits, wanted: Resource[Any]) -> dict[str, Value]:
    """Return what `where` may speak of."""
    return {"user": user_data(caller, traits), "impersonate_role": plain(wanted)}


def denies(known: Iterable[Permission], wanted: Resource[Any], data: Mapping[str, Value]) -> bool:
    """Whether a role of the caller forbids it."""
    return any(each.side == "deny" and each.applies(wanted, data) for each in known)


def allowing(known: Iterable[Permission], wanted: Resource[Any], data: Mapping[str, Value]) -> str:
    """Return the role of the caller that allows it; empty if none does."""
    return next((each.role for each in known if each.side == "allow" and each.applies(wanted, data)), "")


def impersonation_reasons(
    caller: Identity, known: Iterable[Permission], wanted: Resource[Any], data: Mapping[str, Value],
    before: Sequence[Step],
) -> Reasons:  # fmt: skip
    """Explain a refusal. `before` are the conditions on the caller."""
    steps = tuple(
        Step(
            role=each.role, side=each.side, condition="impersonate", matched=each.applies(wanted, data),
            wanted=str(each), found=wanted.name,
        )
        for each in known
    )  # fmt: skip
    denying = [step for step in steps if step.side == "deny" and step.matched]
    near = list(dict.fromkeys(step.role for step in steps if step.side == "allow"))[:_MOST]
    if denying:
        help_ = [", and ".join(f'remove it from deny.impersonate of role "{step.role}"' for step in denying)]
    else:
        help_ = [f'let allow.impersonate.roles of role "{role}" name "{wanted.name}"' for role in near]
        help_ = help_ or [f'give "{caller.name}" a role whose allow.impersonate.roles names "{wanted.name}"']
    nearest = denying[0] if denying else next((step for step in steps if step.side == "allow"), None)
    return Reasons((*before, *steps), nearest, tuple(help_))
