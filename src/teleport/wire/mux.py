"""The multiplexer: many streams over one connection, as an engine. Bytes in, events out, and the other way.

What is here: the engine of one end; both ends are alike. What is not: frames (`wire.mux_frames`), the states of a
stream (`wire.mux_stream`), what it tells (`wire.mux_events`), the connection, time and waiting (`net.tunnel`).

Theory of operation
===================

The connection may be anything that keeps bytes in order. Each end begins with HELLO, which says the versions it speaks,
and may go on at once in the oldest of them.

* A stream is opened (OPEN with a header for the program), and answered or refused. Each end opens at most STREAMS at a
  time; one more is a violation.
* DATA goes only as far as the receiver's credit. A stream begins with WINDOW bytes of it and gets more as the program
  reads (CREDIT), so that one that nobody reads holds back itself and nothing else. The window of a reader that keeps up
  doubles, as long as the tunnel's pool lasts: a long way needs much under way, many stalled streams must not.
* What is to be sent is decided as late as possible: `take` is asked when the connection can take more, and gives small
  frames about streams first, then a frame of data of each stream in turn. So nothing waits behind more than what the
  connection itself holds and one frame of every other stream.
* PING is answered with the same payload. PINGS may be under way; a peer that asks more often than it takes the answers
  is cut. DRAIN: no new streams. BYE: the end, and why.

All that a peer can make this end hold is bounded: streams by their number, data by credit, answers by both.

Events name a stream by a number that is valid here only. Calls about a stream that has ended meanwhile do nothing,
except sending on it, which is a defect of the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from teleport.base.errors import LimitExceeded
from teleport.wire import mux_frames as frames
from teleport.wire.buffer import ProtocolError
from teleport.wire.mux_events import (
    Answered,
    Bye,
    Called,
    Draining,
    Ended,
    Event,
    Hello,
    Outgoing,
    Pong,
    Received,
    Reset,
)
from teleport.wire.mux_frames import THEIRS, FrameReader, broken
from teleport.wire.mux_stream import SEND, MuxStream, State

STREAMS = 1024
"""Most streams that each end may have opened at a time."""
WINDOW = 128 * 1024
"""Bytes that a stream may send before the other program has read any."""
MOST_WINDOW = 2 * 1024 * 1024
"""Most that a stream's window grows to."""
POOL = 16 * 1024 * 1024
"""Bytes by which all windows of a tunnel may have grown together."""
PINGS = 16
"""Pings that may wait for their answer."""


class Mux:
    """One end."""

    def __init__(self, *, window: int = WINDOW, most_window: int = MOST_WINDOW, pool: int = POOL) -> None:
        """`window`: bytes that a peer may send on a new stream; it grows to `most_window` while all of them together
        have not grown by `pool` bytes."""
        self._window = window
        self._most_window = most_window
        self._pool = pool
        self._streams: dict[int, MuxStream] = {}
        self._ours = 0  # streams of the table that we opened
        self._last_ours = 0
        self._last_theirs = 0
        self._reader = FrameReader()
        self._control: deque[tuple[bytes, int]] = deque([(frames.write_hello(), 0)])
        self._grants: dict[int, None] = {}
        self._ready: deque[MuxStream] = deque()
        self._pings: deque[bytes] = deque()
        self._pongs = 0
        self._broken: ProtocolError | None = None
        self._parted = False
        self.version = 0
        """Version that both speak; 0 before the other end's greeting."""
        self.draining = False
        """Whether we take no new streams."""
        self.peer_draining = False
        """Whether the peer takes no new streams."""

    # -- questions

    @property
    def streams(self) -> int:
        """How many streams are not over yet."""
        return len(self._streams)

    @property
    def has_output(self) -> bool:
        """Whether `take` would give something."""
        return bool(self._control or self._grants or self._ready)

    def backlog(self, number: int) -> int:
        """Return how many bytes of a stream wait to be sent."""
        stream = self._streams.get(number)
        return stream.backlog if stream is not None else 0

    # -- what comes

    def receive(self, data: bytes | memoryview) -> Iterator[Event]:
        """Yield what `data` says, in order; must be used to the end. Split anywhere, it says the same.

        Raises ProtocolError (WIRE-MUX) where the peer breaks the protocol, and from then on.
        """
        if self._broken is not None:
            raise self._broken
        try:
            for kind, number, body in self._reader.feed(data):
                event = self._handle(kind, number ^ THEIRS if number else 0, body)
                if event is not None:
                    yield event
        except ProtocolError as error:
            self._broken = error
            raise

    def _handle(self, kind: int, number: int, body: memoryview) -> Event | None:
        if not self.version and kind != frames.HELLO:
            raise broken("the first frame is not a greeting")
        if self._parted:
            raise broken("a frame after the last one")
        if not number or kind == frames.OPEN:
            return _ABOUT_TUNNEL[kind](self, number, body)
        stream = self._streams.get(number)
        if stream is None:
            self._late(kind, number)
            return None
        silent = stream.silent
        before = stream.received(kind)
        event = _ABOUT_STREAM[kind](self, stream, body, before)
        if stream.state is State.DONE and kind == frames.END:
            self._forget(stream)
        return None if silent else event

    def _late(self, kind: int, number: int) -> None:
        """Frames that were sent before the end of their stream was seen are passed over."""
        last = self._last_theirs if number & THEIRS else self._last_ours
        if number & frames.NUMBERS > last or kind not in (frames.CREDIT, frames.RESET):
            raise broken(f"{frames.NAMES[kind]} on a stream that is not open")

    def _on_hello(self, number: int, body: memoryview) -> Event:
        if self.version:
            raise broken("a second greeting")
        self.version = frames.read_hello(body)
        return Hello(self.version)

    def _on_open(self, number: int, body: memoryview) -> Event | None:
        if number != self._last_theirs + 1 | THEIRS:
            raise broken("a stream is opened out of turn")
        if len(self._streams) - self._ours >= STREAMS:
            raise broken(f"more than {STREAMS} streams")
        self._last_theirs += 1
        stream = MuxStream(number, State.CALLED, window=self._window)
        credit, header = frames.read_open(body)
        stream.credited(credit)
        self._streams[number] = stream
        if self.draining:
            self.reset(number, "this end takes no new streams")
            return None
        return Called(number, header)

    def _on_ping(self, number: int, body: memoryview) -> None:
        if self._pongs >= PINGS:
            raise broken(f"more than {PINGS} pings without taking the answers")
        self._pongs += 1
        self._control.append((frames.write(frames.PONG, body=bytes(body)), _A_PONG))

    def _on_pong(self, number: int, body: memoryview) -> Event:
        if not self._pings or self._pings[0] != body:
            raise broken("an answer to a ping that was not sent")
        return Pong(self._pings.popleft())

    def _on_drain(self, number: int, body: memoryview) -> Event | None:
        if self.peer_draining:
            raise broken("a second DRAIN")
        self.peer_draining = True
        return Draining()

    def _on_bye(self, number: int, body: memoryview) -> Event:
        self._parted = True
        return Bye(frames.read_text(body))

    def _on_answer(self, stream: MuxStream, body: memoryview, before: State) -> Event:
        stream.credited(frames.read_count(body))
        return Answered(stream.number)

    def _on_data(self, stream: MuxStream, body: memoryview, before: State) -> Event:
        stream.arrived(len(body))
        return Received(stream.number, body)

    def _on_credit(self, stream: MuxStream, body: memoryview, before: State) -> None:
        stream.credited(frames.read_count(body))
        self._schedule(stream)

    def _on_end(self, stream: MuxStream, body: memoryview, before: State) -> Event:
        return Ended(stream.number)

    def _on_reset(self, stream: MuxStream, body: memoryview, before: State) -> Event:
        stream.drop()
        if frames.RESET in SEND[before]:
            self._control.append((frames.write(frames.RESET, stream.number), stream.number))
        else:
            self._forget(stream)
        return Reset(stream.number, frames.read_text(body), before is State.ASKED)

    # -- what is to be done

    def open(self, header: bytes) -> int:
        """Open a stream with at most HEADER bytes of header; return its number. Answered or Reset will tell.

        Raises LimitExceeded (WIRE-MUX-FULL, WIRE-MUX-HEADER).
        """
        if len(header) > frames.HEADER:
            raise LimitExceeded("WIRE-MUX-HEADER", size=len(header), limit=frames.HEADER)
        if self._ours >= STREAMS or self._last_ours >= frames.NUMBERS:
            raise LimitExceeded("WIRE-MUX-FULL", limit=STREAMS)
        self._ours += 1
        self._last_ours += 1
        number = self._last_ours
        self._streams[number] = MuxStream(number, State.ASKED, window=self._window)
        self._control.append((frames.write_open(number, self._window, header), 0))
        return number

    def answer(self, number: int) -> bool:
        """Take a stream that was called; False when the peer has given it up meanwhile."""
        stream = self._streams.get(number)
        if stream is None or stream.state is not State.CALLED:
            return False
        stream.sent(frames.ANSWER)
        self._control.append((frames.write_count(frames.ANSWER, number, self._window), 0))
        return True

    def send(self, number: int, data: bytes) -> None:
        """Queue data, which must not change any more.

        Raises Internal (WIRE-MUX-USE) unless the stream is open for that.
        """
        stream = self._streams[number]
        stream.put(data)
        self._schedule(stream)

    def send_now(self, number: int, data: bytes | memoryview) -> bytes:
        """Return what `send` and `take` together would, in one step, if that is one frame and nothing else waits to be
        sent; else b"", and nothing has happened."""
        stream = self._streams[number]
        if self._control or self._grants or self._ready or not stream.pass_by(len(data)):
            return b""
        return frames.write(frames.DATA, number, data)

    def end(self, number: int) -> None:
        """Say after what was queued that no more follows."""
        stream = self._streams.get(number)
        if stream is not None and frames.END in SEND[stream.state]:
            stream.ending = True
            self._schedule(stream)

    def read(self, number: int, size: int) -> None:
        """Say that the program has taken `size` bytes of what was received."""
        stream = self._streams.get(number)
        if stream is not None and stream.read(size):
            self._grants[number] = None

    def close(self, number: int) -> None:
        """Let go of a stream: what is queued still goes, then the end; no event will speak of it again."""
        stream = self._streams.get(number)
        if stream is None or stream.silent:
            return
        if frames.END not in SEND[stream.state]:
            self.reset(number, "")
            return
        stream.closing = True
        self.end(number)

    def reset(self, number: int, text: str) -> None:
        """End both directions at once, or refuse; `text` says why and may be cut. What is queued is dropped."""
        stream = self._streams.get(number)
        if stream is not None and frames.RESET in SEND[stream.state]:
            stream.drop()
            stream.sent(frames.RESET)
            self._control.append((frames.write_text(frames.RESET, number, text), 0))

    def ping(self, payload: bytes) -> None:
        """Ask the peer for an answer: Pong. Raises LimitExceeded (WIRE-MUX-PINGS) while PINGS are under way."""
        if len(self._pings) >= PINGS:
            raise LimitExceeded("WIRE-MUX-PINGS", limit=PINGS)
        self._pings.append(payload)
        self._control.append((frames.write(frames.PING, body=payload), 0))

    def drain(self) -> None:
        """Take no new streams from now on."""
        if not self.draining:
            self.draining = True
            self._control.append((frames.write(frames.DRAIN), 0))

    def bye(self, text: str) -> None:
        """Drop everything that was to be sent, and say goodbye instead."""
        for stream in self._ready:
            stream.drop()
        self._ready.clear()
        self._grants.clear()
        self._control = deque([(frames.write_text(frames.BYE, 0, text), 0)])

    # -- what goes

    def take(self, limit: int, low: int = 0) -> Outgoing:
        """Take what is to be sent now: not less than one frame if there is any, and at most one frame more than
        `limit` bytes. `eased` has the streams whose backlog fell to `low` bytes or less by that."""
        parts: list[bytes | memoryview] = []
        eased: list[int] = []
        left = self._take_control(limit, parts)
        while self._ready and left > 0:
            stream = self._ready.popleft()
            stream.scheduled = False
            if not stream.can_send:
                continue
            before = stream.backlog
            while stream.backlog and stream.credit and left > 0:
                left -= self._take_data(stream, parts)
                if self._ready:
                    break  # the others' turn; alone it goes on
            if before > low >= stream.backlog:
                eased.append(stream.number)
            if stream.ending and not stream.backlog:
                self._take_end(stream, parts)
            self._schedule(stream)
        return Outgoing(b"".join(parts), eased)

    def _take_control(self, limit: int, parts: list[bytes | memoryview]) -> int:
        while self._control and limit > 0:
            frame, mark = self._control.popleft()
            parts.append(frame)
            limit -= len(frame)
            if mark == _A_PONG:
                self._pongs -= 1
            elif mark:
                self._forget(self._streams[mark])
        while self._grants and limit > 0:
            number = next(iter(self._grants))
            del self._grants[number]
            limit -= self._take_grant(number, parts)
        return limit

    def _take_grant(self, number: int, parts: list[bytes | memoryview]) -> int:
        stream = self._streams.get(number)
        if stream is None or stream.closing or frames.CREDIT not in SEND[stream.state]:
            return 0
        self._pool -= stream.grow(min(self._most_window - stream.window, self._pool))
        frame = frames.write_count(frames.CREDIT, number, stream.owed)
        stream.room += stream.owed
        stream.owed = 0
        parts.append(frame)
        return len(frame)

    def _take_data(self, stream: MuxStream, parts: list[bytes | memoryview]) -> int:
        size = stream.next_size
        parts.append(frames.write_head(frames.DATA, stream.number, size))
        stream.cut(size, parts)
        return size + frames.HEAD

    def _take_end(self, stream: MuxStream, parts: list[bytes | memoryview]) -> None:
        stream.sent(frames.END)
        stream.ending = False
        parts.append(frames.write(frames.END, stream.number))
        if stream.state is State.DONE:
            self._forget(stream)
        elif stream.closing:
            stream.sent(frames.RESET)
            parts.append(frames.write(frames.RESET, stream.number))

    def _schedule(self, stream: MuxStream) -> None:
        if not stream.scheduled and stream.can_send:
            stream.scheduled = True
            self._ready.append(stream)

    def _forget(self, stream: MuxStream) -> None:
        del self._streams[stream.number]
        self._pool += stream.window - self._window
        if not stream.number & THEIRS:
            self._ours -= 1


_A_PONG = -1
"""Mark of an answer to a ping among the frames that wait; other marks are the stream to forget then."""

_ABOUT_TUNNEL: dict[int, Callable[[Mux, int, memoryview], Event | None]] = {
    frames.HELLO: Mux._on_hello,
    frames.OPEN: Mux._on_open,
    frames.PING: Mux._on_ping,
    frames.PONG: Mux._on_pong,
    frames.DRAIN: Mux._on_drain,
    frames.BYE: Mux._on_bye,
}
_ABOUT_STREAM: dict[int, Callable[[Mux, MuxStream, memoryview, State], Event | None]] = {
    frames.ANSWER: Mux._on_answer,
    frames.DATA: Mux._on_data,
    frames.CREDIT: Mux._on_credit,
    frames.END: Mux._on_end,
    frames.RESET: Mux._on_reset,
}
