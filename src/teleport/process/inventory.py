"""The process's side of the inventory: a control stream to the Auth Service, opened again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from teleport.api.inventory_calls import ControlStream, InventoryCalls
from teleport.api.inventory_messages import Clone, Hello, Ping
from teleport.base import catalogue, tasks
from teleport.base.entropy import Entropy, new_id
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.process.auth_access import AuthAccess
from teleport.process.duty import Duty
from teleport.version import VERSION

log = logger("PROC:1")

HEARTBEAT = 60.0
"""Seconds between heartbeats, shortened by up to a tenth."""
FAREWELL = 2.0
"""Seconds that a goodbye may take."""
BACKOFF = Backoff(first=1.0, most=5.0)


class InventoryStream:
    """A service of every process."""

    name = "inventory"

    def __init__(
        self, access: AuthAccess, *, entropy: Entropy, runs_auth: bool, duty: Duty | None = None
    ) -> None:  # fmt: skip
        """While another process has the `duty`, that one attends."""
        self._access = access
        self._entropy = entropy
        self._runs_auth = runs_auth
        self._duty = duty or Duty()
        self._process_id = new_id(entropy)

    async def run(self, ready: Callable[[], None]) -> None:
        """Attend until cancelled."""
        ready()
        calls = InventoryCalls(self._access.client("Instance"))
        waits, loop = BACKOFF.waits(self._entropy), asyncio.get_running_loop()
        while True:
            await self._duty.wait()
            try:
                async with asyncio.timeout(None) as limit, calls.attend(self._hello()) as stream:
                    waits = BACKOFF.waits(self._entropy)
                    with self._duty.telling(lambda limit=limit: limit.reschedule(loop.time())):  # type: ignore[misc]
                        await self._attend(stream)
            except TimeoutError:
                continue
            except TeleportError as error:
                log.debug("The control stream was lost, it is opened again", error=error)
            await asyncio.sleep(next(waits))

    def _hello(self) -> Hello:
        settings = self._access.settings
        enabled = {"Auth": self._runs_auth, "Node": settings.ssh.enabled, "Proxy": settings.proxy.enabled}
        return Hello(
            version=VERSION, hostname=settings.nodename, process_id=self._process_id,
            services=tuple(role for role, runs in enabled.items() if runs),
            external_upgrader=settings.upgrader.kind, external_upgrader_version=settings.upgrader.version,
        )  # fmt: skip

    async def _attend(self, stream: ControlStream) -> None:
        """Answer and send heartbeats until the stream is lost; say goodbye when the process stops."""
        beating = tasks.spawn(
            tasks.every(HEARTBEAT, stream.heartbeat, entropy=self._entropy, first=HEARTBEAT),
            name="heartbeats", on_error=_told,
        )  # fmt: skip
        try:
            while True:
                word = await stream.next()
                if isinstance(word, Ping):
                    await stream.pong(word.number)
                elif isinstance(word, Clone):
                    _tell(word)
        except asyncio.CancelledError:
            with contextlib.suppress(TeleportError, TimeoutError):  # the connection may be what was lost
                async with asyncio.timeout(FAREWELL):
                    await stream.goodbye()
            raise
        finally:
            await tasks.cancel(beating)


def _tell(clone: Clone) -> None:
    page = catalogue.find("INV-CLONE")
    what = page.what.format(hostname=clone.hostname, address=clone.address)
    log.error(what, code="INV-CLONE", why=page.why, fix=page.fix)


def _told(error: BaseException) -> None:
    """The stream is lost: whoever reads it hears of that too."""
