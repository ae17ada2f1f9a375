"""Every channel of a node with stock OpenSSH: each goes through with its option, and is refused without.

The matrix is `tests.support.channels.DOORS`; docs/guides/ssh-channels.md prints it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.switches import Switches
from tests.support import policy, ssh_node
from tests.support.channels import DOORS, PAYLOAD, Door, Ran
from tests.support.ssh_node import LOGIN, Client, World

Play = Callable[..., None]
NOTHING_CLOSED = Switches(closed=())
CERTIFIED = {
    "permit_agent_forwarding": True, "permit_port_forwarding": True, "permit_x11_forwarding": True,
}  # fmt: skip
CLOSES: dict[str, tuple[Any, ...]] = {
    "port_forwarding": ("local_forward", "remote_forward"), "x11.enabled": ("x11",), "ssh_file_copy": ("file_copy",),
}  # fmt: skip


class Stock:
    """Stock OpenSSH for a node in this process."""

    def __init__(self, client: Client, node: SSHService) -> None:
        self._client = client
        self._node = node

    async def run(
        self, *options: str, command: Sequence[str] = (), stdin: bytes = b"", env: dict[str, str] | None = None,
        program: str = "ssh",
    ) -> Ran:  # fmt: skip
        cut = ["--", *command] if command else []
        return Ran(*await self._client.run(self._node, *options, *cut, stdin=stdin, env=env, program=program))

    @contextlib.asynccontextmanager
    async def start(
        self, *options: str, command: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        argv = ["ssh", *options, *self._client.options(self._node.address), f"{LOGIN}@node-1", *command]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env={**os.environ, "HOME": str(self._client.folder), **(env or {})},
        )
        try:
            async with asyncio.timeout(60):
                yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@pytest.fixture
def client(world: World, tmp_path: Path) -> Client:
    return ssh_node.client(world, tmp_path / "client", **CERTIFIED)


def with_options(world: World, options: dict[str, Any]) -> None:
    world.roles = [policy.role("dev", {"logins": [LOGIN], "node_labels": {"env": "prod"}}, options=options)]


def of(door: Door) -> Any:
    return pytest.param(door, id=door.name.replace(" ", "_"))


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(PAYLOAD)


@pytest.mark.parametrize("door", [of(door) for door in DOORS])
def test_it_goes_through_with_its_option(door: Door, play: Play, client: Client, world: World, tmp_path: Path) -> None:
    with_options(world, door.allowing)

    async def scene(node: SSHService) -> None:
        seen = await door.use(Stock(client, node), tmp_path)
        assert seen.through, seen.said
        await world.wait_for(door.event)
        assert not world.denials
        assert not world.told(door.refusal)

    play(scene, switches=NOTHING_CLOSED)


@pytest.mark.parametrize("door", [of(door) for door in DOORS])
def test_it_is_refused_without(door: Door, play: Play, client: Client, world: World, tmp_path: Path) -> None:
    with_options(world, door.refusing)

    async def scene(node: SSHService) -> None:
        seen = await door.use(Stock(client, node), tmp_path)
        assert not seen.through
        assert f"POL-CHANNEL-ROLE: {door.text}" in seen.said
        (id,) = world.denials
        assert id in seen.said
        (event, *_) = await world.wait_for(door.refusal)
        assert event.get("decision_id") == id
        assert not world.told(door.event)

    play(scene, switches=NOTHING_CLOSED)
