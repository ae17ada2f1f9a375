"""Attempts: how often a person may try to sign in.

Five failures within half an hour lock a user out for half an hour; the lock-out stands in the user's
status, where `tctl edit users/<name>` can end it. Attempts on one name are taken one at a time and counted
before the password is looked at, so that many at once are no way around (class of CVE-2025-6004). Names
without a user are counted as well, in memory and bounded, so that counting tells nothing about who exists.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, LimitExceeded, NotFound
from teleport.base.struct import Switch
from teleport.model.kinds.user import LoginStatus, User
from teleport.store.backend import At, Backend, Delete, Op, Put
from teleport.store.resources import Resources

LIMIT = 5
WINDOW = dt.timedelta(minutes=30)
LOCKOUT = dt.timedelta(minutes=30)
_UNKNOWN_NAMES = 10_000
"""Names without a user that are remembered; the longest unused one makes room."""
_REASON = "user has exceeded maximum failed login attempts"


class _Tally(msgspec.Struct):
    failures: list[dt.datetime] = []
    until: dt.datetime | None = None
    """End of the lock-out, for names without a user."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One attempt under way."""

    user: User | None
    failures: int
    """Failures within the window, this attempt included."""


def key_of(user: str) -> str:
    """Return where the failures of a user stand."""
    return f"/web/users/{user}/attempts"


class Attempts:
    """Counts failures."""

    def __init__(self, backend: Backend, resources: Resources, clock: Clock) -> None:
        self._backend = backend
        self._resources = resources
        self._clock = clock
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._unknown: OrderedDict[str, _Tally] = OrderedDict()

    @asynccontextmanager
    async def attempt(self, name: str) -> AsyncIterator[Turn]:
        """Hold the turn of `name` for one attempt; it counts as failed unless `success_ops` are committed.

        Raises LimitExceeded (AUTH-LOCKED-OUT).
        """
        turn = self._turns.setdefault(name, asyncio.Lock())
        async with turn:
            user = await self._user(name)
            if user is not None and user.is_locked_out(self._clock.now()):
                raise LimitExceeded("AUTH-LOCKED-OUT")
            yield Turn(user, await self._count(user) if user is not None else self._count_unknown(name))

    async def again(self, turn: Turn) -> Turn:
        """Return the same turn with the user as it is now. Raises LimitExceeded, also when the user has gone."""
        user = await self._user(turn.user.name) if turn.user is not None else None
        if user is None or user.is_locked_out(self._clock.now()):
            raise LimitExceeded("AUTH-LOCKED-OUT")
        return Turn(user, turn.failures)

    def failure_ops(self, turn: Turn) -> Sequence[Op]:
        """Return the operations of a failure: from the fifth on, the lock-out."""
        if turn.user is None or turn.failures < LIMIT:
            return ()
        now = self._clock.now()
        status = LoginStatus(
            is_locked=Switch(True), locked_time=now, lock_expires=now + LOCKOUT, locked_message=_REASON
        )  # fmt: skip
        return (self._status_op(turn.user, status), self.clear_op(turn.user.name))

    def success_ops(self, turn: Turn) -> Sequence[Op]:
        """Return the operations of a success: failures and a lock-out that is over are forgotten."""
        assert turn.user is not None  # noqa: S101 - nobody signs in as nobody
        ended = (self._status_op(turn.user, LoginStatus()),) if turn.user.spec.status.is_locked else ()
        return (self.clear_op(turn.user.name), *ended)

    def clear_op(self, user: str) -> Delete:
        """Return the operation that forgets all failures."""
        return Delete(key_of(user))

    def unlock_ops(self, user: User) -> Sequence[Op]:
        """Return the operations that end a lock-out at once."""
        return self.success_ops(Turn(user, 0))

    def _status_op(self, user: User, status: LoginStatus) -> Put:
        changed = msgspec.structs.replace(user, spec=msgspec.structs.replace(user.spec, status=status))
        return self._resources.put_op(changed, At(int(user.metadata.revision)))

    async def _user(self, name: str) -> User | None:
        try:
            return await self._resources.get(User, name)
        except (NotFound, BadParameter):  # what cannot be a name is nobody's
            return None

    async def _count(self, user: User) -> int:
        now = self._clock.now()
        try:
            tally = msgspec.json.decode((await self._backend.get(key_of(user.name))).value, type=_Tally)
        except NotFound:
            tally = _Tally()
        recent = [at for at in tally.failures if at > now - WINDOW]
        if len(recent) >= LIMIT:
            raise LimitExceeded("AUTH-LOCKED-OUT")  # the lock-out itself could not be stored
        tally.failures = [*recent, now]
        await self._backend.commit(Put(key_of(user.name), msgspec.json.encode(tally), now + WINDOW))
        return len(tally.failures)

    def _count_unknown(self, name: str) -> int:
        now = self._clock.now()
        tally = self._unknown.setdefault(name, _Tally())
        self._unknown.move_to_end(name)
        while len(self._unknown) > _UNKNOWN_NAMES:
            self._unknown.popitem(last=False)
        if tally.until is not None and tally.until > now:
            raise LimitExceeded("AUTH-LOCKED-OUT")
        tally.failures = [at for at in tally.failures if at > now - WINDOW] + [now]
        tally.until = None
        if len(tally.failures) >= LIMIT:
            tally.until, tally.failures = now + LOCKOUT, []
        return len(tally.failures)
