"""Bundles: short recordings that have ended, sent several in one call.

A command that says little leaves a recording of two chunks. Sent one by one they take three calls, which cost the Auth
Service more than the command costs the node. What cannot be sent in this way goes as every other recording does,
and that says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from teleport.agents.recording.spool import SUFFIX, Spool
from teleport.api.recording_messages import WholeRecording
from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.wire import recording_chunk as chunks
from teleport.wire.buffer import NeedMore

log = logger("NODE")

LARGEST = 64 * 1024
"""Bytes of a recording that counts as short."""
MOST = 16
"""Recordings of one call: one megabyte at most."""
PAUSE = 0.5
"""Seconds without a further recording after which those that wait are sent."""
LINGER = 5.0
"""Seconds that a recording waits for others at most."""

StoreWhole = Callable[[list[WholeRecording]], Awaitable[set[str]]]
"""Store recordings; return the sessions of which that is done."""


class Bundles:
    """Recordings that wait to be sent together."""

    def __init__(
        self, spool: Spool, store: StoreWhole, *, stored: Callable[[str], None], refused: Callable[[str], None],
        turn: Callable[[], Awaitable[None]], linger: float = LINGER,
    ) -> None:  # fmt: skip
        """`stored` and `refused` are told what became of each session's; `turn` waits until something may be sent."""
        self._spool = spool
        self._store = store
        self._stored, self._refused = stored, refused
        self._turn = turn
        self._linger = linger
        self._waiting: dict[str, int] = {}
        self._taken = 0
        """Grows with each that is taken."""
        self._some = asyncio.Event()

    def add(self, session_id: str, size: int) -> None:
        """Take a recording of so many bytes, which grows no more."""
        self._waiting[session_id] = size
        self._taken += 1
        self._some.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._some.wait()
            await tasks.lull(lambda: self._taken, pause=min(PAUSE, self._linger), most=self._linger)
            self._some.clear()
            while self._waiting:
                await self._turn()
                await self._send({sid: self._waiting.pop(sid) for sid in list(self._waiting)[:MOST]})

    async def _send(self, sizes: dict[str, int]) -> None:
        done: set[str] = set()
        try:
            done = await self._store(await self._spool.run(self._read, sizes)) & sizes.keys()
            await self._spool.run(self._remove, done)
        except TeleportError as error:
            log.debug("Recordings were not stored together", error=error)
        except Exception as error:  # a defect must not end the sending of all others
            log.error("Recordings were not stored together", error=error)
        for sid in sizes:
            (self._stored if sid in done else self._refused)(sid)

    def _read(self, sizes: dict[str, int]) -> list[WholeRecording]:
        """Read what is sound. Blocking."""
        found = list[WholeRecording]()
        for sid, size in sizes.items():
            try:
                data, parts, digest = self._spool.folder.read(sid + SUFFIX, 0, size), list[bytes](), b""
                while data:
                    chunk = chunks.parse(data)
                    parts.append(data[: chunk.head.size])
                    data, digest = data[chunk.head.size :], chunk.digest
            except (TeleportError, NeedMore):
                continue
            found.append(WholeRecording(sid, tuple(parts), digest))
        return found

    def _remove(self, session_ids: set[str]) -> None:
        for sid in session_ids:
            self._spool.folder.remove(sid + SUFFIX)
