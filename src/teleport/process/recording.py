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
from teleport.process.place import Place, name
from teleport.store.brief_files import BriefFolder
from teleport.store.journal import Journal

log = logger("NODE")

SPOOL = ("log", "upload", "streaming", "default")
PROXY_SPOOL = ("log", "upload", "streaming", "proxy")
BRIEF = ("log", "upload", "brief")
"""Where short recordings stand that are not in a spool: a journal for each."""
SET_ASIDE = ("log", "upload", "corrupted")
LOOK_EVERY = 0.5
"""Seconds between two looks whether what another process has left is sent."""


class Source(Protocol):
    """Who knows how sessions are recorded, and takes events."""

    def recording_config(self) -> SessionRecordingConfig | None: ...

    async def emit(self, event: Event) -> None: ...


@asynccontextmanager
async def recording(
    client: AuthClient, authority: Source, data_dir: Path, *, clock: Clock, entropy: Entropy,
    proxy: str = "", place: Place | None = None,
) -> AsyncIterator[tuple[SpoolRecorder, Uploader]]:  # fmt: skip
    """Yield what records sessions and what sends recordings; the latter is to be run. `proxy` is the id of
    the proxy that records sessions on other servers; empty on a server itself. Each has a spool of its own. With a
    `place` it has the name of that place, and what ended processes have left in others is sent as well."""
    folders = _Folders(data_dir, bool(proxy))

    @asynccontextmanager
    async def opened(number: int) -> AsyncIterator[tuple[Spool, Uploader]]:
        files = SystemFolder(str(folders.spool(number)))
        brief = BriefFolder(files, Journal(SystemFolder(str(folders.brief(number)))))
        set_aside = str(data_dir.joinpath(*SET_ASIDE))
        spool = Spool(brief, path=str(folders.spool(number)), set_aside=set_aside, lasting=files, ready=brief.ready)
        try:
            yield spool, Uploader(spool, RecordingCalls(client), emit=authority.emit, entropy=entropy)
        finally:
            spool.close()
            await asyncio.to_thread(brief.close)

    async def send(number: int) -> None:
        async with opened(number) as (_, left):
            known = asyncio.Event()
            sending = tasks.spawn(left.run(known.set), name="recordings left", on_error=_ended)
            try:
                await known.wait()
                await tasks.until(lambda: sending.done() or not left.waiting, every=LOOK_EVERY)
            finally:
                await tasks.cancel(sending)

    async with opened(place.number if place is not None else 1) as (spool, uploader):
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
    """Where recordings wait, by the number of the place."""

    data_dir: Path
    proxy: bool

    def spool(self, number: int) -> Path:
        *folders, usual = PROXY_SPOOL if self.proxy else SPOOL
        return self.data_dir.joinpath(*folders, name(usual, number))

    def brief(self, number: int) -> Path:
        return self.data_dir.joinpath(*BRIEF, name("proxy" if self.proxy else "node", number))

    def left(self, number: int) -> bool:
        """Whether something waits there."""
        return any(True for folder in (self.spool(number), self.brief(number)) if folder.exists()
                   for _ in folder.iterdir())  # fmt: skip


def _ended(error: BaseException) -> None:
    log.error("Recordings that another process has left are no longer sent", error=error)
