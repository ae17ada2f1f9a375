"""AuditQuery: finding events in words, and taking events that services kept while the Auth Service was away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from google.protobuf.empty_pb2 import Empty

from teleport.api.caller import ADMIN, AUTH, BOT, INSTANCE, NODE, PROXY, USER, Caller
from teleport.api.pb import audit_query_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.services.audit import read_document

QUERY = call("AuditQuery", "Query", pb.AuditQueryRequest, pb.AuditQueryReply)
DELIVER = call("AuditQuery", "Deliver", pb.DeliverRequest, Empty)


@dataclass(frozen=True, slots=True)
class QueryPage:
    """A part of the answer to a query."""

    rows: tuple[dict[str, Any], ...]
    next: str = ""
    """For the next page; empty at the end. A page may be empty without being the last."""
    columns: tuple[str, ...] = ()
    """Names of the columns in order; empty for `*`."""
    counts: bool = False
    """Whether rows are counts of this part of the log, to be added up."""


class AuditQuery(Protocol):
    """Answers queries. Raises `base.errors`."""

    async def query(self, caller: Caller, text: str, limit: int, after: str) -> QueryPage:
        """Return a page of rows."""
        ...


class Delivery(Protocol):
    """Takes numbered events."""

    async def deliver(
        self, caller: Caller, writer: str, first: int, events: Sequence[dict[str, Any]], *, after_gap: bool = False
    ) -> None:
        """Store each event once; returns when they are durable."""
        ...


def methods(queries: AuditQuery, delivery: Delivery) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def query(caller: Caller, request: pb.AuditQueryRequest) -> pb.AuditQueryReply:
        page = await queries.query(caller, request.query, request.limit, request.after)
        rows = [msgspec.json.encode(row) for row in page.rows]
        return pb.AuditQueryReply(rows=rows, next=page.next, columns=page.columns, counts=page.counts)

    async def deliver(caller: Caller, request: pb.DeliverRequest) -> Empty:
        events = [read_document(event) for event in request.events]
        await delivery.deliver(caller, request.writer, request.first, events, after_gap=request.after_gap)
        return Empty()

    return (
        Method(QUERY, frozenset({USER, BOT, ADMIN}), query),
        Method(DELIVER, frozenset({PROXY, NODE, AUTH, INSTANCE}), deliver),
    )
