"""Output `identity`: certificates for SSH and for the API, and what OpenSSH needs to reach the nodes with them.

With `ssh_config: off` nothing is asked of the proxy: such an output works where there is none to be reached.
"""

from __future__ import annotations

from teleport.api.bot_messages import Output
from teleport.base.errors import NotSupported
from teleport.bot import ssh_files
from teleport.bot.outputs.certified import NAMES, identity_set
from teleport.bot.outputs.service import OutputService
from teleport.bot.parts import Bot
from teleport.model.config.tbot_services import IdentityOutput


class IdentityService(OutputService[IdentityOutput]):
    """Implements `bot.parts.Service`."""

    async def prepare(self) -> None:
        """See Service.prepare."""
        extra = [ssh_files.KNOWN_HOSTS, ssh_files.CONFIG] if self._section.ssh_config else []
        await self._destination.prepare([*NAMES, *extra])

    async def generate(self, bot: Bot) -> None:
        """Write new certificates. Raises NotSupported (BOT-OTHER-CLUSTER), what `Bot.issue` and `Bot.proxy` raise, and
        the destination."""
        if self._section.cluster not in ("", bot.cluster):
            other = ascii(self._section.cluster[:80])[1:-1]
            raise NotSupported("BOT-OTHER-CLUSTER", wanted=other, cluster=bot.cluster)
        await self._destination.check()
        wanted = Output(
            ssh_public_key="", tls_public_key="", roles=self._section.roles,
            allow_reissue=bool(self._section.allow_reissue),
        )  # fmt: skip
        held = await self._certified.renew(bot, wanted)
        files = identity_set(held)
        if self._section.ssh_config:
            found = await bot.proxy()
            files |= ssh_files.files(self._destination.folder, found, bot.cluster, (), held, self._means.tbot)
        await self._destination.write(files)
        self._certified.tell(held)
