"""Where frames come from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from teleport.api.recording_messages import Playback
from teleport.base.disk import MemoryDisk
from teleport.base.errors import LimitExceeded, TeleportError
from teleport.client.recordings import asciicast, source
from teleport.wire import recording
from teleport.wire.recording import HEADER, OUTPUT, Frame

FRAMES = [Frame(0, HEADER, b"{}"), Frame(5, OUTPUT, b"hello")]


class Calls:
    """Answers with the frames in two parts."""

    async def frames(self, session_id: str, *, start: int = 0, purpose: str = "play") -> AsyncIterator[Playback]:
        for frame in FRAMES:
            yield Playback(None, recording.encode([frame]))


def test_files_of_both_sorts() -> None:
    disk = MemoryDisk()
    disk.write("/a.frames", recording.encode(FRAMES))
    disk.write("/a.cast", "".join(asciicast.write(FRAMES)).encode())
    assert source.from_file(disk, "/a.frames") == FRAMES
    assert FRAMES[1] in source.from_file(disk, "/a.cast")
    disk.write("/a.png", b"\x89PNG")
    with pytest.raises(TeleportError) as caught:
        source.from_file(disk, "/a.png")
    assert caught.value.code == "CLIENT-CAST"


def test_from_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(source.fetch(Calls(), "id", purpose="play")) == (None, FRAMES)  # type: ignore[arg-type]
    monkeypatch.setattr(source, "LARGEST", 10)
    with pytest.raises(LimitExceeded) as caught:
        asyncio.run(source.fetch(Calls(), "id", purpose="play"))  # type: ignore[arg-type]
    assert caught.value.code == "CLIENT-LONG-RECORDING"
