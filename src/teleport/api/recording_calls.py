"""RecordingCalls: recordings at the Auth Service as plain async methods.

Every method raises what the server raised, Unavailable (API-UNAVAILABLE) or TimedOut (API-DEADLINE).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from google.protobuf.empty_pb2 import Empty

from teleport.api.client import AuthClient
from teleport.api.pb import recordings_pb2 as pb
from teleport.api.recording_messages import (
    Playback,
    Recording,
    RecordingKey,
    RecordingPage,
    RecordingQuery,
    ScreenPage,
    ScreenQuery,
    WholeRecording,
)
from teleport.api.services import recordings


class RecordingCalls:
    """Calls about recordings over the connection of a client."""

    def __init__(self, client: AuthClient) -> None:
        self._channel = client.channel

    async def store(self, session_id: str, index: int, chunk: bytes) -> bytes:
        """Store a chunk; return the digest of what the server reads back."""
        request = pb.StoreRequest(session_id=session_id, index=index, chunk=chunk)
        return (await self._channel.unary(recordings.STORE, request)).digest

    async def complete(self, session_id: str, chunks: int, digest: bytes) -> int:
        """Close a recording of so many chunks, whose last one has this digest; return its bytes."""
        request = pb.CompleteRequest(session_id=session_id, chunks=chunks, digest=digest)
        return (await self._channel.unary(recordings.COMPLETE, request)).size

    async def store_whole(self, whole: Sequence[WholeRecording]) -> set[str]:
        """Store and close short recordings; return the sessions of which that is done."""
        request = pb.StoreWholeRequest(
            recordings=[
                pb.WholeRecording(session_id=each.session_id, chunks=each.chunks, digest=each.digest) for each in whole
            ]
        )
        return set((await self._channel.unary(recordings.STORE_WHOLE, request)).stored)

    async def page(self, query: RecordingQuery) -> RecordingPage:
        """Return one page of the list."""
        request = pb.ListRecordingsRequest(
            since=query.since, until=query.until, user=query.user, limit=query.limit, after=query.after
        )  # fmt: skip
        reply = await self._channel.unary(recordings.LIST, request)
        return RecordingPage(tuple(recordings.recording_of(r) for r in reply.recordings), reply.next)

    async def list(self, query: RecordingQuery) -> AsyncIterator[Recording]:
        """Yield recordings, newest first: `query.limit` at most, 0 for all."""
        left = query.limit
        while True:
            page = await self.page(query)
            for recording in page.recordings:
                yield recording
                left -= 1
                if not left:
                    return
            if not page.next:
                return
            query = replace(query, after=page.next, limit=max(left, 0))

    async def frames(self, session_id: str, *, start: int = 0, purpose: str = "play") -> AsyncGenerator[Playback, None]:
        """Yield a recording in parts: the first one tells what it is a recording of.

        `start`: milliseconds since the session began; `purpose`: `play`, `download` or `search`, for the audit log.
        """
        request = pb.FramesRequest(session_id=session_id, purpose=purpose, **{"from": start})
        async with aclosing(self._channel.stream(recordings.FRAMES, request)) as replies:
            async for reply in replies:
                told = recordings.recording_of(reply.recording) if reply.HasField("recording") else None
                yield Playback(told, reply.frames)

    async def search(self, query: ScreenQuery) -> ScreenPage:
        """Return one page of where a text stood on screens."""
        request = pb.SearchRecordingsRequest(
            text=query.text, since=query.since, until=query.until, user=query.user, limit=query.limit, after=query.after
        )  # fmt: skip
        reply = await self._channel.unary(recordings.SEARCH, request)
        return ScreenPage(tuple(recordings.hit_of(hit) for hit in reply.hits), reply.next, reply.unindexed)

    async def keys(self) -> tuple[RecordingKey, ...]:
        """Return the keys that recordings are sealed to, the newest first."""
        return recordings.keys_of(await self._channel.unary(recordings.KEYS, Empty()))

    async def rotate_key(self) -> tuple[RecordingKey, ...]:
        """Make a new key for recordings from now on; return all."""
        return recordings.keys_of(await self._channel.unary(recordings.ROTATE_KEY, Empty()))
