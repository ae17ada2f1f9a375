"""Who may end which session, what the node is told, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.base.errors import TeleportError
from teleport.model.kinds.session_termination import SessionTermination, SessionTerminationSpec
from teleport.model.kinds.session_tracker import SessionTracker, SessionTrackerSpec
from teleport.model.resource import Metadata
from tests.support.auth_cluster import HOST_UUID, Cluster, role, rule, run

OTHER_UUID = "99999999-2222-4333-8444-555555555555"


def wish(session: str = "s-1", **spec: Any) -> SessionTermination:
    spec = {"message": "at noon", **spec}
    return SessionTermination(version="v1", metadata=Metadata(name=session), spec=SessionTerminationSpec(**spec))


async def tracked(cluster: Cluster, user: str = "alice") -> None:
    spec = SessionTrackerSpec(session_id="s-1", state="running", server_id=HOST_UUID, host_user=user, login="root")
    await cluster.service.store.create(SessionTracker(version="v1", metadata=Metadata(name="s-1"), spec=spec))


async def code_of(call: Any) -> str:
    try:
        await call
    except TeleportError as error:
        return error.code if error.id else "no id"
    return ""


def test_everybody_may_end_their_own_and_it_is_recorded_who_did() -> None:
    async def story(cluster: Cluster) -> None:
        await tracked(cluster)
        alice = cluster.client(cluster.user("alice"))
        made = await alice.upsert(wish(created_by="root", server_id=OTHER_UUID, host_user="eve"))
        assert (made.spec.created_by, made.spec.server_id, made.spec.host_user) == ("alice", HOST_UUID, "alice")
        assert made.spec.message == "at noon"
        (event,) = await cluster.events("session.terminate")
        assert (event["code"], event["user"], event["sid"], event["host_user"], event["message"]) == (
            "TST00I", "alice", "s-1", "alice", "at noon",
        )  # fmt: skip

    run(story)


@pytest.mark.parametrize(
    ("verbs", "code"),
    [((), "POL-NOT-FOUND"), (("read", "list"), "POL-NO-VERB"), (("update",), ""), (("delete",), "")],
)
def test_others_need_a_rule_on_the_tracker(verbs: tuple[str, ...], code: str) -> None:
    async def story(cluster: Cluster) -> None:
        await tracked(cluster)
        await cluster.admin.create(role("helper", rules=[rule("session_tracker", " ".join(verbs))] if verbs else []))
        bob = cluster.client(cluster.user("bob", "helper"))
        assert await code_of(bob.upsert(wish())) == code
        assert len(await cluster.service.store.list(SessionTermination)) == (not code)

    run(story)


def test_a_session_that_is_not_there_and_one_that_is_hidden_are_refused_alike() -> None:
    async def story(cluster: Cluster) -> None:
        await tracked(cluster)
        bob = cluster.client(cluster.user("bob"))
        said = []
        for session in ("s-1", "s-2"):
            with pytest.raises(TeleportError) as caught:
                await bob.upsert(wish(session))
            said.append(caught.value.what.replace(session, "<session>"))
        assert len(set(said)) == 1

    run(story)


def test_only_the_node_that_holds_the_session_hears_of_it() -> None:
    async def story(cluster: Cluster) -> None:
        await tracked(cluster)
        await cluster.admin.upsert(wish())
        for uuid, count in ((HOST_UUID, 1), (OTHER_UUID, 0)):
            node = cluster.client(cluster.host("Node", uuid=uuid))
            assert len([each async for each in node.list("session_termination")]) == count

    run(story)
