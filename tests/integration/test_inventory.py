"""The inventory of a real cluster whose services run apart: who is listed, who is connected, and who is a copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.apart import Apart
from tests.support.processes import wait_for
from tests.support.server_process import ServerProcess


class Stage:
    """A process with the Auth Service, and one with a node."""

    def __init__(self, cluster: Apart, node: ServerProcess) -> None:
        self.cluster = cluster
        self.node = node

    def connected(self) -> dict[str, dict[str, Any]]:
        """Return what is connected, by host name."""
        found = json.loads(self.cluster.tctl("inventory", "status", "--connected", "--format=json").out)
        return {entry["hostname"]: entry for entry in found}

    def node_id(self) -> str:
        """Return the id of the node's host."""
        return str(wait_for("the node", lambda: self.connected().get("node-2"))["server_id"])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Apart(tmp_path_factory.mktemp("inventory")).running() as cluster:
        node = cluster.node("node-2")
        with node.running():
            yield Stage(cluster, node)


def test_what_is_connected_is_listed_at_once(stage: Stage) -> None:
    id = stage.node_id()
    lines = stage.cluster.tctl("inventory", "status", "--connected").out.splitlines()
    assert lines[0].split() == ["Server", "ID", "Services", "Version", "Upgrader"]
    assert [line.split() for line in lines[2:] if id in line] == [[id, "Node", f"v{version()}", "none"]]
    here = stage.connected()[str(stage.cluster.settings["node"])]
    assert here["services"] == ["Auth"]


def test_the_list_has_the_columns_of_the_guide_and_can_be_narrowed(stage: Stage) -> None:
    """S2-36: `tctl inventory ls --upgrader=none` lists agents without updater only."""
    id = stage.node_id()
    listed = wait_for(
        "the entry", lambda: id in (out := stage.cluster.tctl("inventory", "ls", "--upgrader=none").out) and out
    )
    assert listed.splitlines()[0].split() == ["Server", "ID", "Hostname", "Services", "Version", "Upgrader"]
    assert [line.split() for line in listed.splitlines() if id in line] == [
        [id, "node-2", "Node", f"v{version()}", "none"]
    ]
    for wanted in ("--upgrader=unit", "--older-than=v0.0.1", "--newer-than=v99.0.0", "--services=node,proxy"):
        assert id not in stage.cluster.tctl("inventory", "ls", wanted).out
    for wanted in ("--services=node", "--older-than=v99.0.0", f"--exact-version={version()}"):
        assert id in stage.cluster.tctl("inventory", "ls", wanted).out
    assert "KIND-VERSION-ORDER" in stage.cluster.tctl("inventory", "ls", "--older-than=new", status=1).err
    counted = stage.cluster.tctl("inventory", "status").out
    assert f"Versions:\n  v{version()}: 2\n" in counted
    assert "Services:\n  Auth: 1\n  Node: 1\n" in counted
    assert counted.endswith("Total Instances: 2\n")


def test_a_ping_goes_to_the_process_and_back(stage: Stage) -> None:
    id = stage.node_id()
    assert f'Successfully pinged server "{id}" (~' in stage.cluster.tctl("inventory", "ping", id).out
    missing = stage.cluster.tctl("inventory", "ping", "00000000-0000-4000-8000-000000000000", status=1).err
    assert "INV-NOT-CONNECTED" in missing


def test_who_may_not_read_instances_hears_so(stage: Stage) -> None:
    stage.cluster.role("walker")
    with stage.cluster.proxy().running():
        bob = stage.cluster.sign_up("bob", ["walker"])
        said = bob.tctl("inventory", "status", "--connected", status=None)
    assert said.status != 0
    assert "access denied" in said.err.lower()


def test_a_stopped_process_is_gone_from_both(stage: Stage) -> None:
    id = stage.node_id()
    stage.node.stop()
    wait_for("the end of its entry", lambda: id not in stage.cluster.tctl("inventory", "ls").out)
    assert "node-2" not in stage.connected()
    stage.node.start()
    assert stage.node_id() == id


def test_a_copied_process_is_told_of(stage: Stage) -> None:
    """Two agents, one UUID: the log and the audit log of the cluster say so, and so does each agent."""
    id = stage.node_id()
    copy = stage.cluster.node("node-3")
    shutil.copytree(stage.node.data, copy.data, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    with copy.running():
        event = wait_for("the event", lambda: stage.cluster.events(event="instance.clone"), seconds=90)[0]
        assert event["server_id"] == id
        assert {event["hostname"], event["other_hostname"]} == {"node-2", "node-3"}
        for process in (stage.node, copy):
            wait_for("its log", lambda process=process: "INV-CLONE" in process.log)  # type: ignore[misc]
        assert "INV-CLONE" in stage.cluster.tctl("inventory", "ls").err
    stage.node.stop()
    stage.node.start()  # whichever spoke last has given the entry its name
    wait_for("its own name", lambda: "node-2" in stage.cluster.tctl("inventory", "ls").out)


def version() -> str:
    from teleport.version import VERSION

    return VERSION
