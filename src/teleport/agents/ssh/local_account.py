"""The account of this machine that a connection acts for: admitted by the spawner, made where roles say so, and helped.

All of it happens with the first session, or whatever else needs it, and once. A connection that a proxy ends has no
account here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from teleport.access.checker import Grant
from teleport.access.host_users import HostUser, Prevented
from teleport.agents.ssh.session_contract import Launch
from teleport.agents.ssh.spawner import Process, Spawner
from teleport.agents.ssh.user_side_client import HelperSide
from teleport.base import tasks
from teleport.base.errors import Internal
from teleport.base.log import logger
from teleport.net.ssh import ServerConnection

log = logger("NODE")


class LocalAccount:
    """The account of one connection."""

    def __init__(
        self, spawner: Spawner | None, ssh: ServerConnection, wanted: Callable[[], HostUser | Prevented | None],
        made: Callable[[HostUser], Awaitable[None]],
    ) -> None:  # fmt: skip
        """`wanted` says what account the roles want now, None where none is ever made; `made` is told of a new one."""
        self._process, self._ssh, self._wanted, self._made = spawner, ssh, wanted, made
        self._admission: asyncio.Task[int] | None = None
        self.side = HelperSide(self._help)
        """What is done as the account; the process for it starts with the first request."""

    @property
    def _spawner(self) -> Spawner:
        if self._process is None:
            raise Internal("SSH-INTERNAL")
        return self._process

    def begin(self) -> None:
        """Have the login checked while the client that was given a session says what it is for."""
        if self._process is not None and self._ssh.proof is not None:
            self._admission_begun()

    async def start(self, grant: Grant, launch: Launch, environment: dict[str, str], group: str) -> Process:
        """Start a command or shell under a grant. Raises what `Spawner.start` and `Spawner.admit` raise."""
        return await self._spawner.start(
            grant, admission=await self._admitted(), login=self._ssh.login, command=launch.command,
            environment=environment, terminal=launch.terminal, group=group,
        )  # fmt: skip

    async def close(self) -> None:
        """The connection is over: nothing more starts for it."""
        self.side.close()
        if self._admission is not None:
            await asyncio.wait([self._admission])
            if self._admission.exception() is None:
                await self._spawner.dismiss(self._admission.result())

    async def _help(self) -> socket.socket:
        return await self._spawner.help(await self._admitted())

    async def _admitted(self) -> int:
        """Have the spawner check the login, once, and return the id of the admission."""
        return await asyncio.shield(self._admission_begun())

    def _admission_begun(self) -> asyncio.Task[int]:
        if self._admission is None:
            self._admission = tasks.spawn(self._admit(), name="ssh-admission", on_error=self._not_admitted)
        return self._admission

    async def _admit(self) -> int:
        if self._ssh.proof is None:
            raise Internal("SSH-INTERNAL")
        id = await self._spawner.admit(self._ssh.proof, source=self._ssh.client_ip)
        try:
            await self._provision(id)
        except BaseException:
            await self._spawner.dismiss(id)
            raise
        return id

    async def _provision(self, admission: int) -> None:
        """Have the account made that the roles ask for. Raises what `Spawner.provision` raises."""
        wanted = self._wanted()
        if isinstance(wanted, Prevented):
            log.debug("no account is made", login=self._ssh.login, prevented_by=wanted.role)
        elif wanted is not None and await self._spawner.provision(admission, wanted):
            await self._made(wanted)

    def _not_admitted(self, error: BaseException) -> None:
        """After a rotation of the user authority this is what a node says that was not restarted."""
        log.error("the spawner refused a login that was let in", error=error, client=self._ssh.client)
