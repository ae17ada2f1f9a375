"""One connection of the server: HTTP/2 with bounds, over any asyncio transport.

Theory of operation. h2 speaks the protocol, grpclib turns streams into calls; what stands here is what both
leave to others: how much a peer may ask at a time (streams, bytes that nobody has read yet, bytes of headers),
what it may send that asks for nothing (`api.budget`), how long it may be silent, and how long it may leave our
answers unread. Reading stops while writing is blocked, so a peer that does not read cannot make us answer.

Private parts of grpclib and h2 used here, each covered by a test of this file: `grpclib.protocol`'s Connection
and EventsProcessor, the tasks of `grpclib.server.Handler`, the header fragments that h2 has not put together yet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from grpclib import protocol, server
from grpclib.config import Configuration
from grpclib.const import Handler
from grpclib.encoding.proto import ProtoCodec
from grpclib.events import _DispatchServerEvents
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from teleport.api.budget import Budget
from teleport.base.log import logger

log = logger("AUTH")

LARGEST_HEADERS = 64 * 1024
"""Bytes of the headers of one call, unpacked; the same for fragments that are not complete yet."""
REMEMBERED = 256
"""Streams whose end is remembered, on either side of a connection: twice as many as may be open, so that what was on
its way to one that has ended is still known as late. h2 remembers 65,536, in a hundred bytes each."""
H2Connection.MAX_CLOSED_STREAMS = REMEMBERED
_DEFAULT_WINDOW = 65535
_LAST_WORDS = 2.0
"""Seconds in which a peer may fetch what was sent before the connection is dropped."""
_CALM = "ENHANCE_YOUR_CALM"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one peer may take."""

    streams: int = 128
    """Calls at a time."""
    window: int = 1 << 18
    """Bytes of one call's request that no method has read yet."""
    connection_window: int = 1 << 20
    """The same for all calls of the connection together."""
    idle: float = 600.0
    """Seconds without a call after which the connection is closed."""
    stalled: float = 60.0
    """Seconds that the peer may leave our bytes in the pipe."""


KNOWN = Bounds()
"""For whoever holds a certificate."""
STRANGER = Bounds(streams=100, window=_DEFAULT_WINDOW, connection_window=_DEFAULT_WINDOW, idle=30.0, stalled=10.0)
"""For whoever does not. HTTP/2 knows no smaller window."""
REFUSED = Bounds(streams=100, window=_DEFAULT_WINDOW, connection_window=_DEFAULT_WINDOW, idle=5.0, stalled=5.0)
"""For whoever is only told why there is nothing to be had."""

_H2 = H2Configuration(
    client_side=False, header_encoding="ascii", validate_inbound_headers=False, validate_outbound_headers=False,
    normalize_inbound_headers=False, normalize_outbound_headers=False,
)  # fmt: skip
# A peer that vanished without a word is noticed by a ping in every five minutes with a call under way.
_CONFIG = Configuration(
    _keepalive_time=300.0, _keepalive_timeout=20.0, _http2_max_pings_without_data=0,
    _http2_min_sent_ping_interval_without_data=60.0,
).__for_server__()  # fmt: skip
_CODEC = ProtoCodec()


class Methods(Protocol):
    """Finds methods by path."""

    def get(self, path: str) -> Handler | None:
        """Return the method, bound to the caller of the connection."""
        ...


class Connection(asyncio.Protocol):
    """The server's end of a connection. `on_end` is called when it is over."""

    def __init__(self, methods: Methods, bounds: Bounds, *, peer: str, on_end: Callable[[Connection], None]) -> None:
        self._bounds = bounds
        self._peer = peer
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._calls = _Calls(methods, self._touch)
        self._budget = Budget(self._loop.time())
        self._last_call = self._loop.time()
        self._ended = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._transport: Any = None
        self._h2: Any = None
        self._inner: Any = None
        self._processor: Any = None

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer with the settings that hold from the first byte on."""
        bounds = self._bounds
        self._transport = transport
        self._h2 = H2Connection(config=_H2)
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: bounds.streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: LARGEST_HEADERS,
                SettingCodes.INITIAL_WINDOW_SIZE: bounds.window,
            },
        )
        self._h2.decoder.max_header_list_size = LARGEST_HEADERS
        self._h2.initiate_connection()
        if bounds.connection_window > _DEFAULT_WINDOW:
            self._h2.increment_flow_control_window(bounds.connection_window - _DEFAULT_WINDOW)
        self._inner = protocol.Connection(self._h2, self._transport, config=_CONFIG)
        self._processor = protocol.EventsProcessor(self._calls, self._inner)
        self._inner.flush()
        self._inner.initialize()
        self._arm("idle", bounds.idle, self._look_for_calls)

    def data_received(self, data: bytes) -> None:
        """Take what the peer sent. What breaks the protocol or a bound ends the connection, nothing else."""
        if self._ended or self._inner.is_closing():
            return
        try:
            events = self._inner.feed(data)
            self._check_headers()
        except ProtocolError as error:
            self._end(f"it broke the protocol: {error}", None)  # h2 has prepared the GOAWAY
            return
        except Exception as error:
            log.warn("What a peer sent could not be read", peer=self._peer, error=error)
            self._end("it sent what cannot be read", ErrorCodes.PROTOCOL_ERROR)
            return
        self._inner.flush()
        now = self._loop.time()
        for event in events:
            if not self._budget.covers(event, now):
                self._end("it sent too much that asks for nothing", ErrorCodes.ENHANCE_YOUR_CALM)
                return
            if type(event) in self._processor.processors:
                self._processor.process(event)
                if self._inner.is_closing():  # the peer said goodbye
                    self._finish()
                    return
        self._inner.flush()

    def eof_received(self) -> bool | None:
        """End with the peer."""
        return None

    def pause_writing(self) -> None:
        """Stop reading too: what the peer sends now could only add to what it does not fetch."""
        if not self._ended:
            self._inner.pause_writing()
            self._transport.pause_reading()
            self._arm("stalled", self._bounds.stalled, self._stalled)

    def resume_writing(self) -> None:
        """Undo `pause_writing`."""
        self._disarm("stalled")
        if not self._ended:
            self._inner.resume_writing()
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every call."""
        self._ended = True
        for name in list(self._timers):
            self._disarm(name)
        self._processor.close("Connection lost")
        self._on_end(self)

    # -- what the server calls

    def close(self) -> None:
        """Tell the peer that it is over, and end every call."""
        if self._transport is not None:
            self._end("", ErrorCodes.NO_ERROR)

    async def wait_closed(self) -> None:
        """Wait until every call has ended."""
        await self._calls.wait_closed()

    # -- the bounds

    def _check_headers(self) -> None:
        fragments = self._h2.incoming_buffer._headers_buffer
        if fragments and sum(len(fragment.data) for fragment in fragments) > LARGEST_HEADERS:
            raise ProtocolError("the headers are too long")

    def _touch(self) -> None:
        self._last_call = self._loop.time()

    def _look_for_calls(self) -> None:
        idle = self._bounds.idle
        since = self._loop.time() - self._last_call
        if self._processor.streams:
            self._arm("idle", idle, self._look_for_calls)
        elif since < idle:
            self._arm("idle", idle - since, self._look_for_calls)
        else:
            self._end("", ErrorCodes.NO_ERROR)

    def _stalled(self) -> None:
        log.warn("A connection was cut: the peer does not read", peer=self._peer, seconds=self._bounds.stalled)
        self._transport.abort()

    # -- the end

    def _end(self, reason: str, code: ErrorCodes | None) -> None:
        """Say goodbye with `code` (None: h2 did), end the calls, and drop the connection after a moment."""
        if self._ended:
            return
        if reason:
            log.warn("A connection was cut", peer=self._peer, reason=reason)
        if code is not None:
            self._h2.close_connection(error_code=code)
        self._inner.flush()
        self._finish()

    def _finish(self) -> None:
        self._ended = True
        self._processor.close("Connection closed")
        self._arm("last words", _LAST_WORDS, self._transport.abort)

    def _arm(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        self._disarm(name)
        self._timers[name] = self._loop.call_later(seconds, action)

    def _disarm(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()


class _Calls(server.Handler):
    """The calls of a connection. grpclib forgets a call that is cancelled before its first step: not here."""

    def __init__(self, methods: Any, on_change: Callable[[], None]) -> None:
        super().__init__(methods, _CODEC, None, _DispatchServerEvents())
        self._on_change = on_change

    def accept(self, stream: Any, headers: Any, release_stream: Callable[[], Any]) -> None:
        """Start a call; one without a method or path is no call at all."""
        self._on_change()
        if not {":method", ":path"} <= {name for name, _ in headers}:
            with contextlib.suppress(ProtocolError):  # the peer has reset it already, in the same read
                stream.reset_nowait(ErrorCodes.PROTOCOL_ERROR)
            release_stream()
            return
        released = False

        def release(*_: object) -> None:
            nonlocal released
            if not released:
                released = True
                self._on_change()
                release_stream()

        super().accept(stream, headers, release)
        self._tasks[stream].add_done_callback(release)
