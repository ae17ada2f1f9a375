"""Our SFTP client and our SFTP server, joined by a socket: what one copies, the other keeps on disk."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from teleport.agents.ssh.sftp_server import serve
from teleport.base.errors import TeleportError, Unavailable
from teleport.client.sftp.files import Manner
from teleport.client.sftp.progress import Silent
from teleport.client.sftp.session import Session
from teleport.client.sftp.tree import Copier
from teleport.wire.sftp import Packet, Packets, read, write
from tests.support.programs import need

PATIENCE = 60.0
OPENSSH = "/usr/lib/openssh/sftp-server"


class SocketChannel:
    """A channel over a socket. It can be cut after some bytes, as a network is."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.left: int | None = None
        """Bytes that may still be sent; None: all."""

    def read(self, size: int) -> bytes:
        try:
            return self.connection.recv(size)
        except ConnectionResetError:
            return b""

    def write(self, data: bytes | memoryview) -> None:
        if self.left is not None:
            data, self.left = data[: self.left], max(0, self.left - len(data))
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise Unavailable("CLIENT-COPY-LOST") from error
        if self.left == 0:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.left = None


@contextmanager
def served(*, read_only: bool = False) -> Iterator[SocketChannel]:
    """Run a server of this process's files, and give a channel to it."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    thread = threading.Thread(target=serve, args=(theirs,), kwargs={"read_only": read_only})
    thread.start()
    try:
        yield SocketChannel(ours)
    finally:
        ours.close()
        thread.join(PATIENCE)
        theirs.close()
        assert not thread.is_alive()


@contextmanager
def served_by_openssh() -> Iterator[SocketChannel]:
    """Run OpenSSH's sftp-server and give a channel to it. Without it the test is skipped, or fails in CI."""
    need(OPENSSH)
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    server = subprocess.Popen([OPENSSH], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    theirs.close()
    try:
        yield SocketChannel(ours)
    finally:
        ours.close()
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            raise


class Scripted:
    """A channel to a server that a test plays: `answers` gets each request and returns what is answered."""

    def __init__(self, answers: Callable[[Packet], list[Packet]]) -> None:
        self._answers = answers
        self._packets = Packets()
        self._out = bytearray()
        self.asked: list[Packet] = []

    def write(self, data: bytes | memoryview) -> None:
        for body, _ in self._packets.feed(data):
            packet = read(body)
            self.asked.append(packet)
            for answer in self._answers(packet):
                self._out += write(answer)

    def read(self, size: int) -> bytes:
        data = bytes(self._out[:size])
        del self._out[:size]
        return data


def copier(
    session: Session, failures: list[TeleportError], *, recursive: bool = False, preserve: bool = False
) -> Copier:
    """Return a copier that keeps what failed."""
    return Copier(session, Manner(preserve=preserve), Silent(), failures.append, recursive=recursive)
