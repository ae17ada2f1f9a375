"""Tunnel: many Streams over one, in both directions, with a keep-alive. Both ends are alike.

What is here: the loop around the engine (`wire.mux`), dialling, accepting, pings, and the end of a tunnel. What is
not: the Calls and Streams that it gives (`net.tunnel_stream`), who may open what, and which tunnel to take (programs).

Two tasks belong to a tunnel, whatever the number of its streams: one reads the carrier and one writes it. Both sleep
while the carrier hands on what comes and takes at once what goes, as sockets and TLS on them do (`net.stream.hand_on`,
`write_now`): a few bytes cost each end one turn of the loop. Little is handed to the carrier at a time and little waits
in the kernel, so that a byte of one stream never waits behind megabytes of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from teleport.base import tasks
from teleport.base.errors import TeleportError, TimedOut, Unavailable
from teleport.net.stream import Peer, Stream, hand_on, write_now
from teleport.net.tunnel_stream import LOW, Call, TunnelStream
from teleport.wire import mux_events as mux
from teleport.wire.buffer import ProtocolError
from teleport.wire.mux import Mux

__all__ = ["Call", "Tunnel"]

INTERVAL = 15.0
"""Seconds between the pings of the keep-alive."""
PATIENCE = 30.0
"""Seconds that an answer may take before the tunnel closes itself."""
DOUBT = 3.0
"""Seconds without an answer after which it is in doubt whether the other end is there."""
TIMEOUT = 10.0
"""Seconds in which a stream should be answered."""

_READ = 262144
_BURST = 262144
"""Most bytes handed to the carrier at a time."""
_LEAST_BURST = 32768
_QUICK = 0.005
"""Seconds within which the carrier should take what it is given: what comes later cannot overtake it."""
_UNSENT = 262144
"""Most bytes that the kernel should hold beyond what is on its way (TCP_NOTSENT_LOWAT)."""
_LEAST_WAIT = 0.001
"""Seconds between two looks at the clock at least, whatever rounding makes of the time that is left."""
_GRACE = 2.0
"""Seconds in which what is queued may still go when a tunnel is closed."""
_FAREWELL = 1.0
"""Seconds in which the last frame may go, and in which the other end may close too."""


# glibc gives the memory of large blocks back to the system as soon as they are freed, and every page of the next one
# costs a fault again: a fifth of the computing for bulk data. Freeing one block of this size once ends that.
bytearray(4 << 20)


class Tunnel:
    """One end of a tunnel over `carrier`, which it owns from now on."""

    def __init__(
        self, carrier: Stream, *, interval: float = INTERVAL, doubt: float = DOUBT, patience: float = PATIENCE
    ) -> None:
        """Begin at once; must be called while the loop runs.

        `interval`: seconds between pings of the keep-alive (0: none); a ping without an answer for `doubt` seconds puts
        the tunnel in doubt (`in_doubt`), for `patience` seconds ends it (NET-TUNNEL-SILENT).
        """
        self._carrier = carrier
        self._loop = asyncio.get_running_loop()
        self._mux = Mux()
        self._streams: dict[int, TunnelStream] = {}
        self._dials: dict[int, asyncio.Future[TunnelStream]] = {}
        self._calls: deque[Call] = deque()
        self._pings: deque[tuple[float, asyncio.Future[float] | None]] = deque()
        self._waiting: set[asyncio.Future[None]] = set()  # accept, drain, closed
        self._idle: asyncio.Future[None] | None = None  # the writing task, when there is nothing to write
        self._write_now = write_now(carrier)
        self._rest = b""  # what the carrier did not take at once
        self._burst = _LEAST_BURST
        self._interval, self._doubt, self._patience = interval, doubt, patience
        self._pinged = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._finisher: asyncio.Task[None] | None = None
        self.reason: TeleportError | None = None
        """Why the tunnel is closed; None while it is not."""
        self.round_trip = 0.0
        """Seconds that the last answered ping took; 0 before the first."""
        self.in_doubt = False
        """Whether a ping has not been answered for a while: nobody knows whether the other end is there."""
        _keep_kernel_queue_short(carrier)
        name = carrier.peer.address
        self._tasks = [
            tasks.spawn(self._read_all(), name=f"tunnel read {name}", on_error=self._failed),
            tasks.spawn(self._write_all(), name=f"tunnel write {name}", on_error=self._failed),
        ]
        if interval:
            self._timer = self._loop.call_later(interval, self._beat)

    # -- for programs

    @property
    def peer(self) -> Peer:
        """Who is at the other end: facts of the carrier."""
        return self._carrier.peer

    @property
    def streams(self) -> int:
        """How many streams are open or being opened."""
        return self._mux.streams

    @property
    def draining(self) -> bool:
        """Whether one of the ends takes no new streams."""
        return self._mux.draining or self._mux.peer_draining

    @property
    def retiring(self) -> bool:
        """Whether the other end takes no new streams."""
        return self._mux.peer_draining

    async def dial(self, header: bytes, *, timeout: float = TIMEOUT) -> Stream:
        """Open a stream and wait for its answer, for at most `timeout` seconds. `header` says what it is for.

        Raises Unavailable (NET-TUNNEL-REFUSED, NET-TUNNEL-DRAINING, NET-TUNNEL-CLOSED), TimedOut
        (NET-TUNNEL-TIMEOUT), LimitExceeded (WIRE-MUX-FULL, WIRE-MUX-HEADER).
        """
        self._check()
        if self._mux.peer_draining:
            raise Unavailable("NET-TUNNEL-DRAINING", address=self.peer.address)
        number = self._mux.open(header)
        answered: asyncio.Future[TunnelStream] = self._loop.create_future()
        self._dials[number] = answered
        self._wake()
        try:
            async with asyncio.timeout(timeout):
                return await answered
        except BaseException as error:
            self._give_up(number, answered)
            if isinstance(error, TimeoutError):
                raise self._late(timeout) from None
            raise

    async def accept(self) -> AsyncIterator[Call]:
        """Yield calls of the other end, until the tunnel is closed or this end drains."""
        while True:
            while self._calls:
                yield self._calls.popleft()
            if self.reason is not None or self._mux.draining:
                return
            await self._changed()

    async def ping(self, *, timeout: float = TIMEOUT) -> float:
        """Return the seconds of a round trip through the tunnel and the program at its other end.

        Raises TimedOut (NET-TUNNEL-TIMEOUT), Unavailable (NET-TUNNEL-CLOSED), LimitExceeded (WIRE-MUX-PINGS).
        """
        self._check()
        answered: asyncio.Future[float] = self._loop.create_future()
        self._ping(answered)
        try:
            async with asyncio.timeout(timeout):
                return await answered
        except TimeoutError:
            raise self._late(timeout) from None

    async def doubt(self, there: bool) -> None:
        """Wait until the tunnel is in doubt, or with `there` False, until it is not any more; or until it is closed or
        retiring."""
        while self.reason is None and self.in_doubt is not there and not self.retiring:
            await self._changed()

    async def drain(self) -> None:
        """Take no new streams from now on, tell the other end, and return when the open ones are over or the tunnel
        is closed. The tunnel stays, and this end may still dial; `close` ends it."""
        self._mux.drain()
        while self._calls:
            self._refuse(self._calls.popleft().number, "this end takes no new streams")
        self._wake()
        self._notify()
        while self.reason is None and self._mux.streams:
            await self._changed()

    async def close(self, reason: str = "") -> None:
        """Send what is queued, for a moment at most, then end the tunnel and all its streams. The other end sees
        `reason`. Closing twice is allowed."""
        if self.reason is None and not self._ending:
            self._ending = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    while self.reason is None and (self._mux.has_output or self._idle is None):
                        await self._changed()
            self._end(self._closed_by(reason or "this end closed it"), bye=reason)
        await self.closed()

    async def closed(self) -> TeleportError:
        """Wait until the tunnel is closed, its carrier too, and return why."""
        while self.reason is None:
            await self._changed()
        if self._finisher is not None:
            await asyncio.wait([self._finisher])
        return self.reason

    # -- for calls

    def _answer(self, number: int) -> TunnelStream:
        self._check()
        if not self._mux.answer(number):
            raise Unavailable("NET-RESET", address=self.peer.address, reason="the caller gave up")
        self._wake()
        return self._open(number)

    def _refuse(self, number: int, text: str) -> None:
        self._mux.reset(number, text)
        self._wake()

    # -- streams

    def _open(self, number: int) -> TunnelStream:
        stream = TunnelStream(
            self._mux, number, self.peer, wake=self._wake, send=self._send_now, forget=self._streams.pop
        )
        self._streams[number] = stream
        return stream

    def _give_up(self, number: int, answered: asyncio.Future[TunnelStream]) -> None:
        """A dial has failed: whatever comes of it is not wanted."""
        if self._dials.pop(number, None) is not None:
            self._refuse(number, "the caller gave up")
        elif answered.done() and not answered.cancelled() and answered.exception() is None:
            answered.result().reset()

    def _check(self) -> None:
        if self.reason is not None or self._ending:
            raise self._lost()

    def _late(self, timeout: float) -> TimedOut:
        return TimedOut("NET-TUNNEL-TIMEOUT", address=self.peer.address, seconds=f"{timeout:g}")

    # -- the two tasks

    async def _read_all(self) -> None:
        hand_on(self._carrier, self._handle)
        while data := await self._carrier.read(_READ):
            self._handle(data)
        self._end(self._closed_by("the other end closed the connection"))

    def _handle(self, data: bytes | memoryview) -> int:
        if self.reason is not None:  # later bytes only have to be out of the way of our last ones
            return len(data)
        try:
            for event in self._mux.receive(data):
                _HANDLERS[type(event)](self, event)
        except ProtocolError as error:
            self._end(error, bye=error.what)
        if self._mux.has_output:
            self._wake()
        if self._mux.draining:
            self._notify()
        return len(data)

    async def _write_all(self) -> None:
        while True:
            data, self._rest = self._rest or self._take(), b""
            if data:
                began = self._loop.time()
                await self._carrier.write(data)
                slow = self._loop.time() - began > _QUICK
                self._burst = max(self._burst // 2, _LEAST_BURST) if slow else min(self._burst * 2, _BURST)
            elif self.reason is not None:
                return
            else:
                await self._until_woken()

    def _take(self) -> bytes:
        data, eased = self._mux.take(self._burst, LOW)
        for number in eased:
            if (stream := self._streams.get(number)) is not None:
                stream.eased()
        return data

    async def _until_woken(self) -> None:
        self._idle = self._loop.create_future()
        if self._ending or self._mux.draining:
            self._notify()
        try:
            await self._idle
        finally:
            self._idle = None

    def _wake(self) -> None:
        """There is something to write. While the carrier takes it at once, the writing task need not be woken."""
        if self._idle is None or self._idle.done():
            return
        if self.reason is None:
            if data := self._take():
                self._rest = data[self._write_now(data) :]
            if self._mux.draining:
                self._notify()
        if self._rest or self._mux.has_output or self.reason is not None:
            self._idle.set_result(None)

    def _send_now(self, number: int, data: bytes | memoryview) -> bool:
        """Hand data of a stream to the carrier past all queues; False if something is in its way."""
        if self._idle is None or self._idle.done() or not (frame := self._mux.send_now(number, data)):
            return False
        sent = self._write_now(frame)
        if sent < len(frame):
            self._rest = frame[sent:]
            self._idle.set_result(None)
        return True

    # -- events

    def _on_nothing(self, event: Any) -> None:
        """Nobody has to be told."""

    def _on_draining(self, event: Any) -> None:
        self._notify()

    def _on_called(self, event: mux.Called) -> None:
        self._calls.append(Call(event.number, event.header, self._answer, self._refuse))
        self._notify()

    def _on_answered(self, event: mux.Answered) -> None:
        answered = self._dials.pop(event.number)
        if answered.done():
            self._refuse(event.number, "the caller gave up")
        else:
            answered.set_result(self._open(event.number))

    def _on_received(self, event: mux.Received) -> None:
        self._streams[event.number].received(event.data)

    def _on_ended(self, event: mux.Ended) -> None:
        self._streams[event.number].ended()

    def _on_reset(self, event: mux.Reset) -> None:
        address = self.peer.address
        if event.refused:
            answered = self._dials.pop(event.number)
            if not answered.done():
                answered.set_exception(Unavailable("NET-TUNNEL-REFUSED", address=address, text=event.text))
        elif (stream := self._streams.pop(event.number, None)) is not None:
            stream.lost(Unavailable("NET-RESET", address=address, reason=event.text or "the other end closed it"))
        else:
            self._calls = deque(call for call in self._calls if call.number != event.number)

    def _on_pong(self, event: mux.Pong) -> None:
        sent, answered = self._pings.popleft()
        self.round_trip = self._loop.time() - sent
        if self.in_doubt and not self._pings:
            self.in_doubt = False
            self._notify()
        if answered is not None and not answered.done():
            answered.set_result(self.round_trip)

    def _on_bye(self, event: mux.Bye) -> None:
        self._end(self._closed_by(event.text or "the other end closed it"))

    # -- keep-alive

    def _ping(self, answered: asyncio.Future[float] | None) -> None:
        self._mux.ping(b"")
        self._pings.append((self._loop.time(), answered))
        self._wake()

    def _beat(self) -> None:
        """Ask whether the other end is alive, or see that it has not answered for too long."""
        now = self._loop.time()
        if not self._pings and now - self._pinged >= self._interval:
            self._pinged = now
            self._ping(None)
        if self._pings:
            silent = now - self._pings[0][0]
            if silent >= self._patience:
                address, seconds = self.peer.address, f"{self._patience:g}"
                self._end(TimedOut("NET-TUNNEL-SILENT", address=address, seconds=seconds), bye="no answer to pings")
                return
            if silent >= self._doubt and not self.in_doubt:
                self.in_doubt = True
                self._notify()
            left = (self._patience if self.in_doubt else min(self._doubt, self._patience)) - silent
        else:
            left = self._pinged + self._interval - now
        self._timer = self._loop.call_later(max(left, _LEAST_WAIT), self._beat)

    # -- the end

    def _closed_by(self, reason: str) -> TeleportError:
        return Unavailable("NET-TUNNEL-CLOSED", address=self.peer.address, reason=reason)

    def _lost(self) -> TeleportError:
        """Return the error for whoever used the tunnel; each gets their own."""
        reason = self.reason
        if reason is None:
            return self._closed_by("this end closed it")
        return self._closed_by(reason.why if reason.code == "NET-TUNNEL-CLOSED" else reason.what)

    def _failed(self, error: BaseException) -> None:
        """One of the tasks has failed: a lost carrier is an event, anything else a defect to be reported."""
        if isinstance(error, Exception) and not isinstance(error, TeleportError):
            context = {"message": "tunnel failed", "exception": error}
            self._loop.call_exception_handler(context)
        self._end(self._closed_by(str(error)))

    def _end(self, reason: TeleportError, *, bye: str | None = None) -> None:
        """Close, once: everybody who waits gets an error now; the carrier is closed a little later."""
        if self.reason is not None:
            return
        self.reason = reason
        if self._timer is not None:
            self._timer.cancel()
        if bye is not None:
            self._mux.bye(bye)
        for stream in self._streams.values():
            stream.lost(self._lost())
        waiting: list[asyncio.Future[Any] | None] = [*self._dials.values(), *(each for _, each in self._pings)]
        for future in waiting:
            if future is not None and not future.done():
                future.set_exception(self._lost())
        self._streams.clear()
        self._dials.clear()
        self._calls.clear()
        self._pings.clear()
        self._finisher = tasks.spawn(
            self._finish(), name=f"tunnel close {self.peer.address}", on_error=lambda error: None
        )
        self._wake()
        self._notify()

    async def _finish(self) -> None:
        """Let the last frame arrive: the other end must see our end before we close on what it still sends."""
        reader, writer = self._tasks
        try:
            await asyncio.wait([writer], timeout=_FAREWELL)
            if writer.done() and not writer.cancelled() and writer.exception() is None and not reader.done():
                with contextlib.suppress(TimeoutError, TeleportError):
                    async with asyncio.timeout(_FAREWELL):
                        await self._carrier.write_eof()
                        await asyncio.wait([reader])
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            await self._carrier.close()

    # -- waiting

    async def _changed(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _notify(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


_HANDLERS: dict[type[mux.Event], Callable[[Tunnel, Any], None]] = {
    mux.Hello: Tunnel._on_nothing,
    mux.Draining: Tunnel._on_draining,
    mux.Called: Tunnel._on_called,
    mux.Answered: Tunnel._on_answered,
    mux.Received: Tunnel._on_received,
    mux.Ended: Tunnel._on_ended,
    mux.Reset: Tunnel._on_reset,
    mux.Pong: Tunnel._on_pong,
    mux.Bye: Tunnel._on_bye,
}


def _keep_kernel_queue_short(carrier: Stream) -> None:
    """Ask the kernel to take little beyond what is on its way: what waits there can no longer be overtaken."""
    sock = getattr(carrier, "sock", None)
    if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # the peer may have gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
