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

from teleport.access.channels import KINDS
from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.switches import Switches
from tests.support import policy, ssh_node
from tests.support.channels import DOORS, PAYLOAD, Door, Ran, ask, listens, players, table, tcp_target
from tests.support.ports import free_port
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.until import until

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


def test_the_guide_prints_the_matrix() -> None:
    guide = Path(__file__).parents[2] / "docs/guides/ssh-channels.md"
    assert table() in guide.read_text()
    assert players() in guide.read_text()


def test_every_channel_of_the_checker_has_a_door() -> None:
    assert {kind.option for kind in KINDS.values()} == {door.option for door in DOORS}
    assert {kind.service for kind in KINDS.values()} == {door.service for door in DOORS}


# -- bytes ------------------------------------------------------------------------------------------------


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 20 << 20])
def test_nothing_is_lost_when_the_target_closes_right_after_writing(
    size: int, play: Play, client: Client, world: World
) -> None:
    data = os.urandom(1 << 16) * (size >> 16) + os.urandom(size & 0xFFFF)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    async def scene(node: SSHService) -> None:
        server = await asyncio.start_server(pour, "127.0.0.1", 0)
        async with server:
            stock = Stock(client, node)
            results = await asyncio.gather(
                *(stock.run("-W", f"127.0.0.1:{port_of(server)}") for _ in range(5 if size < 1 << 20 else 1))
            )
        for ran in results:
            assert ran.out == data
        ended = await world.wait_for("T3003S", len(results))
        assert {event.get("bytes_received", 0) for event in ended} == {size}

    play(scene)


def test_nothing_is_lost_when_the_client_closes_right_after_writing(play: Play, client: Client, world: World) -> None:
    """A target that answers late, or never, gets everything all the same; the audit log counts it."""
    data = os.urandom(1 << 20) * 20
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(-1))
        writer.close()

    async def scene(node: SSHService) -> None:
        server = await asyncio.start_server(take, "127.0.0.1", 0)
        async with server:
            assert (await Stock(client, node).run("-W", f"127.0.0.1:{port_of(server)}", stdin=data)).status == 0
            (event,) = await world.wait_for("T3003S")
            assert event["addr"] == f"127.0.0.1:{port_of(server)}"
        assert got == [data]
        assert event["bytes_sent"] == len(data)

    play(scene)


def test_a_client_that_leaves_ends_a_silent_target(play: Play, client: Client, world: World) -> None:
    ended = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read(-1)
        with contextlib.suppress(OSError):
            while True:  # nobody reads: sooner or later the system says so
                writer.write(b"x" * 65536)
                await writer.drain()
        ended.set()
        writer.close()

    async def scene(node: SSHService) -> None:
        server = await asyncio.start_server(wait, "127.0.0.1", 0)
        async with server, Stock(client, node).start("-W", f"127.0.0.1:{port_of(server)}") as ssh:
            assert ssh.stdout is not None
            assert await ssh.stdout.readexactly(5) == b"hello"
            ssh.kill()
            await ended.wait()
        await world.wait_for("T3003S")

    play(scene)


# -- limits and ends --------------------------------------------------------------------------------------


def test_listeners_are_bounded(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        options = [word for port in range(1, 35) for word in ("-R", f"0:127.0.0.1:{port}")]
        ran = await Stock(client, node).run(*options, command=("true",))
        assert ran.status == 0
        assert ran.err.count("SSH-LIMIT-LISTENERS: nothing more listens for this connection") == 2
        assert len(await world.wait_for("T3003S", 32)) == 32
        assert len(world.told("T3003E")) == 2

    play(scene)


def test_channels_of_the_client_count_for_max_sessions(play: Play, client: Client, world: World) -> None:
    with_options(world, {"max_sessions": 1})

    async def scene(node: SSHService) -> None:
        stock = Stock(client, node)
        async with tcp_target() as target:
            assert (await stock.run("-W", f"127.0.0.1:{target}", stdin=PAYLOAD)).out == PAYLOAD[::-1]
            port = free_port()
            async with stock.start("-L", f"127.0.0.1:{port}:127.0.0.1:{target}", command=("echo open; cat",)) as ssh:
                assert ssh.stdout is not None
                await ssh.stdout.readline()
                assert not await ask(asyncio.open_connection("127.0.0.1", port))
        assert (await world.wait_for("T3003E"))[0]["error"] == "no more sessions on this connection"
        assert [event["max"] for event in world.told("T1006W")] == [1]

    play(scene)


def test_a_lock_ends_forwards_and_listeners(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        async with tcp_target() as target:
            options = ("-N", "-R", f"{(there := free_port())}:127.0.0.1:{target}")
            async with Stock(client, node).start(*options, "-L", f"{(here := free_port())}:127.0.0.1:{target}") as ssh:
                await until(lambda: listens(there) and listens(here))
                reader, writer = await asyncio.open_connection("127.0.0.1", here)
                writer.write(b"held")
                await world.wait_for("T3003I", 2)
                world.held = (policy.lock(user="alice"),)
                assert await reader.read(-1) == b""
                writer.close()
                assert ssh.stderr is not None
                assert b"lock targeting" in await ssh.stderr.read()
            await until(lambda: not listens(there))
            ended = await world.wait_for("T3003S", 2)
            assert {event["channel"] for event in ended} == {"direct-tcpip", "tcpip-forward"}

    play(scene)


def test_a_listener_that_is_cancelled_ends_alone(play: Play, client: Client, world: World, tmp_path: Path) -> None:
    async def scene(node: SSHService) -> None:
        stock, control = Stock(client, node), f"-oControlPath={tmp_path}/c"
        first, second = free_port(), free_port()
        options = ("-R", f"{first}:127.0.0.1:9", "-R", f"{second}:127.0.0.1:9")
        async with stock.start("-oControlMaster=yes", control, "-N", *options):
            await until(lambda: listens(first) and listens(second))
            assert (await stock.run(control, "-O", "cancel", "-R", f"{first}:127.0.0.1:9")).status == 0
            await until(lambda: not listens(first))
            (event,) = await world.wait_for("T3003S")
            assert event["addr"] == f"localhost:{first}"
            assert listens(second)

    play(scene)


def test_remote_listeners_are_on_loopback_whatever_is_named(play: Play, client: Client, world: World) -> None:
    """As with `GatewayPorts no`, OpenSSH's default."""

    async def scene(node: SSHService) -> None:
        port = free_port()
        async with Stock(client, node).start("-N", "-R", f"*:{port}:127.0.0.1:9"):
            await until(lambda: listens(port))
            lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
            assert f"00000000:{port:04X}" not in [line.split()[1] for line in lines]
            (event,) = await world.wait_for("T3003I")
            assert event["channel"] == "tcpip-forward"

    play(scene)


def test_the_socket_of_the_agent_goes_with_its_session(
    play: Play, client: Client, world: World, tmp_path: Path
) -> None:
    with_options(world, {"forward_agent": True})
    offered = tmp_path / "agent"

    async def scene(node: SSHService) -> None:
        server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), offered)
        async with server:
            ran = await Stock(client, node).run(
                "-A", "-o", f"IdentityAgent={offered}", env={"SSH_AUTH_SOCK": str(offered)},
                command=("stat -c '%a %F' $SSH_AUTH_SOCK $(dirname $SSH_AUTH_SOCK); echo $SSH_AUTH_SOCK",),
            )  # fmt: skip
        mode, folder, path = ran.out.decode().splitlines()
        assert mode.endswith("socket")
        assert folder == "700 directory"
        (event,) = await world.wait_for("T3003S")
        assert event["addr"] == path
        await until(lambda: not Path(path).exists())

    play(scene)


# -- SFTP -------------------------------------------------------------------------------------------------


def test_a_session_of_sftp_is_recorded_with_what_it_did(
    play: Play, client: Client, world: World, tmp_path: Path
) -> None:
    async def scene(node: SSHService) -> None:
        batch = tmp_path / "batch"
        batch.write_text(f"get {tmp_path}/source {tmp_path}/back\nmkdir {tmp_path}/made\n")
        assert (await Stock(client, node).run("-b", str(batch), program="sftp")).status == 0
        (started,) = await world.wait_for("T2000I")
        (ended,) = await world.wait_for("T2004I")
        assert started["sid"] == ended["sid"]
        assert ended["initial_command"] == ("sftp",)
        assert not ended["interactive"]
        (made,) = await world.wait_for("TS012I")
        assert (made["path"], made["sid"]) == (f"{tmp_path}/made", ended["sid"])
        (summary,) = await world.wait_for("TS021I")
        assert summary["bytes_read"] == len(PAYLOAD)
        (subsystem,) = world.told("T3001I")
        assert (subsystem["name"], subsystem["sid"]) == ("sftp", ended["sid"])
        await until(lambda: not world.trackers)

    play(scene)


def test_what_is_no_sftp_ends_the_channel_with_a_word(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        ran = await Stock(client, node).run("-s", command=("sftp",), stdin=b"GET / HTTP/1.1\r\n\r\n")
        assert ran.status == 255
        assert "WIRE-SFTP" in ran.err
        (event,) = await world.wait_for("T3001E")
        assert event["name"] == "sftp"

    play(scene)


def test_a_lock_ends_sftp(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        async with Stock(client, node).start("-s", command=("sftp",)) as ssh:
            assert ssh.stdin is not None
            ssh.stdin.write(b"\0\0\0\5\1\0\0\0\3")
            assert ssh.stdout is not None
            assert await ssh.stdout.readexactly(5)
            world.held = (policy.lock(user="alice"),)
            assert ssh.stderr is not None
            assert b"lock targeting" in await ssh.stderr.read()
            assert await ssh.wait() == 255
        await world.wait_for("T2004I")

    play(scene)


def test_another_subsystem_is_not_served(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        ran = await Stock(client, node).run("-s", command=("netconf",))
        assert ran.status == 255
        assert "SSH-NOT-SUPPORTED: the subsystem 'netconf'" in ran.err

    play(scene)


def test_a_client_cannot_say_itself_where_agent_and_display_are(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        ran = await Stock(client, node).run(
            "-oSetEnv=DISPLAY=:9 SSH_AUTH_SOCK=/tmp/x LANG=C.UTF-8", command=("echo $DISPLAY$SSH_AUTH_SOCK$LANG",)
        )
        assert ran.out == b"C.UTF-8\n"

    play(scene)
