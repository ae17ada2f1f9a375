"""The carrier of an SSH connection that comes on a plain socket: bytes go from the event loop's callback to the
connection, and from it to the kernel, with no task in between.

Every other Stream is carried by `net.bridge`, which does the same in two tasks for each connection. A write is tried at
once and only its rest is kept; a read fills a buffer that all connections of a thread share, because none keeps it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from typing import Any

from teleport.net.socket_stream import SocketStream

READ = 256 * 1024
"""Bytes taken at once."""
PIECES = 64
"""Pieces that are sent in one call."""
HIGH_WATER = 64 * 1024
"""Bytes of unsent data at which the protocol is asked to pause writing, unless it says otherwise."""


class _Shared(threading.local):
    """What the connections of one thread read into, one after the other."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ))


_shared = _Shared()


class SocketTransport(asyncio.Transport):
    """The transport of one socket. Unlike asyncio's it hands on views, which a protocol must have left when it returns,
    and copies what it is given to write."""

    def __init__(self, stream: SocketStream, protocol: asyncio.Protocol) -> None:
        """Take over the stream's socket. Raises Unavailable (NET-CLOSED) when that is closed."""
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._socket = stream.detach()
        self._descriptor = self._socket.fileno()
        self._protocol = protocol
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._unsent = bytearray()
        self._eof = False
        self._closing = False
        self._over = False
        self._reading = True
        self._ended = False
        """Whether the peer sends no more."""
        self._writing_paused = False
        self._lost = asyncio.Event()

    def start(self) -> None:
        """Begin to read. Called once, after `connection_made`."""
        if not self._closing and self._reading:
            self._loop.add_reader(self._descriptor, self._read)

    async def wait_closed(self) -> None:
        """Wait until `connection_lost` was called and the socket is closed."""
        await self._lost.wait()

    # -- asyncio.BaseTransport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `socket`, `sockname` or `peername`."""
        if name == "socket":
            return self._socket
        try:
            found = {"sockname": self._socket.getsockname, "peername": self._socket.getpeername}[name]()
        except (KeyError, OSError):
            return default
        return found if isinstance(found, tuple) else default

    def is_closing(self) -> bool:
        """Whether `close`, `abort` or an error began the end."""
        return self._closing

    def close(self) -> None:
        """Send what is unsent, and say that no more follows; then pass over what the peer sends until it has ended too,
        or `abort`. A socket closed at once would answer that with a reset, and the peer lose our last words."""
        if not self._closing:
            self._closing = True
            if not self._unsent:
                self._all_sent()

    def abort(self) -> None:
        """Close at once; unsent data is lost."""
        self._finish(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand further events to another protocol, an asyncio.Protocol."""
        assert isinstance(protocol, asyncio.Protocol)  # noqa: S101 - there are no others here
        self._protocol = protocol

    # -- asyncio.ReadTransport

    def is_reading(self) -> bool:
        """Whether received data is handed on now."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Hand on nothing until `resume_reading`."""
        if not self._closing:
            self._watch(False)

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        if not self._closing and not self._ended:
            self._watch(True)

    def _watch(self, on: bool) -> None:
        if on is not self._reading:
            self._reading = on
            if on:
                self._loop.add_reader(self._descriptor, self._read)
            else:
                self._loop.remove_reader(self._descriptor)

    def _read(self) -> None:
        view = _shared.view
        try:
            size = self._socket.recv_into(view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        if not size:
            self._end_of_input()
        elif not self._closing:
            try:
                self._protocol.data_received(view[:size])  # type: ignore[arg-type]
            except Exception as error:
                self._defect(error)

    def _end_of_input(self) -> None:
        self._ended = True
        self._watch(False)
        if self._closing:
            if not self._unsent:
                self._finish(None)
            return
        try:
            if not self._protocol.eof_received():
                self.close()
        except Exception as error:
            self._defect(error)

    # -- asyncio.WriteTransport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the kernel takes, and keep a copy of the rest."""
        if self._eof:
            raise RuntimeError("write after write_eof")
        if self._closing:
            return
        sent = 0
        if not self._unsent:
            sent = self._send(data)
            if sent == len(data) or self._over:
                return
            self._loop.add_writer(self._descriptor, self._flush)
        self._unsent += memoryview(data)[sent:]
        if len(self._unsent) > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """As `write`, of pieces in a row, which are not copied before."""
        parts = list(list_of_data)
        if self._eof or self._closing or self._unsent or len(parts) > PIECES:
            super().writelines(parts)
            return
        try:
            sent = self._socket.sendmsg(parts)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._finish(error)
            return
        for part in parts:
            if sent < len(part):
                self.write(memoryview(part)[sent:])
            sent = max(0, sent - len(part))

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._finish(error)
            return 0

    def _flush(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        if self._over:
            return
        if not self._unsent:
            self._loop.remove_writer(self._descriptor)
        if self._writing_paused and len(self._unsent) <= self._low:
            self._writing_paused = False
            try:
                self._protocol.resume_writing()
            except Exception as error:
                self._defect(error)
        if not self._unsent:
            self._all_sent()

    def _all_sent(self) -> None:
        if self._closing and self._ended:
            self._finish(None)
        elif self._closing or self._eof:
            self._shut_down()
            if self._closing and not self._over:
                self._watch(True)

    def write_eof(self) -> None:
        """Send what is unsent, then say that no more follows."""
        if not self._eof and not self._closing:
            self._eof = True
            if not self._unsent:
                self._shut_down()

    def _shut_down(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._finish(error)

    def can_write_eof(self) -> bool:
        """Sockets can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are unsent."""
        return len(self._unsent)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high mark."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks; without arguments the defaults."""
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    # -- the end

    def _defect(self, error: Exception) -> None:
        """A callback of the protocol failed: that is reported, and ends the connection."""
        context = {"message": "protocol failed", "exception": error, "transport": self, "protocol": self._protocol}
        self._loop.call_exception_handler(context)
        self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        """Give the socket up now; the protocol hears of it when its callback that is running has returned."""
        if self._over:
            return
        self._over = self._closing = True
        self._watch(False)
        self._loop.remove_writer(self._descriptor)
        self._unsent.clear()
        self._socket.close()
        self._loop.call_soon(self._tell, error)

    def _tell(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._lost.set()
