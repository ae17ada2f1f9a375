"""Queries of the audit log: from the words of a query to a page of rows, with bounded work for each page.

What a query demands of every event (times, names, user, a text) goes to the search as filters, which an index
answers; the whole condition decides about each event that comes back. A page ends when it is full or when its share of
the work is done; the continuation says where to go on, how much of LIMIT is left, and which moment `now()` is.

The language is loaded with the first query: most processes never see one.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from teleport.api.caller import Caller
from teleport.api.rpc import LARGEST_MESSAGE
from teleport.api.services.audit_query import QueryPage
from teleport.auth.audit import EVENT
from teleport.auth.authorize import Authorizer
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Hit, Query

if TYPE_CHECKING:
    from teleport.model.event_query import EventQuery

PAGE, LARGEST_PAGE = 100, 1000
COUNTED = 5000
"""Events that one page counts at most."""
STEPS = 10
"""Reads of the log (500 events) or the index (200 candidates) in one page."""
_ROOM = LARGEST_MESSAGE // 2


class _Token(msgspec.Struct, array_like=True):
    """A continuation of a query."""

    left: Annotated[int, msgspec.Meta(ge=0)]
    """Rows that LIMIT still allows; 0: it is not limited."""
    now: dt.datetime
    position: str


class AuditQueries:
    """Implements `api.services.audit_query.AuditQuery`."""

    def __init__(self, trail: AuditLog, authorizer: Authorizer, clock: Clock) -> None:
        self._trail = trail
        self._authorizer = authorizer
        self._clock = clock

    async def query(self, caller: Caller, text: str, limit: int, after: str) -> QueryPage:
        """Return a page of rows. Raises BadParameter (EVENT-QUERY, STORE-AUDIT-CONTINUE), AccessDenied."""
        from teleport.model.event_query_parser import parse

        rights = await self._authorizer.rights(caller)
        for verb in ("list", "read"):
            await self._authorizer.demand(rights, verb, EVENT)
        asked = parse(text)
        token = _unpack(after) if after else _Token(asked.limit, self._clock.now(), "")
        most = COUNTED if asked.counts else max(min(limit or PAGE, LARGEST_PAGE), 1)
        if token.left and not asked.counts:
            most = min(most, token.left)
        hits, position = await self._find(asked, token, most)
        if asked.counts:
            return QueryPage(_counted(asked, hits), _pack(token, position, 0), asked.columns, counts=True)
        rows = tuple(asked.show(_document(hit)) for hit in hits)
        done = bool(token.left) and token.left <= len(rows)
        return QueryPage(rows, "" if done else _pack(token, position, len(rows)), asked.columns)

    async def _find(self, asked: EventQuery, token: _Token, most: int) -> tuple[list[Hit], str]:
        from teleport.model.event_query import bounds, holds

        known, now, condition = bounds(asked, token.now), token.now, asked.where
        while True:
            query = Query(
                since=known.since, until=known.until, types=known.types, user=known.user, text=known.text,
                newest_first=asked.descending, limit=most, continuation=token.position, steps=STEPS,
                where=None if condition is None else lambda data: holds(condition, _read(data), now),
            )  # fmt: skip
            hits, position = await self._trail.find(query)
            if asked.counts or most == 1 or sum(len(hit.record.data) for hit in hits) < _ROOM:
                return hits, position
            most = max(most // 2, 1)  # a page has to fit into a message


def _counted(asked: EventQuery, hits: Sequence[Hit]) -> tuple[dict[str, Any], ...]:
    from teleport.model.event_query import find

    if not asked.group:
        return ({"count": len(hits)},)
    counts = Counter(_key(find(_document(hit), asked.group)) for hit in hits)
    return tuple({asked.group: msgspec.json.decode(key), "count": count} for key, count in counts.most_common())


def _key(value: Any) -> bytes:
    """Lists and objects are values to count as well."""
    return msgspec.json.encode(value, order="deterministic")


def _document(hit: Hit) -> dict[str, Any]:
    return _read(hit.record.data)


def _read(data: bytes) -> dict[str, Any]:
    """Read a record; a damaged one has no fields."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _pack(token: _Token, position: str, shown: int) -> str:
    if not position:
        return ""
    following = _Token(token.left - shown if token.left else 0, token.now, position)
    return base64.urlsafe_b64encode(msgspec.json.encode(following)).decode().rstrip("=")


def _unpack(after: str) -> _Token:
    try:
        data = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
        token = msgspec.json.decode(data, type=_Token)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise BadParameter("STORE-AUDIT-CONTINUE", continuation=after[:60]) from None
    if token.now.tzinfo is None:
        raise BadParameter("STORE-AUDIT-CONTINUE", continuation=after[:60])
    return token
