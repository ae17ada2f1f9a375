"""What services may ask of the bot: certificates, a client of the Auth Service, and what the proxy is."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Output
from teleport.api.client import AuthClient
from teleport.bot.held import held_of, public_keys
from teleport.bot.parts import Held, ProxyFacts
from teleport.bot.reach import Reach


class Connection:
    """Implements `bot.parts.Bot`."""

    def __init__(
        self, own: Callable[[], Held], reach: Reach, proxy: Callable[[], Awaitable[ProxyFacts]]
    ) -> None:  # fmt: skip
        """`own` returns the bot's own certificates, as they are at the moment."""
        self._own = own
        self._reach = reach
        self._proxy = proxy

    @property
    def cluster(self) -> str:
        """See Bot.cluster."""
        return self._own().identity.cluster

    async def issue(self, wanted: Output, key: str) -> Held:
        """See Bot.issue. Raises AccessDenied (POL-*, AUTH-BOT-*), and what dialling raises."""
        ssh_line, tls_pem = public_keys(key)
        asked = dataclasses.replace(wanted, ssh_public_key=ssh_line, tls_public_key=tls_pem)
        async with self.client() as client:
            return held_of(key, await BotCalls(client).issue(asked))

    @asynccontextmanager
    async def client(self, held: Held | None = None) -> AsyncIterator[AuthClient]:
        """See Bot.client."""
        async with self._reach.client(self._own if held is None else lambda: held) as client:
            yield client

    async def proxy(self) -> ProxyFacts:
        """See Bot.proxy."""
        return await self._proxy()
