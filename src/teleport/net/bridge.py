"""Bridge: an `asyncio.Transport` over any Stream, so that asyncssh, grpclib and aiohttp run on all of them.

What is here: `as_transport`, with flow control both ways. What is not: the libraries themselves; which
protocol object they want, and that grpclib needs two private hooks for it, is `api.rpc`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.net.dial import parse_address
from teleport.net.stream import Stream, hand_on

HIGH_WATER = 65536
"""Bytes of unsent data at which the protocol is asked to pause writing."""
_CHUNK = 65536

P = TypeVar("P", bound=asyncio.BaseProtocol)


def as_transport(stream: Stream, protocol_factory: Callable[[], P]) -> tuple[StreamTransport, P]:
    """Connect `stream` with a protocol made by `protocol_factory`, whose `connection_made` runs before this
    returns. The transport owns the stream from now on and closes it at the end."""
    protocol = protocol_factory()
    transport = StreamTransport(stream, protocol)
    protocol.connection_made(transport)
    transport.start()
    return transport, protocol


class StreamTransport(asyncio.Transport):
    """The transport. `wait_closed` tells when the connection is over and the stream released."""

    def __init__(self, stream: Stream, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._protocol = protocol
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._buffer: list[bytes] = []
        self._size = 0
        self._eof = False
        self._closing = False
        self._writing_paused = False
        self._reading = asyncio.Event()
        self._reading.set()
        self._wake_writer = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._finisher: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self.handed_over = False
        """Whether the stream goes on without this transport: `wait_closed` then tells when it is free."""

    def start(self) -> None:
        """Begin to move data. Called once, by `as_transport`."""
        if not self._closing:
            self._tasks = [self._spawn(self._read_all(), "read"), self._spawn(self._write_all(), "write")]

    async def wait_closed(self) -> None:
        """Wait until `connection_lost` was called and the stream is closed."""
        await self._lost.wait()

    # -- asyncio.BaseTransport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `peername`, `ssl_object`, `sslcontext`, `peercert`, `cipher`, `socket`, `sockname`, `peer` or
        `stream`, as far as the stream has it."""
        find = _EXTRA.get(name)
        found = find(self._stream) if find else None
        return default if found is None else found

    def is_closing(self) -> bool:
        """Whether `close`, `abort` or an error began the end."""
        return self._closing

    def close(self) -> None:
        """Send what is buffered, then close."""
        if not self._closing:
            self._closing = True
            self._wake_writer.set()
            if not self._tasks:  # closed inside connection_made
                self._finish(None)

    def hand_over(self) -> None:
        """Send what is buffered and end like `close`, but leave the stream open for whoever waits for `wait_closed`.

        For a protocol that ends here, and whose peer sends nothing before it has the answer. Nothing is handed over
        if sending fails, or if the transport is aborted meanwhile."""
        if not self._closing:
            self.handed_over = True
            self.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand further events to another protocol object."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the current protocol object."""
        return self._protocol

    # -- asyncio.ReadTransport

    def is_reading(self) -> bool:
        """Whether received data is handed on now."""
        return self._reading.is_set() and not self._closing

    def pause_reading(self) -> None:
        """Hand on nothing until `resume_reading`."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._reading.set()

    # -- asyncio.WriteTransport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Buffer `data`; the protocol is paused while more than the high-water mark is unsent."""
        if self._eof:
            raise RuntimeError("write after write_eof")
        if not data or self._finisher or self._closing:
            return
        self._buffer.append(bytes(data))
        self._size += len(data)
        self._wake_writer.set()
        if self._size > self._high and not self._writing_paused:
            self._writing_paused = True
            self._call(self._protocol.pause_writing)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Buffer several pieces at once."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Send what is buffered, then say that no more follows."""
        self._eof = True
        self._wake_writer.set()

    def can_write_eof(self) -> bool:
        """Every Stream can."""
        return True

    def abort(self) -> None:
        """Close at once; buffered data is lost."""
        self.handed_over &= self._lost.is_set()
        self._finish(None)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are unsent."""
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high mark."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks; without arguments the defaults. Raises ValueError unless high >= low >= 0."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError("high >= low >= 0")
        self._high, self._low = high, low

    # -- the two pumps

    async def _read_all(self) -> None:
        hand_on(self._stream, self._take)
        while True:
            data = await self._stream.read(_CHUNK)
            await self._reading.wait()
            if self._closing:
                return
            if not data:
                break
            self._deliver(data)
        if not cast(asyncio.Protocol, self._protocol).eof_received():
            self.close()

    def _take(self, data: bytes | memoryview) -> int:
        """Deliver what comes while `_read_all` waits for it (`net.stream.Sink`)."""
        if not self.is_reading():
            return 0
        self._call(lambda: self._deliver(bytes(data)))
        return len(data)

    def _deliver(self, data: bytes) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            cast(asyncio.Protocol, protocol).data_received(data)
            return
        view = memoryview(data)
        while view:
            buffer = memoryview(protocol.get_buffer(len(view)))
            size = min(len(buffer), len(view))
            buffer[:size] = view[:size]
            protocol.buffer_updated(size)
            view = view[size:]

    async def _write_all(self) -> None:
        while True:
            await self._wake_writer.wait()
            self._wake_writer.clear()
            while self._buffer:
                data = b"".join(self._buffer)
                self._buffer.clear()
                await self._stream.write(data)
                self._size -= len(data)
                self._maybe_resume()
            if self._closing:
                self._finish(None)
                return
            if self._eof:
                await self._stream.write_eof()
                # Only closing can wake this task again: `write` refuses from now on.

    def _maybe_resume(self) -> None:
        if self._writing_paused and self._size <= self._low:
            self._writing_paused = False
            self._call(self._protocol.resume_writing)

    # -- the end

    def _spawn(self, work: Any, action: str) -> asyncio.Task[None]:
        return tasks.spawn(work, name=f"{action} {self._stream.peer.address}", on_error=self._failed)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # a defect of the protocol must not end the pump silently
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        """A pump failed: a lost connection is an event of the protocol, anything else a defect to be reported."""
        if not isinstance(error, (TeleportError, OSError)):
            context = {"message": "protocol failed", "exception": error, "transport": self, "protocol": self._protocol}
            self._loop.call_exception_handler(context)
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        if self._finisher is None:
            self._closing = True
            self._finisher = tasks.spawn(
                self._end(error), name=f"close {self._stream.peer.address}", on_error=self._end_failed
            )

    async def _end(self, error: BaseException | None) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        hand_on(self._stream, None)
        self._buffer.clear()
        self._size = 0
        self.handed_over &= error is None
        try:
            if not self.handed_over:
                await self._stream.close()
        finally:
            try:
                self._protocol.connection_lost(_for_protocol(error))
            finally:
                self._lost.set()

    def _end_failed(self, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "closing failed", "exception": error, "transport": self})


def _for_protocol(error: BaseException | None) -> Exception | None:
    """Libraries know lost connections as OSError: the asyncio way to say so."""
    if isinstance(error, TeleportError):
        lost = ConnectionResetError(str(error))
        lost.__cause__ = error
        return lost
    return error if isinstance(error, Exception) else None


def _peer_name(stream: Stream) -> Any:
    """A pair of host and port as a TCP socket has it; for other carriers the address as text."""
    address = stream.peer.address
    try:
        where = parse_address(address)
    except TeleportError:
        return address
    return where.path or (where.host, where.port)


def _ssl(stream: Stream) -> Any:
    return getattr(stream, "ssl_object", None)


def _from_ssl(attribute: Callable[[Any], Any]) -> Callable[[Stream], Any]:
    return lambda stream: attribute(found) if (found := _ssl(stream)) is not None else None


def _socket(stream: Stream) -> Any:
    return getattr(stream, "sock", None)


def _sock_name(stream: Stream) -> Any:
    sock = _socket(stream)
    return sock.getsockname() if sock is not None and sock.fileno() >= 0 else None


_EXTRA: dict[str, Callable[[Stream], Any]] = {
    "peername": _peer_name,
    "peer": lambda stream: stream.peer,
    "stream": lambda stream: stream,
    "socket": _socket,
    "sockname": _sock_name,
    "ssl_object": _ssl,
    "sslcontext": _from_ssl(lambda found: found.context),
    "peercert": _from_ssl(lambda found: found.getpeercert()),
    "cipher": _from_ssl(lambda found: found.cipher()),
}
