"""Every channel of an SSH connection, used by stock `ssh` for what it is for, and which option lets it through.

`DOORS` is the matrix: the stories play it, and the guide prints it. A door's `use` returns what came out of the other
end and what the client said.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests.support import programs
from tests.support.ports import free_port

PAYLOAD = bytes(range(256)) * 512
"""128 KiB: several packets and windows of a pipe."""


class Ran(NamedTuple):
    """How a client ended."""

    status: int
    out: bytes
    err: str


class Stock(Protocol):
    """Stock OpenSSH, aimed at one node."""

    async def run(
        self, *options: str, command: Sequence[str] = (), stdin: bytes = b"", env: dict[str, str] | None = None,
        program: str = "ssh",
    ) -> Ran:  # fmt: skip
        """Run `ssh` with options before the target and the command after it."""
        ...

    def start(
        self, *options: str, command: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
        """Keep `ssh` running for a block."""
        ...


class Seen(NamedTuple):
    """What a use of a door has shown."""

    through: bool
    """Whether the payload came out whole at the other end, and the answer back."""
    said: str
    """What the client wrote to standard error."""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back everything, reversed, once the other side has ended: needs both half-closes."""
    try:
        data = await reader.read(-1)
        writer.write(data[::-1])
        await writer.drain()
        writer.close()
    except OSError:
        pass


async def _agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What the client asks an agent for itself (its keys: 11, to be bound to a session: 27) fails; then `_answer`."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        head = await reader.readexactly(5)
        while head[4] in (11, 27):
            await reader.readexactly(int.from_bytes(head[:4]) - 1)
            writer.write(b"\0\0\0\1\5")
            head = await reader.readexactly(5)
        await _answer_whole(head, reader, writer)
    writer.close()


async def _answer_whole(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send the payload back, reversed, without waiting for an end: for agents and displays stock `ssh` has no
    half-close (`force_drain` in its channels.c)."""
    data = head + await reader.readexactly(len(PAYLOAD) - len(head))
    writer.write(data[::-1])
    await writer.drain()


@contextlib.asynccontextmanager
async def tcp_target() -> AsyncIterator[int]:
    """Run a server of `_answer` on loopback; yields its port."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def unix_target(path: Path) -> AsyncIterator[str]:
    """Run a server of `_answer` at a path."""
    server = await asyncio.start_unix_server(_answer, path)
    async with server:
        yield str(path)


async def ask(opening: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    """Send the payload, end, and say whether it came back reversed and whole."""
    try:
        async with asyncio.timeout(30):
            reader, writer = await opening
            try:
                writer.write(PAYLOAD)
                writer.write_eof()
                return await reader.read(-1) == PAYLOAD[::-1]
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return False


async def _forwarded(
    stock: Stock, options: Sequence[str], opening: Callable[[], Any], ready: Callable[[], bool]
) -> Seen:
    """Use a listener that a running client has made."""
    async with stock.start(*options, command=("echo open; exec cat",)) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stderr is not None
        assert await client.stdout.readline() == b"open\n"
        through = False
        if ready():
            through = await ask(opening())
        client.stdin.close()
        said = await client.stderr.read()
        await client.wait()
    return Seen(through, said.decode(errors="replace"))


def listens(port: int) -> bool:
    """Whether somebody listens on loopback, by what the system says; connecting would be a connection."""
    wanted = f"0100007F:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return any(line.split()[1] == wanted and line.split()[3] == "0A" for line in lines[1:])


async def local_tcp(stock: Stock, folder: Path) -> Seen:
    """-L port:host:port"""
    async with tcp_target() as target:
        port = free_port()
        return await _forwarded(
            stock, ("-L", f"127.0.0.1:{port}:127.0.0.1:{target}"),
            lambda: asyncio.open_connection("127.0.0.1", port), lambda: True,
        )  # fmt: skip


async def local_to_unix(stock: Stock, folder: Path) -> Seen:
    """-L port:/path"""
    async with unix_target(folder / "target") as path:
        port = free_port()
        return await _forwarded(
            stock, ("-L", f"127.0.0.1:{port}:{path}"), lambda: asyncio.open_connection("127.0.0.1", port), lambda: True
        )  # fmt: skip


async def local_from_unix(stock: Stock, folder: Path) -> Seen:
    """-L /path:host:port"""
    async with tcp_target() as target:
        path = folder / "local"
        return await _forwarded(
            stock, ("-L", f"{path}:127.0.0.1:{target}"), lambda: asyncio.open_unix_connection(path), lambda: True
        )  # fmt: skip


async def _socks(port: int, target: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a port of loopback through SOCKS 5 (RFC 1928)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\5\1\0" + b"\5\1\0\1" + socket.inet_aton("127.0.0.1") + struct.pack("!H", target))
    try:
        await reader.readexactly(2 + 10)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def dynamic(stock: Stock, folder: Path) -> Seen:
    """-D port"""
    async with tcp_target() as target:
        port = free_port()

        return await _forwarded(stock, ("-D", f"127.0.0.1:{port}"), lambda: _socks(port, target), lambda: True)


async def direct(stock: Stock, folder: Path) -> Seen:
    """-W host:port"""
    async with tcp_target() as target:
        done = await stock.run("-W", f"127.0.0.1:{target}", stdin=PAYLOAD)
        return Seen(done.out == PAYLOAD[::-1], done.err)


async def remote_tcp(stock: Stock, folder: Path) -> Seen:
    """-R port:host:port"""
    async with tcp_target() as target:
        port = free_port()
        return await _forwarded(
            stock, ("-R", f"{port}:127.0.0.1:{target}"), lambda: asyncio.open_connection("127.0.0.1", port),
            lambda: listens(port),
        )  # fmt: skip


async def remote_unix(stock: Stock, folder: Path) -> Seen:
    """-R /path:host:port"""
    async with tcp_target() as target:
        path = folder / "remote"
        return await _forwarded(
            stock, ("-R", f"{path}:127.0.0.1:{target}"), lambda: asyncio.open_unix_connection(path), path.exists
        )  # fmt: skip


async def remote_dynamic(stock: Stock, folder: Path) -> Seen:
    """-R port"""
    async with tcp_target() as target:
        port = free_port()

        return await _forwarded(stock, ("-R", f"{port}"), lambda: _socks(port, target), lambda: listens(port))


async def agent(stock: Stock, folder: Path) -> Seen:
    """-A"""
    offered = folder / "agent"
    server = await asyncio.start_unix_server(_agent, offered)
    async with server:
        done = await stock.run(
            "-A", "-o", f"IdentityAgent={offered}", stdin=PAYLOAD, env={"SSH_AUTH_SOCK": str(offered)},
            command=(_TALK.format(connect=_CONNECT_AGENT),),
        )  # fmt: skip
    return Seen(done.out == PAYLOAD[::-1], done.err)


async def display(stock: Stock, folder: Path) -> Seen:
    """-X or -Y"""
    shown = folder / "X77"
    cookie = "0123456789abcdef0123456789abcdef"
    authority = folder / "Xauthority"
    name = f"unix:{shown}"
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(12)
        rest = await reader.readexactly(20 + 16)
        seen.append(rest[-16:])
        writer.write(head[:1])
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _answer_whole(b"", reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 6000 + (number := _free_display()))
    name = f"127.0.0.1:{number}"
    xauth = programs.need("xauth")
    adding = await asyncio.create_subprocess_exec(
        xauth, "-q", "-f", str(authority), "add", name, "MIT-MAGIC-COOKIE-1", cookie, stderr=asyncio.subprocess.DEVNULL
    )
    await adding.wait()
    async with server:
        done = await stock.run(
            "-Y", "-o", f"XAuthLocation={xauth}", stdin=PAYLOAD, command=(_TALK.format(connect=_CONNECT_DISPLAY),),
            env={"DISPLAY": name, "XAUTHORITY": str(authority)},
        )  # fmt: skip
    through = done.out == b"l" + PAYLOAD[::-1] and seen == [bytes.fromhex(cookie)]
    return Seen(through, done.err)


def _free_display() -> int:
    for number in range(40, 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", 6000 + number))
            return number
    raise AssertionError("no free display")


async def sftp(stock: Stock, folder: Path) -> Seen:
    """sftp"""
    source, target, back = folder / "source", folder / "target", folder / "back"
    source.write_bytes(PAYLOAD)
    batch = folder / "batch"
    batch.write_text(f"put {source} {target}\nget {target} {back}\n")
    done = await stock.run("-b", str(batch), program="sftp")
    return Seen(back.exists() and back.read_bytes() == PAYLOAD, done.err)


async def scp(stock: Stock, folder: Path) -> Seen:
    """scp -O"""
    done = await stock.run(command=(f"scp -f {folder}/source",), stdin=b"\0\0\0")
    return Seen(done.out.startswith(b"C0") and done.out.endswith(PAYLOAD + b"\0"), done.err)


_TALK = (
    'exec python3 -c "import os, socket, sys, subprocess; {connect}; s.sendall(sys.stdin.buffer.read());'
    " sys.stdout.buffer.write(b''.join(iter(lambda: s.recv(65536), b'')))\""
)
_CONNECT_AGENT = "s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK'])"
_CONNECT_DISPLAY = (
    "d = os.environ['DISPLAY']; n = d.split(':')[1].split('.')[0];"
    " c = bytes.fromhex(subprocess.check_output(['xauth', 'list', d], text=True).split()[2]);"
    " s = socket.create_connection(('127.0.0.1', 6000 + int(n)));"
    " s.sendall(b'l' + bytes([0, 11, 0, 0, 0, 18, 0, 16, 0, 0, 0]) + b'MIT-MAGIC-COOKIE-1' + bytes(2) + c)"
)


@dataclass(frozen=True)
class Door:
    """A row of the matrix."""

    name: str
    client: str
    """What stock OpenSSH is told."""
    channel: str
    """Type of the channel or request."""
    option: str
    """Option of a role that decides it."""
    allowing: dict[str, Any]
    """Options of a role with which it works."""
    refusing: dict[str, Any]
    service: str
    """Key of `ssh_service` that closes it for everybody; empty if there is none."""
    event: str
    """Code of its event when it begins, or for copies: has been."""
    refusal: str
    """Code of its event when it is refused."""
    text: str
    """What the client is told."""
    use: Callable[[Stock, Path], Awaitable[Seen]]


_LOCAL = {"ssh_port_forwarding": {"local": {"enabled": True}, "remote": {"enabled": False}}}
_REMOTE = {"ssh_port_forwarding": {"local": {"enabled": False}, "remote": {"enabled": True}}}


def _local(name: str, client: str, channel: str, use: Callable[[Stock, Path], Awaitable[Seen]]) -> Door:
    return Door(
        name, client, channel, "ssh_port_forwarding.local.enabled", _LOCAL, _REMOTE, "port_forwarding", "T3003I",
        "T3003E", "port forwarding not allowed", use,
    )  # fmt: skip


def _remote(name: str, client: str, channel: str, use: Callable[[Stock, Path], Awaitable[Seen]]) -> Door:
    return Door(
        name, client, channel, "ssh_port_forwarding.remote.enabled", _REMOTE, _LOCAL, "port_forwarding", "T3003I",
        "T3003E", "remote port forwarding not allowed", use,
    )  # fmt: skip


DOORS = (
    _local("local port", "-L port:host:port", "direct-tcpip", local_tcp),
    _local("local unix socket", "-L path:host:port", "direct-tcpip", local_from_unix),
    _local("to a unix socket", "-L port:path", "direct-streamlocal@openssh.com", local_to_unix),
    _local("SOCKS", "-D port", "direct-tcpip", dynamic),
    _local("standard streams", "-W host:port", "direct-tcpip", direct),
    _remote("remote port", "-R port:host:port", "tcpip-forward", remote_tcp),
    _remote("remote SOCKS", "-R port", "tcpip-forward", remote_dynamic),
    _remote("remote unix socket", "-R path:host:port", "streamlocal-forward@openssh.com", remote_unix),
    Door(
        "agent", "-A", "auth-agent-req@openssh.com", "forward_agent", {"forward_agent": True},
        {"forward_agent": False}, "", "T3003I", "T3003E", "agent forwarding not allowed", agent,
    ),
    Door(
        "display", "-X, -Y", "x11-req", "permit_x11_forwarding", {"permit_x11_forwarding": True},
        {"permit_x11_forwarding": False}, "x11.enabled", "T3008I", "T3008W", "X11 forwarding not allowed", display,
    ),
    Door(
        "SFTP", "sftp, scp", "subsystem sftp", "ssh_file_copy", {"ssh_file_copy": True}, {"ssh_file_copy": False},
        "ssh_file_copy", "T3001I", "TS020E", "file copying not allowed", sftp,
    ),
    Door(
        "old scp", "scp -O", "exec scp -t, scp -f", "ssh_file_copy", {"ssh_file_copy": True},
        {"ssh_file_copy": False}, "ssh_file_copy", "T3004I", "T3010E", "file copying not allowed", scp,
    ),
)  # fmt: skip
"""Every door of a node."""


BY_TSH = tuple(door for door in DOORS if door.client.startswith(("-L", "-D", "-R", "-A")))
"""What `tsh ssh` does, too."""


def players() -> str:
    """Return who plays the matrix where, as the guide prints it."""
    head = ("", "node", "node, ended at the proxy", "server without an agent")
    lines = [head, ("---",) * len(head)]
    for door in DOORS:
        stock = "`sftp`" if door.name == "SFTP" else "`ssh`"
        clients = f"{stock}, `tsh ssh`" if door in BY_TSH else stock
        lines.append((door.name, stock, clients, clients))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def table() -> str:
    """Return the matrix as the guide prints it."""
    head = ("", "stock OpenSSH", "channel or request", "option of roles", "`ssh_service` key", "events")
    rows = [
        (
            door.name, f"`{door.client}`", f"`{door.channel}`", f"`{door.option}`",
            f"`{door.service}`" if door.service else "-", f"{door.event}, refused {door.refusal}",
        )
        for door in DOORS
    ]  # fmt: skip
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
