"""The catalogue of recordings: which session is whose, which are complete, in order of time.

/recordings/open/<session>           a recording that grows: its server
/recordings/done/<session>           one that is complete: `Entry`
/recordings/time/<moment>/<session>  the same by time, the newest first: the moment counts backwards
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from teleport.base.errors import AccessDenied, AlreadyExists, BadParameter, Internal, NotFound
from teleport.base.struct import Struct, decode, encode
from teleport.model.recorded_session import RecordedSession, RecordedSessionSpec
from teleport.model.resource import Metadata, Time
from teleport.store.backend import Absent, Backend, Delete, Op, Put

T = TypeVar("T")

_OPEN, _DONE, _TIME = "/recordings/open/", "/recordings/done/", "/recordings/time/"
_END = 10**14
"""A moment in milliseconds that is never reached (year 5138)."""


class Open(Struct, frozen=True, kw_only=True):
    """A recording that grows."""

    server_id: str
    since: Time


class Entry(Struct, frozen=True, kw_only=True):
    """A complete recording."""

    session: RecordedSessionSpec
    server_id: str
    """Who stored it."""
    chunks: int
    digest: str
    """Of the last chunk, in hexadecimal."""
    abandoned: bool = False
    """Whether the Auth Service closed it, because its server was gone."""

    @property
    def target(self) -> RecordedSession:
        """The session as decisions see it."""
        return RecordedSession(metadata=Metadata(name=self.session.sid), spec=self.session)


@dataclass(frozen=True, slots=True)
class Found:
    """An entry and where the next page begins."""

    entry: Entry
    cursor: str


class Catalogue:
    """Reads and writes entries."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def claim(self, session_id: str, server_id: str, now: dt.datetime) -> None:
        """Note that `server_id` stores this session. Raises AccessDenied (REC-NOT-YOURS) if another one does."""
        owner = await self._owner(session_id)
        if owner is None:
            note = Put(_OPEN + session_id, encode(Open(server_id=server_id, since=now)), when=Absent())
            try:
                await self._backend.commit(note)
                return
            except AlreadyExists:
                owner = await self._owner(session_id)
        if owner != server_id:
            raise AccessDenied("REC-NOT-YOURS", session=session_id)

    async def reopen(self, session_id: str, server_id: str, now: dt.datetime) -> None:
        """Note that a complete recording grows again: it was closed without its server, which has come back."""
        await self._backend.commit(Put(_OPEN + session_id, encode(Open(server_id=server_id, since=now))))

    async def _owner(self, session_id: str) -> str | None:
        try:
            return _read(await self._value(_OPEN + session_id), Open).server_id
        except NotFound:
            pass
        try:
            return (await self.get(session_id)).server_id
        except NotFound:
            return None

    async def get(self, session_id: str) -> Entry:
        """Return a complete recording. Raises NotFound (STORE-NOT-FOUND)."""
        return _read(await self._value(_DONE + session_id), Entry)

    async def close(self, entry: Entry, *extra: Op) -> None:
        """Note that a recording is complete, with `extra` in the same commit."""
        sid = entry.session.sid
        ops: list[Op] = [
            Put(_DONE + sid, encode(entry)), Put(_TIME + _place(entry.session), sid.encode()), Delete(_OPEN + sid)
        ]  # fmt: skip
        try:
            former = _TIME + _place((await self.get(sid)).session)
            if former != ops[1].key:  # type: ignore[union-attr]
                ops.append(Delete(former))
        except NotFound:
            pass
        await self._backend.commit(*ops, *extra)

    async def newest(
        self, *, after: str = "", since: dt.datetime | None = None, until: dt.datetime | None = None
    ) -> AsyncIterator[Found]:
        """Yield complete recordings, the newest first: those after the cursor `after`, begun in [since, until)."""
        if not after and until is not None:
            after = f"{_moment(until):015d}/~"  # behind every session of that very moment
        # In portions: a scan shall not stay open while others are decided about.
        while True:
            keys = [
                item.key async for item in self._backend.scan(_TIME, after=_TIME + after if after else "", limit=64)
            ]
            for key in keys:
                after = key.removeprefix(_TIME)
                moment, _, sid = after.partition("/")
                if since is not None and moment > f"{_moment(since):015d}":
                    return
                try:
                    yield Found(await self.get(sid), after)
                except NotFound:
                    continue
            if not keys:
                return

    async def growing(self) -> list[tuple[str, Open]]:
        """Return the recordings that are not complete."""
        return [(item.key.removeprefix(_OPEN), _read(item.value, Open)) async for item in self._backend.scan(_OPEN)]

    async def _value(self, key: str) -> bytes:
        return (await self._backend.get(key)).value


def check_session_id(session_id: str) -> None:
    """Raise BadParameter (REC-SESSION) for what is no UUID in its usual form: it becomes the name of a file."""
    try:
        right = str(uuid.UUID(session_id)) == session_id
    except ValueError:
        right = False
    if not right:
        raise BadParameter("REC-SESSION", session=session_id[:60])


def _place(session: RecordedSessionSpec) -> str:
    moment = session.session_start or dt.datetime.fromtimestamp(0, dt.UTC)
    return f"{_moment(moment):015d}/{session.sid}"


def _moment(moment: dt.datetime) -> int:
    """Return a number that is smaller for a later moment."""
    return min(max(_END - int(moment.timestamp() * 1000), 0), 10**15 - 1)


def _read(data: bytes, shape: type[T]) -> T:
    try:
        return decode(data, shape)
    except msgspec.DecodeError as error:
        raise Internal("STORE-RESOURCE-DAMAGED", kind="recording", name="", problem=error) from None
