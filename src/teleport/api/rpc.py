"""gRPC over any connection: methods, callers and errors, on the server and on the client.

Theory of operation. A connection has one caller, found before the first byte of HTTP/2 is read. The methods
that a connection finds are bound to that caller, so no header or message can change who is calling. A method
runs only if its declared audience admits the caller; that is looked at before the body is read. Errors travel
as gRPC status plus one metadata value, `teleport-error-bin`, a JSON object with code, fields and id, from
which the client rebuilds the same error; stock clients see status and message.

What bounds a connection of the server stands in `api.connection`; no other module knows grpclib. Private parts
of it used here, each covered by a test of this file: `Channel._create_connection` and `_protocol_factory`, the
HTTP/2 stream under a call (`_stream`), to look at a message's length before its body is read.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import h2.exceptions
import msgspec
from google.protobuf.message import DecodeError, Message
from grpclib.client import Channel as GrpcChannel
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.metadata import decode_metadata
from h2.settings import SettingCodes

from teleport.api.caller import Caller, admit
from teleport.api.connection import KNOWN, REFUSED, STRANGER, Bounds, Connection
from teleport.api.refused import of_our_certificate
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_id
from teleport.base.errors import (
    CLASSES,
    BadParameter,
    Internal,
    LimitExceeded,
    NotSupported,
    TeleportError,
    TimedOut,
    Unavailable,
    from_grpc,
)
from teleport.base.log import logger
from teleport.model.naming import CLUSTER_NAME
from teleport.net.bridge import as_transport
from teleport.net.stream import Stream

log = logger("CLIENT")

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes of one message; a longer one is refused when its length is known, before its body is read."""
LONGEST_CALL = 60.0
"""Seconds that a unary method may take on the server, whatever the client allows."""
PATIENCE = 30.0
"""Seconds that a client waits for a unary reply unless it says otherwise."""
SLOWEST_READER = 60.0
"""Seconds that a peer may take to make room for one message."""
PACKAGE = "teleport.v1"

_ERROR_KEY = "teleport-error-bin"
_LONGEST_FIELD = 4096
_REFUSAL_PATIENCE = 5.0
_LAST_WORDS = 2.0
_STREAMS_BEFORE_SETTINGS = 100
"""Calls at a time that a client makes before the server has said how many it takes (RFC 9113, 6.5.2)."""
ASK_EVERY, ANSWER_WITHIN = 10.0, 10.0
"""Seconds between a client's questions whether the server is there, asked while there are calls, and until it has
answered one: without them whoever follows changes would follow a dead connection for ever."""
_CLIENT = Configuration(
    http2_connection_window_size=1 << 20, http2_stream_window_size=1 << 18, _keepalive_time=ASK_EVERY,
    _keepalive_timeout=ANSWER_WITHIN, _http2_max_pings_without_data=0,
    _http2_min_sent_ping_interval_without_data=ASK_EVERY / 2,
)  # fmt: skip

OnDefect = Callable[[str, str, BaseException], None]
"""Told of an unexpected failure: method, id that the client got, exception."""
OnRefusal = Callable[[TeleportError], None]
"""Told of what a caller is answered instead of a reply."""
Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.Protocol]]
"""Opens a connection for a client: makes the protocol with the given factory and connects it."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, R]):
    """A method as both sides see it."""

    path: str
    request: type[Q]
    reply: type[R]
    streams: bool = False
    """Whether the server answers with a series of messages."""
    two_way: bool = False
    """Whether the client sends a series as well."""
    largest: int = LARGEST_MESSAGE
    """Bytes of one request."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method as the server runs it."""

    call: Call[Any, Any]
    audience: frozenset[str]
    """Words of `api.caller`: who may try. Never empty: what nobody may call does not exist."""
    run: Callable[[Caller, Any], Any]
    """Takes caller and request; returns an awaitable reply, or an async iterator of replies if `call.streams`.
    The request is an async iterator of requests if `call.two_way`."""

    def __post_init__(self) -> None:
        if not self.audience:
            raise Internal("API-NO-AUDIENCE", method=self.call.path)


def call(service: str, name: str, request: type[Q], reply: type[R], *, streams: bool = False) -> Call[Q, R]:
    """Name a method of a service of the published package."""
    return Call(f"/{PACKAGE}.{service}/{name}", request, reply, streams)


def talk_call(service: str, name: str, request: type[Q], reply: type[R], *, largest: int) -> Call[Q, R]:
    """Name a method in which both sides send series (`Channel.talk`), in requests of at most `largest` bytes."""
    return Call(f"/{PACKAGE}.{service}/{name}", request, reply, streams=True, two_way=True, largest=largest)


class Server:
    """Runs methods for connections that somebody else accepted."""

    def __init__(
        self, methods: Iterable[Method], *, clock: Clock, entropy: Entropy, on_defect: OnDefect,
        on_refusal: OnRefusal = lambda error: None,
    ) -> None:  # fmt: skip
        self.methods: Mapping[str, Method] = {method.call.path: method for method in methods}
        self._clock = clock
        self._entropy = entropy
        self._on_defect = on_defect
        self._on_refusal = on_refusal
        self._open: set[Connection] = set()

    def protocol(self, caller: Caller, bounds: Bounds | None = None) -> Connection:
        """Return an asyncio protocol that serves one connection of `caller`.

        Without `bounds` they are what callers of that sort get: known, strangers, refused ones.
        """
        connection = Connection(
            _Bound(self, caller), bounds or _bounds_of(caller), peer=caller.address, on_end=self._open.discard
        )  # fmt: skip
        self._open.add(connection)
        return connection

    async def serve(self, stream: Stream, caller: Caller) -> None:
        """Serve one connection of `caller` until either side ends it; the stream is closed then."""
        transport, connection = as_transport(stream, lambda: self.protocol(caller))
        try:
            await transport.wait_closed()
        finally:
            transport.abort()
            await connection.wait_closed()

    async def close(self) -> None:
        """Cut every connection and wait until their calls have ended."""
        connections = list(self._open)
        for connection in connections:
            connection.close()
        for connection in connections:
            await connection.wait_closed()

    async def answer(self, method: Method, caller: Caller, stream: Any) -> None:
        """Run one call, whatever becomes of it: nothing is raised but the end of the task."""
        try:
            admit(caller, method.audience, method.call.path, self._clock)
            if method.call.streams:
                await _run_stream(method, caller, stream)
            else:
                await _run_unary(method, caller, stream)
        except (h2.exceptions.H2Error, ProtocolError):
            stream._cancel_done = True  # the peer has gone: there is nobody to answer
        except TeleportError as error:
            self._on_refusal(error)
            await _refuse(stream, error)
        except Exception as error:
            failure = Internal("API-INTERNAL", id=new_id(self._entropy))
            self._on_defect(method.call.path, failure.id, error)
            await _refuse(stream, failure)


async def _run_unary(method: Method, caller: Caller, stream: Any) -> None:
    try:
        async with asyncio.timeout(LONGEST_CALL):
            request = await _request(stream, method)
            reply = await method.run(caller, request)
    except TimeoutError:
        raise TimedOut("API-DEADLINE", method=method.call.path, seconds=int(LONGEST_CALL)) from None
    await _send(stream, method, reply)


async def _run_stream(method: Method, caller: Caller, stream: Any) -> None:
    request = _requests(stream, method) if method.call.two_way else await _request(stream, method)
    async with aclosing(method.run(caller, request)) as replies:
        async for reply in replies:
            await _send(stream, method, reply)


async def _send(stream: Any, method: Method, reply: Any) -> None:
    try:
        async with asyncio.timeout(SLOWEST_READER):
            await stream.send_message(reply)
    except TimeoutError:
        raise LimitExceeded("API-SLOW-READER", method=method.call.path, seconds=int(SLOWEST_READER)) from None


async def _requests(stream: Any, method: Method) -> AsyncIterator[Any]:
    while (request := await _receive(stream._stream, method.call.request, method.call.largest)) is not None:
        yield request


async def _request(stream: Any, method: Method) -> Any:
    request = await _receive(stream._stream, method.call.request, method.call.largest)
    if request is None:
        raise BadParameter("API-MESSAGE", problem="the request has no message")
    return request


async def _receive(h2_stream: Any, shape: type[Q], largest: int = LARGEST_MESSAGE) -> Q | None:
    """Read one length-prefixed message (gRPC over HTTP/2, "Length-Prefixed-Message"); None at the end.

    Raises LimitExceeded (API-TOO-LARGE), NotSupported (API-COMPRESSED), BadParameter (API-MESSAGE).
    """
    try:
        head = await h2_stream.recv_data(5)
        if not head:
            return None
        compressed, length = struct.unpack(">BI", head)
        if compressed:
            raise NotSupported("API-COMPRESSED")
        if length > largest:
            raise LimitExceeded("API-TOO-LARGE", size=length, limit=largest)
        return shape.FromString(await h2_stream.recv_data(length))
    except (DecodeError, AssertionError) as error:  # grpclib asserts that a message is complete
        raise BadParameter("API-MESSAGE", problem=str(error)[:120]) from None


async def _refuse(stream: Any, error: TeleportError) -> None:
    fields = {name: value[:_LONGEST_FIELD] for name, value in error.fields.items()}
    data = msgspec.json.encode({"code": error.code, "fields": fields, "id": error.id})
    try:
        async with asyncio.timeout(_REFUSAL_PATIENCE):
            await stream.send_trailing_metadata(
                status=Status(error.kind.grpc), status_message=error.what[:_LONGEST_FIELD], metadata={_ERROR_KEY: data}
            )
    except (h2.exceptions.H2Error, ProtocolError, TimeoutError):
        stream._cancel_done = True


def _bounds_of(caller: Caller) -> Bounds:
    if caller.refusal is not None:
        return REFUSED
    return STRANGER if caller.identity is None else KNOWN


class _Bound:
    """The methods of a server, bound to a caller when they are asked for."""

    def __init__(self, server: Server, caller: Caller) -> None:
        self._server = server
        self._caller = caller

    def get(self, path: str) -> Handler | None:
        """Return the method at a path, in grpclib's form."""
        method = self._server.methods.get(path)
        if method is None:
            return None

        async def run(stream: Any) -> None:
            await self._server.answer(method, self._caller, stream)

        return Handler(run, _cardinality(method.call), method.call.request, method.call.reply)


def _cardinality(method: Call[Any, Any]) -> Cardinality:
    if method.two_way:
        return Cardinality.STREAM_STREAM
    return Cardinality.UNARY_STREAM if method.streams else Cardinality.UNARY_UNARY


class Channel:
    """A client's side: one connection, opened when first needed and again after it was lost."""

    def __init__(self, connect: Connect, *, patience: float = PATIENCE) -> None:
        self._inner = _InnerChannel(connect)
        self._patience = patience

    async def unary(self, method: Call[Q, R], request: Q, *, timeout: float = 0) -> R:
        """Call a method and return its reply; `timeout` in seconds, 0 for the channel's own.

        Raises what the server raised, Unavailable (API-UNAVAILABLE) or TimedOut (API-DEADLINE).
        """
        seconds = timeout or self._patience
        opened = self._inner.request(
            method.path, Cardinality.UNARY_UNARY, method.request, method.reply, timeout=seconds
        )  # fmt: skip
        try:
            async with opened as stream:
                await stream.send_message(request, end=True)
                await stream.recv_initial_metadata()
                with stream._wrapper:
                    reply = await _reply(stream, method)
                await stream.recv_trailing_metadata()
            if reply is None:
                raise BadParameter("API-MESSAGE", problem="the reply has no message")
            return reply
        except TimeoutError:
            raise _told(method, TimedOut("API-DEADLINE", method=_url(method), seconds=f"{seconds:g}")) from None
        except TeleportError as error:
            raise _told(method, error) from None
        except _FAILURES as error:
            raise _told(method, self._inner.lost or _explain(opened, error, _url(method))) from None

    async def stream(self, method: Call[Q, R], request: Q) -> AsyncGenerator[R, None]:
        """Call a method that answers with a series; ends with it. Raises as `unary` does."""
        opened = self._inner.request(method.path, _cardinality(method), method.request, method.reply)
        try:
            async with opened as stream:
                await stream.send_message(request, end=True)
                await stream.recv_initial_metadata()
                while True:
                    with stream._wrapper:  # ends the wait when the connection is lost
                        reply = await _reply(stream, method)
                    if reply is None:
                        break
                    yield reply
                await stream.recv_trailing_metadata()
        except TeleportError as error:
            raise _told(method, error) from None
        except _FAILURES as error:
            raise _told(method, self._inner.lost or _explain(opened, error, _url(method))) from None

    @asynccontextmanager
    async def talk(self, method: Call[Q, R], *, forever: bool = False) -> AsyncIterator[Talk[Q, R]]:
        """Open a call in which both sides send series; it ends with the block. Inside, and at the end, is raised what
        the server raised, or what `unary` raises; unless `forever`, the whole may take as long as a unary call may."""
        seconds = None if forever else self._patience
        opened = self._inner.request(
            method.path, _cardinality(method), method.request, method.reply, timeout=seconds
        )  # fmt: skip
        try:
            async with opened as stream:
                yield Talk(stream, method)
                stream._cancel_done = True  # all was said: what is still open is dropped
        except TimeoutError:
            raise _told(method, TimedOut("API-DEADLINE", method=_url(method), seconds=f"{self._patience:g}")) from None
        except _FAILURES as error:
            raise _told(method, self._inner.lost or _explain(opened, error, _url(method))) from None

    def close(self) -> None:
        """Cut the connection."""
        self._inner.close()

    async def wait_closed(self) -> None:
        """Wait until the connection is released, for a moment at most."""
        if self._inner.open:
            await asyncio.wait([protocol.over for protocol in self._inner.open], timeout=_LAST_WORDS)


class Talk(Generic[Q, R]):
    """The client's side of a call in which both sides send series."""

    def __init__(self, stream: Any, method: Call[Q, R]) -> None:
        self._stream = stream
        self._method = method

    async def send(self, request: Q) -> None:
        """Send one message."""
        await self._stream.send_message(request)

    async def receive(self) -> R:
        """Return the next message; that there is none is an error, BadParameter (API-MESSAGE) or the server's."""
        if self._stream._stream.headers is None:
            await self._stream.recv_initial_metadata()
        with self._stream._wrapper:
            reply = await _reply(self._stream, self._method)
        if reply is None:
            await self._stream.recv_trailing_metadata()
            raise BadParameter("API-MESSAGE", problem="the reply has no message")
        return reply


async def _reply(stream: Any, method: Call[Q, R]) -> R | None:
    """Read one reply. One that was cut short is explained by the trailers, if the server could send them."""
    try:
        return await _receive(stream._stream, method.reply)
    except BadParameter:
        if stream._stream.trailers is not None:
            await stream.recv_trailing_metadata()  # raises what they say
        raise


class _InnerChannel(GrpcChannel):
    def __init__(self, connect: Connect) -> None:
        super().__init__(CLUSTER_NAME, 3025, config=_CLIENT)
        self._connect = connect
        self.lost: TeleportError | None = None
        """Why the last connection was refused, where the peer said so."""
        self.open: set[_ClientProtocol] = set()

    def _protocol_factory(self) -> Any:
        return _ClientProtocol(super()._protocol_factory(), self)

    async def _create_connection(self) -> Any:
        self.lost = None
        try:
            made = await self._connect(self._protocol_factory)
        except TeleportError as error:
            raise of_our_certificate(error) or error from None
        assert isinstance(made, _ClientProtocol)  # noqa: S101 - what connects returns what the factory made
        return made.inner

    def close(self) -> None:
        super().close()
        self._protocol = None


class _ClientProtocol(asyncio.Protocol):
    """grpclib's protocol of a client, of which the reason is kept when the connection is lost."""

    def __init__(self, inner: Any, channel: _InnerChannel) -> None:
        self.inner = inner
        self._channel = channel
        self.over = asyncio.get_running_loop().create_future()
        """Done when the connection is released."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._channel.open.add(self)
        self.inner.connection_made(transport)
        settings = self.inner.connection._connection.remote_settings
        settings[SettingCodes.MAX_CONCURRENT_STREAMS] = _STREAMS_BEFORE_SETTINGS
        settings.acknowledge()

    def data_received(self, data: bytes) -> None:
        self.inner.data_received(data)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel.lost = of_our_certificate(exc)
        self._channel.open.discard(self)
        self.inner.connection_lost(exc)
        self.over.set_result(None)


_FAILURES = (GRPCError, StreamTerminatedError, ProtocolError, h2.exceptions.H2Error, OSError, AttributeError)


def _url(method: Call[Any, Any]) -> str:
    """Return what is asked, under the name that the Auth Service has wherever it is dialled."""
    return f"https://{CLUSTER_NAME}{method.path}"


def _told(method: Call[Any, Any], error: TeleportError) -> TeleportError:
    log.debug("A call failed", url=_url(method), error=error)
    return error


def _explain(opened: Any, error: BaseException, url: str) -> TeleportError:
    """Turn a failed call into the error that the server sent, or into one that says it did not answer."""
    carrier = getattr(opened, "_stream", None)
    headers = (carrier.trailers or carrier.headers or []) if carrier is not None else []
    known = dict(headers)
    try:
        status = int(known["grpc-status"])
        data = decode_metadata(headers).get(_ERROR_KEY)
        if data is None:
            message = error.message if isinstance(error, GRPCError) else ""
            cls = next((c for c in CLASSES if c.kind.grpc == status), Internal)
            return cls("API-STATUS", status=status, message=message or "")
        sent = msgspec.json.decode(data, type=_Sent)
        return from_grpc(status, sent.code, sent.fields, sent.id)
    except (KeyError, ValueError, msgspec.DecodeError):
        return Unavailable("API-UNAVAILABLE", problem=f"{url}: {str(error)[:200] or type(error).__name__}")


class _Sent(msgspec.Struct):
    code: str
    fields: dict[str, str] = {}
    id: str = ""
