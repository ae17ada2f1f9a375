"""tsh's SSH client against a stock server: sessions, streams, forwarded ports, keys anew in the middle of traffic."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError, Unavailable
from teleport.client.ssh_client.connection import Connection
from teleport.client.ssh_client.session import Ends, Wanted
from teleport.client.ssh_client.transport import Limits
from teleport.wire.terminal import Size, Terminal
from tests.support.both_ways import echoed
from tests.support.ssh_server import Running, serving

MEGABYTE = 1 << 20


async def process(process: Any) -> None:
    """Does what the command says."""
    command = process.command or process.subsystem or "shell"
    if command.startswith("cat"):
        while data := await process.stdin.read(65536):
            process.stdout.write(data)
            await process.stdout.drain()
        process.exit(0)
    elif command == "agent":
        with contextlib.suppress(OSError, asyncssh.Error):
            reader, writer = await process.channel.get_connection().open_agent_connection()
            writer.write(b"\0\0\0\1\x0b")
            process.stdout.write(await reader.read(100))
            writer.close()
        process.exit(0)
    elif command == "say":
        process.stdout.write(b"out")
        process.stderr.write(b"err")
        process.exit(7)
    elif command == "signal":
        process.exit_with_signal("TERM")
    elif command == "size":
        size = process.term_size
        process.stdout.write(f"{process.term_type} {size[0]}x{size[1]} {process.env.get('A')}\n".encode())
        with contextlib.suppress(asyncssh.TerminalSizeChanged):
            await process.stdin.read(1)
        process.stdout.write(f"{process.term_size[0]}x{process.term_size[1]}".encode())
        process.exit(0)
    else:
        await process.stdin.read()
        process.exit(0)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(process) as running:
        yield running


@pytest.fixture
def connection(server: Running) -> Iterator[Connection]:
    made = server.connect()
    yield made
    made.close()


class Local:
    """Pipes as the ends of a session."""

    def __init__(self, stdin: bytes = b"") -> None:
        self.out, self.err = os.pipe(), os.pipe()
        self.stdin = os.pipe()
        os.write(self.stdin[1], stdin)
        os.close(self.stdin[1])
        for descriptor in (self.out[1], self.err[1]):
            os.set_blocking(descriptor, False)
        self.ends = Ends(self.stdin[0], self.out[1], self.err[1])

    def read(self) -> tuple[bytes, bytes]:
        os.close(self.out[1])
        os.close(self.err[1])
        os.close(self.stdin[0])
        with os.fdopen(self.out[0], "rb") as out, os.fdopen(self.err[0], "rb") as err:
            return out.read(), err.read()


def run(connection: Connection, wanted: Wanted, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    local = Local(stdin)
    session = connection.open_session(local.ends, wanted)
    assert connection.run(lambda: session.done, 30)
    return (session.result(), *local.read())


def test_sessions_share_a_connection(connection: Connection) -> None:
    assert run(connection, Wanted("say")) == (7, b"out", b"err")
    assert run(connection, Wanted("signal"))[0] == 128 + 15
    assert run(connection, Wanted("cat"), b"in") == (0, b"in", b"")
    assert connection.engine.channels == {}
    assert connection.watched == []


def test_a_terminal_and_its_size(connection: Connection) -> None:
    local = Local()
    wanted = Wanted("size", terminal=Terminal("vt100", Size(91, 31), {}), environment={"A": "b"})
    session = connection.open_session(local.ends._replace(stdin=None), wanted)
    connection.run(lambda: session.started, 30)
    session.resize(Size(70, 20))
    assert connection.run(lambda: session.done, 30)
    assert local.read()[0].startswith(b"vt100 91x31")


def test_a_terminal_that_is_refused(server: Running) -> None:
    with serving(process, allow_pty=False) as other:
        connection = other.connect()
        with pytest.raises(AccessDenied) as caught:
            run(connection, Wanted("say", terminal=Terminal("vt100", Size(), {})))
        assert "no terminal" in caught.value.what
        connection.close()


def test_an_environment(server: Running) -> None:
    """Variables are passed on; the server takes what it likes."""
    connection = server.connect()
    local = Local()
    session = connection.open_session(
        local.ends, Wanted("size", environment={"A": "b"}, terminal=Terminal("x", Size(), {}))
    )
    connection.run(lambda: session.done, 30)
    assert b"b\n" in local.read()[0]
    connection.close()


def test_a_reader_that_leaves_ends_the_session(connection: Connection) -> None:
    local = Local(b"x" * 1000)
    os.close(local.out[0])
    session = connection.open_session(local.ends, Wanted("cat"))
    assert connection.run(lambda: session.done, 30)
    with pytest.raises(BrokenPipeError):
        session.result()
    for descriptor in (local.out[1], local.err[0], local.err[1], local.stdin[0]):
        os.close(descriptor)


@pytest.mark.parametrize("limits", [Limits(size=8 * MEGABYTE), Limits(packets=500)])
def test_keys_anew_in_the_middle_of_a_hundred_megabytes_each_way(limits: Limits) -> None:
    """One per cent of ten gigabytes: both sides exchange keys anew while data flows both ways."""
    with serving(process, rekey_bytes=16 * MEGABYTE) as server:
        connection = server.connect(limits=limits)
        assert echoed(connection, 100)
        assert connection.engine._transport.exchanges > 5
        connection.close()


def test_what_sign_in_says() -> None:
    with serving(process) as server:
        with pytest.raises(NotAuthenticated) as caught:
            server.connect(user="bob")
        assert caught.value.code == "CLIENT-NODE-REFUSED"
        with pytest.raises(NotAuthenticated) as caught:
            server.connect(host="node-2")
        assert caught.value.code == "CLIENT-HOST-KEY"
        assert "node-2" in caught.value.what


def test_a_server_that_ends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        running = Running(asyncio.new_event_loop(), port, [])
        for words in (b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 400\r\n" * 400):

            def answer(words: bytes = words) -> None:
                with listening.accept()[0] as accepted:
                    accepted.sendall(words)
                    accepted.shutdown(socket.SHUT_WR)
                    while accepted.recv(65536):
                        pass

            thread = threading.Thread(target=answer)
            thread.start()
            with pytest.raises(Unavailable) as caught:
                running.connect()
            assert caught.value.code == "CLIENT-SSH"
            thread.join(30)
        running.loop.close()


# Streams


def test_a_stream_of_a_command(connection: Connection) -> None:
    stream = connection.open_stream(command="cat")
    data = os.urandom(3 * MEGABYTE)
    received = bytearray()
    for at in range(0, len(data), MEGABYTE):
        stream.write(data[at : at + MEGABYTE])
        received += stream.read_exactly(MEGABYTE)
    stream.end()
    assert (bytes(received) == data, stream.read(10)) == (True, b"")
    assert connection.run(lambda: stream.status is not None, 30)
    with pytest.raises(TeleportError):
        stream.write(b"more")
    stream.close()


def test_a_stream_that_does_not_start() -> None:
    with serving(process) as server:
        connection = server.connect()
        server.do(_close(server))
        with pytest.raises(TeleportError):
            connection.open_stream(subsystem="nothing")
        with pytest.raises(TeleportError):
            connection.open_stream(subsystem="nothing")
        connection.close()


async def _close(server: Running) -> None:
    for connection in server.connections:
        connection.abort()


# Forwarded ports


class Echo:
    """A TCP service that sends back what it gets, turned around, when its peer has ended."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        accepted, _ = self.listening.accept()
        with accepted:
            parts = []
            while data := accepted.recv(65536):
                parts.append(data)
            accepted.sendall(b"".join(parts)[::-1])

    def join(self) -> None:
        self._thread.join(30)
        self.listening.close()


def ask(sock: socket.socket, data: bytes, kept: list[bytes]) -> threading.Thread:
    """Send data and its end, and keep what comes back."""

    def work() -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        with sock:
            parts = []
            while got := sock.recv(65536):
                parts.append(got)
            kept.append(b"".join(parts))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_local_port_leads_to_the_node(connection: Connection, kind: str, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    far = socket.create_server(("127.0.0.1", 0)) if kind == "tcp" else socket.socket(socket.AF_UNIX)
    if kind == "unix":
        far.bind(path)
        far.listen()
    echo, near = Echo(far), socket.create_server(("127.0.0.1", 0))

    def accepted(sock: socket.socket) -> None:
        if kind == "tcp":
            connection.open_direct("127.0.0.1", far.getsockname()[1], sock, origin=sock.getpeername())
        else:
            connection.open_streamlocal(path, sock)

    connection.listen_local(near, accepted)
    kept: list[bytes] = []
    data = os.urandom(5 * MEGABYTE)
    thread = ask(socket.create_connection(near.getsockname()), data, kept)
    connection.run(lambda: connection.engine.channels, 30)
    assert connection.run(lambda: not connection.engine.channels, 30)
    thread.join(30)
    assert kept == [data[::-1]]
    near.close()
    echo.join()


def test_a_target_that_is_not_there(connection: Connection) -> None:
    told: list[tuple[int, str]] = []
    ours, theirs = socket.socketpair()
    connection.open_direct("127.0.0.1", 1, theirs, refused=lambda reason, text: told.append((reason, text)))
    assert connection.run(lambda: told, 30)
    assert told[0][0] == 2
    assert ours.recv(1) == b"", "the socket is closed"
    ours.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_port_of_the_node_leads_here(connection: Connection, kind: str, tmp_path: Path) -> None:
    echo = Echo(socket.create_server(("127.0.0.1", 0)))
    path = str(tmp_path / "r")
    origins: list[str] = []

    def called(origin: Any) -> socket.socket:
        origins.append(origin.host)
        return socket.create_connection(echo.listening.getsockname())

    if kind == "tcp":
        port = connection.listen_remote("127.0.0.1", 0, called)
        client = socket.create_connection(("127.0.0.1", port))
    else:
        connection.listen_remote_local(path, called)
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
    kept: list[bytes] = []
    thread = ask(client, b"abc" * 1000, kept)
    connection.run(lambda: connection.engine.channels, 30)
    assert connection.run(lambda: not connection.engine.channels, 30)
    thread.join(30)
    assert kept == [b"cba" * 1000]
    assert origins == ["127.0.0.1" if kind == "tcp" else path]
    echo.join()


def test_a_port_that_the_node_does_not_give(connection: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AccessDenied) as caught:
        connection.listen_remote("127.0.0.1", taken.getsockname()[1], lambda origin: None)
    assert "does not listen" in caught.value.what


def test_an_agent_only_if_it_was_asked_for(connection: Connection) -> None:
    assert run(connection, Wanted("agent")) == (0, b"", b"")
    ours, theirs = socket.socketpair()
    ours.sendall(b"\0\0\0\5\x0c\0\0\0\0")
    assert run(connection, Wanted("agent", agent=lambda: theirs)) == (0, b"\0\0\0\5\x0c\0\0\0\0", b"")
    assert ours.recv(100) == b"\0\0\0\1\x0b"
    ours.close()
