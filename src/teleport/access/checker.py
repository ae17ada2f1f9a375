"""The checker: may this caller do this to that, now?

`decide` is the only function of the product that says yes. It is pure (no clock, no disk, no network: all
it knows are its arguments) and total (it answers for every input and never raises). The order is that of
the reference: conditions on the caller, then every prohibition of every role, then permissions.

    caller: cluster, certificate, address, roles exist, locks
    service of the cluster: the table of `access.system`, nothing else
    connect: any role's deny side matches the node or the login -> no
             one role allows labels, expression and login together -> yes, if the certificate lists the login
    open:    as connect; then the service's switch, the certificate's extension and the roles' option of the channel
    join:    the owner of the session may; else a deny policy of any role matches -> no; an allow policy matches -> yes
             on the way to a session, a node: whoever may connect to it, or has any policy; the node decides again
    reach:   any role's deny side matches the labels or the account -> no; one role allows labels and account -> yes
    assume:  a role of a certificate that renews itself -> yes
             any role's impersonate denies the role -> no; one allows it -> yes
    use:     any deny rule, or a rule that cannot be evaluated -> no; any allow rule -> yes
             reading the tracker of a session that the caller may join -> yes, before any rule
             reading an object that roles select by label also needs that the caller could connect to it

A yes is a `Grant`, which nothing else can make: code that needs permission takes a Grant as argument.

Not here: how each condition is matched (`labels`, `rules`, `locks`, `standing`), and words for people
(`reasons`, `explain`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeGuard

from teleport.access import impersonation, joining, locks, served
from teleport.access.action import (
    Action,
    Assume,
    Conditions,
    Connect,
    Join,
    Open,
    Reach,
    Target,
    Use,
    kind_of,
    name_of,
    utc,
)
from teleport.access.channels import caller_checks, merged
from teleport.access.denial import Denial, Reasons, Step
from teleport.access.reasons import channel_reasons, connect_reasons, use_reasons
from teleport.access.roleset import HeldRole, Options, RoleSet
from teleport.access.rules import READS, Answer, rule_data, user_data
from teleport.access.standing import Check, standing
from teleport.access.system import ADMIN, permitting, rights_text, system_roles
from teleport.base.errors import Internal
from teleport.base.struct import Duration
from teleport.model.identity import Identity
from teleport.model.kinds.role import Role
from teleport.model.kinds.session_tracker import SessionTracker, SessionTrackerSpec
from teleport.model.resource import Metadata, Resource

__all__ = [
    "Action", "Assume", "Conditions", "Connect", "Denial", "Grant", "Join", "Open", "Reach", "Step", "Target", "Use",
    "decide", "visible",
]  # fmt: skip

NODE_SELECTOR = "node_labels"
"""Field of a role that selects what can be connected to in this build."""

_MINT = object()


class Grant:
    """Yes: this caller may do this to that target, until `expires`. Made by `decide` alone, and immutable."""

    __slots__ = ("action", "caller", "expires", "options", "role", "target")

    caller: Identity
    action: Action
    target: Target
    role: str
    """Name of the role that allowed it; of a service, its system role."""
    expires: dt.datetime
    """When it ends: with the certificate, or after the longest session that all roles allow."""
    options: Options

    def __init__(self, mint: object, /, **fields: object) -> None:
        if mint is not _MINT:
            raise Internal("POL-GRANT-FORGED")
        for name in self.__slots__:
            object.__setattr__(self, name, fields[name])

    def __init_subclass__(cls) -> NoReturn:
        raise Internal("POL-GRANT-FORGED")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise Internal("POL-GRANT-FORGED")

    def __delattr__(self, name: str) -> NoReturn:
        raise Internal("POL-GRANT-FORGED")

    def __reduce__(self) -> NoReturn:
        raise Internal("POL-GRANT-FORGED")

    def __repr__(self) -> str:
        return f"Grant({self.caller.name}, {self.action}, {kind_of(self.target)}/{name_of(self.target)})"


def decide(caller: Identity, roles: RoleSet, action: Action, target: Target, conditions: Conditions) -> Grant | Denial:
    """Decide whether `caller`, holding `roles`, may do `action` to `target` under `conditions`.

    `target` is an object, or the name of a kind for using the API before an object is known; a Grant for a
    kind says only that some object of it may be allowed.
    """
    roles = ADMIN if caller.kind == "admin" else roles
    request = _Request(caller, roles, action, target, conditions)
    for check in request.checks:
        if not check.step.matched:
            return request.refused_caller(check)
    if caller.is_host:
        return _as_service(request)
    if isinstance(action, Use):
        return _use(request, action)
    if isinstance(action, Assume):
        return _assume(request, target)
    if isinstance(action, Reach):
        return _reach(request, action, target)
    if isinstance(action, Join) and isinstance(target, SessionTracker):
        return _join(request, action, target)
    if not _has_logins(target):
        return request.refused("POL-NOT-CONNECTABLE", lambda: request.plain_reasons(_not_connectable(target)))
    if isinstance(action, Join):
        return _lead(request, action, target)
    decision = _connect(request, action, target)
    if isinstance(action, Connect) or isinstance(decision, Denial):
        return decision
    return _open(request, action, target, decision)


def visible(caller: Identity, roles: RoleSet, target: Resource[Any], conditions: Conditions) -> bool:
    """Say whether lists show the target to the caller.

    For nodes that is exactly: some login of the certificate may connect to it. For databases, applications and
    Kubernetes clusters: a role allows its labels and none denies them. A kind whose selector this build does not
    know is not shown.
    """
    if _is_filtered(target, caller):
        if served.is_served(target):
            stands = all(check.step.matched for check in standing(caller, roles, Use("list"), target, conditions))
            return stands and served.shown(roles, target, user_data(caller, roles.traits))
        return _has_logins(target) and bool(_logins_on(caller, roles, target, conditions, stop=1))
    return any(isinstance(decide(caller, roles, Use(verb), target, conditions), Grant) for verb in sorted(READS))


def _selector_of(target: Target) -> str:
    info = None if isinstance(target, str) else getattr(type(target), "info", None)
    return "" if info is None else str(info.selector)


def _is_filtered(target: Target, caller: Identity) -> TypeGuard[Resource[Any]]:
    """Whether roles select the target by label, for this caller."""
    return caller.kind in ("human", "bot") and bool(_selector_of(target))


def _has_logins(target: Target) -> TypeGuard[Resource[Any]]:
    """Whether the target is something to connect to with a login."""
    return _selector_of(target) == NODE_SELECTOR


def _logins_on(
    caller: Identity, roles: RoleSet, node: Resource[Any], conditions: Conditions, stop: int
) -> tuple[str, ...]:
    """Return up to `stop` logins of the caller that may connect to the node."""
    found: list[str] = []
    for login in caller.logins:
        if len(found) < stop and isinstance(decide(caller, roles, Connect(login), node, conditions), Grant):
            found.append(login)
    return tuple(found)


class _Request:
    """One question: its arguments, and the two ways of answering."""

    __slots__ = ("action", "caller", "checks", "conditions", "roles", "target")

    def __init__(
        self, caller: Identity, roles: RoleSet, action: Action, target: Target, conditions: Conditions
    ) -> None:
        self.caller, self.roles, self.action, self.target, self.conditions = caller, roles, action, target, conditions
        self.checks = standing(caller, roles, action, target, conditions)

    def granted(self, role: str, options: Options) -> Grant:
        longest = _later(utc(self.conditions.now), options.max_session_ttl)
        return Grant(
            _MINT, caller=self.caller, action=self.action, target=self.target, role=role,
            expires=min(utc(self.caller.expires), longest), options=options,
        )  # fmt: skip

    def refused(self, code: str, reasons: Callable[[], Reasons]) -> Denial:
        return Denial(
            code, self.caller, self.action, self.target, self.conditions, reasons=reasons, visible=self.is_visible
        )

    def refused_caller(self, check: Check) -> Denial:
        """Refuse for what the caller is. That tells nothing of the target, unless a lock names a server."""
        fields = {"reason": f"wanted: {check.step.wanted}; found: {check.step.found}"}
        hides = False
        if check.lock is not None:
            fields = locks.fields(check.lock, self.caller)
            hides = locks.is_about_target(check.lock) and not self.caller.is_host
        return Denial(
            check.code, self.caller, self.action, self.target, self.conditions, fields=fields,
            reasons=lambda: self._reasons_with(check.step, _help_for(check)),
            visible=self.is_visible if hides else lambda: True,
        )  # fmt: skip

    def _reasons_with(self, nearest: Step, help_: str) -> Reasons:
        """Add what the roles say to a refusal that did not depend on them."""
        if isinstance(self.action, Connect | Open) and _has_logins(self.target):
            steps = connect_reasons(self.caller, self.roles, self.action, self.target, self.before).steps
        elif isinstance(self.action, Use) and not self.caller.is_host:
            steps = use_reasons(self.caller, self.roles, self.action, self.target, self.before).steps
        else:
            steps = self.before
        return Reasons(steps, nearest, (help_,))

    def plain_reasons(self, step: Step) -> Reasons:
        return Reasons((*self.before, step), step, ())

    @property
    def before(self) -> tuple[Step, ...]:
        return tuple(check.step for check in self.checks)

    def is_visible(self) -> bool:
        if isinstance(self.target, str):
            return True
        unlocked = Conditions(
            now=self.conditions.now, cluster=self.conditions.cluster, client_ip=self.conditions.client_ip
        )
        return visible(self.caller, self.roles, self.target, unlocked)


def _connect(request: _Request, action: Connect | Open, node: Resource[Any]) -> Grant | Denial:
    roles, login = request.roles, action.login
    labels, user = node.labels_now(), user_data(request.caller, roles.traits)

    def reasons() -> Reasons:
        found = connect_reasons(request.caller, roles, action, node, request.before)
        return found._replace(logins=_logins_on(request.caller, roles, node, request.conditions, stop=5))

    for role in roles.denying:
        if role.deny.has_login(login) or role.deny.selects(labels, user):
            return request.refused("POL-DENY-RULE", reasons)
    allowing = _first(roles.by_login.get(login, ()), labels, user)
    if allowing is None:
        reached = _first(roles.roles, labels, user)
        return request.refused("POL-NO-LABELS" if reached is None else "POL-NO-LOGIN", reasons)
    if login not in request.caller.principals:
        return request.refused("POL-NO-PRINCIPAL", reasons)
    return request.granted(allowing.name, roles.options)


def _open(request: _Request, action: Open, node: Resource[Any], session: Grant) -> Grant | Denial:
    """Decide on a channel for somebody who may have a session."""
    channel, roles = action.channel, request.roles
    checks = tuple(caller_checks(request.caller, request.conditions.closed, channel))

    def reasons() -> Reasons:
        before = (*request.before, *(step for _, step in checks))
        return channel_reasons(request.caller, roles, action, node, before)

    for code, step in checks:
        if not step.matched:
            return request.refused(code, reasons)
    if not merged((role.options for role in roles.roles), channel):
        return request.refused("POL-CHANNEL-ROLE", reasons)
    return session


def _join(request: _Request, action: Join, tracker: SessionTracker) -> Grant | Denial:
    """Decide on taking part in a session."""
    caller, roles = request.caller, request.roles

    def reasons() -> Reasons:
        return joining.join_reasons(caller, roles.joining, tracker, action.mode, request.before)

    if joining.owns(caller, tracker):
        return request.granted("", roles.options)
    if joining.denies(roles.joining, tracker, action.mode):
        return request.refused("POL-DENY-RULE", reasons)
    role = joining.allowing(roles.joining, tracker, action.mode)
    return request.granted(role, roles.options) if role else request.refused("POL-JOIN", reasons)


def _reach(request: _Request, action: Reach, target: Target) -> Grant | Denial:
    """Decide on the way to a database, an application or a Kubernetes cluster."""
    if isinstance(target, str) or not served.is_served(target):
        return request.refused("POL-NOT-CONNECTABLE", lambda: request.plain_reasons(_not_served(target)))
    roles, user = request.roles, user_data(request.caller, request.roles.traits)

    def reasons() -> Reasons:
        return served.reach_reasons(roles, action, target, user, request.before)

    if served.denies(roles, action, target, user):
        return request.refused("POL-DENY-RULE", reasons)
    role = served.allowing(roles, action, target, user)
    if role:
        return request.granted(role, roles.options)
    reached = served.shown(roles, target, user)
    return request.refused("POL-NO-ACCOUNT" if reached else "POL-NO-LABELS", reasons)


def _assume(request: _Request, target: Target) -> Grant | Denial:
    """Decide on a certificate that carries a role. Being refused tells nothing of the role: it looks alike for one
    that does not exist."""
    caller, roles = request.caller, request.roles
    if not isinstance(target, Role):
        step = Step(condition="target", matched=False, wanted="a role", found=f"kind {kind_of(target)}")
        return request.refused("POL-IMPERSONATION", lambda: request.plain_reasons(step))
    if caller.renewable and target.name in caller.roles:
        return request.granted(target.name, roles.options)
    data = impersonation.data_of(caller, roles.traits, target)

    def reasons() -> Reasons:
        return impersonation.impersonation_reasons(caller, roles.impersonation, target, data, request.before)

    denied = impersonation.denies(roles.impersonation, target, data)
    role = "" if denied else impersonation.allowing(roles.impersonation, target, data)
    if role:
        return request.granted(role, roles.options)
    return Denial(
        "POL-DENY-RULE" if denied else "POL-IMPERSONATION", caller, request.action, target, request.conditions,
        reasons=reasons, visible=lambda: True,
    )  # fmt: skip


def _lead(request: _Request, action: Join, node: Resource[Any]) -> Grant | Denial:
    """Decide on the way to a node where a session is to be joined."""
    roles = request.roles
    role = joining.showing(roles.joining, None)
    if role or visible(request.caller, roles, node, request.conditions):
        return request.granted(role, roles.options)
    nothing = SessionTracker(version="v1", metadata=Metadata(name=node.name), spec=SessionTrackerSpec())
    return request.refused(
        "POL-JOIN",
        lambda: joining.join_reasons(request.caller, roles.joining, nothing, action.mode, request.before),
    )


def _first(roles: Iterable[HeldRole], labels: Mapping[str, str], user: object) -> HeldRole | None:
    """Return the first role that allows a node with these labels."""
    return next((role for role in roles if role.allow.selects(labels, user)), None)


def _use(request: _Request, action: Use) -> Grant | Denial:
    caller, roles, target = request.caller, request.roles, request.target

    def reasons() -> Reasons:
        return use_reasons(caller, roles, action, target, request.before)

    if action.verb in READS and kind_of(target) == SessionTracker.info.name:
        role = joining.showing(roles.joining, target if isinstance(target, SessionTracker) else None)
        if role:
            return request.granted(role, roles.options)
    speaking = [rule for rule in roles.rules if rule.speaks_of(kind_of(target), action.verb)]
    data = rule_data(caller, roles.traits, target) if any(rule.where for rule in speaking) else {}
    answers = [(rule, rule.answer(data)) for rule in speaking]
    if any(answer is Answer.BROKEN or (answer is Answer.YES and rule.side == "deny") for rule, answer in answers):
        return request.refused("POL-DENY-RULE", reasons)
    allowing = [rule.role for rule, answer in answers if rule.side == "allow" and answer in (Answer.YES, Answer.MAYBE)]
    if not allowing:
        return request.refused("POL-NO-VERB", reasons)
    if action.verb in READS and _is_filtered(target, caller) and not visible(caller, roles, target, request.conditions):
        return request.refused("POL-NO-LABELS", lambda: _listing_reasons(request, target))
    return request.granted(allowing[0], roles.options)


def _listing_reasons(request: _Request, target: Resource[Any]) -> Reasons:
    """Explain why an object that rules would let the caller read is not shown: no login could connect."""
    login = next(iter(request.caller.logins), "")
    step = Step(
        condition="listing", matched=False, wanted="a login of the certificate that may connect",
        found=f"[{' '.join(request.caller.logins[:10])}]",
    )  # fmt: skip
    if isinstance(target, Resource) and served.is_served(target):
        user = user_data(request.caller, request.roles.traits)
        return served.reach_reasons(request.roles, Reach(), target, user, request.before)
    if not _has_logins(target):
        return request.plain_reasons(step)
    return connect_reasons(request.caller, request.roles, Connect(login), target, (*request.before, step))


def _as_service(request: _Request) -> Grant | Denial:
    caller, action = request.caller, request.action
    role = permitting(caller, action.verb, request.target) if isinstance(action, Use) else ""
    if role:
        return request.granted(role, Options(max_session_ttl=Duration(0)))
    names = system_roles(caller)
    wanted = f"{action.verb} on {kind_of(request.target)}" if isinstance(action, Use) else "open a session"
    step = Step(
        role=" ".join(names), side="system", condition="rights", matched=False, wanted=wanted, found=rights_text(names)
    )
    return request.refused("POL-SYSTEM", lambda: request.plain_reasons(step))


def _not_connectable(target: Target) -> Step:
    return Step(condition="target", matched=False, wanted="a node", found=f"kind {kind_of(target)}")


def _not_served(target: Target) -> Step:
    wanted, found = "a database, an application or a Kubernetes cluster", f"kind {kind_of(target)}"
    return Step(condition="target", matched=False, wanted=wanted, found=found)


def _later(now: dt.datetime, length: Duration) -> dt.datetime:
    """Return the instant `length` after `now`; for no length, or one beyond the calendar, the end of time."""
    try:
        return now + length.delta if length > 0 else _END
    except OverflowError:
        return _END


_END = dt.datetime.max.replace(tzinfo=dt.UTC)

_HELP = {
    "POL-OTHER-CLUSTER": "log in to the cluster that decides",
    "POL-EXPIRED": "log in again, so that the certificate is valid",
    "POL-PINNED-IP": "log in again from the address in use",
    "POL-ROLE-MISSING": "create the missing role, or take it from the user and log in again",
    "POL-ROLE-SET": "look up the roles that the certificate names",
    "POL-LOCKS-STALE": "restore the connection to the auth service, which brings the list of locks up to date",
}


def _help_for(check: Check) -> str:
    return f'remove lock "{check.lock.name}": tctl rm lock/{check.lock.name}' if check.lock else _HELP[check.code]
