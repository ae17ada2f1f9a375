"""What strangers cause is written, and never much of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.auth.refusals import MOST, WINDOW, Refusals, source_of
from teleport.base.errors import NotAuthenticated, Unavailable
from tests.support.auth_cluster import Cluster, run

EXPIRED = NotAuthenticated("API-CERT-EXPIRED", reason="certificate has expired")
FOREIGN = NotAuthenticated("API-CERT-UNKNOWN-CA", reason="unable to get local issuer certificate")


def noting(story: Callable[[Cluster, Refusals], Awaitable[None]]) -> None:
    async def body(cluster: Cluster) -> None:
        await story(cluster, Refusals(cluster.service.audit_log, cluster.clock, "auth-1"))

    run(body)


async def told(cluster: Cluster) -> list[tuple[str, str]]:
    return [(event.get("addr.remote", ""), event["message"]) for event in await cluster.events("auth")]


def test_the_first_is_written_and_the_rest_of_the_minute_counted() -> None:
    async def story(cluster: Cluster, refusals: Refusals) -> None:
        for _ in range(5):
            await refusals.note("192.0.2.1", EXPIRED)
        await refusals.note("192.0.2.1", FOREIGN)
        await refusals.note("192.0.2.2", EXPIRED)
        assert [source for source, _ in await told(cluster)] == ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
        cluster.clock.advance(WINDOW + dt.timedelta(seconds=1))
        await refusals.close_windows()
        assert (await told(cluster))[3:] == [("192.0.2.1", "4 more within 60 seconds")]
        await refusals.note("192.0.2.1", EXPIRED)
        assert len(await told(cluster)) == 5
        event: dict[str, Any] = (await cluster.events("auth"))[0]
        assert event["code"] == "T3007W"
        assert event["error"] == "remote error: tls: bad certificate (API-CERT-EXPIRED)"
        assert event["server_id"] == "auth-1"

    noting(story)


def test_many_sources_share_one_line() -> None:
    async def story(cluster: Cluster, refusals: Refusals) -> None:
        for number in range(1000):
            await refusals.note(f"10.0.{number // 250}.{number % 250}", EXPIRED)
        assert len(await told(cluster)) == MOST
        assert len(refusals._open) == MOST + 1
        await refusals.close_windows(all=True)
        assert (await told(cluster))[MOST:] == [("", f"{1000 - MOST} more within 60 seconds")]
        assert not refusals._open

    noting(story)


def test_a_store_that_fails_is_not_the_callers_matter() -> None:
    async def story(cluster: Cluster, refusals: Refusals) -> None:
        async def fail(event: object) -> None:
            raise Unavailable("STORE-CLOSED")

        refusals._audit.record = fail  # type: ignore[method-assign, assignment]
        await refusals.note("192.0.2.1", EXPIRED)

    noting(story)


@pytest.mark.parametrize(
    ("ip", "source"),
    [
        ("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""), ("memory", "memory"),
    ],
)  # fmt: skip
def test_a_source_is_what_one_sender_cannot_change(ip: str, source: str) -> None:
    assert source_of(ip) == source
