"""Decisions: denials kept for explanation, and what would be decided now."""

from __future__ import annotations

from typing import Protocol

import msgspec

from teleport.api.caller import ADMIN, AUTH, BOT, INSTANCE, NODE, PROXY, USER, Caller
from teleport.api.messages import Decision, Verdict
from teleport.api.pb import decisions_pb2 as pb
from teleport.api.rpc import Method, call

RECORD = call("Decisions", "Record", pb.RecordRequest, pb.RecordReply)
EXPLAIN = call("Decisions", "Explain", pb.ExplainRequest, pb.Decision)
CAN = call("Decisions", "Can", pb.CanRequest, pb.CanReply)


class Decisions(Protocol):
    """What the Auth Service does. Methods raise `base.errors`."""

    async def record(self, caller: Caller, record: bytes, client_address: str) -> str:
        """Keep a denial that a service made; return its id."""
        ...

    async def explain(self, caller: Caller, id: str) -> Decision:
        """Return a kept denial with its reasons."""
        ...

    async def can(self, caller: Caller, user: str, login: str, node: str) -> Verdict:
        """Decide whether `user` could sign in to `node` as `login` now."""
        ...


def methods(decisions: Decisions) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def record(caller: Caller, request: pb.RecordRequest) -> pb.RecordReply:
        return pb.RecordReply(id=await decisions.record(caller, request.denial, request.client_address))

    async def explain(caller: Caller, request: pb.ExplainRequest) -> pb.Decision:
        found = await decisions.explain(caller, request.id)
        return pb.Decision(
            id=found.id, denial=msgspec.json.encode(found.denial), count=found.count,
            first_seen=found.first_seen, last_seen=found.last_seen, reporter=found.reporter,
        )  # fmt: skip

    async def can(caller: Caller, request: pb.CanRequest) -> pb.CanReply:
        verdict = await decisions.can(caller, request.user, request.login, request.node)
        return pb.CanReply(granted=verdict.granted, decision=msgspec.json.encode(verdict.decision))

    readers = frozenset({USER, BOT, ADMIN})
    return (
        Method(RECORD, frozenset({PROXY, NODE, AUTH, INSTANCE}), record),
        Method(EXPLAIN, readers, explain),
        Method(CAN, readers, can),
    )
