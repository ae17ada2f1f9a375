"""What stories begin with: a cluster with somebody who is signed in, or an SSH Service alone with its spawner and a
stage to play on. A file whose story needs another cluster has a fixture of that name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from tests.support import bare_home, ssh_node
from tests.support.cluster import OWN, Cluster, User
from tests.support.ssh_node import Client, World


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("walker", logins=["{{internal.logins}}"])
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    return cluster.sign_up("alice", ["walker"], [OWN])


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    running = Spawner.launch(wrapper=bare_home.wrapper())
    yield running
    running.close()


@pytest.fixture
def world() -> World:
    return ssh_node.world()


@pytest.fixture
def client(world: World, tmp_path: Path) -> Client:
    return ssh_node.client(world, tmp_path / "client")


@pytest.fixture
def play(world: World, spawner: Spawner) -> Callable[..., None]:
    """Run a scene against a service, made with these changes."""
    host = ssh_node.host_key(world)

    def run(scene: Callable[[SSHService], Awaitable[None]], **changes: Any) -> None:
        async def main() -> None:
            async with ssh_node.serving(world, spawner, host, **changes) as node:
                await scene(node)

        asyncio.run(main())

    return run
