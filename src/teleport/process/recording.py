"""Recording on a node, put together: spool, recorder and uploader over the data directory and a client of the Auth
Service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from teleport.agents.recording.recorder import SpoolRecorder
from teleport.agents.recording.spool import Spool
from teleport.agents.recording.uploader import Uploader
from teleport.agents.ssh.cluster_authority import ClusterAuthority
from teleport.api.client import AuthClient
from teleport.api.recording_calls import RecordingCalls
from teleport.base.append import SystemFolder
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy

SPOOL = ("log", "upload", "streaming", "default")
SET_ASIDE = ("log", "upload", "corrupted")


@asynccontextmanager
async def recording(
    client: AuthClient, authority: ClusterAuthority, data_dir: Path, *, clock: Clock, entropy: Entropy
) -> AsyncIterator[tuple[SpoolRecorder, Uploader]]:
    """Yield what records sessions and what sends recordings; the latter is to be run."""
    path, set_aside = str(data_dir.joinpath(*SPOOL)), str(data_dir.joinpath(*SET_ASIDE))
    spool = Spool(SystemFolder(path), path=path, set_aside=set_aside)
    uploader = Uploader(spool, RecordingCalls(client), emit=authority.emit, entropy=entropy)
    recorder = SpoolRecorder(
        spool, uploader, config=authority.recording_config, emit=authority.emit, clock=clock, entropy=entropy
    )  # fmt: skip
    try:
        yield recorder, uploader
    finally:
        await recorder.settle()
        spool.close()
