"""Bots in a control plane in memory: made, joined, and asking."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Output, Renewal
from teleport.api.caller import Caller
from teleport.api.messages import MadeCertificates
from teleport.base.errors import TeleportError
from teleport.model.identity import Identity
from teleport.pki import codec, x509
from tests.support.auth_cluster import Cluster, document_of, public_keys, role
from tests.support.joiner import SECRET, join

NAME, USER = "example", "bot-example"
HOME, ELSEWHERE = "192.0.2.7:40000", "198.51.100.4:50000"


async def make_bot(cluster: Cluster, *roles: str, token: str = SECRET, **spec: Any) -> None:
    """Create roles, a bot that may have them, and a token with which it joins once."""
    for name in roles:
        await cluster.admin.upsert(role(name, logins=["alice"], node_labels={"*": "*"}))
    await cluster.admin.create(document_of("bot", NAME, {"roles": list(roles), **spec}))
    await invite(cluster, token)


async def invite(cluster: Cluster, token: str, **spec: Any) -> None:
    """Create a token for the bot."""
    await cluster.admin.create(document_of("token", token, {"roles": ["Bot"], "bot_name": NAME, **spec}))


def identity_of(made: MadeCertificates) -> Identity:
    """Return whom certificates name."""
    return codec.from_x509(x509.parse(made.tls_certificate.encode()))


class Robot:
    """A bot with certificates."""

    def __init__(self, cluster: Cluster, made: MadeCertificates, address: str = HOME) -> None:
        self.cluster = cluster
        self.made = made
        self.address = address

    @classmethod
    async def joined(cls, cluster: Cluster, token: str = SECRET, **fields: Any) -> Robot:
        """Join, as a stranger."""
        return cls(cluster, (await join(cluster, token=token, system_role="Bot", **fields)).certificates)

    def copy(self, address: str = ELSEWHERE) -> Robot:
        """Return somebody else who holds the same."""
        return Robot(self.cluster, self.made, address)

    @property
    def identity(self) -> Identity:
        """Whom its certificates name."""
        return identity_of(self.made)

    @property
    def calls(self) -> BotCalls:
        """What it asks the Auth Service."""
        return BotCalls(self.cluster.client(Caller(self.identity, self.address)))

    def keys(self) -> dict[str, Any]:
        """Return new public keys."""
        return public_keys(self.cluster.entropy)

    async def renew(self, keys: dict[str, Any] | None = None, **fields: Any) -> MadeCertificates:
        """Renew, and use what comes from now on."""
        self.made = await self.calls.renew(Renewal(**(keys or self.keys()), **fields))
        return self.made

    async def output(self, *roles: str, **fields: Any) -> MadeCertificates:
        """Return certificates for an output."""
        return await self.calls.issue(Output(roles=roles, **self.keys(), **fields))

    async def refused(self, keys: dict[str, Any] | None = None) -> TeleportError:
        """Return the error with which a renewal is refused."""
        with pytest.raises(TeleportError) as caught:
            await self.renew(keys)
        return caught.value
