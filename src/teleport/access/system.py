"""What the cluster itself may do over the API: its services, and the local administrator.

A service acts under its system roles; what the table does not name, it may not do. The administrator on
the auth host is judged by a built-in role through the same checker, locks included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from teleport.access.action import Target, kind_of, name_of
from teleport.access.roleset import RoleSet
from teleport.model.identity import Identity
from teleport.model.kinds.role import Role
from teleport.model.kinds.session_termination import SessionTermination
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.resource import Metadata
from teleport.model.role_spec import RoleConditions, RoleSpec, Rule
from teleport.model.served import ServerSpec


class Right(NamedTuple):
    """Verbs on a kind; on `own` objects only: those of the service's host."""

    kind: str
    verbs: frozenset[str]
    own: bool = False


_LOOK = frozenset({"list", "read", "readnosecrets"})
_LOOK_WITHOUT_SECRETS = frozenset({"list", "readnosecrets"})
_ANNOUNCE = frozenset({"create", "update"})

_KEEP = frozenset({"read", "readnosecrets", "create", "update", "delete"})

_AGENT = (
    Right("cert_authority", _LOOK_WITHOUT_SECRETS),
    Right("cluster_name", _LOOK),
    Right("role", _LOOK),
    Right("lock", _LOOK),
    Right("session_recording_config", _LOOK),
    Right("cluster_networking_config", _LOOK),
    Right("event", frozenset({"create"})),
)
"""What agents for databases, applications and Kubernetes clusters need to decide and to report."""

AT_PROXY = "proxy:"
"""Stands before the id of the host of a proxy (`keeper_id`)."""

SYSTEM: Mapping[str, tuple[Right, ...]] = {
    "Auth": (Right("auth_server", _ANNOUNCE, own=True),),
    "Instance": (Right("cert_authority", _LOOK_WITHOUT_SECRETS),),
    "Node": (
        Right("cert_authority", _LOOK_WITHOUT_SECRETS),
        Right("cluster_name", _LOOK),
        Right("role", _LOOK),
        Right("lock", _LOOK),
        Right("session_recording_config", _LOOK),
        Right("cluster_networking_config", _LOOK),
        Right("session", frozenset({"create"})),
        Right("node", frozenset({"read", "readnosecrets", "create", "update"}), own=True),
        Right("session_tracker", frozenset({"create", "update", "delete"}), own=True),
        Right("session_termination", _LOOK, own=True),
        Right("semaphore", frozenset({"create", "update"})),
        Right("event", frozenset({"create"})),
    ),
    "Db": (*_AGENT, Right("db", _LOOK), Right("db_server", _KEEP, own=True)),
    "App": (*_AGENT, Right("app", _LOOK), Right("app_server", _KEEP, own=True)),
    "Kube": (*_AGENT, Right("kube_cluster", _LOOK), Right("kube_server", _KEEP, own=True)),
    "Proxy": (
        Right("cert_authority", _LOOK_WITHOUT_SECRETS),
        Right("cluster_name", _LOOK),
        Right("role", _LOOK),
        Right("lock", _LOOK),
        Right("session_recording_config", _LOOK),
        Right("cluster_networking_config", _LOOK),
        Right("node", _LOOK),
        Right("proxy", _LOOK),
        Right("proxy", _ANNOUNCE, own=True),
        Right("session", frozenset({"create"})),
        Right("session_tracker", frozenset({"create", "update", "delete"})),
        Right("session_termination", _LOOK),
        Right("semaphore", frozenset({"create", "update"})),
        Right("event", frozenset({"create"})),
    ),
}
"""System role to its rights. A role that is not here may do nothing."""

ADMIN = RoleSet.build(
    [
        Role(
            version="v8",
            metadata=Metadata(name="local-admin"),
            spec=RoleSpec(allow=RoleConditions(rules=(Rule(resources=("*",), verbs=("*",)),))),
        )
    ],
    {},
)
"""The administrator's roles: everything over the API, no login anywhere."""


def keeper_id(caller: Identity) -> str:
    """Return under which name a service keeps what belongs to its connections: that of its host, and for a proxy one
    of its own, since a node may run beside it on the same host."""
    return (AT_PROXY if "Proxy" in system_roles(caller) else "") + host_id(caller)


def host_id(caller: Identity) -> str:
    """Return the id of the host that a service runs on: its name without the cluster."""
    return caller.name.removesuffix(f".{caller.cluster}")


def system_roles(caller: Identity) -> tuple[str, ...]:
    """Return the system roles that a service may act in."""
    return tuple(dict.fromkeys((*caller.system_roles, *caller.roles)))


def permitting(caller: Identity, verb: str, target: Target) -> str:
    """Return the system role that lets a service do this; empty if none does.

    Asked about a kind as a whole, a right on own objects is enough: the object decides later.
    """
    for role in system_roles(caller):
        for right in SYSTEM.get(role, ()):
            if right.kind != kind_of(target) or verb not in right.verbs:
                continue
            if not right.own or isinstance(target, str) or _host_of(target) == host_id(caller):
                return role
    return ""


def _host_of(target: Target) -> str:
    """Return the host whose object it is: the one that what is about a session, or about what is served, names,
    otherwise the object's name."""
    if isinstance(target, SessionTracker | SessionTermination):
        return target.spec.server_id
    spec = getattr(target, "spec", None)
    return spec.host_id if isinstance(spec, ServerSpec) else name_of(target)


def rights_text(roles: Iterable[str]) -> str:
    """Write what system roles may do, for explanations."""
    rights = [right for role in roles for right in SYSTEM.get(role, ())]
    return (
        "; ".join(f"{' '.join(sorted(right.verbs))} {'own ' if right.own else ''}{right.kind}" for right in rights)
        or "none"
    )
