"""The node's side of resumption: connections of SSH that go on when the carrier under them is lost.

A `ResumableTransport` stands between the connection (asyncssh's, `net.ssh`) and what carries it. At first it passes
everything on and looks (`wire.resumption_opening`): a stock client keeps its carrier to itself from its first packets
on; one that marks the change has its bytes framed; one that has been here before brings its carrier to the connection
that it left. `Resumptions` knows those. Docs: docs/adr/0019-resumption.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.net.bridge import StreamTransport
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_carrier import SocketTransport
from teleport.net.stream import Peer, Stream
from teleport.wire.resumption import Duplex
from teleport.wire.resumption_opening import (
    MARK,
    TOKEN,
    Greeting,
    NodeOpening,
    Request,
    statement,
    write_answer,
    write_greeting,
)

log = logger("NODE")

GRACE = 60.0
"""Seconds that a connection may be without a carrier."""
MOST = 16_384
"""Connections that can be resumed, at a time; one more is served, and ends with its carrier."""
LINGER = 2.0
"""Seconds that a client has to read that its connection is not here."""
BYTES = 256 * 1024 * 1024
"""Bytes that connections without a carrier may hold together; beyond it the one that waits longest is given up."""

Carrier = SocketTransport | StreamTransport


class Resumed(Protocol):
    """A connection of SSH, as far as it is asked here."""

    def use(self, transport: asyncio.Transport) -> None:
        """Write to another transport from now on."""
        ...

    def may_resume(self, peer: Peer, signed: Callable[[bytes], bytes], signature: bytes) -> None:
        """Raise TeleportError unless whoever signed in is at `peer`, who has made `signature` over what `signed`
        returns for the digest of their certificate."""
        ...

    def resumed(self, peer: Peer) -> None:
        """Whoever signed in is at `peer` now."""
        ...


def carry(stream: Stream, protocol: asyncio.Protocol) -> Carrier:
    """Return what moves the bytes of a stream, which it owns from now on; it has not begun."""
    return SocketTransport(stream, protocol) if isinstance(stream, SocketStream) else StreamTransport(stream, protocol)


class Resumptions:
    """The connections of one service that can be resumed."""

    def __init__(self, host: Callable[[], str], entropy: Entropy, *, most: int = MOST, limit: int = BYTES,
                 grace: float = GRACE) -> None:  # fmt: skip
        """`host` is asked for the id of the node. Bounds as MOST, BYTES and GRACE."""
        self._host = host
        self._entropy = entropy
        self._most, self._limit = most, limit
        self.grace = grace
        self._known: dict[bytes, ResumableTransport] = {}
        self._alone: dict[bytes, ResumableTransport] = {}
        """Those without a carrier; who waits longest is first."""

    def greeting(self) -> Greeting:
        """Return what one carrier is greeted with."""
        return Greeting(self._host(), self._entropy.token(TOKEN))

    def add(self, token: bytes, transport: ResumableTransport) -> None:
        """Keep a connection, if there is room."""
        if len(self._known) < self._most:
            self._known[token] = transport

    def forget(self, token: bytes) -> None:
        """A connection is over."""
        self._known.pop(token, None)
        self._alone.pop(token, None)

    def suspend(self, token: bytes, transport: ResumableTransport) -> bool:
        """Say whether a connection may wait for its client. Others may have to give up for it."""
        if self._known.get(token) is not transport:
            return False
        self._alone[token] = transport
        while sum(one.held for one in self._alone.values()) > self._limit:
            next(iter(self._alone.values())).abort()
        return token in self._alone

    def found(self, token: bytes) -> ResumableTransport | None:
        """Return a connection."""
        return self._known.get(token)

    def attached(self, token: bytes) -> None:
        """A connection has a carrier again."""
        self._alone.pop(token, None)


class Line(asyncio.Protocol):
    """One carrier of a connection; that may change when a client says that it has been here before."""

    def __init__(self, stream: Stream, owner: ResumableTransport) -> None:
        self.owner = owner
        self.peer = stream.peer
        self.carrier = carry(stream, self)

    def data_received(self, data: bytes) -> None:
        self.owner.heard(self, data)

    def eof_received(self) -> bool:
        return False  # no side ends one direction alone, except in frames: the carrier is lost

    def connection_lost(self, exc: Exception | None) -> None:
        self.owner.lost(self, exc)

    def pause_writing(self) -> None:
        self.owner.congested(self, True)

    def resume_writing(self) -> None:
        self.owner.congested(self, False)


class ResumableTransport(asyncio.Transport):
    """What a connection of SSH writes to."""

    def __init__(self, stream: Stream, connection: Any, resumptions: Resumptions) -> None:
        """`connection` is an asyncio protocol, and Resumed."""
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._known = resumptions
        self._greeting = resumptions.greeting()
        self._opening: NodeOpening | None = NodeOpening()
        self._duplex: Duplex | None = None
        self._line: Line | None = Line(stream, self)
        self._first = self._line.carrier
        self._expiry: asyncio.TimerHandle | None = None
        self._high, self._low = 65536, 16384
        self._paused = False
        self._congested = False
        self._reading = True
        self._closing = False
        self._over = asyncio.Event()

    def start(self) -> None:
        """Greet, let the connection begin, and begin to read."""
        self._first.write(write_greeting(self._greeting))
        self._connection.connection_made(self)
        self._first.start()

    async def wait_closed(self) -> None:
        """Wait until the connection is over, or has gone its own way, and the stream it came on is closed."""
        await self._over.wait()
        await self._first.wait_closed()

    @property
    def held(self) -> int:
        """Bytes that are kept for the client."""
        return self._duplex.kept if self._duplex is not None else 0

    # -- from the carrier

    def heard(self, line: Line, data: bytes) -> None:
        """Bytes have come on a carrier; one that was given up is not listened to."""
        if line is not self._line or self._over.is_set():
            return
        try:
            if self._duplex is not None:
                self._take(self._duplex, data)
            elif self._opening is not None:
                self._open(self._opening, line, data)
        except TeleportError as error:
            log.warn("A connection that can be resumed has failed", error=error, client=line.peer.address)
            self._finish(ConnectionResetError(str(error)))
        except Exception as error:  # a defect of the protocol: the carrier reports it, and nobody comes back to this
            self._finish(error)
            raise

    def _open(self, opening: NodeOpening, line: Line, data: bytes) -> None:
        plain = opening.receive(data)
        if not opening.decided:
            if plain:
                self._connection.data_received(plain)
            return
        self._opening = None
        if opening.request is not None:
            self._move(line, opening.request)
        elif opening.resumable:
            self._change(opening, plain)
        else:
            self._leave(line, plain)

    def _leave(self, line: Line, data: bytes) -> None:
        """Nothing was agreed on: the connection has the carrier to itself."""
        self._line = None
        line.carrier.set_protocol(self._connection)
        self._connection.use(line.carrier)
        self._over.set()
        self._connection.data_received(data)

    def _change(self, opening: NodeOpening, plain: bytes) -> None:
        if plain:
            self._connection.data_received(plain)
        if not self._over.is_set():
            self._duplex = Duplex()
            self._first.write(MARK)
            self._known.add(self._greeting.token, self)
            self._take(self._duplex, opening.rest)

    def _take(self, duplex: Duplex, data: bytes | memoryview) -> None:
        pieces = duplex.receive(data)
        if pieces and not self._closing:  # who is being shown out is not listened to
            # Packets in a row are taken together: with each piece alone, that would be undone.
            self._connection.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            if self._over.is_set():
                return
        if self._line is not None:
            if more := duplex.more() or duplex.acknowledgement():
                self._line.carrier.writelines(more)
            self._tell_flow()
        if duplex.ended and not self._connection.eof_received():
            self.close()
        self._close_when_sent()

    def congested(self, line: Line, congested: bool) -> None:
        """The carrier takes no more, or does again."""
        if line is self._line:
            self._congested = congested
            self._tell_flow()

    def _tell_flow(self) -> None:
        waiting = self._duplex.waiting if self._duplex is not None else 0
        full = self._congested or waiting > (self._low if self._paused else self._high)
        if full is not self._paused and not self._over.is_set():
            self._paused = full
            (self._connection.pause_writing if full else self._connection.resume_writing)()

    def lost(self, line: Line, error: Exception | None) -> None:
        """A carrier is gone: the connection waits for its client, if it may."""
        if line is not self._line:
            return
        self._line = None
        duplex = self._duplex
        if duplex is None or self._closing or duplex.ended or self._over.is_set():
            self._finish(error)
            return
        duplex.lose()
        self._congested = False
        if not self._known.suspend(self._greeting.token, self):
            self._finish(error)
            return
        log.info("A client has lost its connection, and has time to come back", client=line.peer.address)
        self._expiry = self._loop.call_later(self._known.grace, self._expire)

    def _expire(self) -> None:
        log.info("A client has not come back in time")
        self._finish(None)

    # -- a client that comes back

    def _move(self, line: Line, request: Request) -> None:
        """Bring the carrier to the connection that its client has left; this one has been for nothing."""
        self._line = None
        found = self._known.found(request.connection)
        if found is None or not found.welcome(line, request, self._greeting):
            line.carrier.write(write_answer(None))
            line.carrier.close()
            self._loop.call_later(LINGER, line.carrier.abort)
        self._finish(None)

    def welcome(self, line: Line, request: Request, greeting: Greeting) -> bool:
        """Go on with another carrier if this client may; say whether."""
        duplex, connection = self._duplex, self._connection

        def signed(certificate: bytes) -> bytes:
            return statement(greeting, certificate, request.connection, request.received)

        if duplex is None or self._over.is_set():
            return False
        try:
            connection.may_resume(line.peer, signed, request.signature)
            received = duplex.received
            again = duplex.resume(request.received)
        except TeleportError as error:
            log.warn("A connection was not resumed", error=error, client=line.peer.address)
            return False
        self._attach(line)
        line.carrier.writelines((write_answer(received), *again))
        log.info("A client has come back", client=line.peer.address)
        self._connection.resumed(line.peer)
        self._tell_flow()
        self._close_when_sent()
        return True

    def _attach(self, line: Line) -> None:
        former, self._line, line.owner = self._line, line, self
        if former is not None:  # the client noticed first
            former.carrier.abort()
        if self._expiry is not None:
            self._expiry.cancel()
        self._known.attached(self._greeting.token)
        self._congested = False
        line.carrier.set_write_buffer_limits(self._high, self._low)
        if not self._reading:
            line.carrier.pause_reading()

    # -- asyncio.Transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the carrier has; without one, the default."""
        return self._line.carrier.get_extra_info(name, default) if self._line is not None else default

    def is_closing(self) -> bool:
        """Whether `close`, `abort` or an error began the end."""
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the window takes; the rest waits, and so does everything while there is no carrier."""
        if self._closing:
            return
        duplex, line = self._duplex, self._line
        if duplex is None:
            if line is not None:
                line.carrier.write(data)
            return
        framed = duplex.write(data)
        if framed and line is not None:
            line.carrier.writelines(framed)
        if duplex.waiting:
            self._tell_flow()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are unsent."""
        waiting = self._duplex.waiting if self._duplex is not None else 0
        return waiting + (self._line.carrier.get_write_buffer_size() if self._line is not None else 0)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high mark."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks; without arguments the defaults."""
        self._high = 65536 if high is None else high
        self._low = self._high // 4 if low is None else low
        if self._line is not None:
            self._line.carrier.set_write_buffer_limits(self._high, self._low)

    def is_reading(self) -> bool:
        """Whether received data is handed on now."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Hand on nothing until `resume_reading`."""
        self._reading = False
        if self._line is not None:
            self._line.carrier.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._reading = True
        if self._line is not None:
            self._line.carrier.resume_reading()

    def can_write_eof(self) -> bool:
        """SSH ends both directions at once."""
        return False

    def close(self) -> None:
        """Send what waits, then the end; without a carrier, to a client that comes back before `abort`."""
        if not self._closing:
            self._closing = True
            end = self._duplex.end() if self._duplex is not None else []
            if end and self._line is not None:
                self._line.carrier.writelines(end)
            self._close_when_sent()

    def _close_when_sent(self) -> None:
        if self._closing and self._line is not None and (self._duplex is None or self._duplex.closed):
            self._line.carrier.close()

    def abort(self) -> None:
        """End now, and the carrier that this began with; what is unsent is lost."""
        self._finish(None)
        self._first.abort()

    def _finish(self, error: Exception | None) -> None:
        if self._over.is_set():
            return
        self._closing = True
        self._over.set()
        self._known.forget(self._greeting.token)
        if self._expiry is not None:
            self._expiry.cancel()
        line, self._line = self._line, None
        if line is not None:
            line.carrier.abort()
        self._loop.call_soon(self._connection.connection_lost, error)
