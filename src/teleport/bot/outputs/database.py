"""Output `database`: a certificate for one database, in the files that its clients read.

The database is looked up as whoever the certificates name, before anything is asked for it: the bot itself may not list
databases, and the roles of an output may not either. Then the answer is that there is none, as for a name that nobody
has given.
"""

from __future__ import annotations

from collections.abc import Mapping

from teleport.api.bot_messages import DatabaseRoute, Output
from teleport.api.client import AuthClient
from teleport.base.errors import AccessDenied, NotFound
from teleport.bot.held import certificates
from teleport.bot.outputs.application import TLS_NAMES
from teleport.bot.outputs.certified import NAMES, identity_set
from teleport.bot.outputs.failing import told
from teleport.bot.outputs.service import OutputService
from teleport.bot.parts import Bot, Held
from teleport.model.config.tbot_services import DatabaseOutput

AUTHORITY = "db"
"""Type of the authority that vouches for databases."""
FORMATS: Mapping[str, tuple[str, ...]] = {
    "": (),
    "tls": TLS_NAMES,
    "mongo": ("mongo.crt", "mongo.cas"),
    "cockroach": ("cockroach/node.crt", "cockroach/node.key", "cockroach/ca.crt"),
}
"""Files of each format beside the identity set."""


class DatabaseService(OutputService[DatabaseOutput]):
    """Implements `bot.parts.Service`."""

    async def prepare(self) -> None:
        """See Service.prepare."""
        await self._destination.prepare([*NAMES, *FORMATS[self._section.format]])

    async def generate(self, bot: Bot) -> None:
        """Write new certificates. Raises NotFound (DB-NOT-FOUND-RBAC), what `Bot.issue` raises, and the destination."""
        await self._destination.check()
        with told(self._destination):
            person, routed = await self._issued(bot)
        await self._destination.write(files(self._section.format, person, routed))
        self._certified.tell(person)

    async def _issued(self, bot: Bot) -> tuple[Held, Held]:
        section = self._section
        person = await self._certified.renew(bot, Output(ssh_public_key="", tls_public_key="", roles=section.roles))
        async with bot.client(person) as client:
            await _find(client, section.service)
        route = DatabaseRoute(service=section.service, name=section.database, username=section.username)
        wanted = Output(ssh_public_key="", tls_public_key="", roles=section.roles, database=route)
        return person, await self._certified.renew(bot, wanted)


async def _find(client: AuthClient, name: str) -> None:
    """Raise NotFound (DB-NOT-FOUND-RBAC) unless the caller may see a database of the name, or an agent that serves
    it."""
    for kind in ("db", "db_server"):
        try:
            async for found in client.list(kind, search=(name,)):
                if found.name == name:
                    return
        except (AccessDenied, NotFound):  # no rule for this kind: what the other one shows is enough
            continue
    raise NotFound("DB-NOT-FOUND-RBAC", name=name)


def files(form: str, person: Held, routed: Held) -> dict[str, bytes]:
    """Return the files of an output. `person` is who the certificates of the identity file name; `routed` is for the
    database, and for the same key."""
    certificate, key = routed.tls_certificate.encode(), routed.key.encode()
    authorities = "".join(certificates(person, AUTHORITY)).encode()
    contents: dict[str, tuple[bytes, ...]] = {
        "": (), "tls": (certificate, key, authorities), "mongo": (certificate + key, authorities),
        "cockroach": (certificate, key, authorities),
    }  # fmt: skip
    more = zip(FORMATS[form], contents[form], strict=True)
    return {**identity_set(person), "tlscert": certificate, **dict(more)}
