"""The process that speaks with the network touches nothing for a user: strace(1) watches it at work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import OWN, Cluster, User
from tests.support.traced import Call, traced

ROOT = Path(__file__).parents[2]
PLACES = ("", ".", "/", "/etc/localtime", "/dev/null", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf")
"""Files of the machine that a process may read for itself; an empty one stands for an open descriptor."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("traced")).running() as running:
        running.role("walker", logins=[OWN])
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    return cluster.sign_up("alice", ["walker"], [OWN])


def check(calls: list[Call], cluster: Cluster) -> None:
    """What is opened by name is the service's own: its data, its program, a new terminal; nothing is connected to,
    and nothing bound."""
    own = (str(cluster.data), sys.prefix, sys.base_prefix, str(ROOT), "/dev/ptmx", "/proc/self/")
    assert any(str(cluster.data) in call.line for call in calls), "nothing was seen"
    for call in calls:
        assert call.name not in ("connect", "bind"), call.line
        for path in call.texts[:1]:
            assert path.startswith(own) or path in PLACES, call.line


def test_commands_and_shells_are_another_processes(alice: User, cluster: Cluster, tmp_path: Path) -> None:
    with traced(cluster.pid, tmp_path / "trace") as calls:
        assert alice.ssh(f"umask 077; echo mine > {tmp_path}/file; cat {tmp_path}/file").out == "mine\n"
        assert alice.ssh(f"cat {tmp_path}/file; id -u", options=["-tt"]).out == f"mine\n{os.geteuid()}\n"
    check(calls, cluster)
    assert any("/dev/ptmx" in call.line for call in calls), "a terminal is the service's to make"
    assert not any(str(tmp_path) in call.line for call in calls)
