"""A spawner keeps to the authorities that it was given first, whatever its service believes later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from teleport.agents.ssh.spawner import Spawner
from teleport.base.errors import AccessDenied
from tests.support import ssh_node
from tests.support.until import until


def children(spawner: Spawner) -> list[str]:
    return Path(f"/proc/{spawner.pid}/task/{spawner.pid}/children").read_text().split()


def test_a_new_authority_starts_nothing_before_a_restart(
    spawner: Spawner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = ssh_node.world(), ssh_node.world(seed=8)
    alice, bob = ssh_node.client(before, tmp_path / "alice"), ssh_node.client(after, tmp_path / "bob")
    hosts = ssh_node.host_key(before), ssh_node.host_key(after)

    async def main() -> None:
        async with ssh_node.serving(before, spawner, hosts[0]) as node:
            assert (await alice.run(node, "--", "echo in"))[:2] == (0, b"in\n")
        async with ssh_node.serving(after, spawner, hosts[1]) as node:
            status, out, err = await bob.run(node, "--", "echo in")
            assert status != 0
            assert out == b""
            assert "PKI-UNKNOWN-CA" in err
            await until(lambda: not children(spawner))
        async with ssh_node.serving(before, spawner, hosts[0]) as node:
            assert (await alice.run(node, "--", "echo in"))[:2] == (0, b"in\n")

    asyncio.run(main())
    assert "start nothing before a restart" in caplog.text
    assert "refused a login that was let in" in caplog.text


def test_connections_leave_no_admission_behind(spawner: Spawner, tmp_path: Path) -> None:
    """The next client with the same certificate is admitted for itself; its id is another."""
    world = ssh_node.world()
    alice, host = ssh_node.client(world, tmp_path / "alice"), ssh_node.host_key(world)

    async def main() -> None:
        async with ssh_node.serving(world, spawner, host) as node:
            for _ in range(3):
                assert (await alice.run(node, "--", "echo in"))[:2] == (0, b"in\n")
            await until(lambda: not children(spawner))
            for admission in range(spawner._next_id):
                with pytest.raises(AccessDenied, match="without a login"):
                    await spawner.help(admission)

    asyncio.run(main())
