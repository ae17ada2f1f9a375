"""The shape of a role: every field of the versions v3 to v8, with its type and default.

What a field means is decided elsewhere: `model.kinds.role` checks values and says which fields this build
enforces, `access` decides.
"""

from __future__ import annotations

from typing import Literal

from teleport.base.struct import Duration, Struct, Switch

Labels = dict[str, str | tuple[str, ...]]
"""A label selector as people write it: `env: prod` or `env: [prod, staging]`."""

Side = Literal["allow", "deny"]

DEFAULT_SESSION_TTL = Duration(30 * 3600)
"""Longest life of a certificate when a role says nothing."""

_ON = Switch(True)
_OFF = Switch(False)


def values_of(entry: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of one key of a selector as a tuple."""
    return (entry,) if isinstance(entry, str) else entry


class Rule(Struct, frozen=True, kw_only=True):
    """Verbs on kinds of resources, optionally under a condition."""

    resources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    where: str = ""
    actions: tuple[str, ...] = ()


class KubernetesResource(Struct, frozen=True, kw_only=True):
    """Objects inside a Kubernetes cluster."""

    kind: str = ""
    api_group: str = ""
    namespace: str = ""
    name: str = ""
    verbs: tuple[str, ...] = ()


class DatabasePermission(Struct, frozen=True, kw_only=True):
    """Rights on objects inside a database."""

    match: Labels = {}
    permissions: tuple[str, ...] = ()


class Impersonate(Struct, frozen=True, kw_only=True):
    """Whose certificates may be asked for."""

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    where: str = ""


class ClaimToRoles(Struct, frozen=True, kw_only=True):
    """Roles that follow from a trait."""

    claim: str = ""
    value: str = ""
    roles: tuple[str, ...] = ()


class Threshold(Struct, frozen=True, kw_only=True):
    """How many reviews decide a request."""

    name: str = ""
    filter: str = ""
    approve: int = 1
    deny: int = 1


class KubernetesKind(Struct, frozen=True, kw_only=True):
    """A kind of object that a request may name."""

    kind: str = ""
    api_group: str = ""


class Reason(Struct, frozen=True, kw_only=True):
    """Whether a request must say why."""

    mode: Literal["", "optional", "required"] = ""
    prompt: str = ""


class Request(Struct, frozen=True, kw_only=True):
    """What may be asked for in an access request."""

    roles: tuple[str, ...] = ()
    claims_to_roles: tuple[ClaimToRoles, ...] = ()
    search_as_roles: tuple[str, ...] = ()
    suggested_reviewers: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    annotations: dict[str, tuple[str, ...]] = {}
    max_duration: Duration = Duration(0)
    kubernetes_resources: tuple[KubernetesKind, ...] = ()
    reason: Reason | None = None


class ReviewRequests(Struct, frozen=True, kw_only=True):
    """Whose requests may be reviewed."""

    roles: tuple[str, ...] = ()
    claims_to_roles: tuple[ClaimToRoles, ...] = ()
    preview_as_roles: tuple[str, ...] = ()
    where: str = ""


class RequireSessionJoin(Struct, frozen=True, kw_only=True):
    """Who must be present before a session starts."""

    name: str = ""
    filter: str = ""
    kinds: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    count: int = 0
    on_leave: Literal["", "terminate", "pause"] = ""


class JoinSessions(Struct, frozen=True, kw_only=True):
    """Whose sessions may be joined."""

    name: str = ""
    roles: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()


class Spiffe(Struct, frozen=True, kw_only=True):
    """Workload identities that may be issued."""

    path: str = ""
    dns_sans: tuple[str, ...] = ()
    ip_sans: tuple[str, ...] = ()


class Mcp(Struct, frozen=True, kw_only=True):
    """Tools of model context servers."""

    tools: tuple[str, ...] = ()


class GithubPermission(Struct, frozen=True, kw_only=True):
    """Organisations reached through the Git proxy."""

    orgs: tuple[str, ...] = ()


class AccountAssignment(Struct, frozen=True, kw_only=True):
    """A permission set in a cloud account."""

    account: str = ""
    permission_set: str = ""
    name: str = ""


class RoleConditions(Struct, frozen=True, kw_only=True):
    """One side of a role: `allow` and `deny` have the same fields."""

    logins: tuple[str, ...] = ()
    node_labels: Labels = {}
    node_labels_expression: str = ""
    rules: tuple[Rule, ...] = ()
    namespaces: tuple[str, ...] = ()
    app_labels: Labels = {}
    app_labels_expression: str = ""
    db_labels: Labels = {}
    db_labels_expression: str = ""
    db_service_labels: Labels = {}
    db_service_labels_expression: str = ""
    kubernetes_labels: Labels = {}
    kubernetes_labels_expression: str = ""
    windows_desktop_labels: Labels = {}
    windows_desktop_labels_expression: str = ""
    cluster_labels: Labels = {}
    cluster_labels_expression: str = ""
    group_labels: Labels = {}
    group_labels_expression: str = ""
    workload_identity_labels: Labels = {}
    workload_identity_labels_expression: str = ""
    kubernetes_groups: tuple[str, ...] = ()
    kubernetes_users: tuple[str, ...] = ()
    kubernetes_resources: tuple[KubernetesResource, ...] = ()
    db_names: tuple[str, ...] = ()
    db_users: tuple[str, ...] = ()
    db_roles: tuple[str, ...] = ()
    db_permissions: tuple[DatabasePermission, ...] = ()
    windows_desktop_logins: tuple[str, ...] = ()
    desktop_groups: tuple[str, ...] = ()
    host_groups: tuple[str, ...] = ()
    host_sudoers: tuple[str, ...] = ()
    aws_role_arns: tuple[str, ...] = ()
    azure_identities: tuple[str, ...] = ()
    gcp_service_accounts: tuple[str, ...] = ()
    mcp: Mcp | None = None
    github_permissions: tuple[GithubPermission, ...] = ()
    account_assignments: tuple[AccountAssignment, ...] = ()
    impersonate: Impersonate | None = None
    request: Request | None = None
    review_requests: ReviewRequests | None = None
    require_session_join: tuple[RequireSessionJoin, ...] = ()
    join_sessions: tuple[JoinSessions, ...] = ()
    spiffe: tuple[Spiffe, ...] = ()


class Forwarding(Struct, frozen=True, kw_only=True):
    """One direction of port forwarding."""

    enabled: Switch = _ON


class SshPortForwarding(Struct, frozen=True, kw_only=True):
    """Port forwarding by direction."""

    local: Forwarding | None = None
    remote: Forwarding | None = None


class RecordSession(Struct, frozen=True, kw_only=True):
    """What happens to a session that cannot be recorded."""

    default: Literal["", "best_effort", "strict"] = ""
    ssh: Literal["", "best_effort", "strict"] = ""
    desktop: Switch = _ON


class CertExtension(Struct, frozen=True, kw_only=True):
    """An extra extension of SSH certificates."""

    name: str = ""
    value: str = ""
    type: Literal["ssh"] = "ssh"
    mode: Literal["extension"] = "extension"


class Saml(Struct, frozen=True, kw_only=True):
    """Use of the built-in SAML provider."""

    enabled: Switch = _ON


class Idp(Struct, frozen=True, kw_only=True):
    """Built-in identity providers."""

    saml: Saml | None = None


class RoleOptions(Struct, frozen=True, kw_only=True):
    """How access is used, whatever it is to."""

    max_session_ttl: Duration = DEFAULT_SESSION_TTL
    forward_agent: Switch = _OFF
    port_forwarding: Switch = _ON
    permit_x11_forwarding: Switch = _OFF
    pin_source_ip: Switch = _OFF
    lock: str = "best_effort"
    ssh_port_forwarding: SshPortForwarding | None = None
    ssh_file_copy: Switch = _ON
    client_idle_timeout: Duration = Duration(0)
    disconnect_expired_cert: Switch = _OFF
    max_connections: int = 0
    max_sessions: int = 0
    max_kubernetes_connections: int = 0
    enhanced_recording: tuple[str, ...] = ("command", "network")
    record_session: RecordSession | None = None
    desktop_clipboard: Switch = _ON
    desktop_directory_sharing: Switch = _ON
    create_desktop_user: Switch = _OFF
    create_host_user: Switch = _OFF
    create_host_user_mode: str = "off"
    create_host_user_default_shell: str = ""
    create_db_user: Switch = _OFF
    create_db_user_mode: str = "off"
    require_session_mfa: bool | str = False
    mfa_verification_interval: Duration = Duration(0)
    cert_format: str = "standard"
    cert_extensions: tuple[CertExtension, ...] = ()
    device_trust_mode: Literal["", "off", "optional", "required"] = ""
    request_access: Literal["", "optional", "reason", "always"] = "optional"
    request_prompt: str = ""
    idp: Idp | None = None


class RoleSpec(Struct, frozen=True, kw_only=True):
    """What a role gives and what it forbids."""

    options: RoleOptions = RoleOptions()
    allow: RoleConditions = RoleConditions()
    deny: RoleConditions = RoleConditions()
