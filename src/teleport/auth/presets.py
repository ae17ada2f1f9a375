"""Presets: the roles that every new cluster has. They are ordinary roles afterwards: editable, deletable."""

from __future__ import annotations

from typing import Any, cast

from teleport.model.kinds.role import Role
from teleport.model.resource import load

LABEL = "teleport.internal/resource-type"

_READ_WRITE = ["list", "create", "read", "update", "delete"]
_READ_ONLY = ["list", "read"]

_EDITED = (
    "user", "role", "bot", "bot_instance", "token", "lock", "node", "host_cert", "cert_authority", "cluster_name",
    "app_server", "app", "db_server", "db", "kube_server", "kube_cluster", "installer", "oidc", "saml", "github",
    "connection_diagnostic", "cluster_auth_preference", "auth_connector", "cluster_networking_config",
    "session_recording_config", "cluster_audit_config", "ui_config", "trusted_cluster", "remote_cluster", "device",
    "login_rule", "user_group", "cluster_alert", "discovery_config", "server_info", "access_monitoring_rule",
    "workload_identity", "notification", "static_host_user", "autoupdate_config", "autoupdate_version",
)  # fmt: skip
_AUDITED = ("session", "event", "session_tracker", "cluster_alert", "instance", "bot_instance", "notification")


def roles() -> tuple[Role, ...]:
    """Return the preset roles: `access` reaches everything by trait, `editor` administers, `auditor` reads."""
    return (_access(), _editor(), _auditor())


def _access() -> Role:
    everything = {"*": "*"}
    allow = {
        "logins": ["{{internal.logins}}"],
        "node_labels": everything,
        "app_labels": everything,
        "db_labels": everything,
        "db_users": ["{{internal.db_users}}"],
        "db_names": ["{{internal.db_names}}"],
        "kubernetes_labels": everything,
        "kubernetes_users": ["{{internal.kubernetes_users}}"],
        "kubernetes_groups": ["{{internal.kubernetes_groups}}"],
        "rules": [
            {"resources": ["event"], "verbs": _READ_ONLY},
            {
                "resources": ["session"],
                "verbs": ["read", "list"],
                "where": "contains(session.participants, user.metadata.name)",
            },
            {"resources": ["instance", "cluster_maintenance_config"], "verbs": _READ_ONLY},
        ],
    }
    options = {"forward_agent": True, "port_forwarding": True, "max_session_ttl": "30h"}
    return _role("access", "Access to every resource, as far as the user's traits name logins", options, allow)


def _editor() -> Role:
    allow = {
        "rules": [
            {"resources": list(_EDITED), "verbs": _READ_WRITE},
            {"resources": ["db_service", "instance"], "verbs": _READ_ONLY},
        ]
    }
    return _role("editor", "Edits the configuration of the cluster", {"forward_agent": True}, allow)


def _auditor() -> Role:
    allow = {"rules": [{"resources": list(_AUDITED), "verbs": _READ_ONLY}]}
    return _role("auditor", "Reads audit events and sessions", {}, allow)


def _role(name: str, description: str, options: dict[str, Any], allow: dict[str, Any]) -> Role:
    document = {
        "kind": "role", "version": "v7",
        "metadata": {"name": name, "description": description, "labels": {LABEL: "preset"}},
        "spec": {"options": options, "allow": allow},
    }  # fmt: skip
    return cast(Role, load(document))
