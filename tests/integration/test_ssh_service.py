"""The SSH Service as a whole, with clients that OpenSSH is not: what they are let do, told, and recorded as."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh
import pytest

from teleport.agents.ssh import connection, service
from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from teleport.base.errors import Unavailable
from teleport.model.events.base import Event
from teleport.pki import keys
from tests.support import policy, ssh_node
from tests.support.authorities import cluster
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.until import until

Scene = Callable[[SSHService], Awaitable[None]]
Play = Callable[[Scene], None]


class Listener(asyncssh.SSHClient):
    """Keeps what the server says."""

    def __init__(self) -> None:
        self.banners: list[str] = []

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.banners.append(msg)


async def connect(
    made: Client, node: SSHService, login: str = LOGIN, listener: Listener | None = None
) -> asyncssh.SSHClientConnection:
    host, _, port = node.address.rpartition(":")
    heard = listener or Listener()
    authority = made.world.cluster.host.spec.active_keys.ssh[0].public_key
    return await asyncssh.connect(
        host, int(port), username=login, config=None, agent_path=None, client_factory=lambda: heard,
        client_keys=[(str(made.folder / "id"), str(made.folder / "id-cert.pub"))],
        known_hosts=asyncssh.import_known_hosts(f"@cert-authority * {authority}\n"),
    )  # fmt: skip


def test_login_not_in_principals_with_asyncssh_s1_29(play: Play, client: Client, world: World) -> None:
    """S1-29 with another client: authentication fails, the banner carries code, reason and id."""

    async def scene(node: SSHService) -> None:
        heard = Listener()
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(client, node, "daemon", heard)
        (banner,) = heard.banners
        (id,) = world.denials
        assert banner.startswith("PKI-LOGIN-NOT-IN-PRINCIPALS: the certificate of 'alice' does not allow")
        assert id in banner
        assert world.denials[id].nearest is not None

    play(scene)


def test_the_host_shows_a_certificate(play: Play, client: Client) -> None:
    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            shown = connected.get_server_host_key()
            assert shown is not None
            assert connected.get_extra_info("server_version") == "SSH-2.0-Teleport"

    play(scene)


def test_each_channel_is_decided_anew(play: Play, client: Client, world: World) -> None:
    """A changed role and the end of the certificate count at once, for new channels on open connections; running
    commands end by themselves. A lock ends both."""

    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            running = await connected.create_process("cat")

            async def refusal() -> str:
                with pytest.raises(asyncssh.ChannelOpenError) as caught:
                    await connected.run("true")
                assert caught.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
                (id,) = world.denials
                world.denials.clear()
                assert id in caught.value.reason
                return caught.value.reason.split(":")[0]

            assert (await connected.run("echo yes")).stdout == "yes\n"
            roles, world.roles = world.roles, []
            assert await refusal() == "POL-ROLE-MISSING"
            world.roles = roles
            world.clock.advance(dt.timedelta(hours=2))  # type: ignore[attr-defined]
            assert await refusal() == "POL-EXPIRED"
            running.stdin.write("still here")
            running.stdin.write_eof()
            assert (await running.wait()).stdout == "still here"
        world.clock.advance(dt.timedelta(hours=-2))  # type: ignore[attr-defined]
        async with await connect(client, node) as connected:
            world.locked = (policy.lock("lock-1", "out", login=LOGIN),)  # and the service does not look by itself
            with pytest.raises(asyncssh.ChannelOpenError) as caught:
                await connected.run("true")
            assert caught.value.reason.startswith("POL-LOCKED")

    play(scene)


def test_signals_reach_the_command(play: Play, client: Client) -> None:
    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            process = await connected.create_process(
                "trap 'echo got it; exit 4' USR1; echo ready; while :; do sleep 0.01; done"
            )
            assert await process.stdout.readline() == "ready\n"
            process.send_signal("NONSENSE")
            process.send_signal("USR1")
            ended = await process.wait()
            assert (ended.stdout, ended.exit_status) == ("got it\n", 4)
            process = await connected.create_process("exec sleep 1000")
            process.terminate()
            assert (await process.wait()).exit_signal == ("TERM", False, "", "en-US")

    play(scene)


def test_a_command_that_cannot_start_says_why(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        world.roles = [policy.role("dev", allow={"logins": [LOGIN, "no-such-user"], "node_labels": {"*": "*"}})]
        who = world.cluster.identity(
            roles=("dev",), principals=(LOGIN, "no-such-user"), expires=world.clock.now() + dt.timedelta(hours=1)
        )
        other = ssh_node.write(dataclasses.replace(client, certificate=await ssh_node.issue_for(client, who)))
        async with await connect(other, node, "no-such-user") as connected:
            ended = await connected.run("true")
            assert ended.exit_status == 255
            assert str(ended.stderr).startswith("SSH-UNKNOWN-USER: there is no account 'no-such-user' on this node")
        (event,) = await world.wait_for("T3002E")
        assert event["exitError"] == "there is no account 'no-such-user' on this node"

    play(scene)


def test_a_spawner_that_dies_is_said(play: Play, client: Client, spawner: Spawner, world: World) -> None:
    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            process = await connected.create_process("cat")
            spawner._channel.send(b"not a message")
            ended = await process.wait()
            assert ended.exit_status == 255
            assert "SSH-SPAWNER-GONE" in str((await connected.run("true")).stderr)
            for event in await world.wait_for("T3002E", 2):
                assert "the spawner is gone" in event["exitError"]

    play(scene)


def test_input_is_taken_only_as_fast_as_the_command_reads(play: Play, client: Client, world: World) -> None:
    """A command that does not read stops its client at the window; closing the channel ends it."""

    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            process = await connected.create_process("exec sleep 1000", encoding=None)
            process.stdin.write(b"x" * (8 << 20))
            assert (await connected.run("echo meanwhile")).stdout == "meanwhile\n"
            assert process.channel.get_write_buffer_size() > 4 << 20
            process.channel.abort()  # closes while input is waiting on both sides
            (event,) = await world.wait_for("T3002E")
            assert event["exitCode"] == "129"

    play(scene)


def test_a_client_that_does_not_read_stops_its_command(play: Play, client: Client, tmp_path: Path) -> None:
    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            progress = tmp_path / "progress"
            command = f"for i in $(seq 200); do head -c 100000 /dev/zero; echo $i > {progress}; done"
            process = await connected.create_process(command, encoding=None, window=1 << 16)
            process.stdout.channel.pause_reading()  # type: ignore[attr-defined]
            await until(progress.exists)
            for _ in range(5):
                assert (await connected.run("echo alive")).stdout == "alive\n"
            assert int(progress.read_text() or 0) < 20
            process.stdout.channel.resume_reading()  # type: ignore[attr-defined]
            assert len((await process.wait()).stdout) == 20_000_000  # type: ignore[arg-type]

    play(scene)


def test_background_output_is_waited_for(play: Play, client: Client) -> None:
    """As with sshd: the session ends when the command has ended and its output has."""

    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            ended = await connected.run("(sleep 0.2; echo late) & exit 5")
            assert (ended.stdout, ended.exit_status) == ("late\n", 5)
            ended = await connected.run("exec >&- 2>&-; sleep 0.1; exit 6")
            assert (ended.stdout, ended.exit_status) == ("", 6)
            ended = await connected.run("exec <&-; echo no input needed", input="x" * 3_000_000)
            assert ended.stdout == "no input needed\n"

    play(scene)


def test_a_client_that_leaves_takes_background_jobs_along(play: Play, client: Client, tmp_path: Path) -> None:
    """The command has ended, but the session has not: something still holds its output."""

    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            marker = tmp_path / "pid"
            await connected.create_process(f"sleep 1000 & echo $! > {marker}")
            await until(lambda: marker.exists() and marker.read_text().strip())
            number = marker.read_text().strip()
            assert Path(f"/proc/{number}").exists()
        await until(lambda: not Path(f"/proc/{number}").exists())

    play(scene)


def test_refusals_on_one_connection_are_recorded_up_to_a_bound(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        async with await connect(client, node) as connected:
            for _ in range(connection.RECORDED_REFUSALS + 10):
                with pytest.raises(asyncssh.ChannelOpenError):
                    await connected.open_connection("127.0.0.1", 9)
        assert len(world.told("T3003E")) == connection.RECORDED_REFUSALS

    play(scene)


def test_strangers_cannot_fill_the_log(
    play: Play, client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can make an authority and prove a key that it certified."""
    monkeypatch.setattr(service, "STRANGERS", 2)
    stranger = cluster("example.com", seed=99, now=world.clock.now())
    key = keys.ssh_blob(client.key.public_key())
    who = stranger.identity(principals=(LOGIN,), expires=world.clock.now() + dt.timedelta(hours=1))
    ssh_node.write(dataclasses.replace(client, certificate=stranger.ssh(who, key, now=world.clock.now())))

    async def scene(node: SSHService) -> None:
        for _ in range(4):
            heard = Listener()
            with pytest.raises(asyncssh.PermissionDenied):
                await connect(client, node, listener=heard)
            assert heard.banners[0].startswith("PKI-UNKNOWN-CA: ")
        assert len(world.told("T3007W")) == 2

    play(scene)


def test_a_log_that_cannot_be_written_stops_nobody_it_let_in(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        async def broken(event: Event) -> None:
            raise Unavailable("SSH-SPAWNER-GONE", problem="test")

        world.emit = broken  # type: ignore[method-assign]
        async with await connect(client, node) as connected:
            assert (await connected.run("echo yes")).stdout == "yes\n"
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(client, node, "daemon")

    play(scene)


def test_stopping_the_service_ends_commands_and_records_them(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        connected = await connect(client, node)
        await connected.create_process("sleep 1000 & wait")

    play(scene)
    (event,) = world.told("T3002E")
    assert event["exitCode"] == "129"


def test_a_renewed_host_certificate_is_used_at_once(world: World, client: Client, spawner: Spawner) -> None:
    first, second = ssh_node.host_key(world), ssh_node.host_key(world)

    async def main() -> None:
        current = [first]
        async with ssh_node.serving(world, spawner, first, host_keys=lambda: list(current)) as node:

            async def seen() -> bytes:
                async with await connect(client, node) as connected:
                    found = connected.get_server_host_key()
                    assert found is not None
                    return found.public_data

            before = await seen()
            current[0] = second
            assert await seen() != before

    asyncio.run(main())
