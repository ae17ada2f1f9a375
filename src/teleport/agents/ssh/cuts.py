"""Locks against what runs, and sessions that somebody ends.

Every live connection that a lock meets is ended, and so is every one under `lock: strict` when the list of locks
has not been known to be complete for too long. New sessions are decided by the checker (`connection`); here those
that were granted before are looked at again, with the same words of `access`, when the list changes and while it ages.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import Protocol

import msgspec

from teleport.access import explain
from teleport.access.action import Conditions, Connect
from teleport.access.checker import decide
from teleport.access.denial import Denial
from teleport.access.roleset import RoleSet
from teleport.agents.ssh.authority import Authority
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_id
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.model.identity import Identity

log = logger("NODE")

LOOK = 5.0
"""Seconds between two looks at the age of a list that does not change."""
RECORDING = 1.0
"""Seconds that a cut waits at most for the auth service to give the refusal its id."""
_OURS = frozenset({"POL-LOCKED", "POL-LOCKS-STALE"})


@dataclass(frozen=True)
class Standing:
    """Somebody whose connection was let in."""

    identity: Identity
    roles: RoleSet
    """As they were at the last decision."""
    login: str
    client: str
    client_ip: str


class Live(Protocol):
    """A connection that is open."""

    def standing(self) -> Standing | None:
        """Return whose it is; None if there is nothing to end."""
        ...

    def cut(self, reason: str, text: str) -> None:
        """End it, with the reason for the record and the text for the user."""
        ...

    def end_session(self, session_id: str, reason: str, text: str) -> None:
        """End one session of it, if it has that session."""
        ...


class Cuts:
    """The open connections of a service."""

    def __init__(self, authority: Authority, clock: Clock, entropy: Entropy, cluster: str) -> None:
        self._authority = authority
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster
        self._live: set[Live] = set()

    def join(self, connection: Live) -> None:
        """Look at this connection from now on."""
        self._live.add(connection)

    def leave(self, connection: Live) -> None:
        """It has ended."""
        self._live.discard(connection)

    async def run(self) -> None:
        """Look again at every change of the locks, and while they age, until cancelled."""
        seen = -1
        while True:
            try:
                async with asyncio.timeout(LOOK):
                    seen = await self._authority.changed(seen)
                self._end_sessions()
            except TimeoutError:
                if self._authority.locks_as_of() is None:
                    continue
            denials = [(each, denial) for each in self._live if (denial := self._denial(each)) is not None]
            await asyncio.gather(*(self._cut(each, denial) for each, denial in denials))

    def _end_sessions(self) -> None:
        """End the sessions that somebody entitled to it wants ended. Each is tried until its session is here: the
        wish may come before the connection."""
        for wish in self._authority.terminations():
            said = f": {' '.join(wish.spec.message.split())}" if wish.spec.message else ""
            reason = f"session terminated by {wish.spec.created_by}{said}"
            for connection in tuple(self._live):
                connection.end_session(wish.name, reason, f"{reason}; ask {wish.spec.created_by} before you go on")

    def _denial(self, connection: Live) -> Denial | None:
        """Decide again, about locks alone: the end of a certificate is another's matter (`ends`)."""
        who = connection.standing()
        if who is None:
            return None
        now, authority = self._clock.now(), self._authority
        conditions = Conditions(
            now=now, cluster=self._cluster, locks=authority.locks(), locks_as_of=authority.locks_as_of(),
            client_ip=who.client_ip,
        )  # fmt: skip
        # Neither the end of the certificate nor a role that is gone meanwhile may hide a lock.
        valid = msgspec.structs.replace(
            who.identity, expires=now + dt.timedelta(days=1), roles=tuple(sorted(who.roles.names))
        )  # fmt: skip
        decision = decide(valid, who.roles, Connect(who.login), authority.node(), conditions)
        return decision if isinstance(decision, Denial) and decision.code in _OURS else None

    async def _cut(self, connection: Live, denial: Denial) -> None:
        who = connection.standing()
        if who is None:
            return
        try:
            async with asyncio.timeout(RECORDING):
                id = await self._authority.record_denial(denial, who.identity, who.client)
        except (TeleportError, TimeoutError) as error:
            id = new_id(self._entropy)
            log.warn("A cut was not recorded as a refusal", error=error, id=id, client=who.client)
        told = explain.user_error(denial, id, asked=self._authority.node().spec.hostname)
        connection.cut(told.what, explain_line(told))


def explain_line(error: TeleportError) -> str:
    """Return a refusal for somebody in the middle of a session: what, what to do, and the id."""
    return f"{error.what}; {error.fix} [id {error.id}]"
