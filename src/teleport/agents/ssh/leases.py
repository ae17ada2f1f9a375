"""Places of this node's connections among those that a user may have in the whole cluster (`max_connections`).

The auth service decides (`auth.semaphores`); here is what one node holds. A connection takes its place before its
first channel and gives it back at its end. Every write says all places of a user on this node, so that one that was
lost on the way is mended by the next; places of a node that is gone end by themselves.

When the auth service cannot be asked, a new connection of somebody with a limit gets no place and so no channel: a
limit that holds only in good weather is none. Connections that have their place keep it meanwhile. Should somebody
else have taken it when the auth service is back, the youngest connection of the user here is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from teleport.base.counters import Counter
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import LimitExceeded, TeleportError, Unavailable
from teleport.base.log import logger

log = logger("NODE")

RENEW = 60.0
"""Seconds between renewals: half of a lease."""
PATIENCE = 5.0
"""Seconds that somebody waits at most for the answer."""

Hold = Callable[[str, Sequence[str], int], Awaitable[None]]
"""Write that this node holds exactly these leases of a user, of at most so many in the cluster."""


@dataclass(frozen=True, eq=False)
class Place:
    """One connection's place."""

    user: str
    lease: str
    most: int
    lost: Callable[[TeleportError], None]
    """Called when somebody else got it."""


@dataclass(eq=False)
class _User:
    """Somebody's places here, and whose turn it is to write them: a later write says more."""

    places: list[Place] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    interested: int = 0


class Leases:
    """The places that this node holds."""

    def __init__(self, hold: Hold, entropy: Entropy, refused: Counter) -> None:
        """`refused` counts connections that found no place."""
        self._hold = hold
        self._entropy = entropy
        self._refused = refused
        self._users: dict[str, _User] = {}

    async def take(self, user: str, most: int, lost: Callable[[TeleportError], None]) -> Place:
        """Return a place among `most`. Raises LimitExceeded (SSH-LIMIT-CONNECTIONS), Unavailable (SSH-LEASE)."""
        place = Place(user, new_uuid(self._entropy), most, lost)
        async with self._turn(user) as held:
            held.append(place)
            try:
                await self._write(user, held, most)
            except BaseException as error:
                held.remove(place)
                if isinstance(error, LimitExceeded):
                    self._refused.add()
                    raise self._full(place) from None
                if isinstance(error, TeleportError | TimeoutError):
                    log.warn("A place among limited connections could not be asked for", error=error, user=user)
                    raise Unavailable("SSH-LEASE", user=user) from None
                raise
        return place

    async def give_back(self, place: Place) -> None:
        """The connection is over. A write that fails leaves the place to its end. Never raises TeleportError."""
        async with self._turn(place.user) as held:
            if place in held:
                held.remove(place)
                try:
                    await self._write(place.user, held, 0)
                except (TeleportError, TimeoutError) as error:
                    log.debug("A place among limited connections stays until its lease ends", error=error)

    async def run(self) -> None:
        """Renew every place until cancelled."""
        while True:
            await asyncio.sleep(RENEW)
            await asyncio.gather(*(self._renew(user) for user in list(self._users)))

    async def _renew(self, user: str) -> None:
        async with self._turn(user) as held:
            while held:
                try:
                    await self._write(user, held, min(place.most for place in held))
                    return
                except LimitExceeded:  # our leases had ended meanwhile, and somebody else has the place
                    place = held.pop()
                    self._refused.add()
                    place.lost(self._full(place))
                except (TeleportError, TimeoutError) as error:
                    log.warn("Places of limited connections were not renewed", error=error, user=user)
                    return

    def _full(self, place: Place) -> LimitExceeded:
        return LimitExceeded("SSH-LIMIT-CONNECTIONS", user=place.user, limit=place.most)

    async def _write(self, user: str, held: Sequence[Place], most: int) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._hold(user, [place.lease for place in held], most)

    @asynccontextmanager
    async def _turn(self, user: str) -> AsyncIterator[list[Place]]:
        mine = self._users.setdefault(user, _User())
        mine.interested += 1
        try:
            async with mine.lock:
                yield mine.places
        finally:
            mine.interested -= 1
            if not mine.interested and not mine.places:
                del self._users[user]
