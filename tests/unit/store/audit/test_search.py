"""Searching: filters, the merge of writers, both directions, continuation."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter
from teleport.store.audit.search import Hit, Query, search
from teleport.store.backend import Append, Record
from teleport.store.memory import MemoryBackend

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def at(minute: int) -> dt.datetime:
    return START + dt.timedelta(minutes=minute)


def event(minute: int, name: str = "user.login", user: str = "joe", **more: Any) -> bytes:
    return msgspec.json.encode({"event": name, "time": at(minute), "user": user, **more})


async def filled(logs: dict[str, list[bytes]]) -> tuple[MemoryBackend, dict[str, int]]:
    backend = MemoryBackend(SystemClock())
    await backend.commit(*(Append(log, data) for log, datas in logs.items() for data in datas))
    return backend, {log: len(datas) for log, datas in logs.items()}


def find(logs: dict[str, list[bytes]], query: Query) -> list[bytes]:
    async def body() -> list[bytes]:
        hits, continuation = await search(*await filled(logs), query)
        assert continuation == ""
        return [hit.record.data for hit in hits]

    return asyncio.run(body())


LOGIN, CREATE, OTHER = event(1), event(2, "role.created", role='a "b" \\ ü'), event(3, user="ann")
FILTERS = [
    (Query(), [OTHER, CREATE, LOGIN]),
    (Query(newest_first=False), [LOGIN, CREATE, OTHER]),
    (Query(types=frozenset({"role.created", "none"})), [CREATE]),
    (Query(user="ann"), [OTHER]),
    (Query(since=at(2)), [OTHER, CREATE]),
    (Query(until=at(2)), [LOGIN]),
    (Query(since=at(2), until=at(3)), [CREATE]),
    (Query(text="ROLE.CREA"), [CREATE]),
    (Query(text='"b" \\ Ü'), [CREATE]),
    (Query(text="%"), []),
    (Query(user="ann", types=frozenset({"role.created"})), []),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS)
def test_filters_agree_all_together(query: Query, expected: list[bytes]) -> None:
    assert find({"audit/a": [LOGIN, CREATE, OTHER]}, query) == expected
    assert find({"audit/a": [LOGIN], "audit/b": [CREATE], "audit/c": [OTHER]}, query) == expected


def test_a_record_that_is_no_event_is_shown_when_nothing_is_asked_of_it() -> None:
    broken = [b"\xff", b"[]", b'{"time": "soon"}', b'{"time": "2030-01-01T00:00:00"}']
    assert sorted(find({"audit/a": broken}, Query())) == sorted(broken)
    assert find({"audit/a": broken}, Query(user="joe")) == []


@pytest.mark.parametrize("text", ["!", "x", "W10", "eyJhIjotMX0", "eyJhIjoxLjV9", "é", "A" * 200])
def test_a_continuation_of_somebody_else_is_refused(text: str) -> None:
    with pytest.raises(BadParameter) as caught:
        find({"audit/a": [LOGIN]}, Query(continuation=text))
    assert caught.value.code == "STORE-AUDIT-CONTINUE"


def test_a_continuation_beyond_the_log_is_cut_to_it() -> None:
    huge = "eyJhdWRpdC9hIjo5OTk5OTk5OTk5OTk5OTk5fQ"  # {"audit/a":9999999999999999}
    assert find({"audit/a": [LOGIN]}, Query(continuation=huge)) == [LOGIN]


def test_a_gap_in_a_log_does_not_hide_what_is_before_it() -> None:
    class Gap(MemoryBackend):
        async def read_log(self, log: str, *, after: int = 0, limit: int = 1000) -> list[Record]:
            records = await super().read_log(log, after=after, limit=limit)
            return [record for record in records if not 100 <= record.sequence <= 1900]

    async def body() -> list[Hit]:
        backend = Gap(SystemClock())
        await backend.commit(*(Append("audit/a", event(number)) for number in range(2000)))
        return (await search(backend, {"audit/a": 2000}, Query(limit=1000)))[0]

    assert len(asyncio.run(body())) == 199


@settings(max_examples=40, deadline=None)
@given(
    minutes=st.lists(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=8), min_size=1, max_size=3),
    limit=st.integers(1, 5),
    newest_first=st.booleans(),
    late=st.booleans(),
)
def test_pages_put_together_are_the_whole_answer(
    minutes: list[list[tuple[int, bool]]], limit: int, newest_first: bool, late: bool
) -> None:
    logs = {
        f"audit/{number}": [event(m, user="joe" if ours else "ann", n=i) for i, (m, ours) in enumerate(sorted(log))]
        for number, log in enumerate(minutes)
    }

    async def body() -> list[Hit]:
        backend, heads = await filled(logs)
        hits, continuation = await search(backend, heads, Query(user="joe", limit=limit, newest_first=newest_first))
        if late and newest_first:  # what arrives between the pages is not part of an answer from the newest on
            for log in (*logs, "audit/new"):
                await backend.commit(Append(log, event(99)))
                heads[log] = heads.get(log, 0) + 1
        while continuation:
            query = Query(user="joe", limit=limit, newest_first=newest_first, continuation=continuation)
            more, continuation = await search(backend, heads, query)
            assert len(more) <= limit
            hits += more
        return hits

    hits = asyncio.run(body())
    times = [hit.time for hit in hits]
    assert times == sorted(times, reverse=newest_first)
    expected = sorted((log, n + 1) for log, datas in logs.items() for n, data in enumerate(datas) if b'"joe"' in data)
    assert sorted((hit.record.log, hit.record.sequence) for hit in hits) == expected
