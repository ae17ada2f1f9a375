"""Checkpoints: signed statements of where every log ended at a moment, in a log of their own.

A checkpoint counts on from the one before and carries its digest, so that they are a chain like the logs. Each is
committed under the condition that nobody else made one meanwhile: however many processes try, there is one chain.
Not here: when they are made and who hears of them (`auth.audit_proof`), how they are checked (`base.audit_verify`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from teleport.base.audit_verify import CHECKPOINTS, START, canonical
from teleport.base.clock import Clock
from teleport.base.errors import AlreadyExists, CompareFailed, NotFound, Unavailable
from teleport.model.events.base import rfc3339
from teleport.store.backend import Absent, Append, At, Backend, Condition, Put, Record

PLACE = "/audit_proof/checkpoint"
"""Key of the item under whose revision checkpoints are committed, one after the other."""
_ATTEMPTS = 8


class Signed(NamedTuple):
    """A signature and the key that made it (32 bytes)."""

    key: bytes
    signature: bytes


Sign = Callable[[bytes], Awaitable[Signed]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as it is stored."""

    document: dict[str, Any]
    """What was signed: cluster, number, time, previous, logs."""
    key: str
    """SHA-256 of the public key, in hexadecimal digits."""
    signature: str
    """Base64."""

    @property
    def number(self) -> int:
        """Counted from 1."""
        return int(self.document["number"])

    @property
    def digest(self) -> str:
        """SHA-256 of what was signed."""
        return hashlib.sha256(canonical(self.document)).hexdigest()

    def encode(self) -> bytes:
        """Return what is stored."""
        return canonical({"checkpoint": self.document, "key": self.key, "signature": self.signature})

    def copy(self) -> dict[str, Any]:
        """Return everything that a copy kept elsewhere has."""
        return {
            "number": self.number, "time": self.document["time"], "digest": self.digest, "key": self.key,
            "signature": self.signature, "checkpoint": self.document,
        }  # fmt: skip


class _Stored(msgspec.Struct):
    checkpoint: dict[str, Any]
    key: str
    signature: str


def decode(data: bytes) -> Checkpoint | None:
    """Read what is stored; None for what is no checkpoint."""
    try:
        stored = msgspec.json.decode(data, type=_Stored)
        found = Checkpoint(stored.checkpoint, stored.key, stored.signature)
        return found if found.number > 0 and isinstance(found.document["logs"], dict) else None
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return None


class Checkpoints:
    """Makes checkpoints and finds the newest."""

    def __init__(self, backend: Backend, clock: Clock, cluster: str, sign: Sign) -> None:
        self._backend, self._clock, self._cluster, self._sign = backend, clock, cluster, sign
        self._turn = asyncio.Lock()

    async def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint; None before the first."""
        return _newest(await self._backend.logs())

    async def make(self) -> Checkpoint | None:
        """Sign where every log ends now and store that; None when nothing was appended since the last.

        Raises what signing and storing raise, and Unavailable (STORE-AUDIT-BUSY).
        """
        async with self._turn:
            for _ in range(_ATTEMPTS):
                when = await self._condition()  # before the heads are read: who was faster makes the commit fail
                heads = await self._backend.logs()
                logs = {
                    head.log: {"sequence": head.sequence, "digest": head.digest.hex()}
                    for head in heads
                    if head.log != CHECKPOINTS
                }
                last = _newest(heads)
                if not logs or (last is not None and last.document["logs"] == logs):
                    return None
                made = await self._signed(_number(heads), last, logs)
                try:
                    await self._backend.commit(
                        Put(PLACE, str(made.number).encode(), when=when), Append(CHECKPOINTS, made.encode())
                    )
                except (AlreadyExists, CompareFailed, NotFound):
                    continue
                return made
        raise Unavailable("STORE-AUDIT-BUSY", attempts=_ATTEMPTS)

    async def _condition(self) -> Condition:
        try:
            return At((await self._backend.get(PLACE)).revision)
        except NotFound:
            return Absent()

    async def _signed(self, number: int, last: Checkpoint | None, logs: dict[str, Any]) -> Checkpoint:
        document = {
            "cluster": self._cluster, "number": number, "time": rfc3339(self._clock.now()), "logs": logs,
            "previous": last.digest if last is not None else START.hex(),
        }  # fmt: skip
        key, signature = await self._sign(canonical(document))
        return Checkpoint(document, hashlib.sha256(key).hexdigest(), base64.b64encode(signature).decode())


def _newest(heads: Sequence[Record]) -> Checkpoint | None:
    return next((decode(head.data) for head in heads if head.log == CHECKPOINTS), None)


def _number(heads: Sequence[Record]) -> int:
    return next((head.sequence + 1 for head in heads if head.log == CHECKPOINTS), 1)
