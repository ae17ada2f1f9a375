"""Search over recorded screens: who may read a recording is asked first, then whether the text stood there.

Only recordings that the caller may list and read are looked at, so neither hits, nor counts, nor the time that an
answer takes say anything of others. A page ends at its limit, or when it has looked at so many recordings
or for so long that somebody else should have a turn; `next` goes on. Each page is in the audit log before
it is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from teleport.api.caller import Caller
from teleport.api.recording_messages import Recording, RecordingQuery, ScreenHit, ScreenPage, ScreenQuery
from teleport.auth.authorize import Authorizer
from teleport.auth.recording_index_key import IndexKey
from teleport.base.errors import BadParameter, TeleportError
from teleport.base.log import logger
from teleport.model.events.base import caller_fields
from teleport.model.events.recording_search import SessionRecordingSearch
from teleport.model.resource import Resource
from teleport.store.audit.log import AuditLog
from teleport.store.recordings import index_file
from teleport.store.recordings.index_filter import Question
from teleport.store.recordings.index_lines import Hit, find, holds
from teleport.store.recordings.index_shelf import IndexShelf

log = logger("AUTH")

SESSION = "session"
"""Name of recorded sessions in rules."""
LONGEST_TEXT = 200
DEFAULT_LIMIT, LARGEST_PAGE = 50, 1000
OF_ONE = 20
"""Hits of one recording: the earliest."""
MOST_LOOKED_AT = 5000
PATIENCE = 0.25
"""Seconds that one page takes; what is under way then is finished. Texts that no filter excludes take more pages."""
LONGEST_LINE = 500
"""Characters of a line that are shown, around the text."""
_TOGETHER = 256


class Known(NamedTuple):
    """A complete recording in the order of the list."""

    recording: Recording
    target: Resource[Any]
    """As decisions see it."""
    cursor: str
    """Where the list goes on after it."""


class Found(NamedTuple):
    """What was found in one recording."""

    hits: Sequence[Hit]
    indexed: bool


class Library(Protocol):
    """The list of recordings."""

    def __call__(self, query: RecordingQuery) -> AsyncIterator[Known]:
        """Yield complete recordings, the newest first, after `query.after`, within its times."""
        ...


class RecordingSearch:
    """Finds text on screens."""

    def __init__(
        self, library: Library, shelf: IndexShelf, key: IndexKey, audit: AuditLog, authorizer: Authorizer,
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        """`clock`: seconds, steady."""
        self._library, self._shelf, self._key = library, shelf, key
        self._audit, self._authorizer, self._clock = audit, authorizer, clock

    async def search(self, caller: Caller, query: ScreenQuery) -> ScreenPage:
        """Return a page of hits, recordings newest first, the hits of each in the order of time.

        Raises AccessDenied (POL-*), BadParameter (INDEX-TEXT, AUTH-LIST-LIMIT) and what the key raises.
        """
        limit = query.limit or DEFAULT_LIMIT
        if not 0 < limit <= LARGEST_PAGE:
            raise BadParameter("AUTH-LIST-LIMIT", limit=limit, maximum=LARGEST_PAGE)
        check_text(query.text)
        rights = await self._authorizer.rights(caller)
        for verb in ("list", "read"):
            await self._authorizer.demand(rights, verb, SESSION)
        key = await self._key.get()
        allowed = self._allowed(query, lambda target: rights.shows(("list", "read"), target))
        page = await self._page(allowed, Question(query.text), query.text, key, limit)
        sessions = tuple(dict.fromkeys(hit.recording.session_id for hit in page.hits))
        await self._audit.record(
            SessionRecordingSearch(
                text=query.text, found=len(page.hits), sessions=sessions, after=query.after[:100],
                addr_remote=rights.conditions.client_ip, **caller_fields(rights.identity),
            )
        )  # fmt: skip
        return page

    async def _allowed(
        self, query: ScreenQuery, may: Callable[[Resource[Any]], bool]
    ) -> AsyncIterator[tuple[Known, bool]]:  # fmt: skip
        """Yield what is listed, and whether it may be looked at."""
        async for known in self._library(query):
            recording = known.recording
            wanted = not query.user or query.user in (recording.user, *recording.participants)
            yield known, wanted and may(known.target)

    async def _page(
        self, allowed: AsyncIterator[tuple[Known, bool]], question: Question, text: str, key: bytes, limit: int
    ) -> ScreenPage:  # fmt: skip
        ends = self._clock() + PATIENCE
        hits: list[ScreenHit] = []
        unindexed, looked, cursor = 0, 0, ""
        async with contextlib.aclosing(_portions(allowed)) as portions:
            async for portion in portions:
                wanted = [known for known, may in portion if may]
                found = await asyncio.to_thread(self._look, wanted, question, text, key, limit - len(hits), ends)
                for known, result in zip(wanted, found, strict=False):
                    hits += (_told(known.recording, hit, text) for hit in result.hits[: limit - len(hits)])
                    unindexed += not result.indexed
                    cursor = known.cursor
                looked += len(portion)
                if len(found) < len(wanted):
                    return ScreenPage(tuple(hits), cursor, unindexed)
                cursor = portion[-1][0].cursor
                if looked >= MOST_LOOKED_AT or len(hits) >= limit or self._clock() >= ends:
                    return ScreenPage(tuple(hits), cursor, unindexed)
        return ScreenPage(tuple(hits), "", unindexed)

    def _look(
        self, wanted: Sequence[Known], question: Question, text: str, key: bytes, limit: int, ends: float
    ) -> list[Found]:  # fmt: skip
        """Look into these recordings, at least into one, as far as limit and time allow."""
        found: list[Found] = []
        count = 0
        for known in wanted:
            found.append(self._in_one(known.recording.session_id, question, text, key))
            count += len(found[-1].hits)
            if count >= limit or self._clock() >= ends:
                break
        return found

    def _in_one(self, session_id: str, question: Question, text: str, key: bytes) -> Found:
        try:
            bits = self._shelf.filter(session_id, key)
            if bits is None or not question.possible(bits):
                return Found((), indexed=bits is not None)
            sealed = self._shelf.sealed(session_id)
            shown = index_file.open_text(sealed, key)
            if not holds(shown, text):
                return Found((), indexed=True)
            return Found(find(index_file.open_lines(sealed, key, shown), text, limit=OF_ONE), indexed=True)
        except TeleportError as error:
            if error.code != "DISK-MISSING":
                log.warn("The index of a recording cannot be read", session=session_id, error=error)
            return Found((), indexed=False)


def check_text(text: str) -> None:
    """Raise BadParameter (INDEX-TEXT) for what can stand in no line."""
    problem = "it is empty" if not text.strip() else ""
    if len(text) > LONGEST_TEXT:
        problem = f"it has {len(text)} characters"
    elif any(char < " " or "\x7f" <= char <= "\x9f" for char in text):
        problem = "it has a line break or another control character"
    if problem:
        raise BadParameter("INDEX-TEXT", problem=problem, limit=LONGEST_TEXT)


async def _portions(
    allowed: AsyncIterator[tuple[Known, bool]],
) -> AsyncGenerator[list[tuple[Known, bool]], None]:
    portion: list[tuple[Known, bool]] = []
    async for entry in allowed:
        portion.append(entry)
        if len(portion) == _TOGETHER:
            yield portion
            portion = []
    if portion:
        yield portion


def _told(recording: Recording, hit: Hit, text: str) -> ScreenHit:
    """Return a hit with as much of its line as is shown."""
    line = hit.line
    if len(line) > LONGEST_LINE:
        place = max(line.lower().find(text.lower()), 0)
        start = max(place - LONGEST_LINE // 4, 0)
        line = line[start : start + LONGEST_LINE]
    return ScreenHit(recording, hit.at, hit.last, line)
