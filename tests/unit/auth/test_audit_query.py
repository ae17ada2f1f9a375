"""Queries over the API: rows, counts, pages, rights, and that a page does a bounded share of the work."""

# ruff: noqa: E501, S608 - the queries are ours and read best in one line

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import msgspec
import pytest

from teleport.api.audit_query_calls import AuditQueryCalls
from teleport.auth import audit_query
from teleport.base import errors
from teleport.store.backend import Append
from tests.support.auth_cluster import START, Cluster, run

LOG = "audit/auth-1"


def record(number: int) -> dict[str, Any]:
    return {
        "event": ("exec", "user.login")[number % 2], "code": "T1", "time": START + dt.timedelta(minutes=number),
        "user": ("alice", "bob", "carol")[number % 3], "n": number, "server_labels": {"env": "prod" if number % 5 else "x"},
    }  # fmt: skip


async def filled(cluster: Cluster, count: int = 60) -> AuditQueryCalls:
    await cluster.backend.commit(*(Append(LOG, msgspec.json.encode(record(number))) for number in range(count)))
    return AuditQueryCalls(cluster.client(cluster.user("ann", "auditor")))


async def rows(calls: AuditQueryCalls, query: str, **how: Any) -> list[dict[str, Any]]:
    return [row async for page in calls.pages(query, **how) for row in page.rows]


def test_rows_are_those_that_a_loop_would_find() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await filled(cluster)
        every = [record(number) for number in range(60)]
        wanted = "user = 'alice' AND time >= '2030-01-01T00:20:00Z' AND event IN ('exec') AND server_labels.env != 'x'"
        found = await rows(calls, f"SELECT n, user FROM events WHERE {wanted}")
        expected = [
            {"n": e["n"], "user": "alice"} for e in reversed(every)
            if e["user"] == "alice" and e["n"] >= 20 and e["event"] == "exec" and e["n"] % 5
        ]  # fmt: skip
        assert found == expected
        assert await rows(calls, f"SELECT n, user FROM events WHERE {wanted} ORDER BY time ASC") == expected[::-1]
        assert await rows(calls, f"SELECT n, user FROM events WHERE {wanted}", limit=2) == expected
        assert await rows(calls, f"SELECT n, user FROM events WHERE {wanted} LIMIT 3", limit=2) == expected[:3]

    run(story)


def test_counts_add_up_over_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_query, "COUNTED", 7)

    async def story(cluster: Cluster) -> None:
        calls = await filled(cluster)
        total: Counter[str] = Counter()
        for row in await rows(calls, "SELECT user, COUNT(*) FROM events WHERE n >= 0 GROUP BY user"):
            total[row["user"]] += row["count"]
        assert total == {"alice": 20, "bob": 20, "carol": 20}
        counts = await rows(calls, "SELECT COUNT(*) FROM events WHERE n < 50")
        assert sum(row["count"] for row in counts) == 50
        assert len(counts) > 7
        page = await calls.page("SELECT server_labels, COUNT(*) FROM events WHERE n < 7 GROUP BY server_labels")
        assert page.counts
        assert page.columns == ("server_labels", "count")
        assert {msgspec.json.encode(row["server_labels"]): row["count"] for row in page.rows} == {
            b'{"env":"prod"}': 5, b'{"env":"x"}': 2,
        }  # fmt: skip

    run(story)


def test_a_page_ends_when_its_share_of_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_query, "STEPS", 1)

    async def story(cluster: Cluster) -> None:
        calls = await filled(cluster, 3000)
        query = "SELECT n FROM events WHERE n = 5"
        first = await calls.page(query)
        assert first.rows == ()
        assert first.next
        assert await rows(calls, query) == [{"n": 5}]

    run(story)


def test_now_is_the_same_moment_on_all_pages() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await filled(cluster, 10)
        cluster.clock.advance(dt.timedelta(minutes=20))
        query = "SELECT n FROM events WHERE time > now() - 15m AND n >= 0"
        first = await calls.page(query, limit=2)
        cluster.clock.advance(dt.timedelta(hours=1))
        rest = await rows(calls, query, after=first.next)
        assert [row["n"] for row in (*first.rows, *rest)] == [9, 8, 7, 6]

    run(story)


def test_a_large_page_fits_into_a_message() -> None:
    async def story(cluster: Cluster) -> None:
        big = [Append(LOG, msgspec.json.encode({**record(n), "pad": "x" * 200_000})) for n in range(40)]
        await cluster.backend.commit(*big)
        calls = AuditQueryCalls(cluster.admin)
        found = await rows(calls, "SELECT * FROM events WHERE n >= 0", limit=1000)
        assert [row["n"] for row in found] == list(reversed(range(40)))

    run(story)


def test_damaged_records_are_empty_rows_where_nothing_is_asked_of_them() -> None:
    async def story(cluster: Cluster) -> None:
        calls = await filled(cluster, 1)
        await cluster.backend.commit(Append(LOG, b"\xff"), Append(LOG, b"[1]"))
        assert (await calls.page("SELECT * FROM events", limit=2)).rows == ({}, {})
        assert (await calls.page("SELECT * FROM events WHERE n = 0")).rows[0]["n"] == 0

    run(story)


def test_only_those_who_may_read_events_may_ask() -> None:
    async def story(cluster: Cluster) -> None:
        await filled(cluster)
        for caller in (cluster.user("eve", "editor"), cluster.host("Node")):
            with pytest.raises(errors.AccessDenied):
                await AuditQueryCalls(cluster.client(caller)).page("SELECT * FROM events")

    run(story)


@pytest.mark.parametrize(
    ("query", "after", "code"),
    [
        ("SELECT", "", "EVENT-QUERY"),
        ("SELECT * FROM events", "!", "STORE-AUDIT-CONTINUE"),
        ("SELECT * FROM events", "WzEsMl0", "STORE-AUDIT-CONTINUE"),
        ("SELECT * FROM events", "WzAsIjIwMzAtMDEtMDFUMDA6MDA6MDAiLCIiXQ", "STORE-AUDIT-CONTINUE"),
        ("SELECT * FROM events", "WzAsIjIwMzAtMDEtMDFUMDA6MDA6MDBaIiwieCJd", "STORE-AUDIT-CONTINUE"),
    ],
)
def test_what_cannot_be_read_is_refused(query: str, after: str, code: str) -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(errors.BadParameter) as caught:
            await AuditQueryCalls(cluster.admin).page(query, after=after)
        assert caught.value.code == code

    run(story)
