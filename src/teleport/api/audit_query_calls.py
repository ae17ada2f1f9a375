"""AuditQueryCalls: queries of the audit log, and handing over a service's events, as plain async methods.

Every method raises what the server raised, Unavailable (API-UNAVAILABLE) or TimedOut (API-DEADLINE).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from teleport.api.client import AuthClient
from teleport.api.pb import audit_query_pb2 as pb
from teleport.api.services import audit_query
from teleport.api.services.audit import read_document
from teleport.api.services.audit_query import QueryPage


class AuditQueryCalls:
    """Calls about the audit log over the connection of a client."""

    def __init__(self, client: AuthClient) -> None:
        self._channel = client.channel

    async def page(self, query: str, *, limit: int = 0, after: str = "") -> QueryPage:
        """Return one page of a query's answer."""
        request = pb.AuditQueryRequest(query=query, limit=limit, after=after)
        reply = await self._channel.unary(audit_query.QUERY, request)
        return QueryPage(
            tuple(read_document(row) for row in reply.rows), reply.next, tuple(reply.columns), reply.counts
        )  # fmt: skip

    async def pages(self, query: str, *, limit: int = 0, after: str = "") -> AsyncIterator[QueryPage]:
        """Yield pages until the end of the answer."""
        while True:
            page = await self.page(query, limit=limit, after=after)
            yield page
            after = page.next
            if not after:
                return

    async def deliver(
        self, writer: str, first: int, events: Sequence[dict[str, Any]], *, after_gap: bool = False
    ) -> None:
        """Hand over events that are numbered from `first` on; returns when they are durable."""
        request = pb.DeliverRequest(
            writer=writer, first=first, events=[msgspec.json.encode(event) for event in events], after_gap=after_gap
        )  # fmt: skip
        await self._channel.unary(audit_query.DELIVER, request)
