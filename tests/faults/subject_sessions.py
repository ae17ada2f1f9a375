"""Session recordings under faults, from the tape at the node to the frames at the Auth Service: what was durable in
the spool is in the archive in the end, and opens there. Node and Auth Service are one child and meet the fault
together; the way between them loses calls and replies.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from teleport.agents.recording import tape
from teleport.agents.recording.recorder import SpoolRecorder
from teleport.agents.recording.spool import Spool
from teleport.agents.recording.uploader import Uploader
from teleport.agents.ssh.recorder import Facts, Watcher
from teleport.api.recording_messages import WholeRecording
from teleport.auth.authorize import Authorizer
from teleport.auth.recording_archive import Archive
from teleport.auth.recording_keys import RecordingKeys
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import NotFound, TeleportError, Unavailable
from teleport.base.retry import Backoff
from teleport.model.events.base import Event
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.pki.custody import Custody, FolderShelf
from teleport.pki.signer import MemorySigner
from teleport.store.audit.log import AuditLog
from teleport.store.brief_files import BriefFolder
from teleport.store.journal import Journal
from teleport.store.recordings.catalogue import Catalogue
from teleport.store.recordings.files import RecordingFiles
from teleport.store.resources import Resources
from teleport.store.sqlite import SqliteBackend
from teleport.store.turns import Turns
from teleport.wire.recording import END, OUTPUT
from tests.faults.trial import Work
from tests.support.until import until

_SESSIONS, _LINES = 3, 12
_SERVER = "11111111-2222-4333-8444-555555555555"
_UPLOADED = 10.0
"""Seconds for the upload of what is left."""


class Sessions:
    """Sessions print numbered lines; each is uploaded while it runs, and completed."""

    name, acknowledges = "sessions", "chunks"

    def prepare(self, root: Path) -> None:
        """Make the store and the key of recordings."""
        # Small chunks and short waits: a session of a minute in a few milliseconds.
        tape.CHUNK, tape.INTERVAL, tape.MOST_WAITING = 200, 0.001, 1000

        async def made() -> None:
            async with _world(root, None):
                pass

        asyncio.run(made())

    def work(self, work: Work) -> None:
        """Record; acknowledge how many bytes of a recording are durable, and that its end is."""
        tape.CHUNK, tape.INTERVAL, tape.MOST_WAITING = 200, 0.001, 1000
        asyncio.run(self._work(work))

    async def _work(self, work: Work) -> None:
        chance = random.Random(work.seed)
        async with _world(work.root, chance) as world:
            spool, uploader = world.node(work)
            recorder = world.recorder(spool, uploader)
            sending = tasks.spawn(uploader.run(lambda: None), name="uploader", on_error=lambda _: None)
            try:
                sessions = [_session(recorder, work, number, chance) for number in range(_SESSIONS)]
                await asyncio.gather(*sessions)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await _sent(uploader)
            finally:
                await tasks.cancel(sending)
                await recorder.settle()
                spool.close()

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Send what is left, then read every recording."""
        return asyncio.run(_examine(root, acknowledged))


async def _session(recorder: SpoolRecorder, work: Work, number: int, chance: random.Random) -> None:
    sid, failed = _id(work.round, number), list[TeleportError]()
    facts = Facts(
        session_id=sid, user="alice", login="root", server_id=_SERVER, hostname="node-1", cluster="faults", client="",
        interactive=number % 3 == 0, on_failure="deny",
    )  # fmt: skip
    try:
        recording = await recorder.begin(facts, Watcher(lambda _: None, failed.append))
    except TeleportError:
        return
    for line in range(_LINES):
        recording.output(b"line %d\r\n" % line + b"." * chance.choice((0, 90, 300)))
        await asyncio.sleep(chance.choice((0, 0.002)))
    await recording.close({"exit_code": 0})
    if not failed:
        work.acknowledge(f"{sid} ended")


def _id(round_: int, number: int) -> str:
    return f"0f1e2d3c-4b5a-4978-8695-{round_:06x}{number:06x}"


class _Telling(Uploader):
    """Tells what is durable at the node, and so promised."""

    work: Work | None = None

    def grown(self, session_id: str, durable: int) -> None:
        if self.work is not None:
            self.work.acknowledge(f"{session_id} {durable}")
        super().grown(session_id, durable)


class _Way:
    """The calls of a node: some do not arrive, of some the reply does not."""

    def __init__(self, archive: Archive, chance: random.Random | None) -> None:
        self._archive = archive
        self._chance = chance

    async def store(self, session_id: str, index: int, chunk: bytes) -> bytes:
        fate = self._fate()
        digest = await self._archive.store(session_id, _SERVER, index, chunk)
        self._reply(fate)
        return digest

    async def complete(self, session_id: str, chunks: int, digest: bytes) -> int:
        fate = self._fate()
        size = await self._archive.complete(session_id, _SERVER, chunks, digest)
        self._reply(fate)
        return size

    async def store_whole(self, whole: Sequence[WholeRecording]) -> set[str]:
        fate = self._fate()
        for each in whole:
            await self._archive.store_whole(each.session_id, _SERVER, each.chunks, each.digest)
        self._reply(fate)
        return {each.session_id for each in whole}

    def _fate(self) -> float:
        fate = self._chance.random() if self._chance else 1.0
        if fate < 0.1:
            raise Unavailable("API-UNAVAILABLE", problem="the call was lost")
        return fate

    def _reply(self, fate: float) -> None:
        if fate < 0.2:
            raise Unavailable("API-UNAVAILABLE", problem="the reply was lost")


class _Anybody:
    async def require(self, *_: object) -> None:
        """Let everybody."""


@dataclass
class _World:
    root: Path
    archive: Archive
    config: SessionRecordingConfig
    way: _Way
    audit: AuditLog

    def node(self, work: Work | None) -> tuple[Spool, Uploader]:
        place, aside = str(self.root / "node" / "records"), str(self.root / "node" / "aside")
        files = SystemFolder(place)
        brief = BriefFolder(files, Turns(Journal(SystemFolder(str(self.root / "node" / "brief")), segment=16 * 1024)))
        spool = Spool(brief, path=place, set_aside=aside, low_water=0, lasting=files, synced=brief.synced)
        backoff = Backoff(first=0.001, most=0.01)
        uploader = _Telling(spool, self.way, emit=self._emit, entropy=SystemEntropy(), pace=0.001, backoff=backoff)
        uploader.work = work
        return spool, uploader

    def recorder(self, spool: Spool, uploader: Uploader) -> SpoolRecorder:
        return SpoolRecorder(
            spool, uploader, config=lambda: self.config, emit=self._emit, clock=SystemClock(), entropy=SystemEntropy()
        )

    async def _emit(self, event: Event) -> None:
        await self.audit.record(event)


@asynccontextmanager
async def _world(root: Path, chance: random.Random | None) -> AsyncIterator[_World]:
    clock, entropy = SystemClock(), SystemEntropy()
    backend = await SqliteBackend.open(root / "auth" / "store", clock)
    try:
        signer = MemorySigner(entropy)
        signer._custody = Custody(FolderShelf(root / "auth" / "keys"), entropy)
        store, audit = Resources(backend, clock), AuditLog(backend, "auth", clock, entropy, "faults")
        await RecordingKeys(store, signer, audit, cast(Authorizer, _Anybody()), clock).ensure("")
        config = await store.get(SessionRecordingConfig, "")
        files = RecordingFiles(SystemFolder(str(root / "auth" / "records")))
        archive = Archive(files, Catalogue(backend), store, signer, audit, clock, entropy)
        yield _World(root, archive, config, _Way(archive, chance), audit)
    finally:
        await backend.close()


async def _sent(uploader: Uploader) -> None:
    await until(lambda: not uploader.waiting)


async def _examine(root: Path, acknowledged: list[str]) -> list[str]:
    async with _world(root, None) as world:
        spool, uploader = world.node(None)
        sending = tasks.spawn(uploader.run(lambda: None), name="uploader", on_error=lambda _: None)
        try:
            with suppress(TimeoutError):  # what is there by then is judged
                async with asyncio.timeout(_UPLOADED):
                    # Not until nothing waits: between two sessions that is so, too.
                    await until(lambda: not spool.sessions() and not uploader.waiting)
        finally:
            await tasks.cancel(sending)
            spool.close()
        problems, durable = [], dict[str, int]()
        for sid, word in (line.split(" ") for line in acknowledged):
            durable[sid] = max(durable.get(sid, 0), int(word) if word.isdigit() else 0)
        for sid, size in durable.items():
            problems += await _read(world.archive, sid, size, ended=f"{sid} ended" in acknowledged)
        return problems


async def _read(archive: Archive, sid: str, size: int, *, ended: bool) -> list[str]:
    try:
        entry = await archive.catalogue.get(sid)
    except NotFound:
        return [f"lost: recording {sid} of {size} bytes"]
    frames = [frame async for frame in archive.frames(sid)]
    lines = [frame.data.partition(b"\r\n")[0] for frame in frames if frame.kind == OUTPUT]
    lines = [line for line in lines if line.startswith(b"line")]
    problems = []
    if entry.session.size < size:
        problems.append(f"lost: {size - entry.session.size} bytes of recording {sid}")
    if lines != [b"line %d" % number for number in range(len(lines))]:
        problems.append(f"half: recording {sid} has the lines {lines}")
    if ended and (not frames or frames[-1].kind != END or len(lines) != _LINES or entry.session.problem):
        problems.append(f"lost: the end of recording {sid}")
    return problems
