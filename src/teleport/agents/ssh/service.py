"""The SSH Service: listens, and gives every connection its own decisions and records.

What one client may do is in `connection`, the protocol in `net.ssh`, starting commands in `spawner`. Here
are the parts put together and their life: the spawner is connected, the port opened, and at the end every
command is told to go and waited for.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from teleport.agents.ssh import audit
from teleport.agents.ssh.authority import Authority
from teleport.agents.ssh.connection import ClientConnection, World
from teleport.agents.ssh.cuts import Cuts
from teleport.agents.ssh.ends import Ends
from teleport.agents.ssh.enhanced.observer import Observer, Settings
from teleport.agents.ssh.leases import Leases
from teleport.agents.ssh.recorder import NoRecorder, Recorder
from teleport.agents.ssh.spawner import Spawner
from teleport.agents.ssh.spawner_messages import Removed
from teleport.agents.ssh.switches import Switches
from teleport.agents.ssh.throttle import Throttle
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.counters import Counters
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied
from teleport.base.log import logger
from teleport.net import ssh, ssh_settings
from teleport.net.listen import Limits
from teleport.net.network import Network
from teleport.net.resumption import Resumptions
from teleport.net.stream import Stream
from teleport.pki import keys
from teleport.pki.authority import trusted_ssh

log = logger("NODE")

PORT = 3022
LIMIT_HIT = (
    "user_max_concurrent_sessions_hit_total", "Connections refused because a user has as many as the roles allow.",
)  # fmt: skip
BPF_LOST = ("teleport_bpf_lost_events_total", "What the kernel had to drop of enhanced recording.")
STRANGERS = 60
"""Records a minute of logins whose certificate means nothing here; more are logged, not audited."""
LOOK_EVERY = 5.0
"""Seconds between two looks whether a former process has ended."""


class SSHService:
    """Serves SSH directly on one address."""

    name = "NODE"

    def __init__(
        self, *, clock: Clock, entropy: Entropy, network: Network, spawner: Spawner, authority: Authority,
        host_keys: Callable[[], Sequence[ssh_settings.HostKey]], cluster: str, address: str = f"0.0.0.0:{PORT}",
        limits: Limits | None = None, login_timeout: float = ssh_settings.LOGIN_TIMEOUT,
        keep_alive: Callable[[], ssh_settings.KeepAlive] = ssh_settings.KeepAlive, ends: Callable[[], Ends] = Ends,
        recorder: Recorder | None = None, web_address: str = "", switches: Switches | None = None,
        counters: Counters | None = None, host_users: bool = False,
        enhanced: Settings | None = None, alone: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """`host_keys`, `keep_alive` and `ends` are asked for each connection: what is new holds at once. Without an
        `address` nothing is listened on: whoever has connections calls `serve`. The spawner is launched before the
        event loop and closed after it, by the caller. Accounts that were made for sessions are not looked through
        until this process is `alone`: a former one may still have such sessions."""
        self._network = network
        self._spawner = spawner
        self._alone = alone
        self._host_keys = host_keys
        self._address = address
        self._limits = limits
        self._login_timeout, self._keep_alive = login_timeout, keep_alive
        self._settings: tuple[object, ssh_settings.ServerOptions] | None = None
        self._trust = ssh.Trust(clock=clock, cluster=cluster, authorities=authority.authorities)
        counters = counters or Counters()
        self._leases = Leases(authority.hold_leases, entropy, counters.get(*LIMIT_HIT))
        self._observer = Observer(spawner, enhanced, counters.get(*BPF_LOST)) if enhanced is not None else None
        self._cuts = Cuts(authority, clock, entropy, cluster)
        self._resumptions = Resumptions(lambda: authority.node().name, entropy)
        self._world = World(
            clock=clock, entropy=entropy, authority=authority, spawner=spawner, cluster=cluster,
            strangers=Throttle(clock, limit=STRANGERS, window=dt.timedelta(minutes=1)), ends=ends,
            cuts=self._cuts, recorder=recorder or NoRecorder(), switches=switches or Switches(), leases=self._leases,
            host_users=host_users, observer=self._observer, web_address=web_address,
        )  # fmt: skip
        self.address = ""
        """Where the service listens, once it is ready."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled. Raises what listening raises, BadParameter (SSH-HOST-KEY) and Unavailable
        (SSH-SPAWNER-GONE)."""
        self._current_settings()
        self._spawner.connect()
        await self._pin()
        self._spawner.removed = self._user_removed
        parts = []
        if self._world.host_users and self._alone():
            await self._spawner.sweep()
        elif self._world.host_users:
            parts.append(tasks.spawn(self._sweep_later(), name="ssh-accounts", on_error=self._failed))
        cutting = tasks.spawn(self._cuts.run(), name="ssh-cuts", on_error=self._failed)
        renewing = tasks.spawn(self._leases.run(), name="ssh-leases", on_error=self._leases_failed)
        parts += [tasks.spawn(self._observer.run(), name="ssh-bpf", on_error=self._failed)] if self._observer else []
        try:
            async with self._listening():
                ready()
                await asyncio.Event().wait()
        finally:
            await tasks.cancel(cutting)
            await tasks.cancel(renewing)
            for task in parts:
                await tasks.cancel(task)
            self._spawner.disconnect()

    async def _sweep_later(self) -> None:
        await tasks.until(self._alone, every=LOOK_EVERY)
        await self._spawner.sweep()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Listen for the time of a block, unless connections come another way."""
        if not self._address:
            yield
            return
        listener = await self._network.listen(self._address, self.serve, limits=self._limits)
        try:
            self.address = listener.address
            log.info("SSH Service is listening", address=self.address)
            yield
        finally:
            await listener.close(0.0)

    async def _pin(self) -> None:
        """Tell the spawner the user authorities, before anybody is accepted who could be somebody else."""
        found = trusted_ssh(self._world.authority.authorities(), "user")
        try:
            await self._spawner.trust(
                self._world.cluster,
                {keys.ssh_line(blob): cluster for blob, cluster in found.items()},
                host_users=self._world.host_users,
            )
        except AccessDenied as error:
            log.error("Logins with certificates of new user authorities start nothing before a restart", error=error)

    def _user_removed(self, removed: Removed) -> None:
        """An account that was made for a login is gone, or should be."""
        if removed.problem:
            log.error("An account made for a login was not removed", login=removed.login, problem=removed.problem)
        event = audit.host_user_removed(self._world.authority.node(), removed.login, removed.problem)
        tasks.spawn(self._world.authority.emit(event), name="ssh-host-user", on_error=self._removal_unrecorded)

    def _removal_unrecorded(self, error: BaseException) -> None:
        log.error("The removal of an account was not recorded", error=error)

    def _leases_failed(self, error: BaseException) -> None:
        log.error("Places of limited connections are no longer renewed", error=error)

    def _failed(self, error: BaseException) -> None:
        log.error("Locks no longer end what runs", error=error)

    async def serve(self, stream: Stream) -> None:
        """Serve one accepted connection to its end."""
        made: list[ClientConnection] = []

        def handler(connection: ssh.ServerConnection) -> ClientConnection:
            made.append(ClientConnection(self._world, connection))
            return made[0]

        try:
            await ssh.serve(
                stream, settings=self._current_settings(), trust=self._trust, handler=handler,
                resumptions=self._resumptions,
            )  # fmt: skip
        finally:
            for client in made:
                await _to_the_end(client.settle(), client.failed)

    def _current_settings(self) -> ssh_settings.ServerOptions:
        keys, keep_alive = self._host_keys(), self._keep_alive()
        if self._settings is None or self._settings[0] != (keys, keep_alive):
            made = ssh_settings.options(keys, login_timeout=self._login_timeout, keep_alive=keep_alive)
            self._settings = (keys, keep_alive), made
        return self._settings[1]


async def _to_the_end(work: Coroutine[Any, Any, None], failed: Callable[[BaseException], None]) -> None:
    """Run `work`, which a service that stops meanwhile does not interrupt: it waits for it."""
    settling = tasks.spawn(work, name="ssh-settle", on_error=failed)
    try:
        await asyncio.shield(settling)
    except asyncio.CancelledError:
        await asyncio.wait([settling])
        raise
