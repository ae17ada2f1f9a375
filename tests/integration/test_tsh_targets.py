"""tsh ssh on a cluster with several nodes: by name, id, labels and query; one command on many."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest

from tests.support import sshd_node
from tests.support.cluster import NAME, NODE, OWN, Cluster, User
from tests.support.sshd_node import SshdNode


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("targets")).running() as running:
        running.role("walker", logins=["{{internal.logins}}"], env=["*"])
        yield running


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[dict[str, SshdNode]]:
    with contextlib.ExitStack() as stack:
        yield {
            key: stack.enter_context(sshd_node.running(cluster, name, up=up, env=env, role=key.split("-")[0]))
            for key, name, env, up in (
                ("web-1", "web", "prod", True), ("web-2", "web", "prod", True), ("db-1", "db", "prod", True),
                ("old-1", "old", "test", False),
            )
        }  # fmt: skip


@pytest.fixture(scope="module")
def alice(cluster: Cluster, nodes: dict[str, SshdNode]) -> User:
    return cluster.sign_up("alice", ["walker"], [OWN])


def test_it_goes(alice: User, nodes: dict[str, SshdNode]) -> None:
    print(alice.tsh("ls").out)
    print(alice.tsh("ssh", f"{OWN}@db", "echo $NODE_NAME $$").out)
    print(alice.tsh("ssh", f"{OWN}@web", "echo $NODE_NAME $$", status=1).err)
    print(alice.tsh("ssh", f"{OWN}@env=prod", "echo $NODE_NAME $$"))
    print(alice.tsh("ssh", f"{OWN}@role=old", "echo $NODE_NAME $$", status=None))
    print(alice.tsh("ssh", "--query", "true", f"{OWN}@", "echo $NODE_NAME $$", status=None).err)
    print(alice.tsh("ssh", "nologin@db", "echo $NODE_NAME $$", status=None).err)
