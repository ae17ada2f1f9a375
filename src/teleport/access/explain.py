"""Explanations: a refusal in words, for the caller and for administrators.

The caller learns of roles that they hold and of targets that they may list, nothing else: a target that
is hidden and one that does not exist give the same error, to the byte. The whole tree goes into a record
that is stored under a random id; `tctl access explain ID` shows it to who may read roles and audit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from teleport.access.action import (
    Action,
    Assume,
    Connect,
    Join,
    Open,
    Reach,
    Target,
    Use,
    clock_text,
    kind_of,
    name_of,
    title_of,
)
from teleport.access.channels import KINDS
from teleport.access.checker import Grant
from teleport.access.denial import Denial, Step
from teleport.access.served import request_text as reach_text
from teleport.base.errors import AccessDenied, BadParameter, NotFound
from teleport.base.struct import Struct, decode, encode, plain
from teleport.model.events.resource import shown_name

RECORD_VERSION = 1

_CHANNEL = "POL-CHANNEL-"
"""Beginning of the pages for a channel that is refused to somebody who may have a session."""
_CONFIRM = {
    **dict.fromkeys(("db", "db_server"), " Confirm database user and name."),
    **dict.fromkeys(("kube_cluster", "kube_server"), " Confirm Kubernetes user or group."),
}
"""What people look at first, by kind."""
_MAX_ROLES = 3
"""Roles whose reasons a user is told in one line."""


def not_found(kind: str, name: str, id: str) -> NotFound:
    """Return the error for a target that does not exist. Hidden targets get the same."""
    return NotFound("POL-NOT-FOUND", id=id, **_clean({"kind": kind, "name": name[:120], "decision": id}))


def user_error(denial: Denial, id: str, asked: str = "") -> AccessDenied | NotFound:
    """Return what the caller is told. `id` finds the record; `asked` is the name the caller used for the target.

    Without `asked` the target's own name is repeated, which is right only if that is what the caller gave.
    """
    if not denial.visible:
        return not_found(kind_of(denial.target), asked or name_of(denial.target), id)
    fields = {
        "kind": kind_of(denial.target), "denied": _denied(denial), "reason": _reason(denial), "hint": _hint(denial, id),
        **denial.fields, "decision": id,
    }  # fmt: skip
    return AccessDenied(denial.code, id=id, **_clean(fields))


def _denied(denial: Denial) -> str:
    kind = kind_of(denial.target)
    if isinstance(denial.action, Use):
        return f'access denied to perform action "{denial.action.verb}" on "{kind}"'
    if isinstance(denial.action, Join):
        return f"access to the session denied: you may not join it as {denial.action.mode}"
    if isinstance(denial.action, Reach):
        return f"access to {kind} denied. User does not have permissions.{_CONFIRM.get(kind, '')}"
    if isinstance(denial.action, Assume):
        return f'access denied: you may not have certificates with role "{name_of(denial.target)}"'
    if isinstance(denial.action, Open) and denial.code.startswith(_CHANNEL):
        return f"{KINDS[denial.action.channel].title} not allowed"
    return f"access to {kind} denied. User does not have permissions. Confirm SSH login."


def _own(denial: Denial) -> list[Step]:
    """Return the steps of roles that the caller holds."""
    return [step for step in denial.steps if step.role in denial.caller.roles]


def _reason(denial: Denial) -> str:
    """Say why, naming only roles of the caller."""
    title, own = title_of(denial.target), _own(denial)
    if denial.code == "POL-NO-PRINCIPAL":
        return "your roles allow the login now, but your certificate was issued before and does not list it"
    if denial.code == "POL-DENY-RULE":
        return _joined(_refusal(step) for step in own if step.side == "deny" and step.matched) or "a rule forbids it"
    if isinstance(denial.action, Open) and denial.code.startswith(_CHANNEL):
        return _channel_reason(denial.code, denial.action, own)
    if isinstance(denial.action, Connect | Open) and denial.code == "POL-NO-LOGIN":
        login = denial.action.login
        reached = _reaching(own)
        allowed = _joined(
            f'role "{step.role}" allows logins {step.wanted}'
            for step in own
            if step.side == "allow" and step.condition == "logins" and step.role in reached
        )
        return f'{allowed or "no role of yours allows it"}; you asked for "{login}". {title} itself matches'
    if denial.code == "POL-NO-ACCOUNT":
        return f"no role of yours that allows {title} lists what you asked for"
    if denial.code == "POL-JOIN":
        return "no role of yours has a join_sessions policy for this mode and for a role of the session's owner"
    if denial.code == "POL-IMPERSONATION":
        said = _joined(f'allow.impersonate.roles of role "{step.role}" is {step.wanted}' for step in own)
        return said or "no role of yours has allow.impersonate.roles"
    if denial.code == "POL-NO-VERB":
        return "no role of yours has a rule for it"
    if denial.code == "POL-SYSTEM":
        return "a service of the cluster may do only what its system roles list"
    return f"no role of yours allows it on {title or kind_of(denial.target)}"


def _channel_reason(code: str, action: Open, own: Iterable[Step]) -> str:
    kind = KINDS[action.channel]
    if code == "POL-CHANNEL-SERVICE":
        switch = f"ssh_service.{kind.service} is off at the node, or " if kind.service else ""
        return f"{switch}a proxy that records the session does not carry it"
    if code == "POL-CHANNEL-CERTIFICATE":
        return (
            f"your certificate has no extension {kind.extension}; it shows what your roles allowed when it was issued"
        )
    denying = (
        f'role "{step.role}" sets {kind.option} to no'
        for step in own
        if step.side == "deny" and step.condition == kind.option
    )
    return _joined(denying) or f"no role of yours sets {kind.option} to yes"


def _refusal(step: Step) -> str:
    return f'role "{step.role}" denies {step.condition} {step.found if step.condition == "rules" else step.wanted}'


def _reaching(steps: Iterable[Step]) -> set[str]:
    """Return the roles whose conditions on labels all match."""
    allow = [step for step in steps if step.side == "allow" and step.condition != "logins"]
    return {step.role for step in allow} - {step.role for step in allow if not step.matched}


def _joined(parts: Iterable[str]) -> str:
    every = list(parts)
    return "; ".join(every[:_MAX_ROLES]) + (f"; and {len(every) - _MAX_ROLES} more" if len(every) > _MAX_ROLES else "")


def _hint(denial: Denial, id: str) -> str:
    if denial.code in ("POL-NO-PRINCIPAL", "POL-CHANNEL-CERTIFICATE"):
        return "log in again: tsh login"
    if denial.reasons.logins:
        return f"tsh ssh {denial.reasons.logins[0]}@{title_of(denial.target)}"
    return f"ask an administrator, who sees every role's answer with `tctl access explain {id}`"


class Record(Struct, frozen=True, kw_only=True):
    """A stored refusal: everything an administrator needs to understand it, nothing to be loaded again."""

    version: int = RECORD_VERSION
    code: str
    user: str
    user_kind: str
    roles: tuple[str, ...]
    request: str
    """What was asked, in one line: `ssh bob@node-7`."""
    kind: str
    name: str
    time: str
    client_ip: str
    visible: bool
    steps: tuple[Step, ...]
    nearest: int
    """Index into `steps`; -1 if no miss is near."""
    succeed_if: tuple[str, ...]


def request_text(action: Action, target: Target) -> str:
    """Write a request in one line: `ssh bob@node-7 (agent forwarding)`, `assume role/dev`, `list node`."""
    if isinstance(action, Join):
        return f"join {kind_of(target)}/{_shown(target)} as {action.mode}"
    if isinstance(action, Assume):
        return f"assume {kind_of(target)}/{_shown(target)}"
    if isinstance(action, Reach):
        return reach_text(action, target)
    if not isinstance(action, Use):
        more = f" ({KINDS[action.channel].title})" if isinstance(action, Open) else ""
        return f"ssh {action.login}@{title_of(target) or kind_of(target)}{more}"
    name = _shown(target)
    return f"{action.verb} {kind_of(target)}/{name}" if name else f"{action.verb} {kind_of(target)}"


def _shown(target: Target) -> str:
    """Return the target's name as it may be kept: the name of a token is a secret."""
    return "" if isinstance(target, str) else shown_name(target)


def to_record(denial: Denial) -> bytes:
    """Write a refusal as JSON, to be stored under its id."""
    nearest = denial.nearest
    record = Record(
        code=denial.code, user=denial.caller.name, user_kind=denial.caller.kind, roles=denial.caller.roles,
        request=request_text(denial.action, denial.target), kind=kind_of(denial.target), name=_shown(denial.target),
        time=clock_text(denial.conditions.now), client_ip=denial.conditions.client_ip, visible=denial.visible,
        steps=denial.steps, nearest=-1 if nearest is None else denial.steps.index(nearest),
        succeed_if=denial.succeed_if,
    )  # fmt: skip
    return encode(_clean(plain(record)))


def from_record(data: bytes) -> Record:
    """Read a stored refusal. Raises BadParameter (POL-RECORD)."""
    try:
        record = decode(data, Record)
    except msgspec.DecodeError as error:
        raise BadParameter("POL-RECORD", problem=error) from None
    if record.version != RECORD_VERSION:
        raise BadParameter("POL-RECORD", problem=f"version {record.version} is not known")
    return record


def _clean(value: Any) -> Any:
    """Replace what cannot be written as UTF-8 (names come from the network) and what would start a new line."""
    if isinstance(value, str):
        writable = value.encode("utf-8", "replace").decode()
        return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in writable)
    if isinstance(value, Mapping):
        return {_clean(key): _clean(entry) for key, entry in value.items()}
    return [_clean(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def tree(record: Record) -> str:
    """Write the whole decision, a line for each role, for administrators."""
    nearest = record.steps[record.nearest] if 0 <= record.nearest < len(record.steps) else None
    lines = [f"DENY {record.request} (user {record.user}, {record.time}, {record.code})"]
    by_role: dict[str, list[Step]] = {}
    for step in record.steps:
        if step.role:
            by_role.setdefault(step.role, []).append(step)
    width = max((len(role) for role in by_role), default=0)
    for role, steps in by_role.items():
        lines.append(f" role {role:<{width}}  " + " | ".join(_step_text(step, nearest) for step in steps))
    lines.append(" " + " | ".join(_caller_text(step, nearest) for step in record.steps if not step.role))
    for index, change in enumerate(record.succeed_if):
        lines.append(f"{'would succeed if:' if index == 0 else '             or:'} {change}")
    return "\n".join(lines) + "\n"


def _step_text(step: Step, nearest: Step | None) -> str:
    side = "" if step.side == "allow" else f"{step.side} "
    if step.condition == "rules":
        text = f"{side}rules {step.found} for {step.wanted}"
    else:
        text = f"{side}{step.condition} {step.wanted}"
    verdict = "MATCH" if step.matched else "MISS" if step.condition == "rules" else f"MISS ({step.found})"
    return f"{text} {verdict}{_mark(step, nearest)}"


def _caller_text(step: Step, nearest: Step | None) -> str:
    if step.matched:
        return f"{step.condition} none" if step.condition == "locks" else f"{step.condition} ok"
    return f"{step.condition} {step.found}, wanted {step.wanted}{_mark(step, nearest)}"


def _mark(step: Step, nearest: Step | None) -> str:
    if step != nearest:
        return ""
    return " <- denies" if step.side == "deny" else " <- nearest miss"


def fingerprint(denial: Denial) -> bytes:
    """Return 32 bytes that are equal for refusals which say the same: to count them instead of storing each.

    Time is not part of it; the roles' reasons are, so that a changed role is a new refusal.
    """
    steps = [plain(step) for step in denial.steps if step.side != "caller"]
    caller, conditions = denial.caller, denial.conditions
    said = [
        denial.code, caller.name, caller.cluster, caller.kind, sorted(caller.roles), conditions.client_ip,
        request_text(denial.action, denial.target), kind_of(denial.target), name_of(denial.target), steps,
        sorted(denial.fields.get(field, "") for field in ("lock_name", "message")),
    ]  # fmt: skip
    return hashlib.sha256(encode(_clean(said))).digest()


def why_allowed(grant: Grant) -> str:
    """Write why something is allowed, for `tctl access can`."""
    request, until = request_text(grant.action, grant.target), clock_text(grant.expires)
    return f'ALLOW {request} (user {grant.caller.name}): role "{grant.role}", until {until}'
