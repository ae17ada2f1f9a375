"""Users: links with which people set a password."""

from __future__ import annotations

from teleport.api.caller import Caller
from teleport.api.messages import Invite
from teleport.auth.attempts import Attempts
from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.invites import Invites, Purpose
from teleport.auth.passwords import Passwords
from teleport.auth.second_factor import SecondFactor
from teleport.base.errors import AlreadyExists, TeleportError
from teleport.base.struct import Duration
from teleport.model.events.base import caller_fields
from teleport.model.events.user import ResetPasswordTokenCreate
from teleport.model.kinds.user import User
from teleport.store.audit.log import AuditLog
from teleport.store.backend import At, Backend, Check, Op
from teleport.store.resources import Resources, info_of, key_of


class Users:
    """Implements `api.services.users.Users`. Making a link needs the right to update the user."""

    def __init__(
        self, backend: Backend, resources: Resources, audit: AuditLog, authorizer: Authorizer, passwords: Passwords,
        attempts: Attempts, invites: Invites, factors: SecondFactor,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._resources = resources
        self._audit = audit
        self._authorizer = authorizer
        self._passwords = passwords
        self._attempts = attempts
        self._invites = invites
        self._factors = factors

    async def create_invite(self, caller: Caller, user: str, ttl: float) -> Invite:
        rights = await self._authorizer.rights(caller)
        found = await self._user(rights, user)
        if await self._passwords.exists(user):
            raise AlreadyExists("AUTH-HAS-PASSWORD", user=user)
        return await self._make(rights, found, "invite", ttl)

    async def create_reset(self, caller: Caller, user: str, ttl: float) -> Invite:
        rights = await self._authorizer.rights(caller)
        found = await self._user(rights, user)
        unlock = self._attempts.unlock_ops(found)
        forget = await self._factors.forget_ops(user, rights.identity, client_ip=rights.conditions.client_ip)
        return await self._make(rights, found, "reset", ttl, self._passwords.delete_op(user), *forget, *unlock)

    async def _user(self, rights: Rights, name: str) -> User:
        await self._authorizer.demand(rights, "update", User.info.name)
        try:
            user = await self._resources.get(User, name)
        except TeleportError as error:
            if error.code not in ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME"):
                raise
            raise await self._authorizer.absent(rights, "update", User.info.name, name) from None
        await self._authorizer.demand(rights, "update", user, asked=name)
        return user

    async def _make(self, rights: Rights, user: User, purpose: Purpose, ttl: float, *ops: Op) -> Invite:
        made = await self._invites.make(user.name, purpose, ttl)
        seconds = Duration((made.link.expires - rights.conditions.now.replace(microsecond=0)).total_seconds())
        event = ResetPasswordTokenCreate(
            name=user.name, ttl=str(seconds), addr_remote=rights.conditions.client_ip, **caller_fields(rights.identity)
        )  # fmt: skip
        there = Check(key_of(info_of(User), user.name), At(int(user.metadata.revision)))
        await self._backend.commit(there, *made.ops, *ops, self._audit.op(event))
        return Invite(user.name, made.token, f"/web/{purpose}/{made.token}", made.link.expires)
