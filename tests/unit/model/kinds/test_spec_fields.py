"""Every field that the product's documents may have is acted on, or refused with a code: never ignored."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.base.errors import NotSupported
from teleport.model import resource as kinds
from tests.unit.model.samples import CERT, PUBLIC_KEY, SSH_KEY, sample

T = "2026-01-01T00:00:00Z"

ACTED_ON: list[tuple[str, str, Any]] = [
    ("user", "roles", ["a"]), ("user", "traits", {"x": ["y"]}), ("user", "expires", T),
    ("user", "created_by", {"time": T, "user": {"name": "a"}}),
    ("user", "status", {"is_locked": True, "lock_expires": T, "locked_time": T, "locked_message": "m"}),
    ("node", "hostname", "h"), ("node", "addr", "h:1"), ("node", "public_addrs", ["h:1"]), ("node", "version", "1"),
    ("node", "cmd_labels", {"k": {"command": ["/c"], "period": "2s", "result": "r"}}), ("node", "use_tunnel", True),
    ("token", "roles", ["proxy"]), ("token", "join_method", "token"),
    *[("lock", "target", {name: "x"}) for name in ("user", "role", "login", "node", "server_id", "join_token")],
    ("lock", "message", "m"), ("lock", "expires", T), ("lock", "created_at", T), ("lock", "created_by", "a"),
    ("cert_authority", "active_keys", {"ssh": [{"public_key": SSH_KEY}]}),
    ("cert_authority", "additional_trusted_keys", {"tls": [{"cert": CERT}]}),
    ("cert_authority", "active_keys", {"jwt": [{"public_key": PUBLIC_KEY}]}),
    ("cert_authority", "rotation", {"state": "in_progress", "phase": "init", "mode": "manual", "current_id": "a",
                                    "started": T, "grace_period": "30h", "last_rotated": T,
                                    "schedule": {"update_clients": T, "update_servers": T, "standby": T}}),
    *[("session_recording_config", "mode", mode) for mode in ("node", "off", "node-sync", "proxy", "proxy-sync")],
    ("session_recording_config", "encryption", {"enabled": True}),
    ("session_recording_config", "proxy_checks_host_keys", False),
    ("cluster_networking_config", "client_idle_timeout", "1m"),
    ("cluster_networking_config", "client_idle_timeout_message", "bye"),
    ("cluster_networking_config", "keep_alive_interval", "1m"),
    ("cluster_networking_config", "keep_alive_count_max", 1),
]  # fmt: skip

REFUSED: list[tuple[str, str, Any]] = [
    ("user", "oidc_identities", [{"connector_id": "a", "username": "b"}]),
    ("user", "saml_identities", [{}]), ("user", "github_identities", [{}]), ("user", "trusted_device_ids", ["a"]),
    ("user", "created_by", {"connector": {"type": "oidc"}}), ("user", "status", {"recovery_attempt_lock_expires": T}),
    ("node", "rotation", {"state": "x"}), ("node", "proxy_ids", ["a"]),
    ("node", "cloud_metadata", {"aws": {}}),
    *[("token", name, {"allow": []}) for name in (
        "suggested_labels", "suggested_agent_matcher_labels", "azure_devops", "bitbucket", "circleci", "env0",
        "oracle", "spacelift", "terraform_cloud")],
    *[("lock", "target", {name: "x"}) for name in (
        "mfa_device", "windows_desktop", "access_request", "device")],
    ("lock", "target", {"user": "a", "device": "x"}),
    ("session_recording_config", "encryption", {"enabled": False}),
    ("session_recording_config", "encryption", {"enabled": True, "manual_key_management": {"enabled": True}}),
    ("cluster_networking_config", "idle_timeout", "1m"), ("cluster_networking_config", "web_idle_timeout", "1m"),
    ("cluster_networking_config", "session_control_timeout", "1m"),
    ("cluster_networking_config", "proxy_listener_mode", 1),
    ("cluster_networking_config", "routing_strategy", "most_recent"),
    ("cluster_networking_config", "tunnel_strategy", {"type": "proxy_peering"}),
    ("cluster_networking_config", "proxy_ping_interval", "1s"),
    ("cluster_networking_config", "assist_command_execution_workers", 3),
    ("cluster_networking_config", "case_insensitive_routing", True),
    ("cluster_networking_config", "ssh_dial_timeout", "1s"),
    ("cert_authority", "role_map", [{"remote": "a"}]), ("cert_authority", "signing_alg", 3),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "field", "value"), ACTED_ON)
def test_acted_on(kind: str, field: str, value: Any) -> None:
    resource = kinds.load(sample(kind, **{field: value}))
    assert kinds.load(kinds.dump(resource)) == resource


@pytest.mark.parametrize(("kind", "field", "value"), REFUSED)
def test_refused(kind: str, field: str, value: Any) -> None:
    with pytest.raises(NotSupported) as caught:
        kinds.load(sample(kind, **{field: value}))
    error = caught.value
    assert error.code == "KIND-FIELD-NOT-SUPPORTED"
    assert error.fields["kind"] == kind
    assert error.fields["field"].startswith(f"spec.{field}")
    assert error.fields["supported"]


@pytest.mark.parametrize("kind", ["user", "node", "token", "lock", "cert_authority"])
def test_the_tables_above_name_every_field(kind: str) -> None:
    shape = kinds.load(sample(kind)).spec.__struct_encode_fields__
    named = {field for name, field, _ in ACTED_ON + REFUSED if name == kind}
    elsewhere = {
        "token": {
            "allow",
            "aws_iid_ttl",
            "azure",
            "bot_name",
            "bound_keypair",
            "gcp",
            "github",
            "gitlab",
            "kubernetes",
            "tpm",
        },
        "cert_authority": {"type", "cluster_name"},
    }
    assert {*shape} == named | elsewhere.get(kind, set())
