"""Router: one port, one table. The first bytes of a connection choose its handler.

What is here: TLS connections by server name and protocols offered, others by their first bytes; nothing is
taken from the connection, so a handler may open TLS or pass it on untouched. What is not: the handlers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from teleport.base import catalogue
from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.net.peek import TIMEOUT, Peekable, peek, peekable, undetected
from teleport.net.stream import Stream
from teleport.wire import tls_hello
from teleport.wire.buffer import NeedMore
from teleport.wire.http_head import ERROR_FIELD
from teleport.wire.tls_hello import ClientHello

_METHODS = tuple(
    word + b" "
    for word in (b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI")
)

UNRECOGNIZED_NAME, NO_APPLICATION_PROTOCOL = 112, 120
"""Alerts of TLS: nobody of that name (RFC 6066, section 3), none of those protocols (RFC 7301, section 3.2)."""

RoutedStream: TypeAlias = Peekable
RouteHandler = Callable[[RoutedStream, ClientHello], Awaitable[None]]
PlainHandler = Callable[[RoutedStream], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table for TLS. Names ending in `*` match what begins like them; empty matches nothing.

    Lines with `server_name` are tried first, in order; then the client's protocols in its order of preference,
    each against the lines with `alpn`.
    """

    name: str
    """For logs and reports."""
    handler: RouteHandler
    alpn: tuple[str, ...] = ()
    server_name: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlainRoute:
    """One line of the table for connections that do not begin with TLS."""

    name: str
    handler: PlainHandler
    start: bytes
    """The first bytes, for example `SSH-`."""


class Router:
    """A connection handler (see `net.listen.Handler`) that finds the right one."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        plain: Sequence[PlainRoute] = (),
        default: RouteHandler | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """`default` gets TLS connections that no route claims and that offer no protocol. `timeout`: seconds for the
        first message."""
        self._routes = tuple(routes)
        self._plain = tuple(plain)
        self._default = default
        self._timeout = timeout

    async def __call__(self, stream: Stream) -> None:
        """Route one connection and serve it.

        Raises TimedOut (NET-FIRST-BYTES), BadParameter (NET-PROTOCOL, NET-PLAIN-HTTP, WIRE-TLS-*), Unavailable
        (NET-NO-ROUTE, NET-RESET); the caller closes the stream.
        """
        routed = peekable(stream)
        found = await peek(routed, self._recognise, timeout=self._timeout)
        if isinstance(found, ClientHello):
            await (await self._handler(routed, found))(routed, found)
        elif isinstance(found, PlainRoute):
            await found.handler(routed)
        else:
            await _answer_plain_http(routed)
            raise BadParameter("NET-PLAIN-HTTP")

    async def _handler(self, stream: RoutedStream, hello: ClientHello) -> RouteHandler:
        try:
            return self.find(hello)
        except Unavailable:
            await refuse(stream, NO_APPLICATION_PROTOCOL)
            raise

    def find(self, hello: ClientHello) -> RouteHandler:
        """Return the handler for a TLS connection. Raises Unavailable (NET-NO-ROUTE)."""
        for route in self._routes:
            if _matches(hello.server_name, route.server_name):
                return route.handler
        for protocol in hello.alpn:
            for route in self._routes:
                if _matches(protocol, route.alpn):
                    return route.handler
        if self._default is None or hello.alpn:
            raise Unavailable("NET-NO-ROUTE", alpn=", ".join(ascii(name) for name in hello.alpn[:8]) or "none")
        return self._default

    def _recognise(self, data: bytes) -> ClientHello | PlainRoute | None:
        """Tell what begins with `data`; None is plain HTTP. Raises NeedMore, BadParameter."""
        undecided = False
        for route in self._plain:
            if data.startswith(route.start):
                return route
            undecided |= route.start.startswith(data)
        for method in _METHODS:
            if data.startswith(method):
                return None
            undecided |= method.startswith(data)
        if undecided:
            raise NeedMore(1)
        if data[0] != 0x16:
            raise undetected(data, "it is neither TLS nor another protocol of this port")
        return tls_hello.parse(data)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns if name
    )


async def refuse(stream: RoutedStream, alert: int) -> None:
    """Answer a ClientHello with a fatal alert (RFC 8446, section 6): the client then knows what it asked wrong."""
    await _last_words(stream, bytes([0x15, 3, 3, 0, 2, 2, alert]))


async def _answer_plain_http(stream: RoutedStream) -> None:
    """Tell an HTTP client what is wrong."""
    page = catalogue.find("NET-PLAIN-HTTP")
    body = f"{page.what}\n{page.fix}\n".encode()
    head = (
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n{ERROR_FIELD}: NET-PLAIN-HTTP\r\n\r\n"
    )
    await _last_words(stream, head.encode() + body)


async def _last_words(stream: RoutedStream, data: bytes) -> None:
    """Send the end of a connection, and wait a moment for the peer to read it: unread bytes would make it a reset."""
    with contextlib.suppress(TeleportError, TimeoutError):
        async with asyncio.timeout(1.0):
            await stream.write(data)
            await stream.write_eof()
            for _ in range(16):
                if not await stream.read(4096):
                    break
