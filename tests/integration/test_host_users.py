"""Accounts that are made for logins, on a machine whose /etc, homes and mail are its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from tests.support import policy, ssh_node
from tests.support.cluster import NAME as CLUSTER
from tests.support.cluster import NODE, Cluster
from tests.support.processes import wait_for
from tests.support.root import private_accounts
from tests.support.ssh_node import Client, World
from tests.support.until import until

Play = Callable[..., None]
HOST = f"{NODE}.{CLUSTER}"
NAME = "made-for.it"
UID = 300_000 + os.getpid() % 50_000


@pytest.fixture
def spawner(tmp_path: Path) -> Iterator[Spawner]:
    running = Spawner.launch(wrapper=private_accounts(tmp_path), host_users=True)
    yield running
    running.close()


@pytest.fixture
def machine(spawner: Spawner) -> Callable[..., str]:
    """Run a command where the spawner lives; its output, empty if it fails."""
    wait_for("the spawner", lambda: Path(f"/proc/{spawner.pid}/comm").read_text() == "teleport-spawne\n")

    def run(*argv: str, check: bool = False) -> str:
        enter = ["nsenter", "--target", str(spawner.pid), "--mount", "--"]
        done = subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=60, check=check)
        return done.stdout if done.returncode == 0 else ""

    return run


@pytest.fixture
def client(world: World, tmp_path: Path) -> Client:
    traits = {"host_user_uid": (str(UID),), "host_user_gid": (str(UID),)}
    return ssh_node.client(world, tmp_path / "client", principals=(NAME, "daemon", "plain"), traits=traits)


def role(world: World, mode: str, **more: Any) -> None:
    allow = {"logins": [NAME, "daemon", "plain"], "node_labels": {"env": "prod"}, **more}
    world.roles[:] = [policy.role("dev", allow=allow, options={"create_host_user_mode": mode})]


async def echo(client: Client, node: SSHService, command: str, login: str = NAME) -> str:
    status, out, err = await client.run(node, "--", command, login=login)
    assert status == 0, err
    return out.decode()


def test_an_account_is_made_with_all_that_roles_say_and_goes_with_its_last_session(
    play: Play, client: Client, world: World, machine: Callable[..., str]
) -> None:
    role(world, "insecure-drop", host_groups=["games", "made-group"], host_sudoers=["ALL=(root) NOPASSWD: /usr/bin/id"])

    async def scene(node: SSHService) -> None:
        first = asyncio.get_running_loop().create_task(client.run(node, "-T", "--", "sleep 1000", login=NAME))
        await until(lambda: machine("getent", "passwd", NAME))
        said = await echo(
            client,
            node,
            "id -u; id -gn; id -Gn; pwd; ls -A; sudo -n id -u; umask; (setsid sleep 999 </dev/null >/dev/null 2>&1 &)",
        )
        uid, group, groups, home, *rest = said.splitlines()
        assert (uid, group, home) == (str(UID), NAME, f"/home/{NAME}")
        assert {*groups.split()} == {NAME, "games", "made-group", "teleport-system"}
        assert ".bashrc" in rest or ".profile" in rest
        assert "0" in rest
        sudoers = f"/etc/sudoers.d/teleport-{NAME.replace('.', '%2e')}"
        assert machine("stat", "-c", "%a %U", sudoers) == "440 root\n"
        assert machine("stat", "-c", "%a %u", f"/home/{NAME}") == f"700 {UID}\n"
        assert machine("getent", "passwd", NAME), "another session of it is open"
        first.cancel()
        await asyncio.wait([first])
        (created,) = await world.wait_for("THU00I")
        assert (created["login"], created["mode"], created["user"]) == (NAME, "insecure-drop", "alice")
        (deleted,) = await world.wait_for("THU01I")
        assert deleted["login"] == NAME
        assert machine("getent", "passwd", NAME) == ""
        assert machine("ls", "/home") == ""
        assert machine("ls", sudoers) == ""
        assert machine("pgrep", "-u", str(UID)) == "", "what it left running has ended"

    play(scene, host_users=True)


def test_an_account_that_is_kept_stays_without_its_sudo(
    play: Play, client: Client, world: World, machine: Callable[..., str]
) -> None:
    role(world, "keep", host_sudoers=["ALL=(ALL) ALL"])

    async def scene(node: SSHService) -> None:
        assert "teleport-keep" in await echo(client, node, "id -Gn; touch mine")
        file = "/etc/sudoers.d/teleport-made-for%2eit"
        await until(lambda: machine("ls", file) == "")
        role(world, "insecure-drop", host_groups=["games"])
        assert {*(await echo(client, node, "id -Gn")).split()} == {NAME, "games", "teleport-keep"}
        assert await echo(client, node, "ls") == "mine\n"
        assert machine("getent", "passwd", NAME)

    play(scene, host_users=True)
    assert len(world.told("THU00I")) == 1
    assert world.told("THU01I") == []


def test_accounts_of_the_administrator_are_not_touched(
    play: Play, client: Client, world: World, machine: Callable[..., str]
) -> None:
    role(world, "insecure-drop", host_groups=["sudo"], host_sudoers=["ALL=(ALL) ALL"])
    machine("useradd", "--create-home", "--uid", str(UID), "plain", check=True)
    before = machine("cat", "/etc/passwd", "/etc/group")

    async def scene(node: SSHService) -> None:
        assert "sudo" not in (await echo(client, node, "id -Gn", "plain"))
        assert world.told("THU00I") == []

    play(scene, host_users=True)
    assert machine("cat", "/etc/passwd", "/etc/group") == before
    assert machine("ls", "/etc/sudoers.d/teleport-plain") == ""


@pytest.mark.parametrize("switch", [True, False])
def test_nothing_is_made_where_a_role_or_the_node_says_no(
    play: Play, client: Client, world: World, machine: Callable[..., str], switch: bool
) -> None:
    role(world, "off" if switch else "keep")

    async def scene(node: SSHService) -> None:
        status, _, err = await client.run(node, "--", "true", login=NAME)
        assert status == 255
        assert f"there is no account '{NAME}' on this node" in err
        assert machine("getent", "passwd", NAME) == ""

    play(scene, host_users=switch)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (["mount", "--bind", "/bin/false", "/usr/sbin/useradd"], "useradd: status 1"),
        (["mount", "-t", "tmpfs", "none", "/usr/sbin"], "is not installed in"),
    ],
)
def test_a_tool_that_fails_is_named(
    play: Play, client: Client, world: World, machine: Callable[..., str], spoil: list[str], said: str
) -> None:
    role(world, "keep")
    machine(*spoil, check=True)

    async def scene(node: SSHService) -> None:
        status, _, err = await client.run(node, "--", "true", login=NAME)
        assert status == 255
        assert "an account of this node could not be made or removed" in err
        assert said in err

    play(scene, host_users=True)


def test_a_line_that_sudo_would_not_take_is_never_in_force(
    play: Play, client: Client, world: World, machine: Callable[..., str]
) -> None:
    role(world, "insecure-drop", host_sudoers=["ALL=(ALL"])

    async def scene(node: SSHService) -> None:
        status, _, err = await client.run(node, "--", "true", login=NAME)
        assert status == 255
        assert "visudo" in err
        assert "teleport-" not in machine("ls", "/etc/sudoers.d")
        assert machine("getent", "passwd", NAME) == ""

    play(scene, host_users=True)


def test_what_an_earlier_run_left_is_removed_at_the_start(
    play: Play, client: Client, world: World, machine: Callable[..., str]
) -> None:
    machine("groupadd", "teleport-system", check=True)
    machine("groupadd", "teleport-keep", check=True)
    machine("useradd", "--groups", "teleport-system", "--uid", str(UID), "left", check=True)
    machine("useradd", "--groups", "teleport-keep", "--uid", str(UID + 1), "kept", check=True)
    machine("touch", "/etc/sudoers.d/teleport-left", "/etc/sudoers.d/teleport-kept", check=True)

    async def scene(node: SSHService) -> None:
        (deleted,) = await world.wait_for("THU01I")
        assert deleted["login"] == "left"
        assert machine("getent", "passwd", "left") == ""
        assert machine("getent", "passwd", "kept")
        assert "teleport-" not in machine("ls", "/etc/sudoers.d")

    play(scene, host_users=True)


@pytest.mark.config("ssh_service.disable_create_host_user")
def test_a_node_may_refuse_to_make_accounts(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, login="newcomer", wrapper=private_accounts(tmp_path))
    plain = cluster.config.read_text()
    cluster.config.write_text(plain + "  disable_create_host_user: yes\n")
    with cluster.running():
        spec = {
            "allow": {"logins": ["newcomer"], "node_labels": {"env": ["dev"]}},
            "options": {"create_host_user_mode": "insecure-drop"},
        }  # fmt: skip
        cluster.create({"kind": "role", "version": "v7", "metadata": {"name": "guest"}, "spec": spec})
        alice = cluster.sign_up("alice", ["guest"])
        assert "there is no account 'newcomer'" in alice.tsh("ssh", f"newcomer@{HOST}", "id -un", status=None).err
    cluster.config.write_text(plain)
    with cluster.running():
        assert alice.tsh("ssh", f"newcomer@{HOST}", "id -un").out == "newcomer\n"
        made = cluster.event(event="host_user.create")
        assert (made["user"], made["login"]) == ("alice", "newcomer")
        gone = cluster.event(event="host_user.delete")
        assert (gone["code"], gone["login"]) == ("THU01I", "newcomer")
