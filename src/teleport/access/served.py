"""Served: who may reach databases, applications and Kubernetes clusters, and as whom there.

A database: one role allows its labels, the account and, where the protocol tells them apart, the part of it, all
together. An application: one role allows its labels. A Kubernetes cluster: the roles that allow its labels give a user
or a group of it. Every deny wins: labels of the thing, an account, a part; of users and groups each takes itself away.

The decision itself is `access.checker`'s; this says what each role contributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from teleport.access.action import Reach, kind_of, name_of
from teleport.access.denial import Reasons, Step
from teleport.access.labels import show
from teleport.access.roleset import IMPLICIT_NAME, HeldRole, RoleSet
from teleport.access.sides import LabelSide
from teleport.access.traits import expand
from teleport.model.identity import Traits
from teleport.model.kinds.db import NAMED, Db
from teleport.model.kinds.db_server import DbServer
from teleport.model.resource import Resource
from teleport.model.role_spec import Side

MAX_SUGGESTIONS = 3
_SELECTORS = frozenset({"db_labels", "app_labels", "kubernetes_labels"})
_KUBERNETES = ("kubernetes_users", "kubernetes_groups")
_ANY = "*"


class Account(NamedTuple):
    """As whom, or in which part, something is reached: the field of roles that lists it, and what is asked for."""

    field: str
    wanted: str


class Principals(NamedTuple):
    """Users and groups of a Kubernetes cluster."""

    users: tuple[str, ...]
    groups: tuple[str, ...]


def is_served(target: object) -> bool:
    """Whether roles select the target by labels of databases, applications or Kubernetes clusters."""
    info = getattr(type(target), "info", None)
    return info is not None and info.selector in _SELECTORS


def selector_of(target: Resource[Any]) -> str:
    """Return the field of roles that selects it."""
    return str(target.info.selector)


def accounts(action: Reach, target: Resource[Any]) -> tuple[Account, ...]:
    """Return what a role must list beside the labels."""
    if selector_of(target) != "db_labels":
        return ()
    found = [] if action.user is None else [Account("db_users", action.user)]
    if action.name is not None and _protocol(target) in NAMED:
        found.append(Account("db_names", action.name))
    return tuple(found)


def _protocol(target: Resource[Any]) -> str:
    database = target.spec.database if isinstance(target, DbServer) else target
    return str(database.spec.protocol) if isinstance(database, Db) else ""


def selects(role: HeldRole, side: Side, target: Resource[Any], user: object) -> bool:
    """Whether the labels of a side mean the target."""
    return role.labels(selector_of(target), side).selects(target.labels_now(), user)


def shown(roles: RoleSet, target: Resource[Any], user: object) -> bool:
    """Whether lists show it: some role allows its labels and none denies them."""
    if any(selects(role, "deny", target, user) for role in roles.roles):
        return False
    return any(selects(role, "allow", target, user) for role in roles.roles)


def denies(roles: RoleSet, action: Reach, target: Resource[Any], user: object) -> bool:
    """Whether any role forbids it: by labels, or by an account."""
    asked = accounts(action, target)
    return any(
        selects(role, "deny", target, user) or any(_lists(role, "deny", each, roles.traits) for each in asked)
        for role in roles.roles
    )


def allowing(roles: RoleSet, action: Reach, target: Resource[Any], user: object) -> str:
    """Return the first role that allows it all by itself; empty if none does."""
    asked = accounts(action, target)
    for role in roles.roles:
        if not selects(role, "allow", target, user) or not all(
            _lists(role, "allow", each, roles.traits) for each in asked
        ):
            continue
        if selector_of(target) != "kubernetes_labels" or _gives_any(roles, role):
            return role.name
    return ""


def principals(roles: RoleSet, target: Resource[Any], user: object) -> Principals:
    """Return the users and groups that roles give in a Kubernetes cluster, of all that allow its labels."""
    users, groups = (listing(roles, field, target, user).allowed for field in _KUBERNETES)
    return Principals(users, groups)


def _gives_any(roles: RoleSet, role: HeldRole) -> bool:
    """Whether a role gives a user or a group that no role takes away."""
    for field in _KUBERNETES:
        denied = {name for other in roles.roles for name in listed(other, "deny", field, roles.traits)}
        if _ANY not in denied and not denied.issuperset(listed(role, "allow", field, roles.traits)):
            return True
    return False


class Listed(NamedTuple):
    """What roles say of one field, for one target: names, sorted; `*` is every one."""

    allowed: tuple[str, ...]
    """What a role that allows the target lists, and none denies."""
    denied: tuple[str, ...]


def listing(roles: RoleSet, field: str, target: Resource[Any], user: object) -> Listed:
    """Return what roles list of accounts of the target, with all that any of them denies."""
    held = [role for role in roles.roles if selects(role, "allow", target, user)]
    denied = {name for role in roles.roles for name in listed(role, "deny", field, roles.traits)}
    allowed = {name for role in held for name in listed(role, "allow", field, roles.traits)}
    return Listed(() if _ANY in denied else tuple(sorted(allowed - denied)), tuple(sorted(denied)))


def listed(role: HeldRole, side: Side, field: str, traits: Traits) -> tuple[str, ...]:
    """Return what a side of a role lists in a field, templates filled in."""
    return tuple(name for item in getattr(role.conditions(side), field) for name in expand(item, traits))


def _lists(role: HeldRole, side: Side, account: Account, traits: Traits) -> bool:
    found = listed(role, side, account.field, traits)
    return _ANY in found or account.wanted in found


# -- why not


def reach_reasons(
    roles: RoleSet, action: Reach, target: Resource[Any], user: object, before: Sequence[Step]
) -> Reasons:
    """Explain a refusal. `before` are the conditions on the caller."""
    held = [role for role in roles.roles if role.name != IMPLICIT_NAME]
    steps = [step for role in held for step in _of_role(roles, role, action, target, user)]
    denying = [step for step in steps if step.side == "deny" and step.matched]
    repeals = [f'remove {step.condition} {step.wanted} from the deny side of role "{step.role}"' for step in denying]
    by_role = {
        role.name: [step for step in steps if step.role == role.name and step.side == "allow" and not step.matched]
        for role in held
    }
    complete = [name for name, missing in by_role.items() if not missing]
    near = sorted((name for name in by_role if by_role[name]), key=lambda name: (len(by_role[name]), name))
    if complete:
        changes = [", and ".join(repeals)] if repeals else []
        return Reasons((*before, *steps), denying[0] if denying else None, tuple(changes))
    grants = [", and ".join(map(_repair, by_role[name])) for name in near[:MAX_SUGGESTIONS]]
    grants = grants or [f"give a role whose {selector_of(target)} match {name_of(target)}"]
    nearest = denying[0] if denying else by_role[near[0]][0] if near else None
    return Reasons((*before, *steps), nearest, tuple(", and ".join([*repeals, grant]) for grant in grants))


def _repair(step: Step) -> str:
    if step.condition.endswith(("_labels", "_labels_expression")):
        return f'let {step.condition} of role "{step.role}" match {step.found}'
    if step.condition == "kubernetes_groups":
        return f'add a group or a user to kubernetes_groups or kubernetes_users of role "{step.role}"'
    return f'add {step.found} to {step.condition} of role "{step.role}"'


def _of_role(roles: RoleSet, role: HeldRole, action: Reach, target: Resource[Any], user: object) -> Iterator[Step]:
    labels, field = target.labels_now(), selector_of(target)
    sides: tuple[Side, ...] = ("deny", "allow")
    for side in sides:
        yield from _of_labels(role.name, side, field, role.labels(field, side), labels, user)
        for account in accounts(action, target):
            found = listed(role, side, account.field, roles.traits)
            if side == "allow" or found:
                yield Step(
                    role=role.name, side=side, condition=account.field, wanted=f"[{' '.join(found[:10])}]",
                    matched=_lists(role, side, account, roles.traits), found=f'"{account.wanted}"',
                )  # fmt: skip
    if field == "kubernetes_labels":
        given = [name for each in _KUBERNETES for name in listed(role, "allow", each, roles.traits)]
        yield Step(
            role=role.name, side="allow", condition="kubernetes_groups", matched=_gives_any(roles, role),
            wanted="a group or a user of the cluster", found=f"[{' '.join(given[:10])}]",
        )  # fmt: skip


def _of_labels(
    role: str, side: Side, field: str, part: LabelSide, labels: Mapping[str, str], user: object
) -> Iterator[Step]:
    found = show(labels)
    if part.selector or (side == "allow" and not part.expression):
        yield Step(
            role=role, side=side, condition=field, matched=part.selector.matches(labels), wanted=str(part.selector),
            found=found,
        )  # fmt: skip
    if part.expression:
        broken = f" ({part.broken})" if part.broken else ""
        yield Step(
            role=role, side=side, condition=f"{field}_expression", matched=part.expression_holds(labels, user),
            wanted=part.expression + broken, found=found,
        )  # fmt: skip


def request_text(action: Reach, target: Resource[Any] | str) -> str:
    """Write what was asked for: `reach db/example as alice in sales`."""
    as_user = f" as {action.user}" if action.user else ""
    in_part = f" in {action.name}" if action.name else ""
    name = name_of(target)
    return f"reach {kind_of(target)}{f'/{name}' if name else ''}{as_user}{in_part}"
