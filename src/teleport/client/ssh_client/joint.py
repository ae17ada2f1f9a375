"""A channel joined with local descriptors: what one side sends the other gets, each direction ends by itself.

Nothing is read that cannot be passed on: windows and pipes hold back whoever is too fast.
"""

from __future__ import annotations

import _socket
import os
import stat

from teleport.base.errors import TeleportError
from teleport.base.lean import TYPE_CHECKING, Callable, Iterable, suppress
from teleport.client.ssh_client.channel import Channel
from teleport.client.ssh_client.loop import READ, WRITE, Loop

if TYPE_CHECKING:
    import socket

_CHUNK = 65536
_CAREFUL = 4096
"""Bytes that a pipe takes without blocking if it is ready for any (PIPE_BUF): what is shared stays blocking."""


class Sink:
    """Where bytes go: a descriptor, and what it has not taken yet."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None
        self._waiting = b""
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)

    @property
    def pending(self) -> int:
        """Bytes that wait."""
        return len(self._waiting)

    def put(self, data: bytes) -> int:
        """Add bytes; return how many are done with."""
        if self.error is not None:
            return len(data)
        empty = not self._waiting
        self._waiting = self._waiting + data if self._waiting else data
        return self.flush() if empty and self._never_blocks else 0

    @property
    def _never_blocks(self) -> bool:
        """Asked each time: somebody who shares the descriptor may change it."""
        return self._is_file or not os.get_blocking(self.descriptor)

    def flush(self) -> int:
        """Write what can be written; return how many bytes are done with. A reader that is gone takes all."""
        limit = len(self._waiting) if self._never_blocks else _CAREFUL
        try:
            done = os.write(self.descriptor, memoryview(self._waiting)[:limit])
        except BlockingIOError:
            return 0
        except OSError as error:
            self.error, done = error, len(self._waiting)
        self._waiting = self._waiting[done:]
        return done


class Joint:
    """A channel's handler that copies between it and descriptors, which it does not own."""

    def __init__(self, loop: Loop, source: int | None, out: Sink, error: Sink | None = None) -> None:
        self.loop = loop
        self.channel: Channel | None = None
        self.failure: TeleportError | None = None
        """Why the channel is gone before its time."""
        self.is_closed = False
        self._source, self._out, self._error = source, out, error or out
        loop.watched.append(self)

    @property
    def pending(self) -> int:
        """Bytes that came and are not written yet."""
        return self._out.pending + self._error.pending

    @property
    def done(self) -> bool:
        """Whether the channel is closed and everything that came is written."""
        return self.is_closed and not self.pending

    # -- descriptors --------------------------------------------------------------------------------------

    def wants(self) -> Iterable[tuple[int, int]]:
        wanted = [(sink.descriptor, WRITE) for sink in {self._out, self._error} if sink.pending]
        if self._source is not None and self.channel is not None and self.channel.room and not self.loop.congested:
            wanted.append((self._source, READ))
        return wanted

    def ready(self, descriptor: int, events: int) -> None:
        for sink in {self._out, self._error}:
            if sink.descriptor == descriptor and sink.pending and events & ~READ:
                self._wrote(sink.flush())
        if descriptor == self._source and events & ~WRITE:
            self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        channel = self.channel
        if channel is None or not channel.room:
            return
        try:
            data = self.received(os.read(descriptor, min(_CHUNK, channel.room)))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data is None:
            return
        if data:
            channel.write(data)
        else:
            self.stop_reading()

    def received(self, data: bytes) -> bytes | None:
        """Local bytes are to be sent; None keeps them back, empty is the end."""
        return data

    def stop_reading(self) -> None:
        """The local side sends no more."""
        self._source = None
        if self.channel is not None:
            self.channel.end()

    def _wrote(self, size: int) -> None:
        if size and self.channel is not None:
            self.channel.taken(size)
        self.after_writing()

    def after_writing(self) -> None:
        """Something was written."""
        if self.done:
            self.finish()

    def finish(self) -> None:
        """The channel is closed and everything is written."""
        with suppress(ValueError):
            self.loop.watched.remove(self)

    # -- the channel ----------------------------------------------------------------------------------------

    def opened(self, channel: Channel) -> None:
        self.channel = channel

    def refused(self, reason: int, text: str) -> None:
        self.is_closed = True
        self.finish()

    def data(self, data: bytes, is_error: bool) -> None:
        self._wrote((self._error if is_error else self._out).put(data))

    def ended(self) -> None:
        self.after_writing()

    def requested(self, name: bytes, body: bytes) -> bool:
        return False

    def writable(self) -> None:
        pass

    def closed(self, error: TeleportError | None) -> None:
        self.is_closed, self.failure, self._source = True, error, None
        self.after_writing()


class SocketJoint(Joint):
    """A channel joined with a connected socket, which it owns and closes."""

    def __init__(self, loop: Loop, sock: socket.socket, refused: Callable[[int, str], None] | None = None) -> None:
        """`refused` is told reason and text when the server does not open the channel."""
        sock.setblocking(False)
        super().__init__(loop, sock.fileno(), Sink(sock.fileno()))
        self._socket = sock
        self._told = refused
        self._peer_ended = False

    def refused(self, reason: int, text: str) -> None:
        super().refused(reason, text)
        if self._told is not None:
            self._told(reason, text)

    def ended(self) -> None:
        self._peer_ended = True
        super().ended()

    def stop_reading(self) -> None:
        super().stop_reading()
        self.after_writing()

    def after_writing(self) -> None:
        """Pass the end on as soon as all before it is written; with both ends said the channel has served."""
        if self._out.error is not None and self.channel is not None:
            self.channel.close()
        elif self._peer_ended and not self._out.pending:
            with suppress(OSError):
                self._socket.shutdown(_socket.SHUT_WR)
            if self._source is None and self.channel is not None:
                self.channel.close()
        super().after_writing()

    def closed(self, error: TeleportError | None) -> None:
        super().closed(error)
        if error is not None:
            self.finish()  # nothing runs any more that would write what is left

    def finish(self) -> None:
        super().finish()
        self._socket.close()
