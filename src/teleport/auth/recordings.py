"""Recordings for people: listed and read by the rules on `session`, each access told to the audit log first.

A rule's `where` may speak of the session: `contains(session.participants, user.metadata.name)`. What a caller may
not read and what does not exist are refused alike, by `auth.authorize`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from teleport.access.system import keeper_id
from teleport.api.caller import Caller
from teleport.api.recording_messages import (
    Playback,
    Recording,
    RecordingKey,
    RecordingPage,
    RecordingQuery,
    ScreenPage,
    ScreenQuery,
    WholeRecording,
)
from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.recording_archive import Archive
from teleport.auth.recording_keys import RecordingKeys
from teleport.base.errors import BadParameter, LimitExceeded, NotFound, NotSupported, TeleportError
from teleport.base.log import logger
from teleport.model.events.base import caller_fields
from teleport.model.events.recording import SessionRecordingAccess
from teleport.store.audit.log import AuditLog
from teleport.store.recordings.catalogue import Entry, check_session_id
from teleport.wire.recording_chunk import LARGEST

log = logger("AUTH")

SESSION = "session"
"""Name of recorded sessions in rules."""
PURPOSES = ("play", "download", "search")
DEFAULT_LIMIT, LARGEST_PAGE = 100, 1000
MOST_LOOKED_AT = 5000
"""Entries that one page looks at: who may see few of many gets short pages, and goes on with `next`."""


class ScreenSearch(Protocol):
    """Finds text on recorded screens."""

    async def search(self, caller: Caller, query: ScreenQuery) -> ScreenPage:
        """Return a page of hits in recordings that the caller may read."""
        ...


class Recordings:
    """Implements `api.services.recordings.Recordings`."""

    def __init__(
        self, archive: Archive, keys: RecordingKeys, audit: AuditLog, authorizer: Authorizer,
        search: ScreenSearch | None = None,
    ) -> None:  # fmt: skip
        self._archive = archive
        self._keys = keys
        self._audit = audit
        self._authorizer = authorizer
        self._search = search

    # -- for services

    async def store(self, caller: Caller, session_id: str, index: int, chunk: bytes) -> bytes:
        await self._authorizer.require(caller, "create", SESSION)
        if len(chunk) > LARGEST:
            raise LimitExceeded("API-TOO-LARGE", size=len(chunk), limit=LARGEST)
        return await self._archive.store(session_id, keeper_id(caller.known()), index, chunk)

    async def complete(self, caller: Caller, session_id: str, chunks: int, digest: bytes) -> int:
        await self._authorizer.require(caller, "create", SESSION)
        return await self._archive.complete(session_id, keeper_id(caller.known()), chunks, digest)

    async def store_whole(self, caller: Caller, recordings: Sequence[WholeRecording]) -> list[str]:
        await self._authorizer.require(caller, "create", SESSION)
        keeper, stored = keeper_id(caller.known()), list[str]()
        for each in recordings:
            try:
                await self._archive.store_whole(each.session_id, keeper, each.chunks, each.digest)
                stored.append(each.session_id)
            except TeleportError as error:
                log.debug("A recording was not stored as a whole", session=each.session_id, error=error)
        return stored

    # -- for people

    async def list(self, caller: Caller, query: RecordingQuery) -> RecordingPage:
        limit = query.limit or DEFAULT_LIMIT
        if not 0 < limit <= LARGEST_PAGE:
            raise BadParameter("AUTH-LIST-LIMIT", limit=limit, maximum=LARGEST_PAGE)
        rights = await self._authorizer.rights(caller)
        await self._authorizer.demand(rights, "list", SESSION)
        found: list[Recording] = []
        looked, cursor = 0, ""
        async for entry, cursor in _pairs(self._archive, query):
            looked += 1
            about = entry.session
            wanted = not query.user or query.user in (about.user, *about.participants)
            if wanted and rights.may("list", entry.target):
                found.append(message_of(entry))
            if len(found) == limit or looked == MOST_LOOKED_AT:
                return RecordingPage(tuple(found), cursor)
        return RecordingPage(tuple(found))

    async def frames(self, caller: Caller, session_id: str, start: int, purpose: str) -> AsyncIterator[Playback]:
        """Every part is sent, whatever `start` is: the screen of a moment is made of all that came before it."""
        if purpose not in PURPOSES:
            raise BadParameter("REC-PURPOSE", purpose=purpose[:40], known=", ".join(PURPOSES))
        rights = await self._authorizer.rights(caller)
        entry = await self.readable(rights, session_id)
        event = SessionRecordingAccess(
            sid=session_id, purpose=purpose, session_user=entry.session.user, addr_remote=rights.conditions.client_ip,
            **caller_fields(rights.identity),
        )  # fmt: skip
        await self._audit.record(event)
        yield Playback(message_of(entry), b"")
        async for frames in self._archive.chunks(session_id):
            yield Playback(None, frames)

    async def readable(self, rights: Rights, session_id: str) -> Entry:
        """Return a recording that these rights let somebody read.

        Raises AccessDenied and NotFound (POL-*) with the id of the decision.
        """
        await self._authorizer.demand(rights, "read", SESSION)
        try:
            check_session_id(session_id)
            entry = await self._archive.catalogue.get(session_id)
        except TeleportError as error:
            if not isinstance(error, NotFound) and error.code != "REC-SESSION":
                raise
            raise await self._authorizer.absent(rights, "read", SESSION, session_id) from None
        await self._authorizer.demand(rights, "read", entry.target, asked=session_id)
        return entry

    async def search(self, caller: Caller, query: ScreenQuery) -> ScreenPage:
        if self._search is None:
            raise NotSupported("REC-NO-SEARCH")
        return await self._search.search(caller, query)

    async def keys(self, caller: Caller) -> tuple[RecordingKey, ...]:
        return await self._keys.keys(caller)

    async def rotate_key(self, caller: Caller) -> tuple[RecordingKey, ...]:
        return await self._keys.rotate(caller)


def message_of(entry: Entry) -> Recording:
    """Return what people are told of a recording."""
    about = entry.session
    start = about.session_start
    stop = about.session_stop or start
    assert start is not None  # noqa: S101 - `recorded` sets both
    assert stop is not None  # noqa: S101
    return Recording(
        session_id=about.sid, kind=about.proto, user=about.user, participants=about.participants, login=about.login,
        server_id=about.server_id, hostname=about.server_hostname, start=start, stop=stop, size=about.size,
        interactive=about.interactive, command=about.command, problem=about.problem,
    )  # fmt: skip


async def _pairs(archive: Archive, query: RecordingQuery) -> AsyncIterator[tuple[Entry, str]]:
    found = archive.catalogue.newest(after=query.after, since=query.since, until=query.until)
    async for hit in found:
        yield hit.entry, hit.cursor
