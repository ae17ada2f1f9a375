"""role: what its holders may do, and what they may not whatever other roles say.

Every field of a role stands in exactly one of three tables below: ENFORCED (code of this build acts on
it), REFUSED (it would change what happens, and no code acts on it yet: only the harmless values are
accepted), INERT (it speaks of a service this build does not have: nothing can be reached through it, so
allowing gives nothing and denying takes nothing away; `warnings` says so). A field that is silently
ignored does not exist.

Not here: the fields' shapes (`model.role_spec`), predicates (`access.roleset.check` reads them when a
role is written), decisions (`access.checker`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from teleport.base import regexp
from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Struct
from teleport.model import template
from teleport.model.login import are_login_characters, is_login
from teleport.model.resource import NAME, Column, Resource, kind
from teleport.model.role_spec import (
    Impersonate,
    JoinSessions,
    Labels,
    RoleConditions,
    RoleSpec,
    Rule,
    Side,
    values_of,
)

RESERVED = frozenset({
    "Auth", "Proxy", "Node", "Admin", "ProvisionToken", "Trusted_cluster", "Signup", "Nop", "Kube", "App",
    "Database", "Db", "WindowsDesktop", "Bot", "Instance", "Discovery", "MDM", "Okta", "AccessGraphPlugin",
    "default-implicit-role",
})  # fmt: skip
"""Names that the system itself uses for roles."""

VERBS = frozenset({
    "list", "create", "read", "readnosecrets", "update", "delete", "rotate", "use", "enroll", "create_enroll_token",
    "*",
})  # fmt: skip

ENFORCED = frozenset({
    "options.max_session_ttl", "options.forward_agent", "options.port_forwarding", "options.permit_x11_forwarding",
    "options.pin_source_ip", "options.lock", "options.client_idle_timeout", "options.disconnect_expired_cert",
    "options.max_connections", "options.max_sessions", "options.record_session", "options.ssh_port_forwarding",
    "options.ssh_file_copy", "options.enhanced_recording", "options.create_host_user", "options.create_host_user_mode",
    "options.create_host_user_default_shell", "host_groups", "host_sudoers",
    "app_labels", "app_labels_expression", "db_labels", "db_labels_expression", "db_names", "db_users",
    "kubernetes_labels", "kubernetes_labels_expression", "kubernetes_groups", "kubernetes_users",
    "logins", "node_labels", "node_labels_expression", "rules", "rules.resources", "rules.verbs", "rules.where",
    "join_sessions", "impersonate",
})  # fmt: skip
"""Fields that code of this build acts on. Without a prefix: a field of both `allow` and `deny`."""


class Refusal(NamedTuple):
    """A field that is not enforced yet: which values change nothing, and how to say so."""

    harmless: Callable[[Any], bool]
    supported: str


def _only(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


_EMPTY = Refusal(lambda value: not value, "leaving it out")
_OFF = Refusal(lambda value: not value, "no")
_ZERO = Refusal(lambda value: value == 0, "0")

REFUSED: Mapping[str, Refusal] = {
    "options.require_session_mfa": Refusal(_only(False, "", "no", "off", "false"), "no"),
    "options.mfa_verification_interval": _ZERO,
    "options.cert_format": Refusal(_only("", "standard"), "standard"),
    "options.cert_extensions": _EMPTY,
    "options.device_trust_mode": Refusal(_only("", "off", "optional"), "off or optional"),
    "options.request_access": Refusal(_only("", "optional"), "optional"),
    "namespaces": Refusal(_only((), ("default",)), "[default]"),
    "require_session_join": _EMPTY,
    "rules.actions": _EMPTY,
}
"""Fields that would change what happens and are not enforced: any other value is KIND-FIELD-NOT-SUPPORTED."""

INERT: Mapping[str, str] = {
    "options.max_kubernetes_connections": "Kubernetes access",
    "options.desktop_clipboard": "desktop access",
    "options.desktop_directory_sharing": "desktop access",
    "options.create_desktop_user": "desktop access",
    "options.create_db_user": "database access",
    "options.create_db_user_mode": "database access",
    "options.request_prompt": "access requests",
    "options.idp": "the SAML identity provider",
    "db_service_labels": "database access", "db_service_labels_expression": "database access",
    "db_roles": "database access", "db_permissions": "database access",
    "kubernetes_resources": "Kubernetes access",
    "windows_desktop_labels": "desktop access", "windows_desktop_labels_expression": "desktop access",
    "windows_desktop_logins": "desktop access", "desktop_groups": "desktop access",
    "cluster_labels": "trusted clusters", "cluster_labels_expression": "trusted clusters",
    "group_labels": "user groups", "group_labels_expression": "user groups",
    "workload_identity_labels": "workload identity", "workload_identity_labels_expression": "workload identity",
    "spiffe": "workload identity",
    "aws_role_arns": "cloud access", "azure_identities": "cloud access", "gcp_service_accounts": "cloud access",
    "account_assignments": "cloud access", "mcp": "model context servers", "github_permissions": "the Git proxy",
    "request": "access requests", "review_requests": "access requests",
}  # fmt: skip
"""Fields of services that this build does not have, and the service. They give nothing until it exists."""

_NO_ALLOW_WILDCARD = {
    "logins": "wildcard matcher is not allowed in logins",
    "db_roles": "wildcard is not allowed in allow.database_roles",
    "aws_role_arns": "wildcard is not allowed in allow.aws_role_arns",
    "azure_identities": "wildcard is not allowed in allow.azure_identities",
    "gcp_service_accounts": "wildcard is not allowed in allow.gcp_service_accounts",
}
_OPTION_VALUES: Mapping[str, frozenset[str]] = {
    "lock": frozenset({"best_effort", "strict", ""}),
    "cert_format": frozenset({"standard", "oldssh", ""}),
    "create_db_user_mode": frozenset({"off", "keep", "best_effort_drop", ""}),
}
SELECTORS = ("node_labels", "app_labels", "db_labels", "kubernetes_labels")
"""Fields that select by labels what can be reached; each has an expression beside it."""
SESSION_KINDS = ("ssh", "k8s", "db", "app", "desktop")
JOIN_MODES = ("observer", "peer", "moderator")
_HOST_USER_MODES = ("", "off", "drop", "insecure-drop", "keep")


def _joined_labels(role: Role) -> str:
    labels = role.node_labels("allow")
    return ",".join(f"{key}={value}" for key in sorted(labels) for value in values_of(labels[key]))


def _joined_rules(role: Role) -> str:
    rules = role.spec.allow.rules
    return ",".join(f"{'+'.join(rule.resources)}:{'+'.join(rule.verbs)}" for rule in rules)


@kind(
    key="roles",
    versions=("v3", "v4", "v5", "v6", "v7", "v8"),
    default_version="v3",
    aliases=("roles",),
    columns=(
        Column("Role", NAME.cell),
        Column("Allowed to login as", lambda role: ",".join(role.spec.allow.logins)),
        Column("Node Labels", _joined_labels),
        Column("Access to resources", _joined_rules),
    ),
    events={
        "create": ("role.created", "T9000I"),
        "update": ("role.updated", "T9002I"),
        "delete": ("role.deleted", "T9001I"),
    },
)
class Role(Resource[RoleSpec], frozen=True, kw_only=True, tag="role"):
    """A named set of permissions and prohibitions."""

    spec: RoleSpec = RoleSpec()

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Write `options.on_record_failure` as what it means for SSH sessions. Raises BadParameter (POL-OPTION)."""
        spec = document.get("spec")
        options = spec.get("options") if isinstance(spec, Mapping) else None
        if not isinstance(spec, Mapping) or not isinstance(options, Mapping) or _ALIAS not in options:
            return document
        rest = {name: value for name, value in options.items() if name != _ALIAS}
        rest["record_session"] = _with_failure(rest.get("record_session"), options[_ALIAS])
        return {**document, "spec": {**spec, "options": rest}}

    def check(self) -> None:
        """Raise BadParameter (POL-*) for values without meaning, NotSupported for those not enforced yet."""
        if self.name in RESERVED:
            raise BadParameter("POL-RESERVED-ROLE", name=self.name)
        _check_options(self)
        for side, conditions in self.sides():
            _check_conditions(side, conditions)
        for path, value in _set_fields(self):
            refusal = REFUSED.get(_general(path))
            if refusal is not None and not refusal.harmless(value):
                raise NotSupported("KIND-FIELD-NOT-SUPPORTED", kind="role", field=path, supported=refusal.supported)

    def sides(self) -> tuple[tuple[Side, RoleConditions], tuple[Side, RoleConditions]]:
        """Return both sides with their names."""
        return ("allow", self.spec.allow), ("deny", self.spec.deny)

    @property
    def joins_sessions(self) -> bool:
        """Whether what the role allows of joining sessions counts: it does from version v5 on."""
        return self.version not in ("v3", "v4")

    def node_labels(self, side: Side) -> Labels:
        """Return the selector of nodes that is in force, with the default of the role's version."""
        return self.labels("node_labels", side)

    def labels(self, field: str, side: Side) -> Labels:
        """Return a selector of `SELECTORS` that is in force, with the default of the role's version.

        Version v3 lets a role reach everything of a kind of which it says nothing, and every node if it has logins;
        later versions reach none.
        """
        allow = self.spec.allow
        if side == "deny":
            found: Labels = getattr(self.spec.deny, field)
            return found
        found = getattr(allow, field)
        everything = self.version == "v3" and (field != "node_labels" or bool(allow.logins))
        return {"*": "*"} if everything and not found and not getattr(allow, f"{field}_expression") else found


_ALIAS = "on_record_failure"
_ON_FAILURE: Mapping[object, str] = {"deny": "strict", "best_effort": "best_effort"}


def _with_failure(record: object, value: object) -> dict[str, Any]:
    """Return `record_session` with what the other name of its part for SSH says. Both may agree, not differ."""
    known = value if isinstance(value, str) and value in _ON_FAILURE else None
    given = dict(record) if isinstance(record, Mapping) else {}
    if known is None or given.get("ssh") not in (None, "", _ON_FAILURE[known]):
        shown = ascii(value)[:40] if known is None else f"{known} beside record_session.ssh"
        raise BadParameter("POL-OPTION", option=_ALIAS, value=shown, known="best_effort, deny")
    return {**given, "ssh": _ON_FAILURE[known]}


def warnings(role: Role) -> list[str]:
    """Return a line for each field that is accepted and gives nothing in this build."""
    told = []
    if role.spec.allow.join_sessions and not role.joins_sessions:
        told = [f'role "{role.name}": allow.join_sessions has no effect in version {role.version}, only from v5 on']
    told += [
        f'role "{role.name}": {side}.impersonate.users has no effect; a rule on user with the verb use decides on that'
        for side, conditions in role.sides()
        if conditions.impersonate is not None and conditions.impersonate.users
    ]
    return told + [
        f'role "{role.name}": {path} has no effect, because this build has no {INERT[_general(path)]}'
        for path, _ in _set_fields(role)
        if _general(path) in INERT
    ]


def _general(path: str) -> str:
    """Return a field's name in the tables: sides have the same fields, and so has every rule."""
    head, _, rest = path.partition(".")
    return "rules.actions" if rest.startswith("rules[") else path if head == "options" else rest


def _set_fields(role: Role) -> Iterator[tuple[str, Any]]:
    """Yield path and value of every field that differs from its default."""
    options = role.spec.options
    for name, value in _changed(options):
        yield f"options.{name}", value
    for side, conditions in role.sides():
        for name, value in _changed(conditions):
            yield f"{side}.{name}", value
        for index, rule in enumerate(conditions.rules):
            if rule.actions:
                yield f"{side}.rules[{index}].actions", rule.actions


def _changed(part: Struct) -> Iterator[tuple[str, Any]]:
    plain = type(part)()
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if value != getattr(plain, name):
            yield name, value


def _check_options(role: Role) -> None:
    options = role.spec.options
    for option, known in _OPTION_VALUES.items():
        value = getattr(options, option)
        if value not in known:
            raise BadParameter("POL-OPTION", option=option, value=value[:40], known=", ".join(sorted(known - {""})))
    for value in options.enhanced_recording:
        if value not in ("command", "disk", "network"):
            raise BadParameter(
                "POL-OPTION", option="enhanced_recording", value=value[:40], known="command, disk, network"
            )
    if options.create_host_user_mode not in _HOST_USER_MODES:
        raise BadParameter("POL-HOST-USER-MODE", value=options.create_host_user_mode[:40])
    for option in ("max_session_ttl", "client_idle_timeout", "max_connections", "max_sessions"):
        if getattr(options, option) < 0:
            raise BadParameter("POL-OPTION", option=option, value=getattr(options, option), known="0 and more")


def _check_conditions(side: Side, conditions: RoleConditions) -> None:
    for login in conditions.logins:
        if login != "*":
            _check_login(login)
    for rule in conditions.rules:
        _check_rule(rule)
    for policy in conditions.join_sessions:
        _check_joining(policy)
    if side == "allow":
        for name, problem in _NO_ALLOW_WILDCARD.items():
            if "*" in getattr(conditions, name):
                raise BadParameter("POL-WILDCARD", problem=problem, field=name)
    for name in conditions.__struct_fields__:
        value = getattr(conditions, name)
        if name.endswith("_labels"):
            _check_selector(side, name, value)
        if name != "rules" and not name.endswith("_expression"):
            _check_texts(value)
    if conditions.impersonate is not None:
        _check_impersonate(side, conditions.impersonate)


def _check_impersonate(side: Side, impersonate: Impersonate) -> None:
    if side == "deny" and impersonate.where:
        raise BadParameter("POL-IMPERSONATE", problem="'where' is not supported in deny.impersonate conditions")
    if side == "allow" and impersonate.users and not impersonate.roles:
        problem = "please set both impersonate.users and impersonate.roles for user impersonation"
        raise BadParameter("POL-IMPERSONATE", problem=problem)


def _check_login(login: str) -> None:
    parsed = template.parse(login)
    if parsed.expression is None:
        valid = is_login(login)
    else:
        valid = are_login_characters(parsed.prefix) and are_login_characters(parsed.suffix)
    if not valid:
        raise BadParameter("POL-LOGIN", login=repr(login[:80]))


def _check_rule(rule: Rule) -> None:
    if not rule.resources:
        raise BadParameter("POL-RULE-RESOURCES")
    if not rule.verbs:
        raise BadParameter("POL-RULE-VERBS")
    for verb in rule.verbs:
        if verb not in VERBS:
            raise BadParameter("POL-RULE-VERB", verb=verb[:40], known=", ".join(sorted(VERBS)))


def _check_joining(policy: JoinSessions) -> None:
    """A policy without meaning would be thought to give or to take something."""
    problem = "" if policy.roles else "it names no roles"
    for what, values, known in (("kind", policy.kinds, SESSION_KINDS), ("mode", policy.modes, JOIN_MODES)):
        problem = problem or ("" if values else f"it names no {what}s")
        wrong = [value for value in values if value not in (*known, "*")]
        problem = problem or (f"{what} {ascii(wrong[0])[:40]} is not one of {', '.join(known)}, *" if wrong else "")
    if problem:
        raise BadParameter("POL-JOIN-POLICY", name=ascii(policy.name)[:80], problem=problem)


def _check_selector(side: Side, field: str, labels: Labels) -> None:
    for key, entry in labels.items():
        if key == "*" and any(value != "*" for value in values_of(entry)):
            raise BadParameter("POL-SELECTOR", value=next(v for v in values_of(entry) if v != "*")[:80], field=field)
        if side == "deny" and key.startswith("dynamic/"):
            raise BadParameter("POL-DYNAMIC-DENY", label=key[:80], field=field)


def _check_texts(value: object) -> None:
    """Read every template and every `^regexp$` inside a field, so that a typing error is told now."""
    if isinstance(value, str):
        if template.parse(value).expression is None and value.startswith("^") and value.endswith("$"):
            regexp.compile(value)
    elif isinstance(value, dict):
        for entry in value.values():
            _check_texts(entry)
    elif isinstance(value, tuple):
        for entry in value:
            _check_texts(entry)
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            if name not in ("where", "filter", "prompt"):
                _check_texts(getattr(value, name))
