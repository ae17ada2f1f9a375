"""SpoolTape: the recording of one running session.

The session's side appends to a list and goes on. Each second, or with each quarter of a megabyte, what was gathered
becomes a sealed chunk, is written and synced in a thread, and so acknowledged. When more than four megabytes wait for
that, the session is asked to hold its output: what a crash may lose is bounded, and so is memory.

Chunks are compressed unless the session is faster than that would be worth: a third of the bytes at 85 MB/s of one
core is good for a person's terminal and bad for a file of a gigabyte that runs by (docs/adr/0009).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from teleport.agents.recording.spool import Spool
from teleport.agents.ssh.recorder import Watcher
from teleport.base import tasks
from teleport.base.append import AppendFile
from teleport.base.errors import Internal, TeleportError
from teleport.base.log import logger
from teleport.pki.envelope import Sealer
from teleport.wire import recording
from teleport.wire.recording import END, ERROR, MARKER, OUTPUT, RESIZE, Frame

log = logger("NODE")

INTERVAL = 1.0
"""Seconds after which what was gathered is written."""
CHUNK = 256 * 1024
"""Bytes that are written at once, before their second is over."""
PIECE = 256 * 1024
"""Bytes of a chunk at most: of a fast session more has been gathered while the chunk before was written. Pieces that
stay in the caches of a processor cost half of what larger ones do."""
MOST_WAITING = 4 * 1024 * 1024
"""Bytes that may wait for the disk before the session is held; it goes on at half of that. A thread that comes back
from the disk waits for its turn behind a busy event loop: a quarter of this halved the speed of fast sessions."""
HURRY = 0.05
"""Seconds in which a session that fills a chunk is not compressed: five megabytes a second."""
_MARK = 4096


class SpoolTape:
    """Implements `agents.ssh.recorder.Tape`."""

    notice = ""

    def __init__(
        self, session_id: str, watcher: Watcher, *, spool: Spool, file: AppendFile, sealer: Sealer, grown: int,
        on_grown: Callable[[int], None], on_end: Callable[[], None], on_failure: Callable[[TeleportError], None],
        brief: bool = False, mode: str = "node", confirm: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        """`grown` are the bytes of the file so far; `on_grown` is told of more. `on_end` is called when the file is
        closed, `on_failure` before it if the recording failed. With `confirm`, what was
        written counts only when it has returned; it raises TeleportError when the recording failed. `brief`: the
        file is one of those that share a journal as long as they are short."""
        self._brief = brief
        self._id = session_id
        self._watcher = watcher
        self._spool = spool
        self._file = file
        self._sealer = sealer
        self._grown = grown
        self.mode = mode
        self._confirm = confirm
        self._on_grown, self._on_end, self._on_failure = on_grown, on_end, on_failure
        loop = asyncio.get_running_loop()
        self._time, self._later = loop.time, loop.call_later
        self._began = self._filled = loop.time()
        self._last = 0
        self._gathered: list[Frame] = []
        self._waiting = 0
        """Bytes gathered."""
        self._writing = 0
        """Bytes on their way to the disk."""
        self._work: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self._over = False

    def relax(self) -> None:
        """What is written from now on counts when the disk has it."""
        self._confirm = None

    # -- from the session

    def output(self, data: bytes, *, error: bool = False) -> None:
        """Record output; this is called for every read of a fast session and does as little as can be."""
        if len(data) > CHUNK:
            for at in range(0, len(data), CHUNK):
                self._gather(ERROR if error else OUTPUT, data[at : at + CHUNK])
        else:
            self._gather(ERROR if error else OUTPUT, data)

    def resize(self, columns: int, rows: int) -> None:
        """Record a new size."""
        self._gather(RESIZE, f"{columns}x{rows}".encode())

    def mark(self, text: str) -> None:
        """Record a text of the service."""
        self._gather(MARKER, text.encode(errors="replace")[:_MARK])

    async def close(self, outcome: dict[str, str | int | bool]) -> None:
        """Write what is left and the end; return when all is durable, or the recording has failed."""
        if self._over:
            return
        self._over = True
        self._stop_timer()
        while self._work is not None:
            await asyncio.wait([self._work])
        if self._file_open:
            frames = [*self._gathered, Frame(self._now(), END, msgspec.json.encode(outcome))]
            self._gathered = []
            await self._finish(frames)
        if self._file_open:
            self._close_file()

    async def _finish(self, frames: list[Frame]) -> None:
        try:
            await self._put(frames, final=True, compress=True)
        except Exception as error:
            self._defect(error)

    # -- gathering

    def _gather(self, kind: str, data: bytes) -> None:
        if self._over:
            return
        self._gathered.append(Frame(int((self._time() - self._began) * 1000), kind, data))
        self._waiting += len(data) + 13
        if self._waiting >= CHUNK:
            now = self._time()
            self._write(compress=now - self._filled > HURRY)
            self._filled = now
        elif self._timer is None:
            self._timer = self._later(INTERVAL, self._tick)
        if not self._held and self._waiting + self._writing > MOST_WAITING:
            self._hold(True)

    def _now(self) -> int:
        return int((self._time() - self._began) * 1000)

    def _tick(self) -> None:
        self._timer = None
        self._write(compress=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hold(self, on: bool) -> None:
        if self._held != on:
            self._held = on
            self._watcher.hold(on)

    # -- writing

    def _write(self, *, compress: bool) -> None:
        """Begin to write what was gathered, unless something is being written: then its end begins the next."""
        if self._work is not None or not self._gathered:
            return
        self._stop_timer()
        frames, self._gathered = self._gathered, []
        self._writing, self._waiting = self._waiting, 0
        self._work = self._begin(frames, final=False, compress=compress)

    def _begin(self, frames: list[Frame], *, final: bool, compress: bool) -> asyncio.Task[None]:
        work = self._put(frames, final, compress)
        return tasks.spawn(work, name="recording: write", on_error=self._defect)

    async def _put(self, frames: list[Frame], final: bool, compress: bool) -> None:
        try:
            if self._brief:
                self._brief = False  # what grows further does not end soon, or is not short
                about = sum(len(frame.data) for frame in frames) + 1024
                size = await self._spool.grow_brief(
                    self._file, about, lambda: self._seal(frames, final, compress=compress)
                )  # fmt: skip
            elif compress:
                size = await self._spool.run(lambda: self._keep(self._seal(frames, final, compress=True)))
            else:
                size = await self._spool.run(self._keep, self._seal(frames, final, compress=False))
            self._grown += size
            if self._confirm is not None:
                await self._confirm(self._grown)
        except TeleportError as error:
            self._fail(error)
            return
        finally:
            self._work, self._writing = None, 0
        self._on_grown(self._grown)
        if self._over:
            return
        if self._waiting >= CHUNK:
            self._write(compress=False)
        elif self._gathered and self._timer is None:
            self._timer = self._later(INTERVAL, self._tick)
        if self._waiting + self._writing <= MOST_WAITING // 2:
            self._hold(False)

    def _seal(self, frames: Sequence[Frame], final: bool, *, compress: bool) -> list[bytes]:
        """Return the next chunks. A fast session's are made in the event loop: half a millisecond each, less than two
        threads lose that hand the interpreter to each other at every read and write."""
        made, piece, size = list[bytes](), list[Frame](), 0
        for at, frame in enumerate(frames, 1):
            piece.append(frame)
            size += len(frame.data)
            if size >= PIECE or at == len(frames):
                made.append(self._sealer.seal(
                    recording.encode(piece), max(piece[0].at, self._last), max(piece[-1].at, self._last),
                    final=final and at == len(frames), compress=compress,
                ))  # fmt: skip
                self._last, piece, size = piece[-1].at, [], 0
        return made

    def _keep(self, chunks: Sequence[bytes]) -> int:
        """Write chunks durably; return their bytes. In a thread."""
        for chunk in chunks:
            self._file.append(chunk)
        self._file.sync()
        return sum(map(len, chunks))

    # -- the end

    @property
    def _file_open(self) -> bool:
        return self._file is not _CLOSED

    def _close_file(self) -> None:
        self._file.close()
        self._file = _CLOSED
        self._on_end()

    def _fail(self, error: TeleportError) -> None:
        """Record no more: what the file holds of the last write is unknown, and nothing is added to it."""
        self._over = True
        self._stop_timer()
        self._gathered, self._waiting = [], 0
        if self._file_open:
            self._on_failure(error)
            self._close_file()
        self._hold(False)

    def _defect(self, error: BaseException) -> None:
        log.error("A recording failed unexpectedly", session=self._id, error=error)
        self._fail(Internal("SSH-INTERNAL"))


class _Closed:
    """What stands for the file once it is closed."""

    def append(self, data: bytes) -> None:
        """Nothing is written any more."""

    def sync(self) -> None:
        """Nothing is there to wait for."""

    def close(self) -> None:
        """It is."""


_CLOSED: Any = _Closed()
