"""The uploader: sends recordings from the spool to the Auth Service, and removes what has arrived.

Chunks go as they become durable, also while the session runs, so that the loss of a node loses little. A session that
waits for the Auth Service (`sync`) sends them at once. Any other running one sends one in `PACE` seconds, and all
together send no more than `RATE`: sending costs more computing than recording does, and sessions shall not wait for it.
Short ones that end before their first turn go together (`bundles`). A file is removed after the Auth Service has said
that the whole recording is stored. What lies in the spool at the start is what a crash has left: it is sent as far as
it is whole. What can never be stored is set aside, and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from teleport.agents.recording.bundles import LARGEST, Bundles
from teleport.agents.recording.spool import SUFFIX, Spool
from teleport.api.recording_messages import WholeRecording
from teleport.base.entropy import Entropy
from teleport.base.errors import Internal, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.model.events.base import Event
from teleport.model.events.recording import RecordingSetAside
from teleport.wire import recording_chunk as chunks
from teleport.wire.buffer import NeedMore, ProtocolError

log = logger("NODE")

MOST = 10
"""Recordings that are sent at a time."""
PACE = 2.0
"""Seconds between chunks of a running session."""
RATE = 8 * 1024 * 1024
"""Bytes a second that are sent of all recordings together: a fifth of a processor, and not what sessions need."""
_BACKOFF = Backoff(first=1.0, most=60.0)
_FINAL = frozenset(
    {"WIRE-CHUNK", "WIRE-RECORDING", "PKI-RECORDING", "REC-DIFFERS", "REC-CLOSED", "REC-NOT-YOURS", "REC-TOO-LARGE",
     "REC-SESSION"}
)  # fmt: skip
"""Errors that will be the same however often it is tried."""
_FROM_THE_START = frozenset({"REC-GAP", "REC-INCOMPLETE"})
"""Errors that say that the Auth Service has less than we thought."""


class Archive(Protocol):
    """The Auth Service as it is needed here (`api.recording_calls.RecordingCalls`)."""

    async def store(self, session_id: str, index: int, chunk: bytes) -> bytes: ...

    async def complete(self, session_id: str, chunks: int, digest: bytes) -> int: ...

    async def store_whole(self, whole: Sequence[WholeRecording]) -> set[str]: ...


class _Upload:
    """One recording on its way."""

    def __init__(self, session_id: str, waits: Iterator[float]) -> None:
        self.session_id = session_id
        self.durable = 0
        """Bytes of the file that may be sent."""
        self.ended = False
        """Whether the file grows no more."""
        self.queued = False
        self.busy = False
        """Whether it is being worked on: one chunk goes after the other."""
        self.damaged = False
        """Whether something that is no torn end follows what can be sent: the file is kept then."""
        self.timer: asyncio.TimerHandle | None = None
        self.alone = False
        """Whether it does not go with others."""
        self.urgent = False
        """Whether its session waits for what is sent."""
        self.moved = asyncio.Event()
        """Set with every chunk that has arrived."""
        self.waits = waits
        self.restart()

    def restart(self) -> None:
        """Begin again with the first chunk."""
        self.sent, self.count, self.digest = 0, 0, chunks.START

    @property
    def bundled(self) -> bool:
        """Whether it is short, whole and not begun to be sent."""
        return self.ended and not self.alone and not self.sent and 0 < self.durable <= LARGEST

    @property
    def due(self) -> bool:
        """Whether something can be done now."""
        return self.ended or self.sent < self.durable


class Uploader:
    """Sends what is in the spool."""

    def __init__(
        self, spool: Spool, archive: Archive, *, emit: Callable[[Event], Awaitable[None]], entropy: Entropy,
        pace: float = PACE, rate: float = RATE, backoff: Backoff = _BACKOFF,
    ) -> None:  # fmt: skip
        self._spool = spool
        self._archive = archive
        self._emit = emit
        self._entropy = entropy
        self._pace = pace
        self._rate = rate
        self._free_at = 0.0
        self._backoff = backoff
        self._uploads: dict[str, _Upload] = {}
        self._bundles = Bundles(
            spool, archive.store_whole, stored=self._stored, refused=self._alone, turn=self._turn
        )  # fmt: skip
        self._queue: asyncio.Queue[_Upload] = asyncio.Queue()  # holds each upload once at most

    @property
    def waiting(self) -> int:
        """Recordings that are not all stored yet."""
        return len(self._uploads)

    # -- from running sessions

    def grown(self, session_id: str, durable: int) -> None:
        """Take note that so many bytes of a recording are durable."""
        upload = self._of(session_id)
        begins, upload.durable = not upload.durable, durable
        if begins:
            self._again(upload, self._pace)  # many a session is over by then
        elif upload.timer is None:  # otherwise it sends in its own time
            self._offer(upload)

    async def sync(self, session_id: str, durable: int, patience: float) -> None:
        """Take note that so many bytes of a recording are durable, and return when the Auth Service has them.

        Raises Unavailable (REC-SYNC) after `patience` seconds; the recording is then sent like any other.
        """
        upload = self._of(session_id)
        upload.urgent, upload.durable = True, durable
        try:
            async with asyncio.timeout(patience):
                while upload.sent < durable:
                    upload.moved.clear()
                    self._offer(upload)
                    await upload.moved.wait()
        except TimeoutError:
            upload.urgent = False
            raise Unavailable("REC-SYNC", seconds=f"{patience:g}") from None

    def ended(self, session_id: str) -> None:
        """Take note that a recording grows no more."""
        upload = self._of(session_id)
        upload.ended = True
        self._offer(upload)

    # -- sending

    async def run(self, ready: Callable[[], None]) -> None:
        """Send until cancelled; first of all what an earlier run has left. Ready when that is known."""
        await self._recover()
        ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bundles.run())
            for _ in range(MOST):
                group.create_task(self._work())

    async def _recover(self) -> None:
        try:
            left = await self._spool.run(self._spool.left)
        except TeleportError as error:
            log.error("The spool of recordings cannot be read", path=self._spool.path, error=error)
            return
        for session_id in sorted(left):
            upload = self._of(session_id)
            upload.ended = True
            upload.durable = -1  # how far it is whole is found when its turn comes
            self._offer(upload)
        if left:
            log.info("Recordings of an earlier run are sent", count=len(left))

    async def _work(self) -> None:
        while True:
            upload = await self._queue.get()
            upload.queued, upload.busy = False, True
            try:
                await self._step(upload)
            except TeleportError as error:
                await self._failed(upload, error)
            except Exception as error:  # a defect must not end the sending of all others
                log.error("A recording was not sent", session=upload.session_id, error=error)
                self._again(upload, next(upload.waits))
            upload.busy = False
            if upload.timer is None and self._uploads.get(upload.session_id) is upload:
                self._offer(upload)

    async def _step(self, upload: _Upload) -> None:
        """Send what is durable: all of it, or the next chunk of a running session."""
        if upload.durable < 0 and not await self._measured(upload):
            return
        while upload.sent < upload.durable:
            if not upload.urgent:
                await self._turn()
            await self._send(upload)
            if not upload.ended and not upload.urgent:
                self._again(upload, self._pace)
                return
        if upload.ended:
            await self._complete(upload)

    async def _turn(self) -> None:
        """Wait until what was sent before has had its time."""
        wait = self._free_at - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _measured(self, upload: _Upload) -> bool:
        """Find how far a file of an earlier run is whole; False when nothing is to be sent."""
        sid = upload.session_id
        chain, torn = await self._spool.run(self._spool.walk, sid)
        if chain.count:
            upload.durable, upload.damaged = chain.size, not torn
            return True
        if torn:  # no session starts before its first chunk is durable
            await self._spool.run(self._spool.folder.remove, sid + SUFFIX)
            self._uploads.pop(sid, None)
            return False
        raise ProtocolError("WIRE-CHUNK", problem="the file does not begin with a chunk")

    async def _send(self, upload: _Upload) -> None:
        sid = upload.session_id
        try:
            data = await self._spool.run(self._spool.raw, sid, upload.sent)
            chunk = chunks.parse(data)
        except NeedMore:
            raise ProtocolError("WIRE-CHUNK", problem="the file has become shorter") from None
        self._free_at = max(self._free_at, asyncio.get_running_loop().time()) + len(data) / self._rate
        digest = await self._archive.store(sid, chunk.head.number, data)
        if digest != chunk.digest:
            raise Internal("REC-MISSTORED", session=sid, number=chunk.head.number)
        upload.sent, upload.count, upload.digest = upload.sent + len(data), upload.count + 1, digest
        upload.moved.set()
        upload.waits = self._backoff.waits(self._entropy)

    async def _complete(self, upload: _Upload) -> None:
        sid = upload.session_id
        size = await self._archive.complete(sid, upload.count, upload.digest)
        if upload.damaged:
            problem = f"it is damaged from byte {upload.durable} on; what stands before it is stored"
            await self._set_aside(upload, ProtocolError("WIRE-CHUNK", problem=problem))
            return
        await self._spool.run(self._spool.folder.remove, sid + SUFFIX)
        self._uploads.pop(sid, None)
        log.debug("A recording was stored", session=sid, size=size)

    async def _failed(self, upload: _Upload, error: TeleportError) -> None:
        """Try again later, or set aside what can never be stored."""
        if error.code in _FINAL:
            try:
                await self._set_aside(upload, error)
                return
            except TeleportError as failure:
                error = failure
        if error.code == "DISK-MISSING":
            log.error("A recording is gone from the spool", session=upload.session_id, error=error)
            self._uploads.pop(upload.session_id, None)
            return
        if error.code in _FROM_THE_START:
            upload.restart()
        wait = next(upload.waits)
        log.warn("A recording was not stored yet", session=upload.session_id, error=error, wait=round(wait, 1))
        self._again(upload, wait)

    async def _set_aside(self, upload: _Upload, error: TeleportError) -> None:
        """Keep the file apart. While its session runs it stays: the rest belongs to it."""
        sid = upload.session_id
        if not upload.ended:
            self._again(upload, self._backoff.most)
            return
        await self._spool.run(self._spool.folder.move, sid + SUFFIX, self._spool.set_aside)
        self._uploads.pop(sid, None)
        path = f"{self._spool.set_aside}/{sid}{SUFFIX}"
        log.error("A recording cannot be stored and was set aside", session=sid, path=path, error=error)
        with suppress(TeleportError):
            await self._emit(RecordingSetAside(sid=sid, reason=error.what, path=path))

    def _of(self, session_id: str) -> _Upload:
        if session_id not in self._uploads:
            self._uploads[session_id] = _Upload(session_id, self._backoff.waits(self._entropy))
        return self._uploads[session_id]

    def _stored(self, session_id: str) -> None:
        self._uploads.pop(session_id, None)

    def _alone(self, session_id: str) -> None:
        upload = self._of(session_id)
        upload.alone, upload.busy = True, False
        self._offer(upload)

    def _offer(self, upload: _Upload) -> None:
        if upload.timer is not None:
            upload.timer.cancel()
            upload.timer = None
        if upload.bundled and not upload.queued and not upload.busy:
            upload.busy = True
            self._bundles.add(upload.session_id, upload.durable)
        elif upload.due and not upload.queued and not upload.busy:
            upload.queued = True
            self._queue.put_nowait(upload)

    def _again(self, upload: _Upload, wait: float) -> None:
        if upload.timer is None:
            upload.timer = asyncio.get_running_loop().call_later(wait, self._offer, upload)
