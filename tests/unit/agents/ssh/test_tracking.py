"""The tracker of a session over its life, with an auth service that comes and goes."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import msgspec

from teleport.agents.ssh.tracking import LIFE, RENEW, RETRY, Tracking
from teleport.base.errors import Unavailable
from teleport.model.kinds.session_tracker import Participant, SessionTracker, SessionTrackerSpec
from teleport.model.resource import Metadata
from tests.support import virtual_loop

TRACKER = SessionTracker(version="v1", metadata=Metadata(name="session-1"), spec=SessionTrackerSpec(state="running"))


class Book:
    """Where trackers are written; `slow` is how long that takes."""

    def __init__(self) -> None:
        self.held: dict[str, SessionTracker] = {}
        self.writes: list[float] = []
        self.reachable = True
        self.slow = 0.0

    async def track(self, tracker: SessionTracker) -> None:
        self.writes.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.slow)
        self._check()
        self.held[tracker.name] = tracker

    async def untrack(self, session_id: str) -> None:
        self._check()
        self.held.pop(session_id, None)

    def _check(self) -> None:
        if not self.reachable:
            raise Unavailable("API-UNAVAILABLE", problem="it is down")


def play(story: Callable[[Book, Tracking], Awaitable[None]]) -> Book:
    async def main() -> Book:
        book = Book()
        await story(book, Tracking(book, virtual_loop.current().clock, TRACKER))  # type: ignore[arg-type]
        return book

    return virtual_loop.run(main())


def test_it_is_prolonged_while_the_session_runs_and_goes_with_it() -> None:
    async def story(book: Book, tracking: Tracking) -> None:
        await tracking.begin()
        for _ in range(10):
            await asyncio.sleep(LIFE.total_seconds() / 2)
            expires = book.held["session-1"].metadata.expires
            assert expires is not None
            left = expires - virtual_loop.current().clock.now()
            assert dt.timedelta(minutes=10) < left <= LIFE
        await tracking.end()
        assert book.held == {}
        await asyncio.sleep(RENEW * 3)
        assert book.held == {}

    play(story)


def test_a_brief_session_has_none() -> None:
    async def story(book: Book, tracking: Tracking) -> None:
        beginning = asyncio.get_running_loop().create_task(tracking.begin(after=0.2))
        await asyncio.sleep(0.1)
        await tracking.end()
        await beginning
        await asyncio.sleep(RENEW * 3)
        assert book.writes == []

    play(story)


def test_a_longer_one_has_it_after_its_first_moments() -> None:
    async def story(book: Book, tracking: Tracking) -> None:
        beginning = asyncio.get_running_loop().create_task(tracking.begin(after=0.2))
        await asyncio.sleep(0.1)
        assert book.held == {}
        await beginning
        assert set(book.held) == {"session-1"}
        assert 0.2 <= asyncio.get_running_loop().time() < 0.3
        await tracking.end()
        assert book.held == {}

    play(story)


def test_one_that_could_not_be_written_is_written_later() -> None:
    async def story(book: Book, tracking: Tracking) -> None:
        book.reachable = False
        await tracking.begin()
        await asyncio.sleep(RETRY * 2.5)
        assert len(book.writes) == 3
        book.reachable = True
        await asyncio.sleep(RETRY)
        assert set(book.held) == {"session-1"}
        book.reachable = False
        await tracking.end()
        assert set(book.held) == {"session-1"}, "it ends by itself"

    play(story)


def test_a_write_under_way_does_not_outlive_the_end() -> None:
    async def story(book: Book, tracking: Tracking) -> None:
        book.slow = 5.0
        beginning = asyncio.get_running_loop().create_task(tracking.begin())
        await asyncio.sleep(1)
        await tracking.end()
        await beginning
        assert book.held == {}
        await asyncio.sleep(RENEW * 3)
        assert (book.held, len(book.writes)) == ({}, 1)

    play(story)


def test_who_takes_part_is_written_when_it_changes() -> None:
    async def story(book: Book, tracking: Tracking) -> None:
        owner, guest = Participant(id="session-1", user="alice"), Participant(id="2", user="bob", mode="observer")
        await tracking.change([guest])
        assert book.writes == [], "it is not announced yet"
        spec = SessionTrackerSpec(participants=(owner,))
        tracker = msgspec.structs.replace(TRACKER, spec=spec)
        told = Tracking(book, virtual_loop.current().clock, tracker)  # type: ignore[arg-type]
        await told.begin()
        await told.change([guest])
        assert book.held["session-1"].spec.participants == (owner, guest)
        assert told.tracker.spec.participants == (owner, guest)
        await told.change([])
        assert book.held["session-1"].spec.participants == (owner,)
        await told.end()
        await told.change([guest])
        assert book.held == {}

    play(story)


def test_one_that_ends_before_it_began_is_never_written() -> None:
    async def story(book: Book, tracking: Tracking) -> None:
        await tracking.end()
        await tracking.begin()
        assert book.writes == []

    play(story)
