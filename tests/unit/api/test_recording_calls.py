"""Calls about recordings: what is asked and answered arrives as it was said."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from teleport.api import rpc
from teleport.api.caller import Caller
from teleport.api.client import AuthClient, over_stream
from teleport.api.recording_calls import RecordingCalls
from teleport.api.recording_messages import (
    Playback,
    Recording,
    RecordingKey,
    RecordingPage,
    RecordingQuery,
    ScreenHit,
    ScreenPage,
    ScreenQuery,
)
from teleport.api.services import recordings
from teleport.base import tasks
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.model.identity import Identity
from teleport.net.memory import memory_pair
from teleport.net.stream import Stream

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
ONE = Recording(
    session_id="s-1", user="alice", participants=("alice", "bob"), login="root", server_id="n", hostname="node-1",
    start=NOW, stop=NOW + dt.timedelta(seconds=1), size=7, interactive=True, command="ls", problem="it was cut",
)  # fmt: skip
KEY = RecordingKey("k", b"public", NOW, True)


class Told:
    """Answers with fixed things and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def store(self, caller: Caller, session_id: str, index: int, chunk: bytes) -> bytes:
        self.asked.append((session_id, index, chunk))
        return b"digest"

    async def complete(self, caller: Caller, session_id: str, chunks: int, digest: bytes) -> int:
        self.asked.append((session_id, chunks, digest))
        return 99

    async def list(self, caller: Caller, query: RecordingQuery) -> RecordingPage:
        self.asked.append(query)
        return RecordingPage((ONE, ONE), "" if query.after else "next")

    async def frames(self, caller: Caller, session_id: str, start: int, purpose: str) -> AsyncIterator[Playback]:
        self.asked.append((session_id, start, purpose))
        yield Playback(ONE, b"")
        yield Playback(None, b"frames")

    async def search(self, caller: Caller, query: ScreenQuery) -> ScreenPage:
        self.asked.append(query)
        return ScreenPage((ScreenHit(ONE, 1, 2, "line"),), "more", 3)

    async def keys(self, caller: Caller) -> tuple[RecordingKey, ...]:
        return (KEY,)

    async def rotate_key(self, caller: Caller) -> tuple[RecordingKey, ...]:
        return (KEY, KEY)


def ask(kind: str, work: Callable[[RecordingCalls], Awaitable[None]]) -> list[Any]:
    """Let a caller of a kind ask; return what arrived."""
    told = Told()

    async def story() -> None:
        server = rpc.Server(
            recordings.methods(told), clock=ManualClock(NOW), entropy=SeededEntropy(1),
            on_defect=lambda method, id, error: told.asked.append(error),
        )  # fmt: skip
        roles = ("Node",) if kind == "host" else ()
        identity = Identity(
            name="n", cluster="c", kind=kind, roles=roles, expires=NOW + dt.timedelta(hours=1)  # type: ignore[arg-type]
        )  # fmt: skip
        serving: list[asyncio.Task[None]] = []

        async def dial() -> Stream:
            near, far = memory_pair()
            serving.append(tasks.spawn(server.serve(far, Caller(identity)), name="server", on_error=told.asked.append))
            return near

        async with AuthClient(over_stream(dial)) as client:
            await work(RecordingCalls(client))
        await server.close()
        await asyncio.wait(serving)

    asyncio.run(story())
    return told.asked


def test_a_service_stores_and_completes() -> None:
    async def work(calls: RecordingCalls) -> None:
        assert await calls.store("s-1", 4, b"chunk") == b"digest"
        assert await calls.complete("s-1", 5, b"digest") == 99

    assert ask("host", work) == [("s-1", 4, b"chunk"), ("s-1", 5, b"digest")]


def test_people_list_look_search_and_ask_for_keys() -> None:
    query = RecordingQuery(since=NOW, until=NOW, user="alice", limit=3)
    wanted = ScreenQuery(text="rm -rf", user="bob", after="here")

    async def work(calls: RecordingCalls) -> None:
        assert [found async for found in calls.list(query)] == [ONE] * 3
        assert [found async for found in calls.list(RecordingQuery())] == [ONE] * 4
        parts = [part async for part in calls.frames("s-1", start=17, purpose="download")]
        assert parts == [Playback(ONE, b""), Playback(None, b"frames")]
        assert await calls.search(wanted) == ScreenPage((ScreenHit(ONE, 1, 2, "line"),), "more", 3)
        assert await calls.keys() == (KEY,)
        assert await calls.rotate_key() == (KEY, KEY)

    asked = ask("human", work)
    assert asked[:2] == [query, RecordingQuery(since=NOW, until=NOW, user="alice", limit=1, after="next")]
    assert asked[-2:] == [("s-1", 17, "download"), wanted]
