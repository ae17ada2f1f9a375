"""Decisions: refusals of services kept, explained to who may read roles and audit, and asked for in advance."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from teleport.access import explain
from teleport.access.action import Connect
from teleport.access.checker import Grant
from teleport.access.system import host_id
from teleport.api.caller import Caller
from teleport.api.messages import Decision, Verdict
from teleport.auth.audit import EVENT
from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.denials import Denials
from teleport.auth.user_certs import UserCertificates
from teleport.base.errors import AccessDenied, LimitExceeded, TeleportError
from teleport.base.struct import encode, plain
from teleport.model.events.access import AccessDenied as DeniedEvent
from teleport.model.events.base import USER_KINDS
from teleport.model.kinds.node import Node
from teleport.model.kinds.role import Role
from teleport.model.kinds.user import User
from teleport.model.resource import Metadata, Resource
from teleport.store.resources import Resources

LARGEST_RECORD = 256 * 1024


class Decisions:
    """Implements `api.services.decisions.Decisions`."""

    def __init__(
        self, resources: Resources, denials: Denials, authorizer: Authorizer, certificates: UserCertificates
    ) -> None:  # fmt: skip
        self._resources = resources
        self._denials = denials
        self._authorizer = authorizer
        self._certificates = certificates

    async def record(self, caller: Caller, record: bytes, client_address: str) -> str:
        await self._authorizer.require(caller, "create", EVENT)
        if len(record) > LARGEST_RECORD:
            raise LimitExceeded("API-TOO-LARGE", size=len(record), limit=LARGEST_RECORD)
        said, reporter = explain.from_record(record), caller.known()
        event = DeniedEvent(
            decision_id="", action=said.request.partition(" ")[0], target_kind=said.kind, target=said.name,
            reason=said.code, user=said.user, user_kind=USER_KINDS.get(said.user_kind, 0), user_roles=said.roles,
            addr_remote=client_address, server_id=host_id(reporter),
        )  # fmt: skip
        steps = tuple(step for step in said.steps if step.side != "caller")  # those tell the time
        timeless = encode(msgspec.structs.replace(said, time="", steps=steps))
        fingerprint = hashlib.sha256(reporter.name.encode() + b"\0" + timeless).digest()
        return await self._denials.keep(fingerprint, encode(said), reporter.name, event)

    async def explain(self, caller: Caller, id: str) -> Decision:
        rights = await self._authorizer.rights(caller)
        for kind in (EVENT, Role.info.name):
            await self._authorizer.demand(rights, "read", kind)
        kept = await self._denials.find(id)
        record = explain.from_record(bytes(kept.record))
        await self._check_roles(rights, (*record.roles, *(step.role for step in record.steps)))
        return Decision(
            id=id, denial=plain(record), count=kept.count, first_seen=kept.first,
            last_seen=kept.last, reporter=kept.reporter,
        )  # fmt: skip

    async def can(self, caller: Caller, user: str, login: str, node: str) -> Verdict:
        """Decide as the node would for a certificate that the user could get now."""
        rights = await self._authorizer.rights(caller)
        for kind in (User.info.name, Role.info.name, Node.info.name):
            await self._authorizer.demand(rights, "read", kind)
        person, target = await self._user(rights, user), await self._node(rights, node)
        await self._check_roles(rights, person.spec.roles)
        identity = await self._certificates.identity(person)
        roles = await self._authorizer.role_set(identity.roles, identity.traits)
        world = await self._authorizer.conditions()
        decision = Rights(identity, roles, world).decide(Connect(login), target)
        if isinstance(decision, Grant):
            return Verdict(True, _grant(decision))
        return Verdict(False, msgspec.json.decode(explain.to_record(decision)))

    async def _check_roles(self, rights: Rights, names: Iterable[str]) -> None:
        """Everybody may read the roles that they hold; an explanation needs the right to read all it speaks of."""
        for name in dict.fromkeys(names):
            try:
                role = await self._resources.get(Role, name)
            except TeleportError:
                role = Role(version="v7", metadata=Metadata(name=name))  # gone, or a system role
            if not rights.may("read", role):
                raise AccessDenied("AUTH-EXPLAIN")

    async def _user(self, rights: Rights, name: str) -> User:
        try:
            user = await self._resources.get(User, name)
        except TeleportError as error:
            raise await self._missing(error, rights, User.info.name, name) from None
        await self._authorizer.demand(rights, "read", user, asked=name)
        return user

    async def _node(self, rights: Rights, name: str) -> Resource[Any]:
        for node in await self._resources.list(Node):
            if name in (node.name, node.spec.hostname) and (rights.may("read", node)):
                return node
        raise await self._authorizer.absent(rights, "read", Node.info.name, name)

    async def _missing(self, error: TeleportError, rights: Rights, kind: str, name: str) -> TeleportError:
        if error.code in ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME"):
            return await self._authorizer.absent(rights, "read", kind, name)
        return error


def _grant(grant: Grant) -> dict[str, Any]:
    ends = grant.expires.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"role": grant.role, "expires": ends, "text": explain.why_allowed(grant)}
