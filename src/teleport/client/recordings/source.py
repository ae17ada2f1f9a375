"""Where the frames of a playback come from: the cluster, or a file that was downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from teleport.api.recording_calls import RecordingCalls
from teleport.api.recording_messages import Recording
from teleport.base.disk import Disk
from teleport.base.errors import LimitExceeded
from teleport.client.recordings import asciicast
from teleport.wire import recording
from teleport.wire.recording import Frame

LARGEST = 1024 * 1024 * 1024
"""Bytes of a recording that is played: it is held in memory, so that one can jump in it."""


def from_file(disk: Disk, path: str) -> list[Frame]:
    """Read a file of asciicast version 2, or of frames as `tsh recordings download --format=frames` writes it.

    Raises NotFound, AccessDenied, LimitExceeded (DISK-*), BadParameter (CLIENT-CAST), ProtocolError (WIRE-RECORDING).
    """
    data = disk.read(path, limit=LARGEST)
    if data[:1] == recording.HEADER.encode() or data[:1] == recording.OUTPUT.encode():
        return list(recording.decode(data))
    return list(asciicast.read(data.split(b"\n")))


async def fetch(calls: RecordingCalls, session_id: str, *, purpose: str) -> tuple[Recording | None, Sequence[Frame]]:
    """Return a recording of the cluster. Raises what the call raises, and LimitExceeded (CLIENT-LONG-RECORDING)."""
    told: Recording | None = None
    frames: list[Frame] = []
    size = 0
    async with aclosing(calls.frames(session_id, purpose=purpose)) as parts:
        async for part in parts:
            told = told or part.recording
            size += len(part.frames)
            if size > LARGEST:
                raise LimitExceeded("CLIENT-LONG-RECORDING", session=session_id, limit=LARGEST)
            frames.extend(recording.decode(part.frames))
    return told, frames
