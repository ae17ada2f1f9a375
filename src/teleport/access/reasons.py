"""Reasons: what every role says of a request, which miss was nearest, and what would help.

Read only when somebody wants to know; `access.checker` decides without it. Both look at the same compiled
conditions, and a law in the tests holds them to the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teleport.access.action import Connect, Open, Target, Use, kind_of, title_of
from teleport.access.channels import repairs, role_steps
from teleport.access.denial import Reasons, Step
from teleport.access.labels import show
from teleport.access.roleset import IMPLICIT_NAME, HeldRole, NodeSide, RoleSet
from teleport.access.rules import Answer, RoleRule, rule_data, user_data
from teleport.model.identity import Identity
from teleport.model.resource import Resource
from teleport.model.role_spec import Side

MAX_SUGGESTIONS = 3
MAX_NAMES = 10
"""Entries of a list that an explanation shows."""


def names(values: Sequence[str]) -> str:
    """Write a list of names: `[alice bob]`, shortened when it is long."""
    return f"[{' '.join(values[:MAX_NAMES])}{' ...' if len(values) > MAX_NAMES else ''}]"


def connect_reasons(
    caller: Identity, roles: RoleSet, action: Connect | Open, node: Resource[Any], before: Sequence[Step]
) -> Reasons:
    """Explain a refused connection. `before` are the conditions on the caller."""
    labels, user = node.labels_now(), user_data(caller, roles.traits)
    steps = [
        step for role in roles.roles if role.name != IMPLICIT_NAME for step in _of_role(role, action, labels, user)
    ]
    denying = [step for step in steps if step.side == "deny" and step.matched]
    by_role: dict[str, list[Step]] = {}
    for step in steps:
        if step.side == "allow":
            by_role.setdefault(step.role, []).append(step)
    fewest = min((_misses(of_role) for of_role in by_role.values()), default=1)
    nearby = [of_role for of_role in by_role.values() if fewest and _misses(of_role) == fewest]
    near = {of_role[0].role: of_role for of_role in sorted(nearby, key=_misses_labels)}  # a login alone is nearest
    nearest = next((step for of_role in near.values() for step in of_role if not step.matched), None)
    selectors = {role.name: role.allow for role in roles.roles}
    grants = [
        ", and ".join(_repair(step, selectors[role], action, node) for step in of_role if not step.matched)
        for role, of_role in list(near.items())[:MAX_SUGGESTIONS]
    ]
    if fewest and not grants:
        place = f"{title_of(node)} ({show(labels)})"
        grants = [f'give user "{caller.name}" a role that allows login "{action.login}" on {place}']
    repeals = [_repeal(step, action) for step in denying]
    again = []
    if action.login not in caller.principals:
        again = [f'log in again, so that the certificate lists "{action.login}"']
    changes = tuple(", and ".join([*repeals, grant, *again]) for grant in grants) or (", and ".join(repeals + again),)
    return Reasons((*before, *steps), denying[0] if denying else nearest, changes)


def channel_reasons(
    caller: Identity, roles: RoleSet, action: Open, node: Resource[Any], before: Sequence[Step]
) -> Reasons:
    """Explain a refused channel to somebody who may have a session. `before` ends with what the service and the
    certificate say of it."""
    session = connect_reasons(caller, roles, Connect(action.login), node, before).steps
    given = [(role.name, role.options) for role in roles.roles if role.name != IMPLICIT_NAME]
    steps = role_steps(given, action.channel)
    missing = next((step for step in before if not step.matched), None)
    if missing is not None:
        return Reasons((*session, *steps), missing, (_condition(missing),))
    denying = next((step for step in steps if step.side == "deny"), None)
    nearest = denying or next(iter(steps), None)
    return Reasons((*session, *steps), nearest, repairs(steps, MAX_SUGGESTIONS))


def _condition(missing: Step) -> str:
    """Say what would help against a refusal that is not the roles'."""
    if missing.condition.startswith("extension "):
        return "give the user a role with the option and let them log in again, for a certificate with this extension"
    return f"set {missing.condition} to yes in the configuration of the node"


def _misses(steps: Sequence[Step]) -> int:
    return sum(not step.matched for step in steps)


def _misses_labels(steps: Sequence[Step]) -> bool:
    return any(not step.matched and step.condition != "logins" for step in steps)


def _of_role(role: HeldRole, action: Connect | Open, labels: Mapping[str, str], user: object) -> list[Step]:
    steps: list[Step] = []
    if not role.deny.empty:
        steps += _of_side(role.name, "deny", role.deny, action, labels, user)
    return steps + _of_side(role.name, "allow", role.allow, action, labels, user)


def _of_side(
    role: str, side: Side, part: NodeSide, action: Connect | Open, labels: Mapping[str, str], user: object
) -> list[Step]:
    found = show(labels)
    steps: list[Step] = []
    if part.selector or (side == "allow" and not part.expression):
        steps.append(
            Step(
                role=role, side=side, condition="node_labels", matched=part.selector.matches(labels),
                wanted=str(part.selector), found=found,
            )
        )  # fmt: skip
    if part.expression:
        broken = f" ({part.broken})" if part.broken else ""
        steps.append(
            Step(
                role=role, side=side, condition="node_labels_expression", matched=part.expression_holds(labels, user),
                wanted=part.expression + broken, found=found,
            )
        )  # fmt: skip
    if side == "allow" or part.logins or part.any_login:
        logins = ["*"] * part.any_login + sorted(part.logins)
        steps.append(
            Step(
                role=role, side=side, condition="logins", matched=part.has_login(action.login),
                wanted=names(logins), found=f'"{action.login}"',
            )
        )  # fmt: skip
    return steps


def _repair(step: Step, allow: NodeSide, action: Connect | Open, node: Resource[Any]) -> str:
    """Say what would turn this miss into a match."""
    where, labels = f'role "{step.role}"', node.labels_now()
    if step.condition == "logins":
        return f'add login "{action.login}" to {where}'
    if step.condition == "node_labels_expression":
        return f"change node_labels_expression of {where} so that it is true of {title_of(node)}"
    if not allow.selector:
        return f"let node_labels of {where} match {title_of(node)} ({show(labels)})"
    parts: list[str] = []
    for miss in allow.selector.misses(labels):
        if miss.found is None:
            parts.append(f"remove {miss.key} from node_labels of {where}")
        else:
            parts.append(f"add {miss.key}={miss.found} to node_labels of {where}")
    return ", and ".join(parts)


def _repeal(step: Step, action: Connect | Open) -> str:
    if step.condition == "logins":
        return f'remove login "{action.login}" from the deny side of role "{step.role}"'
    return f'remove {step.condition} from the deny side of role "{step.role}"'


def use_reasons(caller: Identity, roles: RoleSet, action: Use, target: Target, before: Sequence[Step]) -> Reasons:
    """Explain a refused use of the API."""
    kind, data = kind_of(target), rule_data(caller, roles.traits, target)
    by_role: dict[str, list[RoleRule]] = {role.name: [] for role in roles.roles}
    for rule in roles.rules:
        if kind in rule.resources or "*" in rule.resources:
            by_role[rule.role].append(rule)
    steps: list[Step] = []
    for role, rules in by_role.items():
        steps += [_of_rule(rule, action.verb, kind, data) for rule in rules]
        if not any(rule.side == "allow" for rule in rules):
            wanted = f"{action.verb} on {kind}"
            steps.append(
                Step(role=role, side="allow", condition="rules", matched=False, wanted=wanted, found="no rule for it")
            )
    denying = [step for step in steps if step.matched and step.side == "deny"]
    holding = [role for role in by_role if role != IMPLICIT_NAME]
    near = [role for role in holding if any(rule.side == "allow" for rule in by_role[role])] or holding
    nearest = next((step for step in steps if step.role in near and step.side == "allow" and not step.matched), None)
    if denying:
        help_ = [", and ".join(f'remove the rule {step.found} from role "{step.role}"' for step in denying)]
    else:
        given = f"a rule with resources [{kind}] and verbs [{action.verb}]"
        help_ = [f'add {given} to role "{role}"' for role in near[:MAX_SUGGESTIONS]]
        help_ = help_ or [f'give user "{caller.name}" a role with {given}']
    return Reasons((*before, *steps), denying[0] if denying else nearest, tuple(help_))


def _of_rule(rule: RoleRule, verb: str, kind: str, data: Mapping[str, object]) -> Step:
    """One rule as a step. A rule that cannot be evaluated denies, on whichever side it stands."""
    found, side, matched = str(rule), str(rule.side), False
    if rule.speaks_of(kind, verb):
        answer = rule.answer(data)
        matched = answer is Answer.YES or (answer is Answer.MAYBE and side == "allow")
        if answer is Answer.BROKEN:
            found, side, matched = (
                f"{found} (cannot be evaluated{f': {rule.broken}' if rule.broken else ''})",
                "deny",
                True,
            )
    return Step(role=rule.role, side=side, condition="rules", matched=matched, wanted=f"{verb} on {kind}", found=found)
