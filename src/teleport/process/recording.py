"""Recording on a node or a proxy, put together: spool, recorder and uploader over the data directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from teleport.agents.recording.recorder import SpoolRecorder
from teleport.agents.recording.spool import Spool
from teleport.agents.recording.uploader import Uploader
from teleport.api.client import AuthClient
from teleport.api.recording_calls import RecordingCalls
from teleport.base.append import SystemFolder
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.model.events.base import Event
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.store.brief_files import OWNER, BriefFolder
from teleport.store.journal import Journal
from teleport.store.turns import Turns

SPOOL = ("log", "upload", "streaming", "default")
PROXY_SPOOL = ("log", "upload", "streaming", "proxy")
BRIEF = ("log", "upload", "brief")
"""Where an earlier release kept short recordings: a journal for each spool."""
SET_ASIDE = ("log", "upload", "corrupted")


class Source(Protocol):
    """Who knows how sessions are recorded, and takes events."""

    def recording_config(self) -> SessionRecordingConfig | None: ...

    async def emit(self, event: Event) -> None: ...


@asynccontextmanager
async def recording(
    client: AuthClient, authority: Source, data_dir: Path, turns: Turns, *, clock: Clock, entropy: Entropy,
    proxy: str = "",
) -> AsyncIterator[tuple[SpoolRecorder, Uploader]]:  # fmt: skip
    """Yield what records sessions and what sends recordings; the latter is to be run. `turns` leads into the journal of
    the service, where recordings begin. `proxy` is the id of the proxy that records sessions on other servers; empty
    on a server itself. Each has a spool of its own."""
    path, set_aside = str(data_dir.joinpath(*(PROXY_SPOOL if proxy else SPOOL))), str(data_dir.joinpath(*SET_ASIDE))
    files = SystemFolder(path)
    await asyncio.to_thread(_bring, files, data_dir.joinpath(*BRIEF, "proxy" if proxy else "node"))
    brief = BriefFolder(files, turns, owner=OWNER)
    spool = Spool(brief, path=path, set_aside=set_aside, lasting=files, ready=brief.ready, synced=brief.synced)
    uploader = Uploader(spool, RecordingCalls(client), emit=authority.emit, entropy=entropy)
    recorder = SpoolRecorder(
        spool, uploader, config=authority.recording_config, emit=authority.emit, clock=clock, entropy=entropy,
        proxy=proxy,
    )  # fmt: skip
    try:
        yield recorder, uploader
    finally:
        await recorder.settle()
        spool.close()
        await asyncio.to_thread(brief.close)


def _bring(files: SystemFolder, earlier: Path) -> None:
    """Bring the short recordings that an earlier release has left to the spool."""
    if earlier.is_dir():
        brief = BriefFolder(files, Turns(Journal(SystemFolder(str(earlier)))))
        brief.names()
        brief.close()
