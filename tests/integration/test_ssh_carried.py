"""A connection that a proxy has ended and records, as the node sees it: who may come with such a certificate, and
what the node leaves to the proxy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh
import pytest

from teleport.agents.ssh.recorder import Facts, NoTape, Tape, Watcher
from teleport.agents.ssh.service import SSHService
from tests.support import policy, ssh_node
from tests.support.ssh_node import LOGIN, World
from tests.support.until import until

Scene = Callable[[SSHService], Awaitable[None]]
Play = Callable[..., None]
SESSION = "11111111-2222-4333-8444-555555555555"


class Recorder:
    """Remembers what it was to record."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def begin(self, facts: Facts, watcher: Watcher) -> Tape:
        self.begun.append(facts.command)
        return NoTape()


async def connect(folder: Path, node: SSHService) -> asyncssh.SSHClientConnection:
    host, _, port = node.address.rpartition(":")
    return await asyncssh.connect(
        host, int(port), username=LOGIN, config=None, agent_path=None, known_hosts=None,
        client_keys=[(str(folder / "id"), str(folder / "id-cert.pub"))],
    )  # fmt: skip


def test_the_proxy_tells_and_records(play: Play, world: World, tmp_path: Path) -> None:
    recorder = Recorder()
    ends = world.clock.now() + dt.timedelta(minutes=2)
    ssh_node.client(world, tmp_path / "proxy", recorded_by="proxy-1", only_at="node-uuid-1", expires=ends)
    ssh_node.client(world, tmp_path / "user")
    world.roles = [policy.role("dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}},
                               options={"max_connections": 1, "disconnect_expired_cert": True})]  # fmt: skip

    async def scene(node: SSHService) -> None:
        async with await connect(tmp_path / "proxy", node) as carried:
            shown = await carried.run("echo $SSH_SESSION_ID", env={"SSH_SESSION_ID": SESSION}, term_type="xterm")
            assert shown.stdout == f"{SESSION}\r\n"
            assert (await carried.run("echo $SSH_SESSION_ID", env={"SSH_SESSION_ID": "$(id)"})).stdout != "$(id)\n"
            assert (world.events, world.trackers, world.leases, recorder.begun) == ([], {}, {}, [])
            world.clock.advance(dt.timedelta(minutes=3))  # type: ignore[attr-defined]
            assert (await carried.run("exit 3")).exit_status == 3
            world.roles = []
            with pytest.raises(asyncssh.ChannelOpenError, match="POL-ROLE-MISSING"):
                await carried.run("true")
            assert len(world.denials) == 1
            world.roles = [policy.role("dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}})]
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(tmp_path / "proxy", node)
        async with await connect(tmp_path / "user", node) as own:
            said = await own.run("echo $SSH_SESSION_ID", env={"SSH_SESSION_ID": SESSION})
            assert said.stdout != f"{SESSION}\n"
            assert recorder.begun == ["echo $SSH_SESSION_ID"]
            await until(lambda: bool(world.told("T2004I")))

    play(scene, recorder=recorder)


def test_it_is_for_one_node(play: Play, world: World, tmp_path: Path) -> None:
    ssh_node.client(world, tmp_path / "proxy", recorded_by="proxy-1", only_at="node-uuid-2")

    async def scene(node: SSHService) -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(tmp_path / "proxy", node)
        await until(lambda: any("is for node node-uuid-2 alone" in repr(event) for event in world.events))

    play(scene)


def test_a_lock_ends_it_at_the_node_too(play: Play, world: World, tmp_path: Path) -> None:
    ssh_node.client(world, tmp_path / "proxy", recorded_by="proxy-1", only_at="node-uuid-1")

    async def scene(node: SSHService) -> None:
        async with await connect(tmp_path / "proxy", node) as carried:
            running = await carried.create_process("exec cat")
            world.held = (policy.lock("lock-1", "gone fishing", login=LOGIN),)
            assert "gone fishing" in str((await running.wait()).stderr)
        assert world.events == []

    play(scene)
