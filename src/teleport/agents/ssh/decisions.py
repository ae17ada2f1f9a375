"""Decisions about one connection, with the roles, locks and labels of the moment, and the records of refusals.

Every channel asks here; what is asked and answered is `access.checker`'s matter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable

import msgspec

from teleport.access import explain
from teleport.access.action import Conditions, Connect, Open
from teleport.access.checker import Grant, decide
from teleport.access.denial import Denial
from teleport.access.roleset import RoleSet
from teleport.agents.ssh.authority import Authority
from teleport.agents.ssh.switches import Switches
from teleport.base.clock import Clock
from teleport.model.identity import Identity

_STILL = dt.timedelta(minutes=1)
REMEMBERED = 64
"""Refused channels of one connection whose record is remembered."""


class Decisions:
    """Decides for one connection."""

    def __init__(
        self, authority: Authority, clock: Clock, cluster: str, switches: Switches,
        looked_up: Callable[[RoleSet], Awaitable[None]],
    ) -> None:  # fmt: skip
        """`looked_up` is told of the roles that each decision was made with."""
        self._authority = authority
        self._clock = clock
        self._cluster = cluster
        self._switches = switches
        self._looked_up = looked_up
        self._denied: dict[bytes, str] = {}

    async def decide(self, identity: Identity, action: Connect | Open, client_ip: str) -> Grant | Denial:
        """Decide. Raises TeleportError when the roles cannot be looked up."""
        authority = self._authority
        roles = await authority.role_set(identity)
        await self._looked_up(roles)
        conditions = Conditions(
            now=self._clock.now(), cluster=self._cluster, locks=authority.locks(),
            locks_as_of=authority.locks_as_of(), client_ip=client_ip, closed=self._switches.closed,
        )  # fmt: skip
        if identity.recorded_by:  # made for the moment of connecting; the end of the user's own is the proxy's to see
            identity = msgspec.structs.replace(identity, expires=conditions.now + _STILL)
        return decide(identity, roles, action, authority.node(), conditions)

    async def demand(self, identity: Identity, action: Connect | Open, client_ip: str, client: str) -> Grant:
        """Decide, and raise the refusal with the id of its record: AccessDenied or NotFound (POL-*)."""
        decision = await self.decide(identity, action, client_ip)
        if isinstance(decision, Denial):
            id = await self._recorded(decision, identity, client)
            raise explain.user_error(decision, id, asked=self._authority.node().spec.hostname)
        return decision

    async def _recorded(self, denial: Denial, identity: Identity, client: str) -> str:
        """Have a refusal recorded and return its id. Whoever asks for the same channel on and on is told the first id
        again."""
        alike = explain.fingerprint(denial) if isinstance(denial.action, Open) else b""
        id = self._denied.get(alike)
        if id is None:
            id = await self._authority.record_denial(denial, identity, client)
            if alike and len(self._denied) < REMEMBERED:
                self._denied[alike] = id
        return id
