"""What stories about an SSH Service begin with: its cluster, a user's files, the spawner, and a stage to play on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from tests.support import bare_home, ssh_node
from tests.support.ssh_node import Client, World


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
