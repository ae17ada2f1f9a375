"""Audit: writing, reading and checking the log of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from google.protobuf.empty_pb2 import Empty

from teleport.api.caller import ADMIN, AUTH, BOT, INSTANCE, NODE, PROXY, USER, Caller
from teleport.api.messages import EventPage, EventQuery, LogReport
from teleport.api.pb import audit_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.times import time_of
from teleport.base.errors import BadParameter

EMIT = call("Audit", "Emit", pb.EmitRequest, Empty)
SEARCH = call("Audit", "Search", pb.SearchRequest, pb.SearchReply)
VERIFY = call("Audit", "Verify", Empty, pb.VerifyReply)


class Audit(Protocol):
    """What the Auth Service does. Methods raise `base.errors`."""

    async def emit(self, caller: Caller, events: Sequence[dict[str, Any]]) -> None:
        """Store events that a service saw; returns when they are durable."""
        ...

    async def search(self, caller: Caller, query: EventQuery) -> EventPage:
        """Return a page of events."""
        ...

    async def verify(self, caller: Caller) -> tuple[LogReport, ...]:
        """Recompute every hash chain."""
        ...


def methods(audit: Audit) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def emit(caller: Caller, request: pb.EmitRequest) -> Empty:
        await audit.emit(caller, [read_document(event) for event in request.events])
        return Empty()

    async def search(caller: Caller, request: pb.SearchRequest) -> pb.SearchReply:
        page = await audit.search(caller, _query_of(request))
        return pb.SearchReply(events=[msgspec.json.encode(event) for event in page.events], next=page.next)

    async def verify(caller: Caller, request: Empty) -> pb.VerifyReply:
        reports = await audit.verify(caller)
        return pb.VerifyReply(
            logs=[pb.LogReport(log=r.log, records=r.records, digest=r.digest, problem=r.problem) for r in reports]
        )

    readers = frozenset({USER, BOT, ADMIN})
    return (
        Method(EMIT, frozenset({PROXY, NODE, AUTH, INSTANCE}), emit),
        Method(SEARCH, readers, search),
        Method(VERIFY, readers, verify),
    )


def read_document(data: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises BadParameter (API-DOCUMENT)."""
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise BadParameter("API-DOCUMENT", problem=str(error)[:120]) from None
    if not isinstance(document, dict):
        raise BadParameter("API-DOCUMENT", problem="it is not an object")
    return document


def _query_of(request: pb.SearchRequest) -> EventQuery:
    return EventQuery(
        since=time_of(request.since) if request.HasField("since") else None,
        until=time_of(request.until) if request.HasField("until") else None,
        types=tuple(request.types), user=request.user, text=request.text,
        limit=request.limit, after=request.after, descending=request.descending,
    )  # fmt: skip
