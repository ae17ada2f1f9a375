"""Two faults of the network between an agent and its proxy, small; all of them: `python -m tests.network.faults`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.network import faults
from tests.network.faults import CALM, EDGE, FAULTS, Stage
from tests.support.processes import wait_for

BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("faults")).everywhere(EDGE, CALM) as made:
        yield made


def test_a_way_that_forgets_its_connections(cluster: Stage) -> None:
    """Half-open: nobody says that the tunnel is dead, and another one has its place long before it ends."""
    node = cluster.edges[EDGE]
    before = len(node.log)
    BY_NAME["half-open"].begin(cluster)
    wait_for("another tunnel", lambda: "another one takes its place" in node.log[before:], seconds=90)
    assert cluster.ssh(EDGE, "echo", "here").out == "here\n"
    assert "A tunnel has ended" not in node.log[before:], "it is left to its connections until it is known to be dead"
    assert "another one takes its place" not in cluster.edges[CALM].log
    cluster.net.heal()


def test_connections_that_are_reset(cluster: Stage) -> None:
    """The agent comes back, and a session of somebody else on another node does not end."""
    row = faults.strike(cluster, BY_NAME["reset"])
    assert not row.other.ended
    assert any(not failure for _, _, failure in row.new.done)
