"""Certificates for a bot's outputs: they act in the bot's name, with roles that it was given, and renew nothing."""

from __future__ import annotations

import msgspec

from teleport.access.impersonation import permissions
from teleport.api.bot_messages import Output
from teleport.api.caller import Caller
from teleport.api.messages import MadeCertificates
from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.bots.certificates import DEFAULT_TTL, LONGEST_TTL, BotCertificates
from teleport.auth.bots.routes import Routes
from teleport.auth.user_certs import UserCertificates, read_keys
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, BadParameter, NotFound
from teleport.model.events.base import caller_fields
from teleport.model.identity import Identity
from teleport.model.kinds.bot import LABEL
from teleport.model.kinds.role import Role
from teleport.model.login import JOIN
from teleport.model.resource import Metadata
from teleport.store.audit.log import AuditLog
from teleport.store.resources import Resources

MOST_ROLES = 100


class Outputs:
    """Issues them."""

    def __init__(
        self, resources: Resources, audit: AuditLog, authorizer: Authorizer, users: UserCertificates,
        certificates: BotCertificates, routes: Routes, clock: Clock,
    ) -> None:  # fmt: skip
        self._resources = resources
        self._audit = audit
        self._authorizer = authorizer
        self._users = users
        self._certificates = certificates
        self._routes = routes
        self._clock = clock

    async def issue(self, caller: Caller, request: Output) -> MadeCertificates:
        """Issue certificates with roles of the bot. Raises AccessDenied (AUTH-BOT-OUTPUT, AUTH-BOT-GONE, POL-*),
        NotFound (POL-NOT-FOUND), BadParameter (AUTH-BOT-NO-ROLES, AUTH-BOT-ROUTES, AUTH-BOT-ACCOUNT,
        AUTH-USER-ROLES, PKI-KEY)."""
        rights = await self._authorizer.rights(caller)
        own = rights.identity
        if own.kind != "bot" or own.impersonator:
            raise AccessDenied("AUTH-BOT-OUTPUT", name=own.name)
        wanted = tuple(dict.fromkeys(request.roles)) or await self._every(rights)
        if not 0 < len(wanted) <= MOST_ROLES:
            await self._certificates.user(own.bot_name)  # says so where the bot was removed with its roles
            raise BadParameter("AUTH-BOT-NO-ROLES", bot=own.bot_name, most=MOST_ROLES)
        try:
            for name in wanted:
                await self._authorizer.assume(rights, await self._role(name))
        except AccessDenied as error:
            raise await self._certificates.told(error, own.bot_name) from None
        keys = read_keys(request.ssh_public_key, request.tls_public_key)
        identity = await self._identity(own, wanted, request, caller)
        issued = await self._certificates.issue(identity, keys)
        await self._audit.record(
            msgspec.structs.replace(issued.event, **{**caller_fields(own), "addr_remote": caller.address})
        )
        return await self._certificates.made(issued)

    async def _identity(self, own: Identity, roles: tuple[str, ...], request: Output, caller: Caller) -> Identity:
        asked = (request.expires - self._clock.now()).total_seconds() if request.expires else DEFAULT_TTL
        user = await self._certificates.user(own.bot_name)
        user = msgspec.structs.replace(user, spec=msgspec.structs.replace(user.spec, roles=roles))
        found = await self._users.identity(user, ttl=min(max(asked, 1.0), LONGEST_TTL), client_address=caller.address)
        identity = msgspec.structs.replace(
            found, kind="bot", principals=(*found.logins, JOIN), impersonator=own.name, bot_name=own.bot_name,
            bot_instance_id=own.bot_instance_id, join_token=own.join_token,
            disallow_reissue=not request.allow_reissue,
        )  # fmt: skip
        await self._certificates.check_locks(identity)
        return await self._routes.lead(identity, request, caller.ip)

    async def _every(self, rights: Rights) -> tuple[str, ...]:
        """Return every role that the bot may have: those that are named, and those that a pattern means. The roles of
        bots themselves are meant by no pattern."""
        said = [each for name in rights.identity.roles for each in permissions(await self._role(name))]
        given = [each for each in said if each.side == "allow"]
        named = [name for each in given for name in each.names if not {*"*^"} & {*name}]
        if len(named) == sum(len(each.names) for each in given):
            return tuple(dict.fromkeys(named))
        stored = [role for role in await self._resources.list(Role) if LABEL not in role.metadata.labels]
        meant = [role.name for role in stored if any(each.names_role(role.name) for each in given)]
        return tuple(dict.fromkeys((*named, *meant)))

    async def _role(self, name: str) -> Role:
        try:
            return await self._resources.get(Role, name)
        except (NotFound, BadParameter):
            return Role(version="v7", metadata=Metadata(name=name))
