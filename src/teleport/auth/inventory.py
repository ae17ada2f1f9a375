"""Inventory: the control streams of processes, what is written of them, and who answers.

A process that is there is asked every half minute; one that does not answer is not counted as connected until it says
something again. Two processes under one host id, both of which answer, are a copy of a machine or of its data
directory: both are told, and so are the log and the audit log. After a restart the former stream of the same process
may linger for a moment, so the question is put only some seconds after the second one came.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from teleport.access.system import host_id, system_roles
from teleport.api.caller import Caller
from teleport.api.inventory_messages import Clone, Connected, Hello, Ping, Word
from teleport.auth.authorize import Authorizer
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, NotFound, NotSupported, TeleportError, TimedOut
from teleport.base.log import logger
from teleport.base.version_order import check_age
from teleport.model.events.inventory import InstanceClone
from teleport.model.kinds.instance import LIFE, Instance, InstanceSpec
from teleport.model.resource import Metadata
from teleport.store.audit.log import AuditLog
from teleport.store.resources import Resources
from teleport.version import VERSION

log = logger("AUTH")

ASK_EVERY = 30.0
"""Seconds between questions to each process."""
PATIENCE = 20.0
"""Seconds in which it should answer one."""
SETTLING = 15.0
"""Seconds until a second process under the same id is taken for one."""
WRITE_EVERY = dt.timedelta(minutes=5)
"""How often the entry of a process is written that goes on."""
MEMORY = "memory"
"""Address of callers in the process of the Auth Service itself: these alone may say that they run it."""


class Inventory:
    """Implements `api.services.inventory.Inventory`."""

    def __init__(
        self, store: Resources, trail: AuditLog, authorizer: Authorizer, clock: Clock, *, settling: float = SETTLING,
        allow_old: bool = False,
    ) -> None:  # fmt: skip
        """With `allow_old`, versions that are not supported any more may attend too."""
        self._allow_old = allow_old
        self._store = store
        self._trail = trail
        self._authorizer = authorizer
        self._clock = clock
        self._settling = settling
        self._present: dict[str, dict[str, Attending]] = {}
        """By host id and process id."""
        self._doubts: set[asyncio.Task[None]] = set()

    async def arrive(self, caller: Caller, hello: Hello, say: Callable[[Word], None]) -> Attending:
        identity = caller.known()
        if not self._allow_old:
            self._check_version(hello)
        server_id, allowed = host_id(identity), {*system_roles(identity)}
        if caller.address == MEMORY:
            allowed.add("Auth")
        if not {*hello.services} <= allowed:
            raise AccessDenied("INV-SERVICES", server_id=server_id, services=", ".join(hello.services)[:200])
        attending = Attending(self, server_id, caller.address, hello, say, self._clock.now())
        await self.write(attending)
        self.keep(attending)
        if len(self._present[server_id]) > 1:
            doubt = tasks.spawn(self._look_for_clones(attending), name="clones", on_error=_not_looked)
            self._doubts.add(doubt)
            doubt.add_done_callback(self._doubts.discard)
        return attending

    @staticmethod
    def _check_version(hello: Hello) -> None:
        """Raise NotSupported (VER-TOO-OLD), and tell the log."""
        try:
            check_age(hello.version[:80], VERSION, who=ascii(hello.hostname[:80])[1:-1])
        except NotSupported as error:
            log.warn("A process is of a version that is not supported", error=error)
            raise

    async def connected(self, caller: Caller) -> list[Connected]:
        await self._authorizer.require(caller, "list", Instance.info.name)
        every = [attending for processes in self._present.values() for attending in processes.values()]
        return [Connected(one.server_id, one.hello, one.address, one.since) for one in every]

    async def ping(self, caller: Caller, server_id: str) -> float:
        await self._authorizer.require(caller, "read", Instance.info.name)
        processes = [*self._present.get(server_id, {}).values()]
        if not processes:
            raise NotFound("INV-NOT-CONNECTED", server_id=server_id[:80])
        return await processes[-1].round_trip()

    async def run(self) -> None:
        """Ask everybody regularly, until cancelled."""
        while True:
            await asyncio.sleep(ASK_EVERY)
            async with asyncio.TaskGroup() as group:
                for processes in self._present.values():
                    for attending in processes.values():
                        group.create_task(self._ask(attending))

    async def _ask(self, attending: Attending) -> None:
        try:
            await attending.round_trip()
        except TeleportError as error:
            log.warn("A process does not answer", server_id=attending.server_id, address=attending.address, error=error)
            self.lose(attending)

    def keep(self, attending: Attending) -> None:
        """Count a process as connected."""
        self._present.setdefault(attending.server_id, {})[attending.hello.process_id] = attending

    def lose(self, attending: Attending) -> None:
        """Count a process as connected no more."""
        processes = self._present.get(attending.server_id, {})
        if processes.get(attending.hello.process_id) is attending:
            del processes[attending.hello.process_id]
        for other in processes.values():
            other.clones.discard(attending.address)
        if not processes:
            self._present.pop(attending.server_id, None)

    async def heard(self, attending: Attending) -> None:
        """Count a process as connected that says something; write its entry if that is some time ago."""
        self.keep(attending)
        if self._clock.now() - attending.written >= WRITE_EVERY:
            await self.write(attending)

    async def write(self, attending: Attending) -> None:
        """Write the entry of a process."""
        hello, now = attending.hello, self._clock.now()
        spec = InstanceSpec(
            hostname=hello.hostname, version=hello.version, services=tuple(sorted(hello.services)),
            last_seen=now.replace(microsecond=0), external_upgrader=hello.external_upgrader,
            external_upgrader_version=hello.external_upgrader_version, clones=tuple(sorted(attending.clones)),
        )  # fmt: skip
        expires = (now + LIFE).replace(microsecond=0)
        entry = Instance(version="v1", metadata=Metadata(name=attending.server_id, expires=expires), spec=spec)
        entry.check()
        await self._store.upsert(entry)
        attending.written = now

    async def forget(self, attending: Attending) -> None:
        """Remove the entry of a process that said goodbye, unless another one has its id."""
        self.lose(attending)
        if attending.server_id not in self._present:
            await self._store.delete(Instance, attending.server_id)

    async def _look_for_clones(self, late: Attending) -> None:
        """Ask both, some seconds later. Who has gone meanwhile was the same process before a restart."""
        await asyncio.sleep(self._settling)
        for other in [*self._present.get(late.server_id, {}).values()]:
            if other is late or not await late.answers() or not await other.answers():
                continue
            late.tell_of(other)
            other.tell_of(late)
            log.error(
                "Two processes act under the same host id", code="INV-CLONE", server_id=late.server_id,
                address=late.address, hostname=late.hello.hostname, other_address=other.address,
                other_hostname=other.hello.hostname,
            )  # fmt: skip
            await self._trail.record(
                InstanceClone(
                    server_id=late.server_id,
                    hostname=late.hello.hostname,
                    addr_remote=late.address,
                    other_hostname=other.hello.hostname,
                    other_addr_remote=other.address,
                )
            )
            await self.write(late)


class Attending:
    """Implements `api.services.inventory.Attendant`: one process that is connected."""

    def __init__(
        self, inventory: Inventory, server_id: str, address: str, hello: Hello, say: Callable[[Word], None],
        since: dt.datetime,
    ) -> None:  # fmt: skip
        self._inventory = inventory
        self.server_id = server_id
        self.address = address
        self.hello = hello
        self.since = since
        self.clones: set[str] = set()
        self._say = say
        self._last = 0
        self._asked: dict[int, asyncio.Future[None]] = {}
        self.written = since
        """When its entry was written."""
        self._over = False

    async def heartbeat(self) -> None:
        if not self._over:
            await self._inventory.heard(self)

    def pong(self, number: int) -> None:
        asked = self._asked.get(number)
        if asked is not None and not asked.done():
            asked.set_result(None)

    async def leave(self, *, for_good: bool) -> None:
        if self._over:
            return
        self._over = True
        if for_good:
            await self._inventory.forget(self)
        else:
            self._inventory.lose(self)

    async def round_trip(self) -> float:
        """Ask, and return how many seconds the answer took. Raises TimedOut (INV-NO-ANSWER), LimitExceeded
        (API-SLOW-READER)."""
        loop = asyncio.get_running_loop()
        self._last += 1
        number, began = self._last, loop.time()
        self._asked[number] = loop.create_future()
        try:
            self._say(Ping(number))
            async with asyncio.timeout(PATIENCE):
                await self._asked[number]
        except TimeoutError:
            raise TimedOut("INV-NO-ANSWER", server_id=self.server_id, seconds=f"{PATIENCE:g}") from None
        finally:
            del self._asked[number]
        return loop.time() - began

    async def answers(self) -> bool:
        """Whether it is there."""
        try:
            await self.round_trip()
        except TeleportError:
            return False
        return not self._over

    def tell_of(self, other: Attending) -> None:
        """Tell it of a process that acts under its id."""
        self.clones.add(other.address)
        self._say(Clone(other.address, other.hello.hostname))


def _not_looked(error: BaseException) -> None:
    log.error("It is not known whether two processes act under one host id", error=error)
