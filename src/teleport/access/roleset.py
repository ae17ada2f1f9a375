"""RoleSet: the roles of one caller, compiled for that caller's traits.

Building is done once per certificate or request; deciding then only looks things up. The order of the
roles does not matter: they are sorted by name, and every option has a rule for merging.

Not here: the decision (`access.checker`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from teleport.access.channels import merged
from teleport.access.impersonation import Permission, permissions
from teleport.access.joining import Policy, policies
from teleport.access.predicate import LABELS, WHERE, parse
from teleport.access.rules import RoleRule, compile_rule
from teleport.access.sides import LabelSide
from teleport.access.traits import expand_logins
from teleport.base.struct import Duration, Struct, Switch
from teleport.model.identity import Traits
from teleport.model.kinds.role import SELECTORS, Role
from teleport.model.resource import Metadata
from teleport.model.role_spec import DEFAULT_SESSION_TTL, RoleConditions, RoleOptions, RoleSpec, Rule, Side

IMPLICIT_NAME = "default-implicit-role"

_READABLE = (
    "node", "proxy", "auth_server", "tunnel", "cluster_auth_preference", "cluster_name", "ssh_session", "app_server",
    "remote_cluster", "kube_server", "app", "windows_desktop_service", "windows_desktop",
    "dynamic_windows_desktop", "kube_cluster", "vnet_config", "spiffe_federation",
)  # fmt: skip

_FOR_PEOPLE = ("db_server", "db")
"""What people may read, and bots only with a role that says so."""

IMPLICIT = Role(
    version="v8",
    metadata=Metadata(name=IMPLICIT_NAME),
    spec=RoleSpec(
        options=RoleOptions(max_session_ttl=Duration(0), port_forwarding=Switch(False), enhanced_recording=()),
        allow=RoleConditions(
            rules=(
                Rule(resources=_READABLE, verbs=("list", "read")),
                Rule(resources=_FOR_PEOPLE, verbs=("list", "read"), where='!equals(user.kind, "bot")'),
                Rule(resources=("cert_authority",), verbs=("list", "readnosecrets")),
                Rule(resources=("usage_event",), verbs=("create",)),
                Rule(
                    resources=("user",),
                    verbs=("readnosecrets",),
                    where="equals(resource.metadata.name, user.metadata.name)",
                ),
                Rule(
                    resources=("session_tracker",),
                    verbs=("list", "read", "update"),
                    where="equals(resource.spec.host_user, user.metadata.name)",
                ),
                Rule(resources=("session_termination",), verbs=("create", "update")),
                Rule(resources=("role",), verbs=("read",), where="contains(user.spec.roles, resource.metadata.name)"),
            )
        ),
    ),
)
"""What everyone who signed in may do. Reading is still filtered by labels where a kind has a selector; a session can
be ended by whoever may update or delete its tracker (`auth.session_ending`), which itself is the node's to write."""


class Options(Struct, frozen=True, kw_only=True):
    """The options of all roles together."""

    max_session_ttl: Duration = DEFAULT_SESSION_TTL
    """The shortest of all roles; roles that say 0 have no opinion."""
    forward_agent: bool = False
    local_forwarding: bool = False
    remote_forwarding: bool = False
    permit_x11_forwarding: bool = False
    file_copy: bool = False
    pin_source_ip: bool = False
    strict_locks: bool = False
    """Whether a decision needs a fresh list of locks."""
    client_idle_timeout: Duration = Duration(0)
    """The shortest of all roles; 0: none sets one."""
    disconnect_expired_cert: bool = False
    max_connections: int = 0
    """SSH connections in the whole cluster: the fewest of all roles; 0: none sets a limit."""
    max_sessions: int = 0
    """Sessions on one connection: the fewest of all roles; 0: none sets a limit."""
    enhanced_recording: tuple[str, ...] = ()
    """What the programs of SSH sessions do that is recorded: `command`, `disk`, `network`; what any role says."""
    strict_recording: bool = False
    """Whether an SSH session that cannot be recorded must not run."""


def merge(options: Iterable[RoleOptions]) -> Options:
    """Merge options over roles: the shortest time, the strictest of limits; channels as `access.channels` says."""
    every = tuple(options)
    times = [each.max_session_ttl for each in every if each.max_session_ttl > 0]
    return Options(
        max_session_ttl=min(times, default=DEFAULT_SESSION_TTL),
        forward_agent=merged(every, "agent"),
        local_forwarding=merged(every, "local_forward"),
        remote_forwarding=merged(every, "remote_forward"),
        permit_x11_forwarding=merged(every, "x11"),
        file_copy=merged(every, "file_copy"),
        pin_source_ip=any(each.pin_source_ip for each in every),
        strict_locks=any(each.lock == "strict" for each in every),
        client_idle_timeout=min((t for each in every if (t := each.client_idle_timeout) > 0), default=Duration(0)),
        disconnect_expired_cert=any(each.disconnect_expired_cert for each in every),
        max_connections=min((most for each in every if (most := each.max_connections) > 0), default=0),
        max_sessions=min((most for each in every if (most := each.max_sessions) > 0), default=0),
        enhanced_recording=tuple(sorted({kind for each in every for kind in each.enhanced_recording})),
        strict_recording=any(_records_strictly(each) for each in every),
    )


def _records_strictly(options: RoleOptions) -> bool:
    """What a role says of SSH sessions counts before its default for all."""
    record = options.record_session
    return record is not None and (record.ssh or record.default) == "strict"


class NodeSide(LabelSide):
    """What one side of a role says of nodes, compiled."""

    __slots__ = ("any_login", "logins")

    def __init__(self, role: Role, side: Side, traits: Traits) -> None:
        conditions = role.spec.allow if side == "allow" else role.spec.deny
        super().__init__(role.node_labels(side), conditions.node_labels_expression, side, traits)
        self.logins = expand_logins(conditions.logins, traits)
        self.any_login = side == "deny" and "*" in conditions.logins

    @property
    def empty(self) -> bool:
        """Whether this side says nothing of nodes."""
        return not (self.logins or self.any_login or self.speaks)

    def has_login(self, login: str) -> bool:
        """Whether the login is listed."""
        return self.any_login or login in self.logins


class HeldRole:
    """A role of the set, compiled for nodes; for what else it selects by labels when that is asked for first."""

    __slots__ = ("_labels", "_role", "_traits", "allow", "deny", "name")

    def __init__(self, role: Role, traits: Traits) -> None:
        self.name = role.name
        self.allow = NodeSide(role, "allow", traits)
        self.deny = NodeSide(role, "deny", traits)
        self._role, self._traits = role, traits
        self._labels: dict[tuple[str, Side], LabelSide] = {}

    @property
    def options(self) -> RoleOptions:
        """What this role alone says."""
        return self._role.spec.options

    def conditions(self, side: Side) -> RoleConditions:
        """Return a side as it was written."""
        return self._role.spec.allow if side == "allow" else self._role.spec.deny

    def labels(self, field: str, side: Side) -> LabelSide:
        """Return what a side says with a field of labels and its expression, for example `db_labels`."""
        if (field, side) not in self._labels:
            expression = getattr(self.conditions(side), f"{field}_expression")
            self._labels[field, side] = LabelSide(self._role.labels(field, side), expression, side, self._traits)
        return self._labels[field, side]


@dataclass(frozen=True, slots=True)
class RoleSet:
    """Compiled roles. Made by `build`."""

    roles: tuple[HeldRole, ...]
    """Every role, sorted by name, the implicit one included."""
    names: frozenset[str]
    """Names of the roles given, without the implicit one."""
    options: Options
    traits: Traits
    rules: tuple[RoleRule, ...]
    """Rules of both sides of every role."""
    denying: tuple[HeldRole, ...]
    """Roles whose deny side speaks of nodes."""
    by_login: Mapping[str, tuple[HeldRole, ...]]
    """Login to the roles that allow it."""
    joining: tuple[Policy, ...]
    """What both sides of every role say of joining sessions."""
    impersonation: tuple[Permission, ...]
    """What both sides of every role say of impersonating roles."""

    @classmethod
    def build(cls, roles: Iterable[Role], traits: Traits) -> RoleSet:
        """Compile a caller's roles for its traits; adds the implicit role. Never raises."""
        given = sorted(roles, key=lambda role: role.name)
        every = [*given, IMPLICIT]
        held = tuple(HeldRole(role, traits) for role in every)
        by_login: dict[str, list[HeldRole]] = {}
        for role in held:
            for login in role.allow.logins:
                by_login.setdefault(login, []).append(role)
        return cls(
            roles=held,
            names=frozenset(role.name for role in given),
            options=merge(role.spec.options for role in every),
            traits=traits,
            rules=tuple(
                compile_rule(role.name, side, rule)
                for role in every
                for side, conditions in role.sides()
                for rule in conditions.rules
            ),
            denying=tuple(role for role in held if not role.deny.empty),
            by_login={login: tuple(allowing) for login, allowing in by_login.items()},
            joining=tuple(policy for role in every for policy in policies(role)),
            impersonation=tuple(said for role in every for said in permissions(role)),
        )

    def logins_for_certificate(self) -> tuple[str, ...]:
        """Return the logins to write into a certificate: those allowed by a role and denied by none."""
        return tuple(sorted(n for n in self.by_login if not any(role.deny.has_login(n) for role in self.denying)))

    def ttl(self, asked: Duration) -> Duration:
        """Return the lifetime for a certificate: what was asked for, at most what every role allows.

        Asking for nothing (0) asks for the most.
        """
        limit = self.options.max_session_ttl
        return min(asked, limit) if asked > 0 else limit


def check(role: Role) -> None:
    """Read every predicate of a role, as is done when a role is written. Raises BadParameter (POL-PREDICATE)."""
    for _, conditions in role.sides():
        for field in SELECTORS:
            expression = getattr(conditions, f"{field}_expression")
            if expression:
                parse(expression, LABELS)
        for rule in conditions.rules:
            if rule.where:
                parse(rule.where, WHERE)
        if conditions.impersonate is not None and conditions.impersonate.where:
            parse(conditions.impersonate.where, WHERE)
