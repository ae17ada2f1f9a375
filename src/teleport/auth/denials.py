"""Denials: refusals kept for 30 days under a random id, so that an administrator can see why.

Refusals that say the same within a minute share an id and are counted: the first one is stored with its
audit event, the rest with one more event when the minute is over. Ids carry no authority and say
nothing of their subject; who may read what stands behind one is decided in `auth.decisions`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_id
from teleport.base.errors import NotFound
from teleport.model.events.access import AccessDenied
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Backend, Op, Put

WINDOW = dt.timedelta(seconds=60)
KEPT = dt.timedelta(days=30)
_MOST_OPEN = 10_000
"""Windows that are open at a time; the oldest is closed early for a new one."""
_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")


class Kept(msgspec.Struct, frozen=True):
    """A stored refusal."""

    record: msgspec.Raw
    """JSON, written by `access.explain`."""
    reporter: str
    first: dt.datetime
    last: dt.datetime
    count: int = 1


@dataclass(slots=True)
class _Window:
    id: str
    kept: Kept
    event: AccessDenied | None
    written: int = 1
    """Count that the store knows of."""


class Denials:
    """Keeps, counts and finds refusals."""

    def __init__(self, backend: Backend, audit: AuditLog, clock: Clock, entropy: Entropy) -> None:
        self._backend = backend
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._open: OrderedDict[bytes, _Window] = OrderedDict()

    async def keep(self, fingerprint: bytes, record: bytes, reporter: str, event: AccessDenied | None) -> str:
        """Keep a refusal and return its id; `event` gets the id. None: what is too common to be an event."""
        await self.close_windows()
        now = self._clock.now()
        window = self._open.get(fingerprint)
        if window is not None:
            window.kept = msgspec.structs.replace(window.kept, last=now, count=window.kept.count + 1)
            return window.id
        id = new_id(self._entropy)
        if event is not None:
            event = msgspec.structs.replace(event, decision_id=id)
        window = self._open[fingerprint] = _Window(id, Kept(msgspec.Raw(record), reporter, now, now), event)
        try:
            await self._write(window)
        except BaseException:
            self._open.pop(fingerprint, None)
            raise
        return id

    async def find(self, id: str) -> Kept:
        """Return what stands behind an id. Raises NotFound (AUTH-DECISION)."""
        for window in self._open.values():
            if window.id == id:
                return window.kept
        if _ID.fullmatch(id):
            try:
                return msgspec.json.decode((await self._backend.get(_key(id))).value, type=Kept)
            except NotFound:
                pass
        raise NotFound("AUTH-DECISION", decision=id[:40])

    async def close_windows(self, *, all: bool = False) -> None:
        """Write the counts of windows that are over. Called with every refusal, regularly, and at the end."""
        limit = self._clock.now() - WINDOW
        while self._open:
            fingerprint, window = next(iter(self._open.items()))
            if window.kept.first > limit and len(self._open) < _MOST_OPEN and not all:
                return
            del self._open[fingerprint]
            if window.kept.count > window.written:
                await self._write(window)

    async def _write(self, window: _Window) -> None:
        window.written = window.kept.count
        ops: list[Op] = [Put(_key(window.id), msgspec.json.encode(window.kept), window.kept.last + KEPT)]
        if window.event is not None:
            ops.append(self._audit.op(msgspec.structs.replace(window.event, count=window.kept.count)))
        await self._backend.commit(*ops)


def _key(id: str) -> str:
    return f"/decisions/{id}"
