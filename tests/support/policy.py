"""Builders for tests of decisions: roles, callers, nodes, locks, in one line each."""

from __future__ import annotations

import datetime as dt
from typing import Any

from teleport.access.checker import Conditions
from teleport.model.identity import Identity
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from teleport.model.kinds.role import Role
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.resource import load

NOW = dt.datetime(2026, 1, 2, 12, 4, 11, tzinfo=dt.UTC)
CLUSTER = "example"


def role(
    name: str = "dev",
    allow: dict[str, Any] | None = None,
    deny: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    version: str = "v7",
) -> Role:
    spec = {"allow": allow or {}, "deny": deny or {}, "options": options or {}}
    loaded = load({"kind": "role", "version": version, "metadata": {"name": name}, "spec": spec})
    assert isinstance(loaded, Role)
    return loaded


def caller(*roles: str, **changes: Any) -> Identity:
    given: dict[str, Any] = {
        "name": "carol", "cluster": CLUSTER, "roles": roles, "principals": ("root", "ubuntu", "alice"),
        "expires": NOW + dt.timedelta(hours=1),
    }  # fmt: skip
    return Identity(**{**given, **changes})


def node(name: str = "uuid-7", hostname: str = "node-7", **labels: str) -> Node:
    loaded = load({"kind": "node", "metadata": {"name": name, "labels": labels}, "spec": {"hostname": hostname}})
    assert isinstance(loaded, Node)
    return loaded


def tracker(owner: str = "alice", *owner_roles: str, name: str = "session-1", kind: str = "ssh") -> SessionTracker:
    spec = {
        "session_id": name, "kind": kind, "host_user": owner, "login": "root", "server_id": "uuid-7",
        "hostname": "node-7", "host_policies": [{"name": role} for role in owner_roles],
    }  # fmt: skip
    loaded = load({"kind": "session_tracker", "version": "v1", "metadata": {"name": name}, "spec": spec})
    assert isinstance(loaded, SessionTracker)
    return loaded


def joins(*modes: str, roles: tuple[str, ...] = ("*",), kinds: tuple[str, ...] = ("ssh",)) -> dict[str, Any]:
    """One side of a role that speaks of joining sessions."""
    return {"join_sessions": [{"name": "x", "roles": list(roles), "kinds": list(kinds), "modes": list(modes)}]}


def lock(name: str = "lock-1", message: str = "", expires: dt.datetime | None = None, **target: str) -> Lock:
    spec: dict[str, Any] = {"target": target, "message": message}
    if expires is not None:
        spec["expires"] = expires.isoformat()
    loaded = load({"kind": "lock", "metadata": {"name": name}, "spec": spec})
    assert isinstance(loaded, Lock)
    return loaded


def conditions(*locks: Lock, **changes: Any) -> Conditions:
    return Conditions(**{"now": NOW, "cluster": CLUSTER, "locks": locks, "client_ip": "198.51.100.4", **changes})
