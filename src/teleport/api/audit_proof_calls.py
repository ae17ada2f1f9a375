"""Calls about the proof of the audit log, as `AuthClient.audit_proof` offers them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from google.protobuf.empty_pb2 import Empty

from teleport.api.messages import AuditHead, Pruned, PrunedLog
from teleport.api.pb import audit_proof_pb2 as pb
from teleport.api.rpc import Channel
from teleport.api.services import audit_proof
from teleport.api.services.audit import read_document
from teleport.base.errors import Unavailable

_ROOM = 3 << 20
"""Bytes of copies in one message; what each says of the logs is left out of the older ones first."""
_PATIENCE = 55.0


class AuditProofCalls:
    """The methods of the service, over the channel of a client."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def head(self) -> AuditHead:
        """Return the newest checkpoint, and the key that signed it."""
        reply = await self._channel.unary(audit_proof.HEAD, Empty())
        return AuditHead(read_document(reply.copy), reply.public_key)

    async def check(self, copies: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """Let the server check every log, and `copies` of checkpoints against them."""
        request = pb.CheckRequest(copies=_fitting(copies))
        async with aclosing(self._channel.stream(audit_proof.CHECK, request)) as replies:
            async for reply in replies:
                return read_document(reply.report)
        raise Unavailable("API-UNAVAILABLE", problem="the check ended without a report")

    async def export(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield names of files and pieces of them, in order."""
        async with aclosing(self._channel.stream(audit_proof.EXPORT, Empty())) as pieces:
            async for piece in pieces:
                yield piece.file, piece.data

    async def prune(self, before: dt.datetime, *, dry_run: bool = False) -> Pruned:
        """Remove what a checkpoint from before `before` saw, or only say what that is."""
        reply = await self._channel.unary(
            audit_proof.PRUNE, pb.PruneRequest(before=before, dry_run=dry_run), timeout=_PATIENCE
        )
        return Pruned(tuple(PrunedLog(log.log, log.first, log.last) for log in reply.logs), reply.checkpoint)


def _fitting(copies: Sequence[dict[str, Any]]) -> bytes:
    """Write copies into one message: of the newest everything, of older ones at least number, digest, signature."""
    newest_first = sorted(copies, key=lambda copy: int(copy["number"]), reverse=True)
    kept, size = [], 0
    for copy in newest_first:
        whole = msgspec.json.encode(copy)
        brief = msgspec.json.encode({name: copy[name] for name in ("number", "digest", "signature")})
        chosen = whole if size + len(whole) < _ROOM else brief
        if size + len(chosen) >= _ROOM + (1 << 19):
            break
        kept.append(chosen)
        size += len(chosen) + 1
    return b"[" + b",".join(kept) + b"]"
