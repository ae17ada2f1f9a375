"""Output `ssh_host`: key and host certificate of an OpenSSH server, and the keys that it is to trust for users.

The key is kept, also over restarts: sshd reads its files when it starts or is told to, and must never find a
certificate for another key than the one it holds.
"""

from __future__ import annotations

import datetime as dt

from teleport.api.bot_messages import Output
from teleport.api.openssh_calls import OpenSSHCalls
from teleport.api.openssh_messages import ServerCertified, ServerRequest
from teleport.base.errors import BadParameter
from teleport.base.log import logger
from teleport.bot.held import make_key
from teleport.bot.outputs.service import OutputService
from teleport.bot.parts import Bot
from teleport.model.config.tbot_services import SshHostOutput
from teleport.pki import keys

log = logger("TBOT")

KEY, CERTIFICATE, USER_CA = "ssh_host", "ssh_host-cert.pub", "ssh_host-user-ca.pub"


class SshHostService(OutputService[SshHostOutput]):
    """Implements `bot.parts.Service`. What the output is certified for is whom it acts as while it asks."""

    _key = ""

    async def prepare(self) -> None:
        """See Service.prepare."""
        await self._destination.prepare([KEY, CERTIFICATE, USER_CA])

    async def generate(self, bot: Bot) -> None:
        """Write a new certificate. Raises AccessDenied (POL-*) without the rule `host_cert: create`, BadParameter
        (AUTH-HOST-REQUEST), and what `Bot.issue` and the destination raise."""
        await self._destination.check()
        key = self._key or await self._stored() or make_key(self._means.entropy)
        made = await self._certify(bot, keys.ssh_blob(keys.load_private(key.encode()).public_key()))
        trusted = "".join(f"{line}\n" for line in made.user_authorities)
        await self._destination.write({
            KEY: key.encode(), CERTIFICATE: f"{keys.ssh_line(made.certificate)}\n".encode(), USER_CA: trusted.encode(),
        })  # fmt: skip
        self._key = key
        where, names = str(self._destination).replace(": ", " ", 1), " ".join(self._section.principals)
        line = f"Successfully renewed the host certificate for {where}, principals=[{names}]"
        log.info(line, expires=made.expires)

    async def _certify(self, bot: Bot, blob: bytes) -> ServerCertified:
        section = self._section
        held = await self._certified.renew(bot, Output(ssh_public_key="", tls_public_key="", roles=section.roles))
        asked = ServerRequest(
            ssh_public_key=blob, principals=section.principals, trusts=section.ca_type,
            expires=self._means.clock.now() + dt.timedelta(seconds=self._ttl),
        )  # fmt: skip
        async with bot.client(held) as client:
            return await OpenSSHCalls(client).issue_server(asked)

    async def _stored(self) -> str:
        """Return the key that is there; empty if there is none, or something else."""
        data = await self._destination.read(KEY)
        if not data:
            return ""
        try:
            keys.load_private(data)
        except BadParameter:
            return ""
        return data.decode()
