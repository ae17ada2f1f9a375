"""AuditProof: makes checkpoints of the audit log as time goes by, and shows, checks, exports and prunes it.

Every checkpoint is also one line of the program's log with all that a copy needs: whatever collects that log is the
witness outside. What is checked and how is `base.audit_verify`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from teleport.api.caller import Caller
from teleport.api.messages import AuditHead, Pruned, PrunedLog
from teleport.auth.audit import EVENT
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer
from teleport.base.audit_verify import canonical
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, TeleportError
from teleport.base.log import logger
from teleport.model.events.audit import AuditPrune
from teleport.model.events.base import caller_fields
from teleport.pki.authority import audit_signer
from teleport.pki.signer import Signer
from teleport.store.audit import verify
from teleport.store.audit.checkpoint import Checkpoint, Checkpoints, Signed
from teleport.store.audit.export import pieces
from teleport.store.audit.log import AuditLog
from teleport.store.audit.prune import Plan, plan
from teleport.store.audit.prune import prune as remove
from teleport.store.backend import Append, Backend, LogReader

log = logger("AUDIT")

EVERY = 60.0
"""Seconds between checkpoints while something is appended."""
EVENTS = 1000
"""Events after which one is made at once."""
LONGEST_LINE = 16384
"""Characters of a checkpoint that still stands whole in a line of the log; of a longer one number and digest do."""
MOST_FINDINGS = 1000
"""Findings that one answer has room for."""


class AuditProof:
    """Implements `api.services.audit_proof.AuditProof`, and makes checkpoints while it `run`s."""

    def __init__(
        self,
        backend: Backend,
        trail: AuditLog,
        authorizer: Authorizer,
        authorities: Authorities,
        signer: Signer,
        clock: Clock,
        cluster: str,
    ) -> None:
        self._backend, self._trail, self._authorizer = backend, trail, authorizer
        self._authorities, self._signer, self._clock, self._cluster = authorities, signer, clock, cluster
        self._checkpoints = Checkpoints(backend, clock, cluster, self._sign)
        self._events, self._due, self._runs = 0, asyncio.Event(), False
        self._checking, self._pruning = asyncio.Lock(), asyncio.Lock()
        trail.appended = self._count

    def _count(self) -> None:
        self._events += 1
        if self._events >= EVENTS:
            self._due.set()

    async def _sign(self, document: bytes) -> Signed:
        key = audit_signer(await self._authorities.own("audit"))
        return Signed(key.public, await self._signer.sign(key.key_id, document))

    async def run(self) -> None:
        """Make a checkpoint now, every minute and after every thousand events, until cancelled. A minute without
        events costs one look at where the logs end."""
        self._runs = True
        while True:
            await self.note()
            try:
                async with asyncio.timeout(EVERY):
                    await self._due.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Make a last checkpoint, of what was appended while everything else ended."""
        if self._runs:
            await self.note()

    async def note(self) -> None:
        """Make a checkpoint if something was appended; what hinders it is told to the log."""
        try:
            await self._make()
        except TeleportError as error:
            log.error("No checkpoint of the audit log could be made", error=error)

    async def _make(self) -> None:
        self._events = 0
        self._due.clear()
        made = await self._checkpoints.make()
        if made is not None:
            log.info("Audit checkpoint", **_fields(made))

    async def head(self, caller: Caller) -> AuditHead:
        await self._may_read(caller)
        await self._make()
        newest = await self._checkpoints.newest()
        key = audit_signer(await self._authorities.own("audit")).public
        return AuditHead(newest.copy() if newest is not None else {}, key)

    async def check(self, caller: Caller, copies: list[dict[str, Any]]) -> dict[str, Any]:
        await self._may_read(caller)
        read = _read(copies)
        over = threading.Event()
        async with self._checking:  # one at a time: each keeps a core busy
            try:
                report = await self._backend.inspect(_Work(read, over))
            finally:
                over.set()
        document = report.document()
        document["findings"] = document["findings"][:MOST_FINDINGS]
        return document

    async def export(self, caller: Caller) -> AsyncGenerator[tuple[str, bytes], None]:
        await self._may_read(caller)
        await self._make()
        async with aclosing(pieces(self._backend, self._cluster, self._clock.now())) as files:
            async for piece in files:
                yield piece.file, piece.data

    async def prune(self, caller: Caller, before: dt.datetime, dry_run: bool) -> Pruned:
        await self._authorizer.require(caller, "delete", EVENT)
        async with self._pruning:
            if dry_run:
                found = await self._backend.inspect(lambda reader: plan(reader, before))
            else:
                found = await remove(self._backend, before, lambda plan: self._event(caller, plan, before))
        logs = tuple(PrunedLog(name, *ends) for name, ends in sorted(found.removed.items()))
        return Pruned(logs, found.checkpoint)

    def _event(self, caller: Caller, plan: Plan, before: dt.datetime) -> Append:
        fields = caller_fields(caller.known())
        told = AuditPrune(
            before=before, checkpoint=plan.checkpoint, records=plan.records, logs=plan.cuts,
            addr_remote=caller.ip, **fields,
        )  # fmt: skip
        return self._trail.op(told)

    async def _may_read(self, caller: Caller) -> None:
        rights = await self._authorizer.rights(caller)
        for verb in ("list", "read"):
            await self._authorizer.demand(rights, verb, EVENT)


class _Work:
    """A check, which ends when nobody waits for it any more."""

    def __init__(self, copies: list[dict[str, Any]], over: threading.Event) -> None:
        self._copies, self._over = copies, over

    def __call__(self, reader: LogReader) -> verify.Report:
        return verify.check(reader, self._copies, self._over.is_set)


def _fields(made: Checkpoint) -> dict[str, object]:
    copy = made.copy()
    text = canonical(copy.pop("checkpoint")).decode()
    return {**copy, "checkpoint": text} if len(text) <= LONGEST_LINE else copy


def _read(copies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return copies in the form that a check relies on. Raises BadParameter (API-DOCUMENT)."""
    for copy in copies:
        texts = all(isinstance(copy.get(name), str) for name in ("digest", "signature"))
        document = copy.get("checkpoint", {})
        heads = document.get("logs", {}) if isinstance(document, dict) else None
        whole = isinstance(heads, dict) and all(_is_head(head) for head in heads.values())
        keyed = not document or isinstance(copy.get("key"), str)
        if not texts or not whole or not keyed or type(copy.get("number")) is not int:
            raise BadParameter("API-DOCUMENT", problem="it is not a copy of a checkpoint")
    return copies


def _is_head(head: object) -> bool:
    return isinstance(head, dict) and type(head.get("sequence")) is int and isinstance(head.get("digest"), str)
