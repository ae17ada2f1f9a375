"""Reach: the bot's way to the Auth Service, as whoever its certificates name, and what is told when it fails.

Who is configured with `auth_server` dials it directly. When that fails, the same address is tried as a proxy's: people
write a proxy's address there. What comes of it is in the log, and is noted at the error for `bot.report`; the first
cause stays the error.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from teleport.api.client import AuthClient, over_stream
from teleport.api.refused import EXPIRED
from teleport.base.clock import Clock
from teleport.base.errors import NotAuthenticated, TeleportError
from teleport.base.log import logger
from teleport.bot.held import host_certificates
from teleport.bot.parts import Held
from teleport.bot.report import direct, noted, primary
from teleport.bot.web_find import WebFind
from teleport.client.auth_way import AuthWay
from teleport.client.cluster import auth_protocol
from teleport.net.stream import Stream
from teleport.pki import contexts, x509

log = logger("TBOT")

TUNNEL_TRIES = 2
"""How often the address is tried as a proxy's, for each failure."""
_OF_THE_WAY = ("NET-", "API-UNAVAILABLE", "API-CERT-", "CLIENT-NO-SERVER", "POL-LOCKED")
"""How codes begin that say that the way to the Auth Service is closed."""


class Reach:
    """Opens connections to the Auth Service."""

    def __init__(self, way: AuthWay, find: WebFind, *, clock: Clock) -> None:
        """`find` asks an address as a proxy is asked."""
        self.way = way
        self._find = find
        self._clock = clock

    @asynccontextmanager
    async def client(self, who: Callable[[], Held]) -> AsyncIterator[AuthClient]:
        """Yield a client that acts as `who()`, which is asked for each connection.

        Raises in the block what the server raises, and what dialling raises with what is noted for the report:
        NotAuthenticated and Unavailable (NET-TLS-*), Unavailable (NET-*)."""
        try:
            async with AuthClient(over_stream(lambda: self.dial(who()))) as client:
                yield client
        except TeleportError as error:
            raise await self.told(error, who()) from error.__cause__

    async def dial(self, held: Held) -> Stream:
        """Return a connection on which both sides have proven themselves. Raises as `client`."""
        return await self.way.open(_context(held), (auth_protocol(held.identity.cluster),), x509.CLUSTER_NAME)

    async def told(self, error: TeleportError, held: Held) -> TeleportError:
        """Return an error of a call as `held`, with what is noted for the report if the way to the Auth Service is
        closed."""
        if not error.code.startswith(_OF_THE_WAY) or getattr(error, "__notes__", None):
            return error
        found = self._named(error, held) or await self.way.named(error)
        if self.way.proxies:
            return found if found is error else noted(found, error.what)
        second = ""
        for _ in range(TUNNEL_TRIES):
            second = await self._as_proxy()
            line = f"Failed to resolve tunnel address {second}"
            log.error(line)
        return noted(found, *direct(primary(error), second))

    def _named(self, error: TeleportError, held: Held) -> TeleportError | None:
        """Return what the refusal of an identity means that has ended; None unless that is the reason."""
        if error.code != EXPIRED or self._clock.now() < held.expires:
            return None
        return NotAuthenticated(
            "BOT-IDENT-EXPIRED" if held.identity.renewable else "BOT-IDENT-REJOIN", bot=held.identity.bot_name
        )

    async def _as_proxy(self) -> str:
        """Try the Auth Service's address as a proxy's; return why it is none."""
        try:
            await self._find.ask(self.way.target)
        except TeleportError as error:
            return error.what
        return f'Get "https://{self.way.target}/webapi/find": it is the address of a proxy, write it as proxy_server'


def _context(held: Held) -> ssl.SSLContext:
    return contexts.client_context(
        host_authorities=[data for text in host_certificates(held) for data in x509.split_pem(text)],
        certificate=held.tls_certificate, key=held.key,
    )  # fmt: skip
