"""Every channel of connections that end at the proxy: to nodes where recording is at the proxy, and to servers without
an agent. The matrix is that of the nodes (test_ssh_channels.py), with real certificates, roles and audit log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.net.ssh_doors import CHANNELS
from tests.support.channels import BY_TSH, DOORS, PAYLOAD, Door, Ran, listens, tcp_target
from tests.support.cluster import NODE, OWN, Cluster, User, decision_in
from tests.support.ports import free_port, free_ports
from tests.support.processes import tree, wait_for
from tests.support.programs import need
from tests.support.sshd import Sshd
from tests.support.stock_ssh import Stock, Tsh
from tests.support.until import until

SERVER = "plain-1"
OFFSET = 420
MODE = "kind: session_recording_config\nversion: v2\nmetadata: {name: session-recording-config}\nspec: {mode: proxy}\n"
GIVING = {"forward_agent": True, "permit_x11_forwarding": True}
REFUSING = {
    "ssh_port_forwarding": {"local": {"enabled": False}, "remote": {"enabled": False}}, "forward_agent": False,
    "permit_x11_forwarding": False, "ssh_file_copy": False,
}  # fmt: skip


def sign_up(cluster: Cluster, name: str, options: dict[str, Any]) -> User:
    """Make somebody with a role of their own, whose `ssh` goes through the proxy."""
    spec = {"allow": {"logins": [OWN], "node_labels": {"env": "dev"}}, "options": options}
    cluster.create({"kind": "role", "version": "v7", "metadata": {"name": f"role-{name}"}, "spec": spec})
    user = cluster.sign_up(name, [f"role-{name}"])
    user._config.write_text(user.tsh("config").out)
    return user


class Stage:
    """A cluster that records at the proxy, with a node and a server that runs sshd alone."""

    def __init__(self, cluster: Cluster, server: Sshd) -> None:
        self.cluster = cluster
        self.server = server
        self.proxy = (cluster.data / "host_uuid").read_text().strip()
        self.alice = sign_up(cluster, "alice", GIVING)
        self.bob = sign_up(cluster, "bob", REFUSING)


@contextlib.contextmanager
def agentless(cluster: Cluster, name: str, *lines: str) -> Iterator[Sshd]:
    """Run and register a server that runs sshd alone, with more lines in its configuration."""
    folder = cluster.folder / name
    authority = cluster.tctl("auth", "export", "--type=openssh").out.removeprefix("cert-authority ").strip()
    server = Sshd(folder, port=free_ports(1)[0], authority=authority)
    with server.config.open("a") as config:
        config.write("".join(f"{line}\n" for line in lines))
    cluster.tctl("auth", "sign", f"--host={name}", "--format=openssh", f"--out={folder}/made")
    (folder / "made").replace(server.folder / "ssh_host_ed25519_key")
    (server.folder / "ssh_host_ed25519_key.pub").unlink()
    server.certify((folder / "made-cert.pub").read_text())
    document = {
        "kind": "node", "version": "v2", "sub_kind": "openssh", "metadata": {"labels": {"env": "dev"}},
        "spec": {"hostname": name, "addr": server.address},
    }  # fmt: skip
    cluster.tctl("create", stdin=json.dumps(document))
    with server:
        yield server


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("channels-at-proxy")
    cluster = Cluster(folder)
    more = f"  x11: {{enabled: yes, display_offset: {OFFSET}, max_display: {OFFSET + 9}}}\n"
    cluster.config.write_text(cluster.config.read_text() + more)
    with cluster.running():
        cluster.tctl("create", "-f", stdin=MODE)
        display = ("X11Forwarding yes", f"X11DisplayOffset {OFFSET + 10}", f"XAuthLocation {need('xauth')}")
        with agentless(cluster, SERVER, *display) as server:
            stage = Stage(cluster, server)
            wait_for("the server in the list", lambda: SERVER in stage.alice.tsh("ls").out)

            def ended() -> bool:
                asyncio.run(Stock(stage.alice).run(command=("echo first",)))
                return any("forwarded_by" in event for event in cluster.events("echo first", event="session.start"))

            wait_for("the mode at the proxy", ended, seconds=60)
            yield stage


HOSTS = pytest.mark.parametrize("host", [NODE, SERVER], ids=["node", "agentless"])
DOOR = pytest.mark.parametrize("door", [pytest.param(door, id=door.name.replace(" ", "_")) for door in DOORS])


@HOSTS
@DOOR
def test_it_goes_through_with_its_option(door: Door, host: str, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(PAYLOAD)
    fields = {"code": door.event, "user": "alice", "server_hostname": host, "forwarded_by": stage.proxy}
    before = len(stage.cluster.events(**fields))
    seen = asyncio.run(door.use(Stock(stage.alice, host=host), tmp_path))
    assert seen.through, seen.said
    stage.cluster.some(least=before + 1, **fields)


@HOSTS
@DOOR
def test_it_is_refused_without(door: Door, host: str, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(PAYLOAD)
    seen = asyncio.run(door.use(Stock(stage.bob, host=host), tmp_path))
    assert not seen.through
    assert door.text in seen.said
    id = decision_in(seen.said)
    assert stage.cluster.tctl("access", "explain", id).out
    stage.cluster.some(code=door.refusal, user="bob", decision_id=id, forwarded_by=stage.proxy)
    assert not stage.cluster.events(code=door.event, user="bob", server_hostname=host)


@HOSTS
@pytest.mark.parametrize("door", [pytest.param(door, id=door.name.replace(" ", "_")) for door in BY_TSH])
def test_tsh(door: Door, host: str, stage: Stage, tmp_path: Path) -> None:
    seen = asyncio.run(door.use(Tsh(stage.alice, host=host), tmp_path))
    assert seen.through, seen.said


# -- bytes ------------------------------------------------------------------------------------------------

BULK = 6 << 20


@contextlib.asynccontextmanager
async def led(stock: Stock, target: int, way: str) -> AsyncIterator[int]:
    """Yield a port that leads to `target`: from the server (`-R`), or to it (`-L`)."""
    port = free_port()
    async with stock.start("-N", way, f"127.0.0.1:{port}:127.0.0.1:{target}"):
        await until(lambda: listens(port))
        yield port


@HOSTS
@pytest.mark.parametrize("way", ["-L", "-R"])
@pytest.mark.parametrize("early", ["asker", "answerer"])
def test_each_half_ends_by_itself_and_loses_nothing(host: str, way: str, early: str, stage: Stage) -> None:
    """One side says at once that it sends no more, and takes its time to read what the other sends before it closes."""
    data = os.urandom(BULK)
    got: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await asyncio.sleep(0)
        whole = bytearray()
        while piece := await reader.read(4096):
            whole += piece
        got.append(bytes(whole))
        writer.close()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""
        writer.write(data)
        await writer.drain()
        writer.close()

    async def scene() -> None:
        asker, answerer = (listen, pour) if early == "asker" else (pour, listen)
        server = await asyncio.start_server(answerer, "127.0.0.1", 0)
        async with server, led(Stock(stage.alice, host=host), server.sockets[0].getsockname()[1], way) as port:
            await asker(*await asyncio.open_connection("127.0.0.1", port))
            await until(lambda: got)

    asyncio.run(scene())
    assert got[0] == data


# -- limits and ends --------------------------------------------------------------------------------------


@HOSTS
def test_as_many_channels_as_one_connection_may_have(host: str, stage: Stage) -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        writer.write(b"+")
        await reader.read()
        writer.close()

    async def first(opened: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
        with contextlib.suppress(OSError):
            return await opened[0].read(1)
        return b""

    async def scene() -> None:
        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        async with server, led(Stock(stage.alice, host=host), server.sockets[0].getsockname()[1], "-R") as port:
            made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CHANNELS + 6)]
            said = await asyncio.gather(*(first(each) for each in made))
            for _, writer in made:
                writer.close()
        assert (said.count(b"+"), said.count(b"")) == (CHANNELS, 6)

    asyncio.run(scene())
    stage.cluster.some("no more channels", least=6, code="T3003E", user="alice", server_hostname=host)


@HOSTS
def test_a_lock_cuts_what_is_led_and_what_listens(host: str, stage: Stage) -> None:
    name = f"dave-{host}"
    dave = sign_up(stage.cluster, name, GIVING)

    async def scene() -> None:
        stock, port = Stock(dave, host=host), free_port()
        async with tcp_target() as target, stock.start("-N", "-R", f"{port}:127.0.0.1:{target}") as ssh:
            await until(lambda: listens(port))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"held")
            await asyncio.to_thread(stage.cluster.some, code="T3003I", user=name, channel="forwarded-tcpip")
            await asyncio.to_thread(stage.cluster.tctl, "lock", f"--user={name}", "--message=gone fishing")
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read(-1) == b""
            writer.close()
            assert ssh.stderr is not None
            assert b"gone fishing" in await ssh.stderr.read()
            await until(lambda: not listens(port))

    asyncio.run(scene())
    ended = stage.cluster.some(least=2, code="T3003S", user=name)
    assert {event["channel"] for event in ended} == {"tcpip-forward", "forwarded-tcpip"}


@HOSTS
def test_a_listener_that_is_cancelled_ends_alone(host: str, stage: Stage, tmp_path: Path) -> None:
    async def scene() -> None:
        stock, control = Stock(stage.alice, host=host), f"-oControlPath={tmp_path}/c"
        first, second = free_port(), free_port()
        options = ("-R", f"{first}:127.0.0.1:9", "-R", f"{second}:127.0.0.1:9")
        async with stock.start("-oControlMaster=yes", control, "-N", *options):
            await until(lambda: listens(first) and listens(second))
            assert (await stock.run(control, "-O", "cancel", "-R", f"{first}:127.0.0.1:9")).status == 0
            await until(lambda: not listens(first))
            assert listens(second)
            asked = await stock.run(control, "-O", "forward", "-R", "0:127.0.0.1:9")
            await until(lambda: listens(int(asked.out)))

    asyncio.run(scene())


def test_a_server_that_goes_away_ends_a_connection_that_only_listens(stage: Stage) -> None:
    """Whoever forwards and runs nothing must hear of it, to connect again."""
    before = {process.pid for process in tree(stage.server.pid)}

    async def scene() -> str:
        port = free_port()
        async with Stock(stage.alice, host=SERVER).start("-N", "-R", f"{port}:127.0.0.1:9") as ssh:
            await until(lambda: listens(port))
            for process in tree(stage.server.pid):
                if process.pid not in before:
                    os.kill(process.pid, signal.SIGKILL)
            assert ssh.stderr is not None
            said = await ssh.stderr.read()
            assert await ssh.wait() == 255
            return said.decode()

    assert f"NET-SSH-SERVER: the SSH connection to {SERVER} failed" in asyncio.run(scene())
    stage.cluster.some(event="client.disconnect", user="alice", reason="server_lost")


# -- agents and displays ----------------------------------------------------------------------------------


def test_the_agent_is_within_reach_for_as_long_as_its_session(stage: Stage, tmp_path: Path) -> None:
    """sshd keeps the socket until the connection ends."""
    offered, control = tmp_path / "agent", f"-oControlPath={tmp_path}/c"
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while (body := await reader.readexactly(int.from_bytes(await reader.readexactly(4))))[0] != 99:
                writer.write(b"\0\0\0\1\5")  # what the client asks for itself fails
            asked.append(body)
            writer.write(b"!")
        writer.close()

    async def scene() -> tuple[bytes, bytes]:
        stock = Stock(stage.alice, host=SERVER)
        reach = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
        reach = f"{reach}; s.send(bytes([0, 0, 0, 1, 99]))"
        ask = f'echo $SSH_AUTH_SOCK; python3 -c "{reach}; print(s.recv(9))"'
        env = {"SSH_AUTH_SOCK": str(offered)}
        server = await asyncio.start_unix_server(answer, offered)
        async with server, stock.start("-A", "-oControlMaster=yes", control, "-N", env=env):
            await until((tmp_path / "c").exists)
            during = await stock.run(control, "-A", command=(f"{ask} $SSH_AUTH_SOCK",), env=env)
            path = during.out.split()[0].decode()
            after = await stock.run(control, "-a", command=(f"{ask} {path}",), env=env)
            return during.out, after.out

    during, after = asyncio.run(scene())
    assert (b"b'!'" in during, b"b'!'" in after) == (True, False)
    assert asked == [bytes([99])]
    fields = {"user": "alice", "server_hostname": SERVER, "channel": "auth-agent@openssh.com"}
    stage.cluster.some("leads to nothing", code="T3003E", forwarded_by=stage.proxy, **fields)


@HOSTS
def test_a_program_without_the_cookie_of_the_session_sees_no_display(host: str, stage: Stage, tmp_path: Path) -> None:
    """It is the proxy that looks: the client is not even asked."""
    env = {"DISPLAY": ":999", "XAUTHORITY": str(tmp_path / "none")}
    head = b"l" + bytes([0, 11, 0, 0, 0, 18, 0, 16, 0, 0, 0]) + b"MIT-MAGIC-COOKIE-1" + bytes(2)

    async def scene() -> None:
        options = ("-Y", f"-oXAuthLocation={need('xauth')}")
        show = 'echo "$DISPLAY"; exec cat'
        async with Stock(stage.alice, host=host).start(*options, command=(show,), env=env) as ssh:
            assert ssh.stdout is not None
            shown = (await ssh.stdout.readline()).decode()
            number = int(shown.split(":")[1].split(".")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", 6000 + number)
            writer.write(head + bytes(16))
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(scene())
    refused = stage.cluster.some("without the cookie", event="x11-forward", code="T3008W", user="alice")
    assert host in [event["server_hostname"] for event in refused]
    assert all(event["sid"] for event in refused)


def test_what_the_server_does_not_do_is_told_and_recorded(stage: Stage, tmp_path: Path) -> None:
    """The roles allow it, sshd's own configuration does not."""
    offered = tmp_path / "agent"
    env = {"DISPLAY": ":999", "XAUTHORITY": str(tmp_path / "none"), "SSH_AUTH_SOCK": str(offered)}
    options = ("-R", "0:127.0.0.1:9", "-A", "-Y", f"-oXAuthLocation={need('xauth')}")

    async def scene() -> Ran:
        server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), offered)
        async with server:
            return await Stock(stage.alice, host="strict-1").run(*options, command=("echo ran",), env=env)

    with agentless(stage.cluster, "strict-1", "DisableForwarding yes"):
        wait_for("the server in the list", lambda: "strict-1" in stage.alice.tsh("ls").out)
        ran = asyncio.run(scene())
    assert (ran.status, ran.out) == (0, b"ran\n")
    for thing in ("it does not listen", "it declines agent forwarding", "it declines X11 forwarding"):
        assert f"strict-1 did not do what was asked: {thing}" in ran.err
        found = stage.cluster.some(thing, user="alice", server_hostname="strict-1")[0]
        assert found["code"] in ("T3003E", "T3008W")
    assert not stage.cluster.events(code="T3003I", server_hostname="strict-1")
