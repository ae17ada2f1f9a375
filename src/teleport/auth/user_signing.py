"""Certificates for a user who does not sign in: `tctl auth sign --user=NAME`.

Whoever asks needs the right to `use` that user, decided like every other call: the local administrator has
it, people only by a rule (`resources: [user], verbs: [use]`, `where` looks at the user). The certificates are
what a sign-in would give, no more, and name the asker as impersonator; the private keys stay with the asker.
"""

from __future__ import annotations

import msgspec

from teleport.access.action import Use
from teleport.access.denial import Denial, Reasons, Step
from teleport.access.explain import user_error
from teleport.api.caller import Caller
from teleport.api.messages import MadeCertificates, UserRequest
from teleport.auth.authorities import Authorities, vouching
from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.user_certs import UserCertificates, read_keys
from teleport.base.errors import BadParameter, TeleportError
from teleport.model.events.base import caller_fields
from teleport.model.kinds.user import User
from teleport.store.audit.log import AuditLog
from teleport.store.resources import Resources

_VERB = "use"
_ABSENT = ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME")


class UserSigning:
    """Implements `api.services.certificates.UserIssuer`."""

    def __init__(
        self, resources: Resources, audit: AuditLog, authorizer: Authorizer, authorities: Authorities,
        certificates: UserCertificates,
    ) -> None:  # fmt: skip
        self._resources = resources
        self._audit = audit
        self._authorizer = authorizer
        self._authorities = authorities
        self._certificates = certificates

    async def issue_user(self, caller: Caller, request: UserRequest) -> MadeCertificates:
        rights = await self._authorizer.rights(caller)
        user = await self._user(rights, request.user)
        keys = read_keys(request.ssh_public_key, request.tls_public_key)
        await self._check_pinning(user)
        identity = await self._certificates.identity(user, ttl=request.ttl)
        identity = msgspec.structs.replace(identity, impersonator=rights.identity.name)
        await self._certificates.check_locks(identity)
        issued = await self._certificates.issue(identity, keys)
        asker = {**caller_fields(rights.identity), "addr_remote": rights.conditions.client_ip}
        await self._audit.record(msgspec.structs.replace(issued.event, **asker))
        return MadeCertificates(
            ssh_certificate=issued.ssh, tls_certificate=issued.tls, expires=identity.expires,
            authorities=vouching(await self._authorities.every()),
        )  # fmt: skip

    async def _user(self, rights: Rights, name: str) -> User:
        """Return the user if the caller may use it. What is hidden and what is not there are refused alike."""
        await self._authorizer.demand(rights, _VERB, User.info.name)
        try:
            user = await self._resources.get(User, name)
        except TeleportError as error:
            if error.code not in _ABSENT:
                raise
            raise await self._authorizer.absent(rights, _VERB, User.info.name, name) from None
        await self._authorizer.demand(rights, _VERB, user, asked=name)
        if rights.identity.impersonator:
            raise await self._refuse_chain(rights, user)
        return user

    async def _refuse_chain(self, rights: Rights, user: User) -> TeleportError:
        """Return the refusal of somebody who acts in another's name already: names must not form a chain."""
        identity = rights.identity
        found = f"issued to {identity.impersonator} in the name of {identity.name}"
        step = Step(condition="certificate", matched=False, wanted="one of the caller's own", found=found)
        fields = {"reason": f"your certificate was {found}", "hint": "sign in as yourself: tsh login"}
        denial = Denial(
            "POL-IMPERSONATED", identity, Use(_VERB), user, rights.conditions, fields=fields,
            reasons=lambda: Reasons((step,), step, ()), visible=lambda: True,
        )  # fmt: skip
        return user_error(denial, await self._authorizer.keep(denial), user.name)

    async def _check_pinning(self, user: User) -> None:
        """Refuse certificates that must be bound to the address of a sign-in: there is none here."""
        roles = await self._authorizer.role_set(user.spec.roles, user.spec.traits)
        if roles.options.pin_source_ip:
            raise BadParameter("AUTH-SIGN-PINNED", user=user.name)
