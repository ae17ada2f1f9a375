"""The audit log over the API: what services may write, who may read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.messages import EventQuery
from teleport.auth import audit
from teleport.base import errors
from teleport.model.events.access import AccessDenied
from teleport.model.events.base import document
from teleport.model.events.session import Exec
from teleport.model.events.user import UserLogin
from tests.support.auth_cluster import HOST_UUID, START, Cluster, role, run


def ran(command: str = "true", **fields: Any) -> dict[str, Any]:
    return document(Exec(command=command, exit_code="0", user="bob", login="root", **fields))


def test_a_node_writes_events_in_its_own_name() -> None:
    async def story(cluster: Cluster) -> None:
        client = cluster.client(cluster.host("Node"))
        await client.emit(ran(server_id="somebody else", time=START), ran("false"))
        found = await cluster.events("exec")
        assert [(e["command"], e["server_id"], e["cluster_name"]) for e in found] == [
            ("true", HOST_UUID, "example.com"), ("false", HOST_UUID, "example.com"),
        ]  # fmt: skip
        assert len({e["uid"] for e in found}) == 2

    run(story)


def test_a_proxy_tells_of_servers_whose_connections_it_ends_and_says_so() -> None:
    """A node cannot: the first story of this file."""

    async def story(cluster: Cluster) -> None:
        await cluster.proxy.emit(
            ran(server_id="plain-1", forwarded_by="x"),
            ran("false"),
            ran("own", server_id=HOST_UUID),
            ran("beside", server_id=HOST_UUID, forwarded_by="x"),
        )
        await cluster.client(cluster.host("Node")).emit(ran("forged", server_id="plain-1", forwarded_by="plain-1"))
        found = await cluster.events("exec")
        assert [(e["command"], e["server_id"], e.get("forwarded_by", "")) for e in found] == [
            ("true", "plain-1", HOST_UUID), ("false", HOST_UUID, ""), ("own", HOST_UUID, ""),
            ("beside", HOST_UUID, HOST_UUID), ("forged", HOST_UUID, ""),
        ]  # fmt: skip

    run(story)


def test_a_node_cannot_write_of_what_the_auth_service_does() -> None:
    async def story(cluster: Cluster) -> None:
        client = cluster.client(cluster.host("Node"))
        denied = AccessDenied(decision_id="x", action="ssh")
        for forged in (document(UserLogin(user="bob", success=True)), document(denied), {"event": "nothing"}, {}):
            with pytest.raises(errors.AccessDenied) as caught:
                await client.emit(ran(), forged)
            assert caught.value.code == "AUTH-ESCALATION"
        assert await cluster.events("exec", "user.login", "access.denied") == []

    run(story)


def test_only_those_who_may_read_events_do() -> None:
    async def story(cluster: Cluster) -> None:
        for held, may in (("auditor", True), ("editor", False)):
            client = cluster.client(cluster.user("eve", held))
            if may:
                assert (await client.search_events(EventQuery(limit=1))).events
                assert all(report.problem == "" for report in await client.verify_audit())
                continue
            for call in (client.search_events(EventQuery()), client.verify_audit()):
                with pytest.raises(errors.AccessDenied):
                    await call

    run(story)


def test_a_search_is_narrowed_and_continued() -> None:
    async def story(cluster: Cluster) -> None:
        admin, node = cluster.admin, cluster.client(cluster.host("Node"))
        for number in range(10):
            await node.emit(ran(f"command {number}"))
            cluster.clock.advance(dt.timedelta(minutes=1))
        page = await admin.search_events(EventQuery(types=("exec",), limit=4))
        rest = await admin.search_events(EventQuery(types=("exec",), limit=400, after=page.next))
        assert [e["command"] for e in (*page.events, *rest.events)] == [f"command {n}" for n in range(10)]
        assert rest.next == ""
        newest = await admin.search_events(EventQuery(types=("exec",), limit=1, descending=True))
        assert newest.events[0]["command"] == "command 9"
        late = EventQuery(types=("exec",), since=START + dt.timedelta(minutes=8), until=START + dt.timedelta(minutes=9))
        assert [e["command"] for e in (await admin.search_events(late)).events] == ["command 8"]
        assert len((await admin.search_events(EventQuery(text="COMMAND 3", user="bob"))).events) == 1
        assert (await admin.search_events(EventQuery(text="command", user="eve"))).events == ()

    run(story)


def test_a_page_of_events_fits_into_a_message() -> None:
    async def story(cluster: Cluster) -> None:
        node, long = cluster.client(cluster.host("Node")), "x" * 100_000
        for _ in range(60):
            await node.emit(ran(long))
        seen, after = 0, ""
        while True:
            page = await cluster.admin.search_events(EventQuery(types=("exec",), limit=5000, after=after))
            seen, after = seen + len(page.events), page.next
            if not after:
                break
        assert seen == 60

    run(story)


def test_a_chain_that_was_changed_is_found() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("dev"))
        log = cluster.backend._logs["audit/auth-1"]
        record = log[1]
        log[1] = type(record)(record.log, record.sequence, record.data.replace(b"o", b"0", 1), record.digest)
        (report,) = await cluster.admin.verify_audit()
        assert report.problem.startswith("record 2: ")

    run(story)


def test_a_page_that_the_server_ends_early_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "STEPS", 1)

    async def story(cluster: Cluster) -> None:
        node = cluster.client(cluster.host("Node"))
        await node.emit(ran("x1"))
        for _ in range(4):
            await node.emit(*[ran("true")] * 500)
        await node.emit(ran("x2"))
        found = await cluster.admin.search_events(EventQuery(text="x", types=("exec",), limit=2, descending=True))
        wanted = EventQuery(text="x1", types=("exec",), limit=2, descending=True)
        assert len(found.events) == 2
        assert [e["command"] for e in (await cluster.admin.search_events(wanted)).events] == ["x1"]

    run(story)
