"""Output `application`: a certificate for one application."""

from __future__ import annotations

from teleport.api.bot_messages import Output
from teleport.bot.held import certificates
from teleport.bot.outputs.certified import NAMES, identity_set
from teleport.bot.outputs.failing import told
from teleport.bot.outputs.service import OutputService
from teleport.bot.parts import Bot, Held
from teleport.model.config.tbot_services import ApplicationOutput


class ApplicationService(OutputService[ApplicationOutput]):
    """Implements `bot.parts.Service`."""

    async def prepare(self) -> None:
        """See Service.prepare."""
        await self._destination.prepare([*NAMES, *(TLS_NAMES if self._section.specific_tls_naming else ())])

    async def generate(self, bot: Bot) -> None:
        """Write new certificates. Raises what `Bot.issue` raises, and the destination."""
        await self._destination.check()
        wanted = Output(ssh_public_key="", tls_public_key="", roles=self._section.roles, app=self._section.app_name)
        with told(self._destination):
            held = await self._certified.renew(bot, wanted)
        more = tls_files(held, "host") if self._section.specific_tls_naming else {}
        await self._destination.write({**identity_set(held), **more})
        self._certified.tell(held)


TLS_NAMES = ("tls.crt", "tls.key", "tls.cas")


def tls_files(held: Held, authority: str) -> dict[str, bytes]:
    """Return certificate, key and authorities under the names that many programs and Ingresses look for; `authority`
    is the type of the one that vouches for the server."""
    texts = (held.tls_certificate, held.key, "".join(certificates(held, authority)))
    return {name: text.encode() for name, text in zip(TLS_NAMES, texts, strict=True)}
