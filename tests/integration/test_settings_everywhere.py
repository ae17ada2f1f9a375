"""Settings of the cluster that `tctl` changes reach proxies and nodes in processes of their own, which go on running;
the node knows several Auth Services, one of which is dead."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.apart import Apart, Member
from tests.support.cluster import OWN, User
from tests.support.ports import free_ports
from tests.support.processes import wait_for


class Stage:
    """A proxy and a node that run all the time."""

    def __init__(self, cluster: Apart, members: tuple[Member, ...], alice: User) -> None:
        self.cluster, self.alice = cluster, alice
        self.members = members
        self.pids = [member.pid for member in members]
        self._numbers = itertools.count()

    def set(self, kind: str, **spec: object) -> None:
        """Change a setting, as an administrator does it."""
        self.cluster.tctl("create", "-f", stdin=json.dumps({"kind": kind, "version": "v2", "spec": spec}))

    def start(self) -> dict[str, Any]:
        """Have a new session, and return how it is recorded."""
        word = f"session-{next(self._numbers)}"
        self.alice.tsh("ssh", "-t", f"{OWN}@node-2", f"echo {word}")
        return self.cluster.event(word, event="session.start")

    def farewell(self, text: str) -> bool:
        """Say whether a session in which nothing happens ends with a text."""
        return text in self.alice.tsh("ssh", f"{OWN}@node-2", "sleep 3", status=None).err


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Apart(tmp_path_factory.mktemp("settings")).running() as cluster:
        proxy, node = cluster.proxy(), cluster.node("node-2")
        servers = [f"127.0.0.1:{free_ports(1)[0]}", cluster.auth]
        node.write(cluster.joining("node").replace(f"auth_server: {cluster.auth}", f"auth_servers: {servers}"),
                   node.services, "v2")  # fmt: skip
        with proxy.running(), node.running():
            cluster.wait_for_node("node-2")
            cluster.role("walker", logins=[OWN])
            made = Stage(cluster, (proxy, node), cluster.sign_up("alice", ["walker"]))
            yield made
            assert [member.pid for member in made.members] == made.pids


@pytest.mark.config("teleport.auth_servers")
def test_one_of_several_auth_servers_is_enough(stage: Stage) -> None:
    """The node joined, and serves, although nobody answers at one of the addresses that its file names."""
    assert stage.alice.tsh("ssh", f"{OWN}@node-2", "echo", "here").out == "here\n"


def test_idle_times_reach_nodes(stage: Stage) -> None:
    """A node ends an idle session as the setting says by then, with its words, and no longer when it is taken back."""
    stage.set("cluster_networking_config", client_idle_timeout="1s", client_idle_timeout_message="nobody was there")
    wait_for("the node to know", lambda: stage.farewell("nobody was there"), seconds=60)
    stage.set("cluster_networking_config")
    wait_for("the node to forget", lambda: not stage.farewell("nobody was there"), seconds=60)


def test_recording_and_idle_times_reach_proxies(stage: Stage) -> None:
    """The proxy begins to end connections, and records them; it ends what is idle, as the setting says by then."""
    assert stage.start()["session_recording"] == "node"
    stage.set("session_recording_config", mode="proxy")
    wait_for("the proxy to know", lambda: stage.start()["session_recording"] == "proxy", seconds=60)
    stage.set("cluster_networking_config", client_idle_timeout="1s", client_idle_timeout_message="closed by the proxy")
    wait_for("the proxy to know", lambda: stage.farewell("closed by the proxy"), seconds=60)
    stage.set("cluster_networking_config")
    stage.set("session_recording_config", mode="off")
    wait_for("the node to know", lambda: stage.start()["session_recording"] == "off", seconds=60)


def test_what_is_set_is_shown(stage: Stage) -> None:
    stage.set("cluster_networking_config", keep_alive_interval="1m", keep_alive_count_max=2)
    shown = json.loads(stage.cluster.tctl("get", "netconfig", "--format=json").out)
    (found,) = shown if isinstance(shown, list) else [shown]
    assert (found["spec"]["keep_alive_interval"], found["spec"]["keep_alive_count_max"]) == ("1m0s", 2)
    assert "TCNET002I" in {event["code"] for event in stage.cluster.some(event="cluster_networking_config.update")}
