"""A connection to a server that is not ours: what it may open to us, what it is asked for a session, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh
import pytest

from teleport.base.errors import AccessDenied, TeleportError, Unavailable
from teleport.net import ssh_onward
from teleport.net.network import SystemNetwork
from teleport.net.ssh_carried import OnwardSession
from teleport.net.ssh_far import Request
from teleport.net.ssh_lent import CHANNELS, Incoming
from teleport.net.ssh_x11 import X11Request
from teleport.pki import keys
from teleport.wire.terminal import Size, Terminal
from tests.support.channels import listens
from tests.support.ports import free_ports
from tests.support.ssh_peer import AUTHORITY, HOST_KEY, USER_KEY, certificate
from tests.support.until import until

FOREVER = {"valid_after": 0, "valid_before": (1 << 64) - 1}
MAY = {"permit-agent-forwarding": "", "permit-port-forwarding": "", "permit-pty": "", "permit-X11-forwarding": ""}
WANTED = X11Request(False, "MIT-MAGIC-COOKIE-1", b"\1" * 16, 0)


class Server(asyncssh.SSHServer):
    """Lets everybody in; `declines` says what it does not do."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._stage.served = conn

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return not self._stage.declines

    def unix_server_requested(self, listen_path: str) -> bool:
        return not self._stage.declines


class Stage:
    """A server of asyncssh and our connection to it."""

    def __init__(self) -> None:
        self.served: Any = None
        self.declines = False
        self.refused: list[tuple[str, str]] = []
        self.lost: list[Exception | None] = []
        self.ran: list[Any] = []
        self.onward: ssh_onward.Onward

    async def process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.ran.append((process.command, process.subsystem, process.get_terminal_type(), dict(process.env)))
        process.exit(0)


class Hears(OnwardSession):
    """A session of somebody."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[int] = []
        self.over = asyncio.Event()

    def exit_status_received(self, status: int) -> None:
        self.statuses.append(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()


def run(story: Callable[[Stage], Awaitable[None]]) -> Stage:
    own = certificate(USER_KEY.public_key(), type="user", principals=("alice",), extensions=MAY, **FOREVER)
    line = keys.ssh_line(keys.ssh_blob(AUTHORITY.public_key()))

    async def body() -> Stage:
        stage = Stage()
        acceptor = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: Server(stage), process_factory=stage.process, encoding=None,
            server_host_keys=[asyncssh.import_private_key(keys.private_pem(HOST_KEY))],
            authorized_client_keys=asyncssh.import_authorized_keys(f"cert-authority {line}\n"),
            agent_forwarding=False, x11_forwarding=False,
        )  # fmt: skip
        async with asyncio.timeout(60), acceptor:
            stream = await SystemNetwork().dial(f"127.0.0.1:{acceptor.get_port()}")
            watch = ssh_onward.Watch(lambda kind, error: stage.refused.append((kind, error.code)), stage.lost.append)
            stage.onward = await ssh_onward.connect(
                stream, host="node-1", login="alice", check=lambda key: None, watch=watch,
                credential=ssh_onward.Credential(keys.private_openssh(USER_KEY), own),
            )  # fmt: skip
            try:
                await story(stage)
            finally:
                await stage.onward.close()
                stage.served.abort()
                await stage.served.wait_closed()
                await asyncio.sleep(0.05)  # sockets are closed in the loop's next turns
        return stage

    return asyncio.run(body())


async def come(incoming: Incoming, connecting: Awaitable[Any]) -> bytes:
    """Connect where the server listens, and return what comes through; nothing is sent but an end."""
    reader, writer = await connecting
    found, _ = await incoming.accept()
    near_reader, near_writer = await asyncio.open_connection(sock=found)
    writer.write_eof()
    assert await near_reader.read() == b""
    near_writer.write(b"answer")
    near_writer.close()
    await near_writer.wait_closed()
    answer: bytes = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("port", [0, 1])
def test_a_port_where_it_listens(port: int) -> None:
    """The port is there before we have heard of it: who comes at once is let through."""

    async def story(stage: Stage) -> None:
        chosen = free_ports(1)[0] if port else 0
        incoming, found = await stage.onward.listen_tcp("127.0.0.1", chosen)
        assert found == chosen or port == 0
        assert await come(incoming, asyncio.open_connection("127.0.0.1", found)) == b"answer"
        incoming.close()

        await until(lambda: not listens(found))

    run(story)


def test_a_path_where_it_listens(tmp_path: Any) -> None:
    async def story(stage: Stage) -> None:
        path = str(tmp_path / "s")
        incoming = await stage.onward.listen_unix(path)
        assert await come(incoming, asyncio.open_unix_connection(path)) == b"answer"
        incoming.close()

    run(story)


def test_what_it_declines() -> None:
    async def story(stage: Stage) -> None:
        stage.declines = True
        far = Hears()
        await stage.onward.open(far)
        for asking in (
            stage.onward.listen_tcp("127.0.0.1", 0), stage.onward.listen_unix("/s"),
            stage.onward.listen_unix("/\udcff"), stage.onward.lend_agent(far),
            stage.onward.lend_display(far, WANTED, bytes(16)),
        ):  # fmt: skip
            with pytest.raises(AccessDenied) as found:
                await asking  # type: ignore[misc]
            assert found.value.code == "NET-SSH-SERVER-DECLINED"
        far.abandon()
        await far.over.wait()

    run(story)


def test_what_is_asked_for_a_session() -> None:
    async def story(stage: Stage) -> None:
        far = Hears()
        await stage.onward.open(far)
        size = Size(80, 24)
        wanted = Request(command=b"true", terminal=Terminal("xterm", size, {}), variables={"LANG": "C"})
        await stage.onward.start(far, wanted)
        await far.over.wait()
        assert far.statuses == [0]
        shell = Hears()
        await stage.onward.open(shell)
        await stage.onward.start(shell, Request())
        await shell.over.wait()
        (await stage.onward.subsystem("other")).close()

    command, _, terminal, variables = run(story).ran[0]
    assert (command, terminal) == ("true", "xterm")
    assert "C" in [value if isinstance(value, str) else value.decode() for value in variables.values()]


def test_channels_that_nobody_asked_for_are_refused_and_told() -> None:
    async def story(stage: Stage) -> None:
        for opening in (
            stage.served.create_connection(asyncssh.SSHTCPSession, "127.0.0.1", 80, "h", 1),
            stage.served.create_unix_connection(asyncssh.SSHUNIXSession, "/s"),
            stage.served.create_agent_channel()._open(b"auth-agent@openssh.com"),
            stage.served.create_x11_channel()._open(b"x11", b"\0\0\0\1h", b"\0\0\0\1"),
        ):
            with pytest.raises(asyncssh.ChannelOpenError) as found:
                await opening
            assert "nothing of the kind" in found.value.reason

    kinds = ["forwarded-tcpip", "forwarded-streamlocal@openssh.com", "auth-agent@openssh.com", "x11"]
    assert run(story).refused == [(kind, "SSH-NOT-LENT") for kind in kinds]


def test_its_channels_are_bounded() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(CHANNELS):
            await stage.onward.open(Hears())
        with pytest.raises(AccessDenied, match="too many channels"):
            await stage.onward.open(Hears())
        with pytest.raises(asyncssh.ChannelOpenError, match="too many channels"):
            await stage.served.create_agent_channel()._open(b"auth-agent@openssh.com")

    assert run(story).refused == [("auth-agent@openssh.com", "SSH-LIMIT-CHANNELS")]


def test_its_end_is_told_once_unless_it_is_ours() -> None:
    async def ours(stage: Stage) -> None:
        await stage.onward.close()

    async def theirs(stage: Stage) -> None:
        stage.served.abort()
        await until(lambda: stage.lost)
        for asking in (stage.onward.open(Hears()), stage.onward.connect_tcp("h", 1)):
            with pytest.raises(TeleportError) as found:
                await asking
            assert isinstance(found.value, AccessDenied | Unavailable)

    assert run(ours).lost == []
    assert len(run(theirs).lost) == 1
