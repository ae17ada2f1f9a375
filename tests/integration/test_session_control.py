"""Who may end whose session, and how many connections somebody has, on a real cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.cluster import NAME, NODE, OWN, Cluster, User
from tests.support.processes import wait_for

HOST = f"{NODE}.{NAME}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("control")).running() as running:
        running.role("walker", logins=["{{internal.logins}}"])
        running.role("keeper", rules=[{"resources": ["session_tracker"], "verbs": ["list", "read", "delete"]}])
        running.create(
            {
                "kind": "role", "version": "v7", "metadata": {"name": "one-connection"},
                "spec": {"options": {"max_connections": 1}},
            }
        )  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def bob(cluster: Cluster) -> User:
    return cluster.sign_up("bob", ["walker"], [OWN])


def session_of(user: User) -> str:
    def look() -> str:
        found = json.loads(user.cluster.tctl("sessions", "ls", "--format=json").out)
        return next((each["metadata"]["name"] for each in found if each["spec"]["host_user"] == user.name), "")

    return wait_for(f"a session of {user.name}", look)


def test_own_sessions_are_ended_and_those_of_others_are_not(cluster: Cluster, alice: User, bob: User) -> None:
    with alice.session() as client:
        id = session_of(alice)
        refused = bob.tsh("sessions", "terminate", id, status=1).err
        assert "POL-NOT-FOUND" in refused
        assert "POL-NOT-FOUND" in bob.tsh("sessions", "terminate", "5cee949f-0000-4f3b-9805-dac35d798a16", status=1).err
        assert client.poll() is None
        assert alice.tsh("sessions", "terminate", id, "--message", "enough for today").out == (
            f"Session {id} has ended.\n"
        )
        assert client.stderr is not None
        assert client.wait(30) == 255
        said = client.stderr.read().decode()
        assert "session terminated by alice: enough for today; ask alice before you go on" in said
    asked = cluster.event(event="session.terminate", sid=id)
    assert (asked["user"], asked["host_user"], asked["message"]) == ("alice", "alice", "enough for today")
    told = cluster.event(event="client.disconnect", sid=id)
    assert told["reason"] == "session terminated by alice: enough for today"


def test_a_rule_lets_others_end_sessions_and_so_may_the_administrator(cluster: Cluster, alice: User) -> None:
    keeper = cluster.sign_up("kate", ["keeper"])
    with alice.session() as client:
        id = session_of(alice)
        assert keeper.tsh("sessions", "terminate", id).out == f"Session {id} has ended.\n"
        assert client.wait(30) == 255
    with alice.session() as client:
        id = session_of(alice)
        assert cluster.tctl("sessions", "terminate", id).out == f"Session {id} has ended.\n"
        assert client.wait(30) == 255
    assert [event["user"].partition("@")[0] for event in cluster.events(event="session.terminate", sid=id)] == ["admin"]


def test_connections_are_limited_in_the_whole_cluster(cluster: Cluster) -> None:
    carol = cluster.sign_up("carol", ["walker", "one-connection"], [OWN])
    with carol.session():
        refused = carol.tsh("ssh", f"{OWN}@{HOST}", "echo ran", status=None)
        assert refused.status != 0
        assert "err-max-leases: 'carol' has no place for another ssh connection" in refused.err
        rejected = cluster.event(event="session.rejected", user="carol")
        assert (rejected["code"], rejected["reason"], rejected["max"]) == ("T1006W", "max_connections", 1)
        (semaphore,) = json.loads(cluster.tctl("get", "semaphores", "--format=json").out)
        assert (semaphore["sub_kind"], semaphore["metadata"]["name"]) == ("connection", "carol")
        assert len(semaphore["spec"]["leases"]) == 1
    metrics = cluster.teleport("debug", "metrics", "-c", str(cluster.config)).out
    assert "\nuser_max_concurrent_sessions_hit_total 1\n" in metrics
    wait_for("room", lambda: carol.tsh("ssh", f"{OWN}@{HOST}", "echo ran", status=None).out == "ran\n")
