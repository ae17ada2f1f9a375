"""Answers of `/webapi/ping` and `/webapi/find`: addresses and settings that clients and agents start from.

Fields, types and their order are those of the networking guide; `dial_timeout` is in nanoseconds. Addresses are the
configured ones: each protocol names the one port that serves all of them, or with separate ports its own, whether or
not this build serves the protocol yet. What a client offers and is not served is refused with a TLS alert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teleport.base.version_order import oldest
from teleport.version import VERSION

DIAL_TIMEOUT = 30.0
"""Seconds the proxy waits for an SSH server."""
SESSION_TTL = "12h0m0s"
"""How long a person is signed in at most, unless roles say less."""


def settings(
    *, cluster: str, web_address: str, public_addresses: Sequence[str], ports: Mapping[str, str] = {},
    one_port: bool = True, tunnel_address: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the body of `/webapi/find`. `ports` are addresses of protocols that have one beside the web address; with
    `one_port` the web address serves everything as well; `tunnel_address` is where agents reach the port for tunnels,
    if somebody has said it."""
    own = {name: ports.get(name, web_address) for name in ("ssh", "tunnel", "kube", "mysql", "postgres")}
    ssh: dict[str, Any] = {
        "listen_addr": own["ssh"],
        "tunnel_listen_addr": own["tunnel"],
        "web_listen_addr": web_address,
        "dial_timeout": int(DIAL_TIMEOUT * 1e9),
    }
    if public_addresses:
        ssh["public_addr"] = public_addresses[0]
    if tunnel_address:
        ssh["ssh_tunnel_public_addr"] = tunnel_address
    return {
        "proxy": {
            "kube": {"enabled": False, "listen_addr": own["kube"]},
            "ssh": ssh,
            "db": {"postgres_listen_addr": own["postgres"], "mysql_listen_addr": own["mysql"]},
            "tls_routing_enabled": one_port,
        },
        "server_version": VERSION,
        "min_client_version": oldest(VERSION),
        "auto_update": {
            "tools_version": VERSION, "tools_auto_update": False, "agent_version": VERSION,
            "agent_auto_update": False, "agent_update_jitter_seconds": 0,
        },
        "cluster_name": cluster,
        "automatic_upgrades": False,
        "edition": "oss",
        "fips": False,
    }  # fmt: skip


def auth_settings(*, second_factor: str) -> dict[str, Any]:
    """Return the part of `/webapi/ping` that a person needs to sign in."""
    return {
        "type": "local",
        "second_factor": second_factor,
        "allow_passwordless": False,
        "allow_headless": False,
        "local": {"name": ""},
        "private_key_policy": "none",
        "piv_slot": "",
        "piv_pin_cache_duration": 0,
        "device_trust": {"disabled": True, "auto_enroll": False},
        "has_motd": False,
        "default_session_ttl": SESSION_TTL,
        "signature_algorithm_suite": "balanced-v1",
    }
