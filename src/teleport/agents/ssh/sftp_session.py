"""SFTP on one session channel: the bytes between the client and the server that runs as the user, under the eyes of the
tap that tells the audit log what is done.

What is here: the way of the bytes and its end. What is not: SFTP itself (`sftp_server`, `sftp_tap`), and who may have
it (`session_host`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from teleport.agents.ssh.passage import Passage
from teleport.agents.ssh.sftp_tap import SftpTap
from teleport.base.errors import TeleportError
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_channel import REFUSED, SessionChannel
from teleport.net.ssh_stream import StreamSession
from teleport.net.stream import Peer
from teleport.wire.buffer import ProtocolError


class _Tapped(SocketStream):
    """The server's socket, with the tap in front of it. What the tap does not understand is not passed on."""

    def __init__(self, found: socket.socket, tap: SftpTap, failed: Callable[[ProtocolError], None]) -> None:
        super().__init__(found)
        self._tap = tap
        self._failed = failed

    async def read(self, limit: int = 65536) -> bytes:
        data = await super().read(limit)
        self._watch(self._tap.from_server, data)
        return data

    async def write(self, data: bytes) -> None:
        self._watch(self._tap.from_client, data)
        await super().write(data)

    def _watch(self, look: Callable[[bytes], None], data: bytes) -> None:
        try:
            look(data)
        except ProtocolError as error:
            self._failed(error)
            raise


class _Channel(StreamSession):
    """The channel's bytes. It ends with a status, as a command's does."""

    status = 0

    def finish(self, channel: SessionChannel) -> None:
        channel.exit(self.status)


class SftpRun:
    """One SFTP server, seen from its channel. Make it, hand it what comes from the channel, and `await run()`."""

    def __init__(
        self, found: socket.socket, tap: SftpTap, used: Callable[[], None], failed: Callable[[TeleportError], None]
    ) -> None:
        """`failed` is told once what was wrong with the bytes, before the channel is closed."""
        self.stream = _Channel(Peer(), direct=True)
        """What the channel's session hands everything to."""
        self._tap = tap
        self._tell = failed
        self._failure: TeleportError | None = None
        self._passage = Passage(self.stream, _Tapped(found, tap, self._failed), used)

    async def run(self) -> TeleportError | None:
        """Carry the bytes to the end; return what was wrong with them."""
        try:
            await self._passage.run()
        finally:
            self._tap.close()
        return self._failure

    def end(self) -> None:
        """The server ends it."""
        self.stream.status = REFUSED
        self._passage.cut(orderly=True)

    def _failed(self, error: ProtocolError) -> None:
        if self._failure is None:
            self._failure = error
            self._tell(error)
            self.end()
