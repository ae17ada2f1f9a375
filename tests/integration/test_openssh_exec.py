"""Stock OpenSSH against the SSH Service: what a user sees, byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from teleport.agents.ssh.service import SSHService
from tests.support import policy
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.until import until

Scene = Callable[[SSHService], Awaitable[None]]
Play = Callable[[Scene], None]


def test_output_error_and_status(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        status, out, err = await client.run(node, "--", "id -un; echo wrong >&2; exit 7")
        assert (status, out.decode().strip(), err) == (7, LOGIN, "wrong\n")
        (event,) = await world.wait_for("T3002E")
        assert event["event"] == "exec"
        assert event["exitCode"] == "7"
        assert event["command"] == "id -un; echo wrong >&2; exit 7"
        assert (event["user"], event["login"], event["server_id"]) == ("alice", LOGIN, "node-uuid-1")
        assert event["addr.remote"].startswith("127.0.0.1:")
        assert event["sid"]
        assert (await client.run(node, "--", "true"))[0] == 0
        await world.wait_for("T3002I")

    play(scene)


def test_end_by_signal(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        status, _, _ = await client.run(node, "--", "kill -TERM $$")
        assert status == 255
        (event,) = await world.wait_for("T3002E")
        assert event["exitCode"] == str(128 + 15)

    play(scene)


def test_input_is_byte_exact_and_ends(play: Play, client: Client) -> None:
    data = os.urandom(1 << 20) * 20
    digest = hashlib.sha256(data).hexdigest()

    async def scene(node: SSHService) -> None:
        status, out, _ = await client.run(node, "--", "sha256sum", stdin=data)
        assert (status, out.decode().split()[0]) == (0, digest)

    play(scene)


def test_output_is_byte_exact(play: Play, client: Client) -> None:
    data = os.urandom(1 << 20) * 20

    async def scene(node: SSHService) -> None:
        status, out, _ = await client.run(node, "--", "cat", stdin=data)
        assert status == 0
        assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()

    play(scene)


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"])
def test_ciphers(cipher: str, play: Play, client: Client) -> None:
    async def scene(node: SSHService) -> None:
        status, out, err = await client.run(node, "-c", cipher, "--", "echo here")
        assert (status, out) == (0, b"here\n"), err

    play(scene)


@pytest.mark.parametrize(
    "option", ["Ciphers=aes128-cbc", "KexAlgorithms=diffie-hellman-group14-sha1", "MACs=hmac-sha1"]
)
def test_old_algorithms_are_not_offered(option: str, play: Play, client: Client) -> None:
    async def scene(node: SSHService) -> None:
        options = ["-o", option, *(["-c", "aes128-ctr"] if "MAC" in option else [])]
        status, _, err = await client.run(node, *options, "--", "true")
        assert status == 255
        assert "no matching" in err

    play(scene)


def test_many_sessions_at_once(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        results = await asyncio.gather(*(client.run(node, "--", f"echo {i}; exit {i}") for i in range(20)))
        assert [(status, out) for status, out, _ in results] == [(i, f"{i}\n".encode()) for i in range(20)]
        assert len(await world.wait_for("T3002E", 19)) == 19

    play(scene)


def test_login_not_in_principals_s1_29(play: Play, client: Client, world: World) -> None:
    """S1-29: a login that is not among the principals fails in authentication, and the text says why."""

    async def scene(node: SSHService) -> None:
        status, out, err = await client.run(node, "--", "id", login="daemon")
        assert (status, out) == (255, b"")
        assert "Permission denied (publickey)" in err
        assert "PKI-LOGIN-NOT-IN-PRINCIPALS" in err
        (id,) = world.denials
        assert f"id {id}" in err
        (event,) = world.told("T3007W")
        assert (event["user"], event["login"], event["decision_id"]) == ("alice", "daemon", id)

    play(scene)


def test_lock_is_said_at_channel_open(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        world.held = (policy.lock("lock-9", "stop now", user="alice"),)
        status, _, err = await client.run(node, "-v", "--", "true")
        assert status == 255
        assert "Authenticated to" in err
        (id,) = world.denials
        for part in ("POL-LOCKED", "stop now", id):
            assert part in err
        world.held = ()
        assert (await client.run(node, "--", "true"))[0] == 0

    play(scene)


def test_missing_label_is_said_at_channel_open(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        world.resource = policy.node("node-uuid-1", "node-1", env="staging")
        status, _, err = await client.run(node, "-v", "--", "true")
        assert status == 255
        assert "Authenticated to" in err
        (id,) = world.denials
        assert id in err

    play(scene)


def test_only_the_language_of_the_clients_environment_arrives(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        status, out, _ = await client.run(
            node, "-o", "SendEnv=FOO LD_PRELOAD LANG LC_ALL", "-o",
            "SetEnv=BASH_ENV=/tmp/x SSH_SESSION_ID=forged TERM=forged TELEPORT_PROXY=x TELEPORT_SESSION_REASON=ticket",
            "--", "env",
            env={"FOO": "bar", "LD_PRELOAD": "", "LANG": "de_DE.UTF-8", "LC_ALL": "C"},
        )  # fmt: skip
        assert status == 0
        found = dict(line.split("=", 1) for line in out.decode().splitlines() if "=" in line)
        (event,) = await world.wait_for("T3002I")
        assert {"FOO", "LD_PRELOAD", "BASH_ENV"}.isdisjoint(found)
        assert (found["LANG"], found["LC_ALL"]) == ("de_DE.UTF-8", "C")
        assert (found["TELEPORT_SESSION_REASON"], found.get("TERM"), found.get("TELEPORT_PROXY")) == (
            "ticket", None, None,
        )  # fmt: skip
        assert found["SSH_TELEPORT_USER"] == "alice"
        assert found["SSH_TELEPORT_HOST_UUID"] == "node-uuid-1"
        assert found["SSH_TELEPORT_CLUSTER_NAME"] == "example.com"
        assert found["SSH_SESSION_ID"] == event["sid"]
        address, port = event["addr.remote"].rsplit(":", 1)
        own = node.address.rsplit(":", 1)
        assert found["SSH_CONNECTION"] == f"{address} {port} {own[0]} {own[1]}"
        assert found["SSH_CLIENT"] == f"{address} {port} {own[1]}"
        assert (found["USER"], found["LOGNAME"]) == (LOGIN, LOGIN)
        (refused,) = world.told("T1006W")  # one for the first that is no locale; the others are only dropped
        assert refused["reason"].startswith("env ")

    play(scene)


def test_a_client_that_leaves_ends_its_command(play: Play, client: Client, world: World, tmp_path: Path) -> None:
    async def scene(node: SSHService) -> None:
        marker = tmp_path / "pid"
        argv = ["ssh", *client.options(node.address), f"{LOGIN}@node-1", f"echo $$ > {marker}; sleep 1000 & wait"]
        process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE)
        await until(lambda: marker.exists() and marker.read_text().strip())
        process.kill()
        await process.wait()
        (event,) = await world.wait_for("T3002E")
        assert event["exitCode"] == str(128 + 1)

    play(scene)


def test_many_sessions_on_one_connection(play: Play, client: Client, tmp_path: Path) -> None:
    async def scene(node: SSHService) -> None:
        control = ["-o", f"ControlPath={tmp_path}/m", "-o", "ControlMaster=auto", "-o", "ControlPersist=30"]
        assert (await client.run(node, *control, "-o", "ControlPersist=yes", "-fN"))[0] == 0
        try:
            results = await asyncio.gather(*(client.run(node, *control, "--", f"echo {i}") for i in range(10)))
            assert [out for _, out, _ in results] == [f"{i}\n".encode() for i in range(10)]
        finally:
            await client.run(node, *control, "-O", "exit")

    play(scene)
