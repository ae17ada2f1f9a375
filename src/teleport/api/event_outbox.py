"""EventOutbox: the events of a service on their way to the Auth Service, through its absence and our own end.

Theory of operation. An event gets the time at which it occurred and waits in a queue. All that wait are
written to a journal on the disk, numbered on from the last one, and `emit` returns once they are synced: a session
waits for its own disk and for nothing else. `run` sends the journal when no more events come, or after half a second:
what has come meanwhile as one call, so that sending is not what those who emit wait for; then it removes what the Auth
Service has stored. Where the disk does not take events, the Auth Service has to: they
are sent at once, behind what is in the journal, and `emit` returns when they are stored there.

Numbers count within a writer, a random name of this run. What was sent but not answered keeps its number, here and in
the journal, so the Auth Service sees that it has it already. When a number may have been used up and its event is
not kept, a new writer begins: no number ever stands for two events. An event that the Auth Service will never take
(it is no event of a service) is left out with a line in the log, or, sent without the journal, its caller's error.

Not here: the journal (`store.journal`), what the Auth Service does with numbers (`auth.audit_delivery`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, Protocol

import msgspec

from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, CompareFailed, TeleportError, TimedOut
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.model.events.base import Event, document
from teleport.store.turns import Turns

log = logger("AUDIT")

PATIENCE = 5.0
"""Seconds that a call may take."""
PAUSE = 0.1
"""Seconds without a further event after which those on the disk are sent."""
LINGER = 0.5
"""Seconds that an event on the disk waits for others at most."""
LAST_WORDS = 2.0
"""Seconds that `close` spends at most on sending what is left."""
BATCH = 100
"""Events in one call at most."""
BATCH_BYTES = 1024 * 1024
LARGEST = 2 * 1024 * 1024
"""Bytes of one event: it has to fit into a call."""
OWNER = b"["
"""What every record begins with: an array, as JSON writes it."""
_BACKOFF = Backoff(first=0.5, most=30.0)
_NEVER = ("AUTH-ESCALATION",)
"""Refusals, beside those of what was sent, that no later try changes."""


class Deliver(Protocol):
    """`AuditQueryCalls.deliver`."""

    async def __call__(
        self, writer: str, first: int, events: Sequence[dict[str, Any]], *, after_gap: bool = False
    ) -> None: ...


class _Entry(msgspec.Struct, array_like=True):
    """An event in the journal."""

    writer: str
    number: int
    event: msgspec.Raw
    """As JSON: written once, and read when it is sent."""

    @property
    def size(self) -> int:
        return memoryview(self.event).nbytes


class _Waiting:
    def __init__(self, event: bytes, done: asyncio.Future[None]) -> None:
        self.event = msgspec.Raw(event)
        self.size = len(event)
        self.done = done


class EventOutbox:
    """Takes events of one service. `run` has to run beside it; `close` comes after it."""

    def __init__(
        self, deliver: Deliver, turns: Turns, *, clock: Clock, entropy: Entropy, owner: bytes = b""
    ) -> None:  # fmt: skip
        """`owner`: what our records begin with, where the journal has others."""
        self._deliver = deliver
        self._turns = turns
        self._journal = turns.journal
        self._owner = owner
        self._clock = clock
        self._entropy = entropy
        self._queue: list[_Waiting] = []
        self._keeping: asyncio.Task[None] | None = None
        """Keeps what is in the queue, and ends with it."""
        self._draining = asyncio.Lock()
        """Taken inside `_keeping`, never around it."""
        self._work = asyncio.Event()
        self._kept = 0
        """Grows with what is kept."""
        self._behind = False
        self._away = False
        """Whether the last try to send has failed."""
        self._writer, self._next = "", 1
        self._begin()

    @property
    def behind(self) -> bool:
        """Whether events wait on the disk."""
        return self._behind

    async def emit(self, event: Event) -> None:
        """Return when `event` is synced to the journal or stored by the Auth Service.

        Raises BadParameter (EVENT-TOO-LARGE), Unavailable (STORE-JOURNAL-FULL, DISK-FULL, DISK-IO) when it is
        neither, and then also what the Auth Service answers to an event that it does not take (AccessDenied
        AUTH-ESCALATION, BadParameter).
        """
        now = self._clock.now()
        timed = event if event.time else event.stamped(time=now, uid=event.uid, cluster_name=event.cluster_name)
        entry = _Waiting(msgspec.json.encode(document(timed)), asyncio.get_running_loop().create_future())
        if entry.size > LARGEST:
            raise BadParameter("EVENT-TOO-LARGE", event=event.event_name, size=entry.size, limit=LARGEST)
        self._queue.append(entry)
        if self._keeping is None:
            self._keeping = tasks.spawn(self._keep_all(), name="audit events: keep", on_error=self._defect)
        await entry.done

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Send what is in the journal, again and again until cancelled."""
        ready()
        await self._prepare()
        waits = _BACKOFF.waits(self._entropy)
        if not self._nothing_left():
            self._behind = True
            self._work.set()
        while True:
            await self._work.wait()
            await tasks.lull(lambda: self._kept, pause=PAUSE, most=LINGER)
            self._work.clear()
            try:
                await self._drain(all=False)
                await self._prepare()
                waits = _BACKOFF.waits(self._entropy)
            except (TeleportError, TimeoutError) as error:
                wait = next(waits)
                log.warn("Audit events wait on the disk", error=error, again_in=f"{wait:.1f}s")
                self._work.set()
                await asyncio.sleep(wait)

    async def close(self) -> None:
        """Keep what nobody waits for any more, send what can be sent, and release the journal. Comes after `run`."""
        if self._keeping is not None:
            await asyncio.wait([self._keeping])
        if self._behind and not self._away:
            try:
                async with asyncio.timeout(LAST_WORDS):
                    await self._drain()
            except (TeleportError, TimeoutError) as error:
                log.warn("Audit events wait on the disk for the next start", error=error)
        await asyncio.to_thread(self._journal.close)

    async def _prepare(self) -> None:
        """Have the next segment made before an event needs it. Where that fails, writing the event says why."""
        with suppress(TeleportError):
            await asyncio.to_thread(self._journal.prepare)

    # -- one after the other: called by `_keeping` -------------------------------------------------------------

    def _nothing_left(self) -> bool:
        """Look once, when we begin, for what an earlier run left: at the names of a folder, so without a thread."""
        try:
            return self._journal.empty(self._owner)
        except TeleportError:
            return False  # writing to it will say what is wrong

    async def _keep_all(self) -> None:
        while self._queue:
            await self._keep()
        self._keeping = None

    def _defect(self, error: BaseException) -> None:
        log.error("Audit events cannot be kept", error=error, events=len(self._queue))
        self._keeping = None
        self._settle(list(self._queue), error)

    async def _keep(self) -> None:
        """Get rid of the first events of the queue, one way or the other."""
        batch = self._batch()
        entries = [_Entry(self._writer, number, entry.event) for number, entry in enumerate(batch, start=self._next)]
        try:
            await self._turns.append([msgspec.json.encode(entry) for entry in entries])
        except TeleportError as error:
            await self._send_unkept(batch, error)
            return
        self._has_kept()
        self._next += len(batch)
        self._settle(batch)

    def _has_kept(self) -> None:
        self._behind = True
        self._kept += 1
        self._work.set()

    async def _send_unkept(self, batch: list[_Waiting], error: TeleportError) -> None:
        """The disk does not take `batch`: the Auth Service has to, after what is on the disk."""
        try:
            if self._away:
                raise error
            await self._send_what_waits()
            await self._send(self._writer, self._next, [entry.event for entry in batch])
        except (TeleportError, TimeoutError) as failure:
            if not _final(failure):
                log.error("Audit events cannot be kept", error=error, events=len(batch))
                self._begin()  # the Auth Service may have them under these numbers
                self._settle(batch, error)
            elif len(batch) > 1:
                for entry in batch:  # the refusal was for all, so none of their numbers is used
                    await self._send_unkept([entry], error)
            else:
                self._settle(batch, failure)
            return
        self._next += len(batch)
        self._settle(batch)

    async def _send_what_waits(self) -> None:
        """Send what came before. What a failing disk does not let go of comes again later, so what is sent now gets
        numbers of its own."""
        try:
            await self._drain()
        except TeleportError as error:
            if not _of_disk(error):
                raise
            self._begin()

    def _batch(self) -> list[_Waiting]:
        size, count = 0, 0
        for entry in self._queue[:BATCH]:
            size += entry.size
            if count and size > BATCH_BYTES:
                break
            count += 1
        return self._queue[:count]

    def _settle(self, batch: list[_Waiting], error: BaseException | None = None) -> None:
        del self._queue[: len(batch)]
        for entry in batch:
            if entry.done.done():
                continue
            if error is None:
                entry.done.set_result(None)
            else:
                entry.done.set_exception(error)
                entry.done.exception()  # its caller may be gone

    def _begin(self) -> None:
        self._writer, self._next = self._entropy.token(12).hex(), 1

    # -- the journal -------------------------------------------------------------------------------------------

    async def _drain(self, *, all: bool = True) -> None:
        """Send the journal, oldest first; returns when it is empty, or without `all` when what stands in it now is
        sent: what comes meanwhile waits for its own turn. Raises what sending and the disk raise."""
        async with self._draining:
            kept, writer, last = self._kept, self._writer, self._next - 1
            try:
                while (sent := await self._send_oldest()) is not None:
                    reached = any(entry.writer == writer and entry.number >= last for entry in sent)
                    if reached and not all and self._kept != kept:
                        break
                self._away = False
            except (TeleportError, TimeoutError) as error:
                self._away = not _of_disk(error)
                raise

    async def _send_oldest(self) -> list[_Entry] | None:
        """Send a segment and remove it; return what it held, None when there is none."""
        kept = self._kept
        waiting = await asyncio.to_thread(self._journal.oldest, self._owner)
        if waiting is None:
            self._behind = self._kept != kept  # something may have come since the look
            return None
        entries = [entry for record in waiting.records if (entry := _read(record)) is not None]
        for writer, run in groupby(entries, key=lambda entry: entry.writer):
            await self._resend(writer, list(run))
        await asyncio.to_thread(self._journal.drop, waiting, self._owner)
        if self._away:
            log.info("Audit events that waited on the disk are sent", events=len(entries))
        return entries

    async def _resend(self, writer: str, entries: list[_Entry]) -> None:
        at = 0
        while at < len(entries):
            batch = _next_batch(entries, at)
            try:
                await self._resend_batch(writer, batch)
            except (TeleportError, TimeoutError) as error:
                if not _final(error):
                    raise
                for entry in batch:
                    await self._resend_one(writer, entry)
            at += len(batch)

    async def _resend_one(self, writer: str, entry: _Entry) -> None:
        try:
            await self._resend_batch(writer, [entry])
        except (TeleportError, TimeoutError) as error:
            if not _final(error):
                raise
            log.error(
                "An audit event was refused and is left out", error=error, event=_document(entry.event).get("event")
            )

    async def _resend_batch(self, writer: str, batch: list[_Entry]) -> None:
        events = [entry.event for entry in batch]
        try:
            await self._send(writer, batch[0].number, events)
        except CompareFailed as error:
            if error.code != "AUTH-AUDIT-GAP":
                raise
            log.error("Audit events before this one are lost", error=error)
            await self._send(writer, batch[0].number, events, after_gap=True)

    async def _send(self, writer: str, first: int, events: Sequence[msgspec.Raw], *, after_gap: bool = False) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._deliver(writer, first, [_document(event) for event in events], after_gap=after_gap)
        except TimeoutError:
            raise TimedOut("API-DEADLINE", method="AuditQuery.Deliver", seconds=f"{PATIENCE:g}") from None


def _of_disk(error: BaseException) -> bool:
    """Say whether a disk is at fault; if it is not ours but that of the Auth Service, sending tells that again."""
    return isinstance(error, TeleportError) and error.code.startswith(("DISK-", "STORE-"))


def _final(error: BaseException) -> bool:
    """Say whether the event itself is what is wrong."""
    return isinstance(error, BadParameter) or getattr(error, "code", "") in _NEVER


def _next_batch(entries: list[_Entry], at: int) -> list[_Entry]:
    """Return entries from `at` on whose numbers follow on each other, no more than a call takes."""
    batch, size = [entries[at]], entries[at].size
    for entry in entries[at + 1 : at + BATCH]:
        size += entry.size
        if entry.number != batch[-1].number + 1 or size > BATCH_BYTES:
            break
        batch.append(entry)
    return batch


def _document(event: msgspec.Raw) -> dict[str, Any]:
    return msgspec.json.decode(event, type=dict[str, Any])


def _read(record: bytes) -> _Entry | None:
    try:
        return msgspec.json.decode(record, type=_Entry)
    except msgspec.MsgspecError:
        return None  # sound by its checksum and yet not ours: of another build
