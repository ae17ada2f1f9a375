"""Presence: a service of this process says again and again that it is there, until it stops.

What is here: the rhythm, and the records of proxies and Auth Services. What is not: nodes, which say more of themselves
(`agents.ssh.cluster_authority`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

from teleport.api.client import AuthClient
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, fraction
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.model.address import Address
from teleport.model.kinds.auth_server import AuthServer, AuthServerSpec
from teleport.model.kinds.proxy import Proxy, ProxySpec
from teleport.model.resource import Metadata, Resource
from teleport.process import facts
from teleport.process.settings import Settings
from teleport.version import VERSION

log = logger("PROC:1")

HEARTBEAT = 60.0
"""Seconds between heartbeats, shortened by up to a tenth."""
LIFE = dt.timedelta(seconds=2 * HEARTBEAT)
"""How long something is listed after its last heartbeat."""
LEAVING = dt.timedelta(seconds=1)
"""The same for what stops: nothing can be stored that has ended already."""
FAREWELL = 2.0
"""Seconds that a goodbye may take."""
BACKOFF = Backoff(first=1.0, most=10.0)


class Presence:
    """Announces one resource. It drains with the process (`process.drain`): who stops is no longer named."""

    def __init__(
        self, client: AuthClient, describe: Callable[[], Resource[Any]], *, clock: Clock, entropy: Entropy
    ) -> None:
        """`describe` returns the resource as it is now, without expiry."""
        self._client = client
        self._describe = describe
        self._clock = clock
        self._entropy = entropy
        self._leaving = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.address = describe().info.name
        """For whoever counts connections: there are none."""
        self.waited_for, self.spare = True, False

    def __len__(self) -> int:
        return 0

    def drain(self, bound: float, on_error: Callable[[BaseException], None]) -> None:
        """Be announced no more."""
        self._leaving.set()

    def start(self) -> None:
        """Announce from now on."""
        if self._task is None:
            self._task = tasks.spawn(self._run(), name=f"presence: {self.address}", on_error=_ended)

    async def stop(self) -> None:
        """End that, and take the record away."""
        if self._task is not None:
            await tasks.cancel(self._task)

    async def _run(self) -> None:
        waits = BACKOFF.waits(self._entropy)
        try:
            while not self._leaving.is_set():
                if await self._write(LIFE):
                    waits, pause = BACKOFF.waits(self._entropy), HEARTBEAT * (1.0 - 0.1 * fraction(self._entropy))
                else:
                    pause = next(waits)
                await self._wait(pause)
        finally:
            await self._withdraw()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        except TimeoutError:
            pass

    async def _write(self, life: dt.timedelta) -> bool:
        try:
            await self._client.upsert(self._describe().with_metadata(expires=self._clock.now() + life))
        except TeleportError as error:
            log.warn("Heartbeat failed", kind=self.address, error=error)
            return False
        return True

    async def _withdraw(self) -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                await self._write(LEAVING)
        except TimeoutError:
            log.debug("A record stays until it expires", kind=self.address)


def of_proxy(settings: Settings, host_uuid: str, outward: Callable[[], str] = facts.outward_address) -> Proxy:
    """Return the record of a Proxy Service. `outward` tells the machine's own address."""
    peer = _peer(settings, outward) if settings.peering else ""
    spec = ProxySpec(
        hostname=settings.nodename, addr=str(settings.proxy.web_listen), version=VERSION, peer_addr=peer,
        public_addrs=tuple(str(address) for address in settings.proxy.public),
    )  # fmt: skip
    return Proxy(version="v2", metadata=Metadata(name=host_uuid), spec=spec)


def of_auth(settings: Settings, host_uuid: str) -> AuthServer:
    """Return the record of an Auth Service."""
    spec = AuthServerSpec(hostname=settings.nodename, addr=str(settings.auth.listen), version=VERSION)
    return AuthServer(version="v2", metadata=Metadata(name=host_uuid), spec=spec)


def _peer(settings: Settings, outward: Callable[[], str]) -> str:
    """Return where other proxies reach this one: where somebody said, else where it listens, on this machine."""
    said, listen = settings.proxy.peer_public, settings.proxy.peer_listen
    if said is not None:
        return str(said)
    every = listen.host in ("0.0.0.0", "::")  # noqa: S104 - compared only
    return str(Address(outward() or settings.nodename, listen.port) if every else listen)


def _ended(error: BaseException) -> None:
    log.error("A service of this process is no longer announced", error=error)
