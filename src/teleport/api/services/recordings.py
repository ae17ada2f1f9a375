"""Recordings: stored chunk by chunk by services, read and searched by people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from google.protobuf.empty_pb2 import Empty

from teleport.api.caller import ADMIN, BOT, NODE, PROXY, USER, Caller
from teleport.api.pb import recordings_pb2 as pb
from teleport.api.recording_messages import (
    Playback,
    Recording,
    RecordingKey,
    RecordingPage,
    RecordingQuery,
    ScreenHit,
    ScreenPage,
    ScreenQuery,
    WholeRecording,
)
from teleport.api.rpc import Method, call
from teleport.api.times import time_of

STORE = call("Recordings", "Store", pb.StoreRequest, pb.StoreReply)
COMPLETE = call("Recordings", "Complete", pb.CompleteRequest, pb.CompleteReply)
STORE_WHOLE = call("Recordings", "StoreWhole", pb.StoreWholeRequest, pb.StoreWholeReply)
LIST = call("Recordings", "List", pb.ListRecordingsRequest, pb.ListRecordingsReply)
FRAMES = call("Recordings", "Frames", pb.FramesRequest, pb.FramesReply, streams=True)
SEARCH = call("Recordings", "Search", pb.SearchRecordingsRequest, pb.SearchRecordingsReply)
KEYS = call("Recordings", "Keys", Empty, pb.RecordingKeys)
ROTATE_KEY = call("Recordings", "RotateKey", Empty, pb.RecordingKeys)


class Recordings(Protocol):
    """What the Auth Service does with recordings. Methods raise `base.errors`."""

    async def store(self, caller: Caller, session_id: str, index: int, chunk: bytes) -> bytes:
        """Keep a chunk; return the digest of what is then read back. Storing a chunk again changes nothing."""
        ...

    async def complete(self, caller: Caller, session_id: str, chunks: int, digest: bytes) -> int:
        """Check that all chunks are there and close the recording; return its bytes."""
        ...

    async def store_whole(self, caller: Caller, recordings: Sequence[WholeRecording]) -> list[str]:
        """Keep and close recordings; return the sessions of which that is done."""
        ...

    async def list(self, caller: Caller, query: RecordingQuery) -> RecordingPage:
        """Return a page of recordings that the caller may list, newest first."""
        ...

    def frames(self, caller: Caller, session_id: str, start: int, purpose: str) -> AsyncIterator[Playback]:
        """Yield the frames of a recording that the caller may read. The access is in the audit log first."""
        ...

    async def search(self, caller: Caller, query: ScreenQuery) -> ScreenPage:
        """Return where a text stood on screens that the caller may read."""
        ...

    async def keys(self, caller: Caller) -> tuple[RecordingKey, ...]:
        """Return the keys that recordings are sealed to, the newest first."""
        ...

    async def rotate_key(self, caller: Caller) -> tuple[RecordingKey, ...]:
        """Make a new key for recordings from now on; return all."""
        ...


def methods(recordings: Recordings) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def store(caller: Caller, request: pb.StoreRequest) -> pb.StoreReply:
        found = await recordings.store(caller, request.session_id, request.index, request.chunk)
        return pb.StoreReply(digest=found)

    async def complete(caller: Caller, request: pb.CompleteRequest) -> pb.CompleteReply:
        size = await recordings.complete(caller, request.session_id, request.chunks, request.digest)
        return pb.CompleteReply(size=size)

    async def store_whole(caller: Caller, request: pb.StoreWholeRequest) -> pb.StoreWholeReply:
        sent = [WholeRecording(each.session_id, tuple(each.chunks), each.digest) for each in request.recordings]
        return pb.StoreWholeReply(stored=await recordings.store_whole(caller, sent))

    async def list_page(caller: Caller, request: pb.ListRecordingsRequest) -> pb.ListRecordingsReply:
        page = await recordings.list(caller, RecordingQuery(**_conditions(request)))
        return pb.ListRecordingsReply(recordings=[recording_message(r) for r in page.recordings], next=page.next)

    async def frames(caller: Caller, request: pb.FramesRequest) -> AsyncIterator[pb.FramesReply]:
        start = getattr(request, "from")  # a word of Python
        async for part in recordings.frames(caller, request.session_id, start, request.purpose):
            told = recording_message(part.recording) if part.recording else None
            yield pb.FramesReply(recording=told, frames=part.frames)

    async def search(caller: Caller, request: pb.SearchRecordingsRequest) -> pb.SearchRecordingsReply:
        page = await recordings.search(caller, ScreenQuery(text=request.text, **_conditions(request)))
        hits = [
            pb.RecordingHit(recording=recording_message(hit.recording), at=hit.at, last=hit.last, line=hit.line)
            for hit in page.hits
        ]
        return pb.SearchRecordingsReply(hits=hits, next=page.next, unindexed=page.unindexed)

    async def keys(caller: Caller, request: Empty) -> pb.RecordingKeys:
        return _keys_message(await recordings.keys(caller))

    async def rotate_key(caller: Caller, request: Empty) -> pb.RecordingKeys:
        return _keys_message(await recordings.rotate_key(caller))

    people, services = frozenset({USER, BOT, ADMIN}), frozenset({NODE, PROXY})
    return (
        Method(STORE, services, store),
        Method(COMPLETE, services, complete),
        Method(STORE_WHOLE, services, store_whole),
        Method(LIST, people, list_page),
        Method(FRAMES, people, frames),
        Method(SEARCH, people, search),
        Method(KEYS, people, keys),
        Method(ROTATE_KEY, people, rotate_key),
    )


def recording_message(recording: Recording) -> pb.Recording:
    """Write what is known of a recording as a message."""
    return pb.Recording(
        session_id=recording.session_id, kind=recording.kind, user=recording.user,
        participants=recording.participants, login=recording.login, server_id=recording.server_id,
        hostname=recording.hostname, start=recording.start, stop=recording.stop, size=recording.size,
        interactive=recording.interactive, command=recording.command, problem=recording.problem,
    )  # fmt: skip


def recording_of(message: pb.Recording) -> Recording:
    """Read what is known of a recording. Raises BadParameter (API-MESSAGE)."""
    return Recording(
        session_id=message.session_id, kind=message.kind, user=message.user,
        participants=tuple(message.participants), login=message.login, server_id=message.server_id,
        hostname=message.hostname, start=time_of(message.start), stop=time_of(message.stop), size=message.size,
        interactive=message.interactive, command=message.command, problem=message.problem,
    )  # fmt: skip


def hit_of(message: pb.RecordingHit) -> ScreenHit:
    """Read a hit. Raises BadParameter (API-MESSAGE)."""
    return ScreenHit(recording_of(message.recording), message.at, message.last, message.line)


def keys_of(message: pb.RecordingKeys) -> tuple[RecordingKey, ...]:
    """Read keys. Raises BadParameter (API-MESSAGE)."""
    return tuple(RecordingKey(key.id, key.public_key, time_of(key.created), key.active) for key in message.keys)


def _keys_message(keys: tuple[RecordingKey, ...]) -> pb.RecordingKeys:
    return pb.RecordingKeys(
        keys=[
            pb.RecordingKey(id=key.id, public_key=key.public_key, created=key.created, active=key.active)
            for key in keys
        ]
    )


def _conditions(request: pb.ListRecordingsRequest | pb.SearchRecordingsRequest) -> dict[str, Any]:
    return {
        "since": time_of(request.since) if request.HasField("since") else None,
        "until": time_of(request.until) if request.HasField("until") else None,
        "user": request.user, "limit": request.limit, "after": request.after,
    }  # fmt: skip
