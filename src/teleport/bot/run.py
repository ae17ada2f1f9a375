"""The life of a bot: its own identity first, then its services, each in a loop of its own, until a signal ends it.

One failing service stops no other; without an identity none of them starts. What ends the process is told by
`bot.report`. Reference: machine identity, section 9.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.disk import Disk, MemoryDisk
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, TeleportError, TimedOut, Unavailable
from teleport.base.log import logger
from teleport.base.pid_file import PidFile
from teleport.base.retry import Backoff
from teleport.bot import folders, rotation
from teleport.bot.connection import Connection
from teleport.bot.destinations import hold, shared_storage
from teleport.bot.health import Health, Tallies, Tally
from teleport.bot.heartbeat import INTERVAL as BEAT_INTERVAL
from teleport.bot.heartbeat import NAME as HEARTBEAT
from teleport.bot.heartbeat import Heartbeats, settled
from teleport.bot.host_id import host_id
from teleport.bot.identity import OwnIdentity
from teleport.bot.loop import IDENTITY_ATTEMPTS, OUTPUT_ATTEMPTS, Bell, Loop, wait
from teleport.bot.onboarding import Door
from teleport.bot.parts import Bot, Destination, Service
from teleport.bot.proxy_facts import ProxyPing, own_address
from teleport.bot.reach import Reach
from teleport.bot.services import Means, make
from teleport.bot.web_find import WebFind
from teleport.client.auth_way import AuthWay
from teleport.model.address import Address, parse_addr
from teleport.model.config.tbot_destinations import DestinationSection
from teleport.model.config.tbot_yaml import TbotYaml
from teleport.model.config.teleport_section import AUTH_PORT
from teleport.model.kinds.proxy import Proxy, web_address
from teleport.net import notify
from teleport.net.network import Network
from teleport.net.way import WEB_PORT
from teleport.version import VERSION

log = logger("TBOT")

IDENTITY = "identity"
ENDING = ("AUTH-BOT-GENERATION", "BOT-IDENT-EXPIRED")
"""Refusals that no later attempt changes: whoever goes on hides that somebody has to look."""
KEPT = "Failed to renew bot identity. Will attempt to proceed with the old identity, API calls may fail"
_AGAIN = (Unavailable, TimedOut)
_BACKOFF = Backoff(first=1.0, most=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a bot is given."""

    clock: Clock
    entropy: Entropy
    disk: Disk
    network: Network
    environment: Mapping[str, str]
    destination: Callable[[DestinationSection], Destination]
    """Makes the destination of a section."""
    host_name: str
    tbot: str
    """Path of this program."""
    legacy: bool = False
    """Whether renewals are as in the original, without a key that is stored before."""


class BotProcess:
    """One run of a bot."""

    def __init__(self, config: TbotYaml, world: World) -> None:
        """Raises BadParameter (BOT-NOT-ONCE, BOT-USE-PROXY-ADDR, KIND-ADDRESS)."""
        self.config = config
        self.world = world
        self.tallies: Tallies = {}
        self._changed = asyncio.Event()
        self.health = Health(self._changed.set)
        self._reload, self._outputs, self._stopped = Bell(), Bell(), asyncio.Event()
        self._storage = world.destination(config.storage)
        find = WebFind(
            network=world.network, entropy=world.entropy, environment=world.environment, insecure=bool(config.insecure)
        )  # fmt: skip
        reach = Reach(way_to(config, world), find, clock=world.clock)
        self._door = self._make_door(reach)
        self.identity = OwnIdentity(
            self._storage, self._door, token=self._door.token, method=self._door.method, clock=world.clock,
            entropy=world.entropy, legacy=world.legacy,
        )  # fmt: skip
        fixed = own_address(world.environment, config.proxy_server)
        self.bot = Connection(
            lambda: self.identity.current,
            reach,
            ProxyPing(find, lambda: proxy_address(config, self.bot), own_address=fixed),
        )
        self.services = make(config.services, means_of(config, world))
        for service in self.services:
            if config.oneshot and not service.runs_once:
                raise BadParameter("BOT-NOT-ONCE", service=service.name)
        self._beats = Heartbeats(
            self.bot, self.health, host_name=world.host_name, method=self._door.method, one_shot=bool(config.oneshot),
            clock=world.clock, started=world.clock.now(),
        )  # fmt: skip

    def token(self) -> str:
        """Return the join token. Raises what reading its file raises (DISK-*)."""
        return self._door.token()

    def reload(self) -> None:
        """Renew everything now: the identity first, then the outputs."""
        log.info("Renewing everything now")
        self._reload.ring()

    def stop(self) -> None:
        """End the run."""
        notify.tell(self.world.environment, notify.STOPPING)
        self._stopped.set()

    async def run(self) -> None:
        """Run until stopped, or once. Raises what ends the process: Unavailable (BOT-DIR-SHARED), BadParameter
        (TBOT-IDENTICAL, BOT-STORAGE-*, BOT-ONESHOT), NotFound (BOT-NO-TOKEN), and what joining and renewing raise."""
        log.info("Starting tbot", version=VERSION, storage=self._storage, services=len(self.services))
        folders.check(self.config)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._locked())
            pid = PidFile(self.world.disk, self.config.pid_file and os.path.abspath(self.config.pid_file))
            stack.callback(pid.remove)
            pid.write()
            await stack.enter_async_context(self._diagnostics())
            if self.config.oneshot:
                await self._once()
            else:
                await self._until_stopped()
        log.info("tbot has stopped")

    # -- once

    async def _once(self) -> None:
        await self.identity.begin()
        self.health.report(IDENTITY, "healthy")
        failed = [each for service in self.services if (each := await self._generate_once(service))]
        await self._beats.once()
        if failed:
            name, error = failed[0]
            if len(self.services) == 1:
                raise error
            raise BadParameter("BOT-ONESHOT", failed=len(failed), services=len(self.services), service=name,
                               problem=error.what) from error  # fmt: skip

    async def _generate_once(self, service: Service) -> tuple[str, TeleportError] | None:
        try:
            await _Prepared(service, self.bot)()
        except TeleportError as error:
            log.error("A service failed", service=service.name, error=error)
            return service.name, error
        return None

    # -- for good

    async def _until_stopped(self) -> None:
        for name in (IDENTITY, rotation.NAME, HEARTBEAT, *(service.name for service in self.services)):
            self.health.expect(name)
        work = tasks.spawn(self._live(), name="bot", on_error=lambda error: None)
        stopped = tasks.spawn(self._stopped.wait(), name="stop", on_error=lambda error: None)
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            await tasks.cancel(work)
            await tasks.cancel(stopped)

    async def _live(self) -> None:
        await self._begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._loop(IDENTITY).run(self._reload, at_once=False), name=IDENTITY)
                for service in self.services:
                    group.create_task(self._serve(service), name=service.name)
                group.create_task(self._follow_authorities(), name=rotation.NAME)
                group.create_task(self._beat(), name=HEARTBEAT)
                group.create_task(self._tell_ready(), name="ready")
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _begin(self) -> None:
        """Have an identity that is fresh. While nobody answers, what is stored is kept, and it is asked again."""
        waits = _BACKOFF.waits(self.world.entropy)
        attempt = self.identity.begin
        while True:
            try:
                await attempt()
            except _AGAIN as error:
                if not self.identity.known:
                    raise
                self.health.report(IDENTITY, "unhealthy", error.what)
                seconds = next(waits)
                log.error(KEPT, error=error, seconds=f"{seconds:.1f}")
                await asyncio.sleep(seconds)
                attempt = self.identity.renew
            else:
                self.health.report(IDENTITY, "healthy")
                return

    def _loop(self, name: str, service: Service | None = None) -> Loop:
        """Return the loop of the identity, or of a service."""
        tally = self.tallies.setdefault((name, "output-renewal" if service else "bot-identity-renewal"), Tally())
        if service is None:
            return Loop(
                name, "bot-identity-renewal", self._renew, interval=float(self.config.renewal_interval),
                attempts=IDENTITY_ATTEMPTS, entropy=self.world.entropy, health=self.health, tally=tally,
                ends=lambda error: error.code in ENDING, after=self._renewed,
            )  # fmt: skip
        return Loop(
            name, "output-renewal", _Prepared(service, self.bot), interval=service.interval, attempts=OUTPUT_ATTEMPTS,
            entropy=self.world.entropy, health=self.health, tally=tally,
        )  # fmt: skip

    async def _renew(self) -> None:
        await self.identity.renew()

    def _renewed(self, asked: bool) -> None:
        if asked:  # what was asked for is everything
            self._outputs.ring()

    async def _serve(self, service: Service) -> None:
        """Renew what a service has, and let it listen."""
        serving = tasks.spawn(self._listen(service), name=f"{service.name} listens", on_error=_failed)
        try:
            await self._loop(service.name, service).run(self._outputs)
        finally:
            await tasks.cancel(serving)

    async def _listen(self, service: Service) -> None:
        waits = _BACKOFF.waits(self.world.entropy)
        while True:
            try:
                await service.serve(self.bot, partial(self.health.report, service.name, "healthy"))
            except TeleportError as error:
                seconds = next(waits)
                log.error("A service cannot serve, it is tried again", service=service.name, error=error,
                          seconds=f"{seconds:.1f}")  # fmt: skip
                self.health.report(service.name, "unhealthy", error.what)
                await asyncio.sleep(seconds)
            else:
                return

    async def _follow_authorities(self) -> None:
        await rotation.follow(
            self.bot, self._reload.ring, self.health, clock=self.world.clock, entropy=self.world.entropy
        )  # fmt: skip

    async def _beat(self) -> None:
        self.health.report(HEARTBEAT, "healthy")
        await settled(self.health, self._changed)
        while True:
            try:
                await self._beats.beat()
            except TeleportError as error:
                log.warn("The heartbeat was not sent", error=error)
                self.health.report(HEARTBEAT, "unhealthy", error.what)
            else:
                self.health.report(HEARTBEAT, "healthy")
            await asyncio.sleep(wait(BEAT_INTERVAL, self.world.entropy))

    # -- parts

    def _make_door(self, reach: Reach) -> Door:
        world, folder = self.world, self._storage.folder
        return Door(
            self.config.onboarding, reach, ttl=float(self.config.credential_ttl), host_name=world.host_name,
            environment=world.environment, disk=world.disk if folder else MemoryDisk(), folder=folder or "/",
            clock=world.clock, entropy=world.entropy, insecure=bool(self.config.insecure), host_id=host_id(world.disk),
        )  # fmt: skip

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the lock of the storage: two processes on one storage lock the bot out."""
        await self._storage.prepare(())
        lock = hold(self._storage, host=self.world.host_name)
        try:
            if warning := shared_storage(self._storage):
                log.warn("The storage of this bot is on a file system of several machines", error=warning)
            yield
        finally:
            lock.release()

    @asynccontextmanager
    async def _diagnostics(self) -> AsyncIterator[None]:
        """Answer at `diag_addr`, where there is one."""
        if not self.config.diag_addr:
            yield
            return
        from teleport.bot.diagnostics import Diagnostics

        async with Diagnostics(self.health, self.tallies).serving(self.world.network, self.config.diag_addr):
            yield

    async def _tell_ready(self) -> None:
        """Tell the service manager when every service has reported once."""
        await settled(self.health, self._changed)
        notify.tell(self.world.environment, notify.READY)


class _Prepared:
    """What a service does in each round, after its destination was made ready once."""

    def __init__(self, service: Service, bot: Connection) -> None:
        self._service = service
        self._bot = bot
        self._prepared = False

    async def __call__(self) -> None:
        if not self._prepared:
            await self._service.prepare()
            self._prepared = True
        await self._service.generate(self._bot)


def means_of(config: TbotYaml, world: World) -> Means:
    """Return what services are made with."""
    return Means(
        clock=world.clock, entropy=world.entropy, environment=world.environment, destination=world.destination,
        disk=world.disk, tbot=world.tbot, ttl=float(config.credential_ttl), interval=float(config.renewal_interval),
    )  # fmt: skip


async def proxy_address(config: TbotYaml, bot: Bot) -> str:
    """Return the address of the proxy: the configured one, or one that the Auth Service knows."""
    if config.proxy_server:
        return config.proxy_server
    async with bot.client() as client:
        async for proxy in client.list("proxy"):
            assert isinstance(proxy, Proxy)  # noqa: S101 - what was asked for
            return web_address(proxy)
    return str(Address(parse_addr(config.auth_server, AUTH_PORT).host, WEB_PORT))


def way_to(config: TbotYaml, world: World) -> AuthWay:
    """Return the way to the cluster. Raises BadParameter (KIND-ADDRESS, NET-*)."""
    proxies = bool(config.proxy_server)
    address = parse_addr(config.proxy_server or config.auth_server, WEB_PORT if proxies else AUTH_PORT)
    return AuthWay(
        (address,), network=world.network, entropy=world.entropy, environment=world.environment, proxies=proxies
    )  # fmt: skip


def _failed(error: BaseException) -> None:
    log.error("A service failed unexpectedly and does not listen any more", error=error)


async def until_signalled(process: BotProcess) -> None:
    """Run a bot in this process's main thread, which obeys signals meanwhile. Raises what `BotProcess.run` raises."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGUSR1, signal.SIGHUP):
        loop.add_signal_handler(number, process.reload)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, process.stop)
    await process.run()
