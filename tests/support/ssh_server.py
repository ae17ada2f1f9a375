"""A stock SSH server (asyncssh) in a thread, and the carrier that leads to it: for tests of tsh's client."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import asyncssh

from teleport.base.errors import Unavailable
from teleport.client.ssh_client.connection import Connection
from teleport.client.ssh_client.transport import Limits
from teleport.client.ssh_client.trust import UserKey
from teleport.pki import keys
from tests.support.ssh_peer import AUTHORITY, HOST_KEY, USER_KEY, certificate, trust

MAY = {"permit-agent-forwarding": "", "permit-port-forwarding": "", "permit-pty": ""}
FOREVER = {"valid_after": 0, "valid_before": (1 << 64) - 1}


class SocketCarrier:
    """A plain socket, moved by hand."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ended = False
        self._out, self._in = b"", b""

    suspended = False

    @property
    def held(self) -> bool:
        return self.pending > 262144

    @property
    def pending(self) -> int:
        return len(self._out)

    def give(self, data: bytes) -> None:
        self._out += data

    def flush(self) -> None:
        try:
            self._out = self._out[self.sock.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise Unavailable("NET-RESET", address="the server", reason=error) from error

    def fill(self) -> None:
        try:
            self._in = self.sock.recv(262144)
            self.ended = not self._in
        except BlockingIOError:
            pass
        except OSError as error:
            raise Unavailable("NET-RESET", address="the server", reason=error) from error

    def take(self) -> bytes:
        data, self._in = self._in, b""
        return data

    def drop(self) -> None:
        self._out = b""


class Server(asyncssh.SSHServer):
    """Lets everybody with a certificate in, forwards everything."""

    connections: list[asyncssh.SSHServerConnection]

    def __init__(self, kept: list[asyncssh.SSHServerConnection]) -> None:
        self._kept = kept

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._kept.append(conn)

    def connection_requested(self, *_: Any) -> bool:
        return True

    def unix_connection_requested(self, *_: Any) -> bool:
        return True

    def server_requested(self, *_: Any) -> bool:
        return True

    def unix_server_requested(self, *_: Any) -> bool:
        return True


class Running:
    """The server, as tests see it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int, kept: list[asyncssh.SSHServerConnection]) -> None:
        self.loop, self.port, self.connections = loop, port, kept

    def connect(self, *, limits: Limits | None = None, host: str = "node-1", user: str = "alice") -> Connection:
        """Sign in."""
        carrier = SocketCarrier(socket.create_connection(("127.0.0.1", self.port), 10))
        own = certificate(USER_KEY.public_key(), type="user", principals=("alice",), extensions=MAY, **FOREVER)
        return Connection.over(carrier, user=user, key=UserKey(USER_KEY, own), trust=trust(host), limits=limits)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


Process = Callable[[Any], Coroutine[Any, Any, None]]


@contextmanager
def serving(process: Process, **options: Any) -> Iterator[Running]:
    """Serve `process` for every session."""
    loop, kept = asyncio.new_event_loop(), list[asyncssh.SSHServerConnection]()
    host_key = asyncssh.import_private_key(keys.private_pem(HOST_KEY))
    blob = certificate(HOST_KEY.public_key(), **FOREVER)
    host_certificate = asyncssh.import_certificate(keys.ssh_line(blob).encode())
    line = keys.ssh_line(keys.ssh_blob(AUTHORITY.public_key()))
    clients = asyncssh.import_authorized_keys(f"cert-authority {line}\n")

    async def start() -> Any:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: Server(kept), server_host_keys=[(host_key, host_certificate)],
            authorized_client_keys=clients, process_factory=process, encoding=None, line_editor=False,
            **options,
        )  # fmt: skip

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(30)

    async def stop() -> None:
        acceptor.close()
        for connection in kept:
            connection.abort()
        await acceptor.wait_closed()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield Running(loop, acceptor.sockets[0].getsockname()[1], kept)
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
