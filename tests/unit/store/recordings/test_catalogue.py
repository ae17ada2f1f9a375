"""The catalogue of recordings."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from teleport.base.clock import ManualClock
from teleport.base.errors import AccessDenied, BadParameter, Internal, NotFound
from teleport.model.recorded_session import recorded
from teleport.store.backend import Put
from teleport.store.memory import MemoryBackend
from teleport.store.recordings.catalogue import Catalogue, Entry, check_session_id
from tests.support.recordings import START, facts, session_id


def entry(number: int, minute: int | None = None) -> Entry:
    start = START + dt.timedelta(minutes=number if minute is None else minute)
    session = recorded(facts(number, start=start), stop=start, size=1).spec
    return Entry(session=session, server_id="node-a", chunks=1, digest="00")


def test_a_session_belongs_to_the_first_who_stores_it() -> None:
    async def story() -> None:
        catalogue, sid = Catalogue(MemoryBackend(ManualClock(START))), session_id(1)
        await catalogue.claim(sid, "node-a", START)
        await catalogue.claim(sid, "node-a", START)
        with pytest.raises(AccessDenied, match="another server"):
            await catalogue.claim(sid, "node-b", START)
        assert [(name, known.server_id) for name, known in await catalogue.growing()] == [(sid, "node-a")]
        await catalogue.close(entry(1))
        assert await catalogue.growing() == []
        await catalogue.claim(sid, "node-a", START)
        with pytest.raises(AccessDenied):
            await catalogue.claim(sid, "node-b", START)

    asyncio.run(story())


def test_two_who_claim_at_once_are_told_apart() -> None:
    async def story() -> None:
        catalogue, sid = Catalogue(MemoryBackend(ManualClock(START))), session_id(1)
        claims = (catalogue.claim(sid, f"node-{name}", START) for name in "abc")
        found = await asyncio.gather(*claims, return_exceptions=True)
        assert [isinstance(result, AccessDenied) for result in found].count(True) == 2

    asyncio.run(story())


def test_the_newest_come_first_page_by_page_and_within_a_time() -> None:
    async def story() -> None:
        backend = MemoryBackend(ManualClock(START))
        catalogue = Catalogue(backend)
        for number in range(100):
            await catalogue.close(entry(number))
        await catalogue.close(entry(7))
        found = [hit async for hit in catalogue.newest()]
        assert [hit.entry.session.sid for hit in found] == [session_id(n) for n in reversed(range(100))]
        rest = [hit.entry async for hit in catalogue.newest(after=found[96].cursor)]
        assert rest == [entry(n) for n in (2, 1, 0)]
        since, until = (START + dt.timedelta(minutes=n) for n in (10, 13))
        some = [hit.entry.session.sid async for hit in catalogue.newest(since=since, until=until)]
        assert some == [session_id(n) for n in (12, 11, 10)]

    asyncio.run(story())


def test_an_entry_that_is_written_again_stands_once() -> None:
    async def story() -> None:
        catalogue = Catalogue(MemoryBackend(ManualClock(START)))
        await catalogue.close(entry(1))
        await catalogue.close(entry(1, minute=5))
        assert [hit.entry async for hit in catalogue.newest()] == [entry(1, minute=5)]
        assert (await catalogue.get(session_id(1))).target.name == session_id(1)
        with pytest.raises(NotFound):
            await catalogue.get(session_id(2))

    asyncio.run(story())


def test_damage_is_told_and_what_is_gone_is_left_out() -> None:
    async def story() -> None:
        backend = MemoryBackend(ManualClock(START))
        catalogue = Catalogue(backend)
        await backend.commit(Put(f"/recordings/time/{0:015d}/{session_id(3)}", b""))
        await catalogue.close(entry(1))
        assert len([hit async for hit in catalogue.newest()]) == 1
        await backend.commit(Put(f"/recordings/done/{session_id(2)}", b"?"))
        with pytest.raises(Internal):
            await catalogue.get(session_id(2))

    asyncio.run(story())


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", session_id(1).upper(), "{" + session_id(171) + "}"])
def test_only_uuids_name_sessions(name: str) -> None:
    check_session_id(session_id(1))
    with pytest.raises(BadParameter, match="not the id"):
        check_session_id(name)


def test_a_time_beyond_the_calendar_has_a_place() -> None:
    async def story() -> None:
        catalogue = Catalogue(MemoryBackend(ManualClock(START)))
        for number, year in enumerate((1, 9999)):
            about = recorded(facts(number), stop=START, size=1).spec
            start = dt.datetime(year, 6, 1, tzinfo=dt.UTC)
            changed = type(about)(sid=about.sid, session_start=start, session_stop=start)
            await catalogue.close(Entry(session=changed, server_id="n", chunks=1, digest=""))
        assert [hit.entry.session.sid async for hit in catalogue.newest()] == [session_id(1), session_id(0)]

    asyncio.run(story())
