"""Rules: verbs on kinds of resources, the part of a role that the API asks about.

A rule applies when kind, verb and `where` agree. `where` may speak of the object; asked about a kind as
a whole (before anything is loaded) such a rule may apply, and the object decides later. A `where` that
cannot be read or evaluated counts as an explicit denial, on whichever side it stands.

Not here: which role has which rules (`access.roleset`), and what follows (`access.checker`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from teleport.access.predicate import WHERE, Predicate, Value, evaluate, parse
from teleport.base.errors import BadParameter
from teleport.base.struct import plain
from teleport.model.identity import Identity, Traits
from teleport.model.recorded_session import RecordedSession
from teleport.model.resource import Resource
from teleport.model.role_spec import Rule, Side

READS = frozenset({"list", "read", "readnosecrets"})
"""Verbs that change nothing."""


class Answer(enum.Enum):
    """Whether a rule applies."""

    YES = "applies"
    NO = "does not apply"
    MAYBE = "depends on the object"
    BROKEN = "cannot be evaluated"


class RoleRule(NamedTuple):
    """A rule of a role, compiled."""

    role: str
    side: Side
    rule: Rule
    resources: frozenset[str]
    verbs: frozenset[str]
    where: Predicate | None
    broken: str
    """Why `where` cannot be read; empty if it can."""

    def speaks_of(self, kind: str, verb: str) -> bool:
        """Whether kind and verb are the rule's, whatever `where` says."""
        if kind not in self.resources and "*" not in self.resources:
            return False
        if verb in self.verbs or "*" in self.verbs:
            return True
        return verb == "readnosecrets" and "read" in self.verbs

    def answer(self, data: Mapping[str, Value]) -> Answer:
        """Say whether `where` is true. `data` has `user`, and `resource` if there is an object."""
        if self.broken:
            return Answer.BROKEN
        if self.where is None:
            return Answer.YES
        if "resource" not in data and self.where.roots - {"user"}:
            return Answer.MAYBE
        try:
            return Answer.YES if evaluate(self.where, data) else Answer.NO
        except BadParameter:
            return Answer.BROKEN

    def __str__(self) -> str:
        condition = f" where {self.rule.where}" if self.rule.where else ""
        return f"[{' '.join(self.rule.resources)}]: [{' '.join(self.rule.verbs)}]{condition}"


def compile_rule(role: str, side: Side, rule: Rule) -> RoleRule:
    """Prepare a rule. Never raises: a `where` that cannot be read makes the rule deny."""
    where, broken = None, ""
    if rule.where:
        try:
            where = parse(rule.where, WHERE)
        except BadParameter as error:
            broken = str(error)
    return RoleRule(role, side, rule, frozenset(rule.resources), frozenset(rule.verbs), where, broken)


def user_data(caller: Identity, traits: Traits) -> dict[str, Value]:
    """Return what predicates call `user`."""
    return {"kind": caller.kind, "metadata": {"name": caller.name}, "spec": {"roles": caller.roles, "traits": traits}}


def rule_data(caller: Identity, traits: Traits, target: Resource[Any] | str) -> dict[str, Value]:
    """Return the data for `where`. Secrets of the object are not part of it; a recorded session is `session` too."""
    data: dict[str, Value] = {"user": user_data(caller, traits)}
    if not isinstance(target, str):
        data["resource"] = plain(target)
        if isinstance(target, RecordedSession):
            data["session"] = data["resource"]["spec"]
    return data
