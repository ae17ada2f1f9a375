"""What an output of a bot has around it: a bot whose cluster issues whatever is asked for, and a place for files."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from teleport.api.bot_messages import Output
from teleport.api.messages import Authority
from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import TeleportError
from teleport.bot.parts import Held, ProxyFacts, Service
from teleport.bot.services import Means
from teleport.model.identity import Identity
from teleport.pki import issue, keys, x509
from tests.support import authorities

PROXY = ProxyFacts(
    address="proxy.example.com:443", ssh_address="proxy.example.com:443", tls_routing=True, upgrade=False,
    found={"proxy": {"kube": {"enabled": True, "listen_addr": "0.0.0.0:3026"}}},
)  # fmt: skip
TBOT = "/usr/local/bin/tbot"
DATABASE_CA = "-----BEGIN CERTIFICATE-----\ndatabases\n-----END CERTIFICATE-----\n"


class Place:
    """A destination in memory; with a folder it says so, as one on disk does."""

    def __init__(self, folder: str = "/opt/machine-id") -> None:
        self.folder = folder
        self.names: tuple[str, ...] = ()
        """What was announced."""
        self.files: dict[str, bytes] = {}

    async def prepare(self, names: Sequence[str]) -> None:
        """See Destination.prepare."""
        self.names = tuple(names)

    async def check(self) -> None:
        """See Destination.check."""

    async def read(self, name: str) -> bytes | None:
        """See Destination.read."""
        return self.files.get(name)

    async def write(self, files: Mapping[str, bytes]) -> None:
        """See Destination.write."""
        assert set(files) <= set(self.names)
        self.files |= files

    def __str__(self) -> str:
        return f"directory: {self.folder}" if self.folder else "kubernetes_secret: identity-output"


class Listing:
    """A client of an Auth Service that shows what it was given, by kind; an error where it shows nothing."""

    def __init__(self, shown: Mapping[str, Sequence[Any] | TeleportError]) -> None:
        self._shown = shown

    async def list(self, kind: str, **_: Any) -> AsyncIterator[Any]:
        """See AuthClient.list."""
        found = self._shown.get(kind, ())
        if isinstance(found, TeleportError):
            raise found
        for each in found:
            yield each


class Issuing:
    """Implements `bot.parts.Bot`."""

    cluster = "example.com"

    def __init__(self, shown: Mapping[str, Sequence[Any] | TeleportError] = {}, proxy: ProxyFacts = PROXY) -> None:
        self.asked: list[Output] = []
        self.seen: list[Held | None] = []
        """As whom it was looked."""
        self._made = authorities.cluster()
        self._shown = shown
        self._proxy = proxy

    async def issue(self, wanted: Output, key: str) -> Held:
        """See Bot.issue; the name in the certificate says what it is for."""
        self.asked.append(wanted)
        what = (
            wanted.app or wanted.kubernetes_cluster or (wanted.database.username if wanted.database else "bot-example")
        )
        expires = wanted.expires or authorities.NOW + dt.timedelta(hours=1)
        identity = self._made.identity(name=what, roles=wanted.roles or ("access",), expires=expires)
        return Held(
            key=key, identity=identity, ssh_certificate=await self._ssh(identity, key),
            tls_certificate=await self._tls(identity, key), valid_after=authorities.NOW, expires=expires,
            authorities=self.authorities,
        )  # fmt: skip

    async def _ssh(self, identity: Identity, key: str) -> str:
        made, blob = self._made, keys.ssh_blob(keys.load_private(key.encode()).public_key())
        certificate = await issue.ssh_certificate(
            made.signer, made.user, identity, key=blob, now=authorities.NOW, entropy=made.entropy
        )
        return certificate.line()

    async def _tls(self, identity: Identity, key: str) -> str:
        made, spki = self._made, keys.spki(keys.load_private(key.encode()).public_key())
        return x509.pem(
            await issue.tls_certificate(
                made.signer, made.user, identity, spki=spki, now=authorities.NOW, entropy=made.entropy
            )
        )

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """What vouches for hosts, users and databases of the cluster."""
        own = tuple(
            Authority(
                cluster=self.cluster, type=kind, ssh_keys=tuple(key.public_key for key in ca.spec.active_keys.ssh),
                tls_certificates=tuple(key.cert for key in ca.spec.active_keys.tls),
            )
            for kind, ca in (("host", self._made.host), ("user", self._made.user))
        )  # fmt: skip
        return (*own, Authority(cluster=self.cluster, type="db", tls_certificates=(DATABASE_CA,)))

    @asynccontextmanager
    async def client(self, held: Held | None = None) -> AsyncIterator[Any]:
        """See Bot.client."""
        self.seen.append(held)
        yield Listing(self._shown)

    async def proxy(self) -> ProxyFacts:
        """See Bot.proxy."""
        return self._proxy


def means(place: Place) -> Means:
    """Return what makes the service of an output that writes to a place."""
    return Means(
        clock=ManualClock(authorities.NOW), entropy=SeededEntropy(3 + len(place.files)), environment={},
        disk=MemoryDisk(), destination=lambda _: place, tbot=TBOT, ttl=3600.0, interval=1200.0,
    )  # fmt: skip


def generate(service: Service, bot: Issuing, times: int = 1) -> None:
    """Start a service, and let it generate."""

    async def run() -> None:
        await service.prepare()
        for _ in range(times):
            await service.generate(bot)
        await service.serve(bot, lambda: None)

    asyncio.run(run())
