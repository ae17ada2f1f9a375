"""A bot's own certificates: what they name, and signing them."""

from __future__ import annotations

import datetime as dt

import msgspec

from teleport.api.messages import MadeCertificates
from teleport.auth.authorities import Authorities, of_databases, vouching
from teleport.auth.user_certs import Issued, PublicKeys, UserCertificates
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, TeleportError
from teleport.model.identity import Identity
from teleport.model.kinds.bot import LABEL, bot_user
from teleport.model.kinds.bot import LONGEST_TTL as OWN_LONGEST
from teleport.model.kinds.user import User
from teleport.model.login import JOIN
from teleport.store.resources import Resources

DEFAULT_TTL = 3600.0
"""Seconds that certificates last if nothing else is asked for."""
LONGEST_TTL = 24 * 3600.0
"""Of outputs; the roles in them may say less. For a bot's own it is what its role says: 12 hours, if nothing else."""


class BotCertificates:
    """Issues certificates for bots; who may have them was decided by the caller."""

    def __init__(
        self, resources: Resources, certificates: UserCertificates, authorities: Authorities, clock: Clock
    ) -> None:  # fmt: skip
        self._resources = resources
        self._certificates = certificates
        self._authorities = authorities
        self._clock = clock

    async def user(self, bot: str) -> User:
        """Return the user of a bot. Raises AccessDenied (AUTH-BOT-GONE)."""
        try:
            found = await self._resources.get(User, bot_user(bot))
        except TeleportError as error:
            if error.code not in ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME"):
                raise
            raise AccessDenied("AUTH-BOT-GONE", bot=bot) from None
        if found.metadata.labels.get(LABEL) != bot:
            raise AccessDenied("AUTH-BOT-GONE", bot=bot)
        return found

    async def told(self, refusal: AccessDenied, bot: str) -> AccessDenied:
        """Return a refusal as a bot is told of it: roles of a bot that was removed are missing because of that."""
        if refusal.code != "POL-ROLE-MISSING":
            return refusal
        try:
            await self.user(bot)
        except AccessDenied as gone:
            return AccessDenied(gone.code, id=refusal.id, **gone.fields)
        return refusal

    async def identity(self, bot: str, expires: dt.datetime | None, address: str) -> Identity:
        """Return whom certificates of the bot would name now. Raises AccessDenied (AUTH-BOT-GONE, POL-LOCKED)."""
        asked = (expires - self._clock.now()).total_seconds() if expires else DEFAULT_TTL
        found = await self._certificates.identity(
            await self.user(bot), ttl=max(asked, 1.0), client_address=address, longest=OWN_LONGEST
        )  # fmt: skip
        made = msgspec.structs.replace(found, kind="bot", principals=(*found.logins, JOIN), bot_name=bot)
        await self._certificates.check_locks(made)
        return made

    async def check_locks(self, identity: Identity) -> None:
        """Refuse an identity that any lock is about. Raises AccessDenied (POL-LOCKED)."""
        await self._certificates.check_locks(identity)

    async def issue(self, identity: Identity, keys: PublicKeys) -> Issued:
        """Sign. They may leave only when the event is stored."""
        return await self._certificates.issue(identity, keys)

    async def made(self, issued: Issued) -> MadeCertificates:
        """Return what the bot gets."""
        every = await self._authorities.every()
        return MadeCertificates(
            ssh_certificate=issued.ssh, tls_certificate=issued.tls, expires=issued.identity.expires,
            authorities=(*vouching(every), *of_databases(every)),
        )  # fmt: skip
