"""A channel as a stream of bytes for code that reads and writes in turn: a subsystem such as SFTP."""

from __future__ import annotations

from teleport.base.errors import AccessDenied, TeleportError
from teleport.client.ssh_client.channel import Channel
from teleport.client.ssh_client.loop import Loop
from teleport.wire import ssh_channel as wire

_MOST = 1 << 20
"""Bytes of standard error that are kept."""


class ByteStream:
    """The handler of the channel. `read` and `write` run the loop while they wait."""

    def __init__(self, loop: Loop, *, subsystem: str = "", command: str = "") -> None:
        self.said = b""
        """What came on standard error."""
        self.status: int | None = None
        """Exit status, once it has come."""
        self.failure: TeleportError | None = None
        self._loop = loop
        self._ask = (b"subsystem", subsystem) if subsystem else (b"exec", command)
        self._channel: Channel | None = None
        self._granted: bool | None = None
        self._received = bytearray()
        self._ended = False

    def start(self) -> None:
        """Wait until it runs. Raises AccessDenied (CLIENT-NODE-REFUSED) and what has ended the connection."""
        self._loop.run(lambda: self._granted is not None or self.failure is not None)
        if not self._granted:
            said = self.said.decode(errors="replace").strip() or f"it starts no {self._ask[1]}"
            raise (
                self._loop.error or self.failure or AccessDenied("CLIENT-NODE-REFUSED", host=self._loop.host, said=said)
            )

    def read(self, size: int) -> bytes:
        """Return from one to `size` bytes; none at the end. Raises what has ended the connection."""
        self._loop.run(lambda: self._received or self._ended)
        if not self._received and self.failure is not None:
            raise self.failure
        data = bytes(self._received[:size])
        del self._received[:size]
        if self._channel is not None:
            self._channel.taken(len(data))
        return data

    def read_exactly(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        parts, missing = [], size
        while missing and (data := self.read(missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def write(self, data: bytes | memoryview) -> None:
        """Send everything. Raises what has ended the connection, AccessDenied (CLIENT-NODE-REFUSED) when nobody
        reads any more."""
        view, channel = memoryview(data), self._channel
        while view:
            self._loop.run(lambda: self._ended or channel is None or (channel.room and not self._loop.congested))
            if channel is None or self._loop.error is not None or channel.closing:
                said = self.said.decode(errors="replace").strip() or "it reads no more"
                raise self.failure or AccessDenied("CLIENT-NODE-REFUSED", host=self._loop.host, said=said)
            view = view[channel.write(view) :]
        self._loop.step(0)

    def end(self) -> None:
        """Say that no more is written."""
        if self._channel is not None:
            self._channel.end()

    def close(self) -> None:
        """Close the channel and wait until it is."""
        if self._channel is not None:
            self._channel.close()
            self._loop.run(lambda: self._channel is None)

    # -- the channel ----------------------------------------------------------------------------------------

    def opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.request(self._ask[0], wire.text(self._ask[1]), self._started)

    def _started(self, granted: bool) -> None:
        self._granted = granted

    def refused(self, reason: int, text: str) -> None:
        self._granted, self._ended = False, True
        self.failure = AccessDenied("CLIENT-NODE-REFUSED", host=self._loop.host, said=text or "it opens no channel")

    def data(self, data: bytes, is_error: bool) -> None:
        if is_error:
            self.said = (self.said + data)[:_MOST]
            if self._channel is not None:
                self._channel.taken(len(data))
        else:
            self._received += data

    def ended(self) -> None:
        self._ended = True

    def requested(self, name: bytes, body: bytes) -> bool:
        if name == b"exit-status":
            self.status = wire.read_status(body)
        return False

    def writable(self) -> None:
        pass

    def closed(self, error: TeleportError | None) -> None:
        self._ended, self._channel = True, None
        self.failure = self.failure or error
