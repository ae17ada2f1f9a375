"""Recording on a node or a proxy, put together: spool, recorder and uploader over the data directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from teleport.agents.recording.recorder import SpoolRecorder
from teleport.agents.recording.spool import Spool
from teleport.agents.recording.uploader import Uploader
from teleport.api.client import AuthClient
from teleport.api.recording_calls import RecordingCalls
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.model.events.base import Event
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.process.event_spool import JOURNALS, event_spool, service_journal
from teleport.process.place import Place, name
from teleport.store.brief_files import OWNER, BriefFolder
from teleport.store.journal import Journal
from teleport.store.turns import Turns

log = logger("NODE")

SPOOL = ("log", "upload", "streaming", "default")
PROXY_SPOOL = ("log", "upload", "streaming", "proxy")
BRIEF = ("log", "upload", "brief")
"""Where an earlier release kept short recordings: a journal for each spool."""
SET_ASIDE = ("log", "upload", "corrupted")
LOOK_EVERY = 0.5
"""Seconds between two looks whether what another process has left is sent."""


class Source(Protocol):
    """Who knows how sessions are recorded, and takes events."""

    def recording_config(self) -> SessionRecordingConfig | None: ...

    async def emit(self, event: Event) -> None: ...


@asynccontextmanager
async def recording(
    client: AuthClient, authority: Source, data_dir: Path, turns: Turns, *, clock: Clock, entropy: Entropy,
    proxy: str = "", place: Place | None = None,
) -> AsyncIterator[tuple[SpoolRecorder, Uploader]]:  # fmt: skip
    """Yield what records sessions and what sends recordings; the latter is to be run. `turns` leads into the journal of
    the service, where recordings begin. `proxy` is the id of the proxy that records sessions on other servers; empty
    on a server itself. Each has a spool of its own. With a `place` it has the name of that place, and what ended
    processes have left in others, events too, is sent as well."""
    folders = _Folders(data_dir, "proxy" if proxy else "node")
    await asyncio.to_thread(bring, SystemFolder(str(folders.spool(1))), data_dir.joinpath(*BRIEF, folders.service))

    @asynccontextmanager
    async def opened(number: int, turns: Turns) -> AsyncIterator[tuple[Spool, Uploader]]:
        path, set_aside = str(folders.spool(number)), str(data_dir.joinpath(*SET_ASIDE))
        files = SystemFolder(path)
        brief = BriefFolder(files, turns, owner=OWNER)
        spool = Spool(brief, path=path, set_aside=set_aside, lasting=files, ready=brief.ready, synced=brief.synced)
        try:
            yield spool, Uploader(spool, RecordingCalls(client), emit=authority.emit, entropy=entropy)
        finally:
            spool.close()
            await asyncio.to_thread(brief.close)

    async def send(number: int) -> None:
        turns = service_journal(data_dir, name(folders.service, number))
        events = event_spool(client, turns, folders.service, clock=clock, entropy=entropy)
        async with events, opened(number, turns) as (_, left):
            known = asyncio.Event()
            sending = tasks.spawn(left.run(known.set), name="recordings left", on_error=_ended)
            try:
                await known.wait()
                await tasks.until(
                    lambda: sending.done() or not (left.waiting or not turns.journal.empty()), every=LOOK_EVERY
                )
            finally:
                await tasks.cancel(sending)

    async with opened(place.number if place is not None else 1, turns) as (spool, uploader):
        recorder = SpoolRecorder(
            spool, uploader, config=authority.recording_config, emit=authority.emit, clock=clock, entropy=entropy,
            proxy=proxy,
        )  # fmt: skip
        inheriting = (
            tasks.spawn(place.inherit(folders.left, send), name="recordings left", on_error=_ended) if place else None
        )
        try:
            yield recorder, uploader
        finally:
            if inheriting is not None:
                await tasks.cancel(inheriting)
            await recorder.settle()


class _Folders(NamedTuple):
    """Where recordings and events wait, by the number of the place."""

    data_dir: Path
    service: str

    def spool(self, number: int) -> Path:
        *folders, usual = PROXY_SPOOL if self.service == "proxy" else SPOOL
        return self.data_dir.joinpath(*folders, name(usual, number))

    def left(self, number: int) -> bool:
        """Whether something waits there."""
        journal = self.data_dir.joinpath(*JOURNALS, name(self.service, number))
        return any(True for folder in (self.spool(number), journal) if folder.exists() for _ in folder.iterdir())


def _ended(error: BaseException) -> None:
    log.error("What another process has left is no longer sent", error=error)


def bring(files: SystemFolder, earlier: Path) -> None:
    """Bring the short recordings that an earlier release has left to the spool."""
    if earlier.is_dir():
        brief = BriefFolder(files, Turns(Journal(SystemFolder(str(earlier)))))
        brief.names()
        brief.close()
