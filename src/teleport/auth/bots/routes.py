"""Routes: outputs that are for a database, an application or a Kubernetes cluster.

What they are for has to be there for whoever will hold the certificates: for the bot's user with the roles of the
output. To them, what they may not list is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.access import served
from teleport.access.action import Reach, Use
from teleport.access.checker import Grant
from teleport.access.explain import not_found
from teleport.access.rules import user_data
from teleport.api.bot_messages import DatabaseRoute, Output
from teleport.api.messages import cursor_of
from teleport.auth.authorize import Authorizer, Rights
from teleport.base.errors import BadParameter, TeleportError
from teleport.model.identity import Identity
from teleport.model.kinds.app import App
from teleport.model.kinds.app_server import AppServer
from teleport.model.kinds.db import Db
from teleport.model.kinds.db_server import DbServer
from teleport.model.kinds.kube_cluster import KubeCluster
from teleport.model.kinds.kube_server import KubeServer
from teleport.model.resource import Resource
from teleport.store.resources import Resources

_LOOK = ("list", "read")
_PAGE = 500
"""Heartbeats that are read at a time."""


class Routes:
    """Looks up what outputs are for, and writes it into their identities."""

    def __init__(self, resources: Resources, authorizer: Authorizer) -> None:
        self._resources = resources
        self._authorizer = authorizer

    async def lead(self, identity: Identity, request: Output, ip: str) -> Identity:
        """Return the identity with the route that was asked for, if one was. Raises BadParameter (AUTH-BOT-ROUTES,
        AUTH-BOT-ACCOUNT), NotFound (POL-NOT-FOUND), AccessDenied (POL-*)."""
        if sum(map(bool, (request.database, request.app, request.kubernetes_cluster))) > 1:
            raise BadParameter("AUTH-BOT-ROUTES", bot=identity.bot_name)
        roles = await self._authorizer.role_set(identity.roles, identity.traits)
        rights = Rights(identity, roles, await self._authorizer.conditions(ip))
        if request.database:
            return await self._to_database(rights, request.database)
        if request.app:
            return await self._to_app(rights, request.app)
        if request.kubernetes_cluster:
            return await self._to_kubernetes(rights, request.kubernetes_cluster)
        return identity

    async def _to_database(self, rights: Rights, route: DatabaseRoute) -> Identity:
        found = await self._look(rights, "database", Db, DbServer, route.service)
        database = found.spec.database if isinstance(found, DbServer) else found
        user = user_data(rights.identity, rights.roles.traits)
        users, names = (served.listing(rights.roles, field, found, user).allowed for field in ("db_users", "db_names"))
        account, part = route.username or _only(users), route.name or _only(names)
        if not account:
            shown = ", ".join(users[:10]) or "none"
            raise BadParameter("AUTH-BOT-ACCOUNT", database=route.service, users=shown)
        await self._authorizer.reach(rights, Reach(account, part or None), found, route.service)
        return msgspec.structs.replace(
            rights.identity, database_service=route.service, database_protocol=database.spec.protocol,
            database_user=account, database_name=part, database_users=users, database_names=names,
        )  # fmt: skip

    async def _to_app(self, rights: Rights, name: str) -> Identity:
        found = await self._look(rights, "app", App, AppServer, name)
        await self._authorizer.reach(rights, Reach(), found, name)
        app = found.spec.app if isinstance(found, AppServer) else found
        return msgspec.structs.replace(
            rights.identity, app_name=name, app_public_addr=app.spec.public_addr, app_cluster=rights.identity.cluster
        )

    async def _to_kubernetes(self, rights: Rights, name: str) -> Identity:
        found = await self._look(rights, "kubernetes cluster", KubeCluster, KubeServer, name)
        await self._authorizer.reach(rights, Reach(), found, name)
        given = served.principals(rights.roles, found, user_data(rights.identity, rights.roles.traits))
        return msgspec.structs.replace(
            rights.identity, kubernetes_cluster=name, kubernetes_users=given.users, kubernetes_groups=given.groups
        )

    async def _look(
        self, rights: Rights, word: str, kind: type[Resource[Any]], server: type[Resource[Any]], name: str
    ) -> Resource[Any]:
        """Return what has this name, as a resource or as what an agent says that it serves. Raises NotFound
        (POL-NOT-FOUND) if it is not there, or may not be listed and read."""
        found = await self._find(kind, server, name)
        decisions = [rights.decide(Use(verb), found or kind.info.name) for verb in _LOOK]
        for decision in decisions:
            if not isinstance(decision, Grant):
                raise not_found(word, name, await self._authorizer.keep(decision))
        if found is None:
            raise await self._authorizer.absent(rights, "read", word, name)
        return found

    async def _find(self, kind: type[Resource[Any]], server: type[Resource[Any]], name: str) -> Resource[Any] | None:
        try:
            return await self._resources.get(kind, name)
        except TeleportError as error:
            if error.code not in ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME"):
                raise
        batch: Sequence[Resource[Any]] = ()
        while batch := await self._resources.list(server, cursor_of(batch[-1]) if batch else "", _PAGE):
            found = [entry for entry in batch if entry.name == name]
            if found:
                return found[0]
        return None


def _only(listed: tuple[str, ...]) -> str:
    """Return the one name that roles list; empty where they list none, several or all."""
    return listed[0] if len(listed) == 1 and listed[0] != "*" else ""
