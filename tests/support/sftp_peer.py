"""A client of our SFTP server that speaks packets, for tests of each answer."""

from __future__ import annotations

import socket
import threading
from typing import Any

from teleport.agents.ssh.sftp_server import serve
from teleport.base.clock import Clock
from teleport.wire.sftp import VERSION, Attrs, Kind, Packet, Packets, Status, read, write

PATIENCE = 60.0
NOTHING = Attrs()


class SftpPeer:
    """The server in a thread, and this side of its connection. Used as a context."""

    def __init__(self, *, read_only: bool = False, clock: Clock | None = None) -> None:
        self.connection, theirs = socket.socketpair()
        self.connection.settimeout(PATIENCE)
        self._theirs = theirs
        self._packets = Packets()
        self._found: list[Packet] = []
        self._id = 0
        self._thread = threading.Thread(target=serve, args=(theirs,), kwargs={"read_only": read_only, "clock": clock})

    def __enter__(self) -> SftpPeer:
        self._thread.start()
        self.send(write(Packet(Kind.INIT, VERSION, ({},))))
        self.version = self.answer()
        return self

    def __exit__(self, *problem: object) -> None:
        self.connection.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._theirs.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(data)

    def answer(self) -> Packet:
        """Return the next answer. EOFError when the server has ended the connection."""
        while not self._found:
            data = self.connection.recv(65536)
            if not data:
                raise EOFError
            self._found += [read(body) for body, _ in self._packets.feed(data)]
        return self._found.pop(0)

    def ask(self, kind: int, *fields: Any, name: str = "") -> Packet:
        """Send one request and return its answer."""
        self._id += 1
        self.send(write(Packet(kind, self._id, fields, name)))
        answer = self.answer()
        assert answer.id == self._id
        return answer

    def status(self, kind: int, *fields: Any, name: str = "") -> Status:
        """Send one request that is answered with a status, and return that."""
        answer = self.ask(kind, *fields, name=name)
        assert answer.kind == Kind.STATUS, answer
        return Status(answer.fields[0])

    def open(self, path: bytes, flags: int, attrs: Attrs = NOTHING) -> bytes:
        """Open a file and return its handle."""
        answer = self.ask(Kind.OPEN, path, flags, attrs)
        assert answer.kind == Kind.HANDLE, answer
        handle: bytes = answer.fields[0]
        return handle

    def names(self, path: bytes) -> list[Any]:
        """Return the entries of a folder."""
        handle, found = self.ask(Kind.OPENDIR, path).fields[0], []
        while (answer := self.ask(Kind.READDIR, handle)).kind == Kind.NAME:
            found += answer.fields[0]
        assert answer.fields[0] == Status.EOF
        assert self.status(Kind.CLOSE, handle) == Status.OK
        return found
