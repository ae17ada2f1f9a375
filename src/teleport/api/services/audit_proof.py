"""AuditProof: signed checkpoints, checks against them, export for auditors, pruning."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol

import msgspec
from google.protobuf.empty_pb2 import Empty

from teleport.api.caller import ADMIN, BOT, USER, Caller
from teleport.api.messages import AuditHead, Pruned
from teleport.api.pb import audit_proof_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.times import time_of
from teleport.base.errors import BadParameter

HEAD = call("AuditProof", "Head", Empty, pb.HeadReply)
CHECK = call("AuditProof", "Check", pb.CheckRequest, pb.CheckReply, streams=True)
EXPORT = call("AuditProof", "Export", Empty, pb.ExportPiece, streams=True)
PRUNE = call("AuditProof", "Prune", pb.PruneRequest, pb.PruneReply)


class AuditProof(Protocol):
    """What the Auth Service does. Methods raise `base.errors`."""

    async def head(self, caller: Caller) -> AuditHead:
        """Return the newest checkpoint."""
        ...

    async def check(self, caller: Caller, copies: list[dict[str, Any]]) -> dict[str, Any]:
        """Check every log, and copies of checkpoints against them."""
        ...

    def export(self, caller: Caller) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield names of files and pieces of them."""
        ...

    async def prune(self, caller: Caller, before: dt.datetime, dry_run: bool) -> Pruned:
        """Remove old records."""
        ...


def methods(proof: AuditProof) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def head(caller: Caller, request: Empty) -> pb.HeadReply:
        found = await proof.head(caller)
        return pb.HeadReply(copy=msgspec.json.encode(found.copy), public_key=found.public_key)

    async def check(caller: Caller, request: pb.CheckRequest) -> AsyncIterator[pb.CheckReply]:
        report = await proof.check(caller, _copies(request.copies))
        yield pb.CheckReply(report=msgspec.json.encode(report))

    async def export(caller: Caller, request: Empty) -> AsyncIterator[pb.ExportPiece]:
        async with aclosing(proof.export(caller)) as pieces:
            async for file, data in pieces:
                yield pb.ExportPiece(file=file, data=data)

    async def prune(caller: Caller, request: pb.PruneRequest) -> pb.PruneReply:
        if not request.HasField("before"):
            raise BadParameter("API-DOCUMENT", problem="it has no time")
        done = await proof.prune(caller, time_of(request.before), request.dry_run)
        logs = [pb.PrunedLog(log=log.log, first=log.first, last=log.last) for log in done.logs]
        return pb.PruneReply(logs=logs, checkpoint=done.checkpoint)

    readers = frozenset({USER, BOT, ADMIN})
    return (
        Method(HEAD, readers, head),
        Method(CHECK, readers, check),
        Method(EXPORT, readers, export),
        Method(PRUNE, readers, prune),
    )


def _copies(data: bytes) -> list[dict[str, Any]]:
    """Read a JSON array of objects. Raises BadParameter (API-DOCUMENT)."""
    try:
        return msgspec.json.decode(data or b"[]", type=list[dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("API-DOCUMENT", problem=str(error)[:120]) from None
