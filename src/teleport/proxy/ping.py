"""Answers of `/webapi/ping` and `/webapi/find`: addresses and settings that clients and agents start from.

Addresses and keys have the form that the networking guide shows; `dial_timeout` is in nanoseconds. Each
protocol names the one port that serves all of them, whether or not this build serves the protocol yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from teleport.version import VERSION

DIAL_TIMEOUT = 30.0
"""Seconds the proxy waits for an SSH server."""


def settings(*, cluster: str, listen_address: str, public_addresses: Sequence[str]) -> dict[str, Any]:
    """Return the body of `/webapi/find` for a proxy whose one TLS port serves everything."""
    ssh: dict[str, Any] = {
        "listen_addr": listen_address,
        "tunnel_listen_addr": listen_address,
        "web_listen_addr": listen_address,
        "dial_timeout": int(DIAL_TIMEOUT * 1e9),
    }
    if public_addresses:
        ssh["public_addr"] = public_addresses[0]
    return {
        "proxy": {
            "kube": {"enabled": False, "listen_addr": listen_address},
            "ssh": ssh,
            "db": {"postgres_listen_addr": listen_address, "mysql_listen_addr": listen_address},
            "tls_routing_enabled": True,
        },
        "server_version": VERSION,
        "min_client_version": VERSION,
        "cluster_name": cluster,
    }


def auth_settings(*, second_factor: str) -> dict[str, Any]:
    """Return the part of `/webapi/ping` that a person needs to sign in."""
    return {
        "type": "local",
        "second_factor": second_factor,
        "allow_passwordless": False,
        "allow_headless": False,
        "local": {"name": ""},
        "private_key_policy": "none",
    }
