"""SpoolRecorder: begins recordings on this node, and decides what follows when one cannot be kept.

A session starts when the first chunk of its recording is durable. If it cannot be: roles with `strict` refuse the
session, others let it go on unrecorded, which the user and the audit log are told. A full disk refuses every new
session, whatever roles say: nothing shall begin that nothing can be written about.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from teleport.agents.recording.spool import Spool
from teleport.agents.recording.tape import SpoolTape
from teleport.agents.recording.uploader import Uploader
from teleport.agents.ssh.recorder import Facts, NoTape, Tape, Watcher
from teleport.base import tasks
from teleport.base.append import AppendFile
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger
from teleport.model.events.base import Event
from teleport.model.events.recording import RecordingFailed
from teleport.model.kinds.session_recording_config import SealingKey, SessionRecordingConfig
from teleport.model.recorded_session import SessionFacts, encode_facts
from teleport.pki.envelope import DataKey, Sealer, load_public
from teleport.wire import recording
from teleport.wire.recording import HEADER, Frame

log = logger("NODE")


PATIENCE = 10.0
"""Seconds that a session waits for the Auth Service to have what it recorded, where it has to."""
_FIRST = 8 * 1024
"""Bytes of a first chunk at most, in general."""


class Unrecorded(NoTape):
    """The recording of a session that goes on without one."""

    def __init__(self, notice: str) -> None:
        self.notice = notice


class SpoolRecorder:
    """Implements `agents.ssh.recorder.Recorder`."""

    def __init__(
        self, spool: Spool, uploader: Uploader, *, config: Callable[[], SessionRecordingConfig | None],
        emit: Callable[[Event], Awaitable[None]], clock: Clock, entropy: Entropy, proxy: str = "",
    ) -> None:  # fmt: skip
        """`config` returns the cluster's setting as it is now, None while it is not known; `emit` writes an event.
        `proxy` is the id of the proxy that records sessions on other servers; empty on a server itself."""
        self._spool = spool
        self._uploader = uploader
        self._config = config
        self._emit = emit
        self._clock = clock
        self._entropy = entropy
        self._proxy = proxy
        self._telling: set[asyncio.Task[None]] = set()
        self._ready: deque[DataKey] = deque()
        """A data key for the next recording: a session waits for its own to begin."""

    async def begin(self, facts: Facts, watcher: Watcher) -> Tape:
        """Begin a recording. Raises Unavailable (REC-DISK-FULL, REC-IMPOSSIBLE)."""
        config = self._config()
        if config is not None and not config.records:
            return NoTape()
        key = None if config is None else config.sealing_key
        try:
            if facts.interactive:
                file, sealer, size = await self._spool.run(self._first, facts, key)
            else:
                file, sealer, size = await self._spool.run_brief(_FIRST, lambda: self._first(facts, key))
            assert config is not None  # noqa: S101 - it had a key
        except TeleportError as error:
            if error.code == "REC-DISK-FULL":
                raise
            return self._without(facts, error)
        asyncio.get_running_loop().call_soon(self._prepare)  # when its command is being started: we only wait for that
        tape = self._tape(facts, watcher, file, sealer, size, config)
        if config.synchronous:
            await self._first_sync(tape, facts, size)
        return tape

    def _first(self, facts: Facts, key: SealingKey | None) -> tuple[AppendFile, Sealer, int]:
        """Write the first chunk durably. In a thread."""
        self._spool.demand_room()
        if key is None:
            raise Unavailable("REC-NO-KEY")
        sealer = Sealer(facts.session_id, self._data_key(key))
        head = Frame(0, HEADER, encode_facts(_told(facts, self._clock, self._proxy)))
        sealed = sealer.seal(recording.encode([head]), 0, 0, compress=facts.interactive)  # a session waits for it
        return self._spool.begin(facts.session_id, sealed, brief=not facts.interactive), sealer, len(sealed)

    def _data_key(self, key: SealingKey) -> DataKey:
        """Return a data key under the recording key: the one that is ready, or a new one. In any thread."""
        with contextlib.suppress(IndexError):
            ready = self._ready.pop()  # one step of the interpreter: no two threads get the same
            if ready.key_id == key.id:
                return ready
        return DataKey(key.id, load_public(key.spki()), self._entropy)

    def _prepare(self) -> None:
        config = self._config()
        if not self._ready and config is not None and config.records and (key := config.sealing_key) is not None:
            self._ready.append(DataKey(key.id, load_public(key.spki()), self._entropy))

    def _without(self, facts: Facts, error: TeleportError) -> Tape:
        """Go on without a recording, or do not."""
        full, strict = error.code == "DISK-FULL", facts.on_failure == "deny"
        self._tell(facts, error, ended=full or strict)
        if full:
            raise self._spool.full() from error
        if strict:
            raise Unavailable("REC-IMPOSSIBLE", problem=error.what) from error
        return Unrecorded(f"This session is not recorded: {error.what}")

    async def _first_sync(self, tape: SpoolTape, facts: Facts, size: int) -> None:
        """Wait until the Auth Service has the first chunk. Raises Unavailable (REC-IMPOSSIBLE) if roles demand that;
        otherwise the session is recorded as `node` does."""
        try:
            await self._uploader.sync(facts.session_id, size, PATIENCE)
        except TeleportError as error:
            strict = facts.on_failure == "deny"
            self._tell(facts, error, ended=strict)
            tape.relax()
            if strict:
                await tape.close({"error": error.code})
                raise Unavailable("REC-IMPOSSIBLE", problem=error.what) from error

    def _tape(
        self, facts: Facts, watcher: Watcher, file: AppendFile, sealer: Sealer, size: int,
        config: SessionRecordingConfig,
    ) -> SpoolTape:  # fmt: skip
        sid, uploader = facts.session_id, self._uploader

        def failed(error: TeleportError) -> None:
            strict = facts.on_failure == "deny"
            self._tell(facts, error, ended=strict)
            if strict:
                watcher.failed(Unavailable("REC-LOST", problem=error.what))

        async def confirm(grown: int) -> None:
            try:
                await uploader.sync(sid, grown, PATIENCE)
            except TeleportError as error:
                if facts.on_failure == "deny":
                    raise
                self._tell(facts, error, ended=False)
                tape.relax()

        uploader.grown(sid, size)
        tape = SpoolTape(
            sid, watcher, spool=self._spool, file=file, sealer=sealer, grown=size,
            on_grown=lambda grown: uploader.grown(sid, grown), on_end=lambda: uploader.ended(sid), on_failure=failed,
            brief=not facts.interactive, mode=self._word(config), confirm=confirm if config.synchronous else None,
        )  # fmt: skip
        return tape

    def _word(self, config: SessionRecordingConfig) -> str:
        """Return how sessions are recorded here: a proxy records those that it ended at the proxy, a node those that
        reached it directly at the node, whatever the other does."""
        words = ("node", "proxy") if self._proxy else ("proxy", "node")
        return config.spec.mode.replace(*words)

    def _tell(self, facts: Facts, error: TeleportError, *, ended: bool) -> None:
        """Tell log and audit log, without waiting."""
        log.error("A session cannot be recorded", session=facts.session_id, user=facts.user, ended=ended, error=error)
        event = RecordingFailed(
            sid=facts.session_id, user=facts.user, login=facts.login, server_id=facts.server_id,
            server_hostname=facts.hostname, addr_remote=facts.client, reason=error.what, ended=ended,
        )  # fmt: skip
        task = tasks.spawn(self._write(event), name="recording: event", on_error=lambda _: None)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _write(self, event: Event) -> None:
        try:
            await self._emit(event)
        except TeleportError as error:
            log.error("an audit event was not written", error=error, event=type(event).__name__)

    async def settle(self) -> None:
        """Return when every event has been written, or was not."""
        while self._telling:
            await asyncio.wait(self._telling)


def _told(facts: Facts, clock: Clock, proxy: str) -> SessionFacts:
    return SessionFacts(
        session_id=facts.session_id, start=clock.now(), user=facts.user, login=facts.login, server_id=facts.server_id,
        recorded_by=proxy, hostname=facts.hostname, cluster=facts.cluster, client=facts.client, command=facts.command,
        columns=facts.columns, rows=facts.rows, interactive=facts.interactive,
        participants=facts.participants or (facts.user,), labels=facts.labels,
    )  # fmt: skip
