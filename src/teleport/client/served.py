"""Databases, applications and Kubernetes clusters of a cluster, as whoever asks may see them.

One is there if somebody has registered it, or if an agent says that it serves it.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from teleport.access import served
from teleport.access.roleset import RoleSet
from teleport.access.rules import user_data
from teleport.api.client import AuthClient
from teleport.base.errors import AccessDenied, NotFound
from teleport.client.profile import Profile
from teleport.model.identity import Identity
from teleport.model.kinds.app import App
from teleport.model.kinds.app_server import AppServer
from teleport.model.kinds.db import Db
from teleport.model.kinds.db_server import DbServer
from teleport.model.kinds.kube_cluster import KubeCluster
from teleport.model.kinds.kube_server import KubeServer
from teleport.model.kinds.role import Role
from teleport.model.resource import Resource

R = TypeVar("R", bound=Resource[Any])

_UNKNOWN = "(unknown)"


async def databases(client: AuthClient, **chosen: Any) -> list[Db]:
    """Return databases by name; `chosen` are the conditions of a listing. Raises what listing raises."""
    return await _both(client, Db, DbServer, "database", **chosen)


async def applications(client: AuthClient, **chosen: Any) -> list[App]:
    """Return applications by name, as `databases`."""
    return await _both(client, App, AppServer, "app", **chosen)


async def kubernetes_clusters(client: AuthClient, **chosen: Any) -> list[KubeCluster]:
    """Return Kubernetes clusters by name, as `databases`."""
    return await _both(client, KubeCluster, KubeServer, "cluster", **chosen)


async def _both(client: AuthClient, kind: type[R], server: type[Resource[Any]], field: str, **chosen: Any) -> list[R]:
    found = {entry.name: cast(R, entry) async for entry in client.list(kind.info.name, **chosen)}
    async for entry in client.list(server.info.name, **chosen):
        found.setdefault(entry.name, getattr(entry.spec, field))
    return [found[name] for name in sorted(found)]


async def roles_of(client: AuthClient, profile: Profile) -> RoleSet | None:
    """Return the roles of whoever holds the profile; None where they may not be read, or one is gone."""
    roles: list[Role] = []
    for name in profile.roles:
        try:
            roles.append(cast(Role, await client.get(Role.info.name, name)))
        except (AccessDenied, NotFound):
            return None
    return RoleSet.build(roles, {name: tuple(values) for name, values in profile.traits.items()})


def accounts(roles: RoleSet | None, profile: Profile, database: Db) -> served.Listed | None:
    """Return which accounts of a database the roles allow and deny; None for roles that are not known."""
    if roles is None:
        return None
    holder = Identity(
        name=profile.user, cluster=profile.cluster, roles=profile.roles, expires=profile.valid_until
    )  # fmt: skip
    return served.listing(roles, "db_users", database, user_data(holder, roles.traits))


def accounts_text(found: served.Listed | None) -> str:
    """Write accounts as tables do: `[alice bob]`, `[* except: [root]]`, `(none)`, `(unknown)`."""
    if found is None:
        return _UNKNOWN
    if not found.allowed:
        return "(none)"
    if "*" in found.allowed:
        return f"[* except: [{' '.join(found.denied)}]]" if found.denied else "[*]"
    return f"[{' '.join(found.allowed)}]"
