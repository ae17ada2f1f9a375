"""Runs the web application over finished streams.

How long a client may take stands here and in `security`: a connection without a request, or with the head of
one that does not end, is closed after `IDLE`; a body has `security.BODY_WITHIN`; a client that does not take what
it is sent is cut after `STALLED`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from aiohttp import web

from teleport.base.errors import BadParameter, TimedOut
from teleport.net.bridge import StreamTransport, as_transport
from teleport.net.stream import Peer, Stream
from teleport.web.security import harden

IDLE = 30.0
"""Seconds from the beginning of a connection, or from an answer, until the next request must have arrived."""
LINGER = 5.0
"""Seconds in which the rest of a refused body is read, so that its sender sees the answer."""

STALLED = 30.0
"""Seconds in which the client must take a piece of an answer (64 KiB at most, what it is sent at once)."""


class WebServer:
    """Serves HTTP on streams that somebody else accepted. Used as an asynchronous context."""

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)

    async def __aenter__(self) -> WebServer:
        await self._runner.setup()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def serve(self, stream: Stream) -> None:
        """Serve one connection to its end; the stream is closed then, whatever it was upgraded to."""
        transport, protocol = as_transport(_Impatient(stream), self._connection)
        try:
            await transport.wait_closed()
            if transport.handed_over and protocol.successor is not None:
                await protocol.successor(stream)
        finally:
            transport.abort()
            await stream.close()

    def _connection(self) -> Connection:
        server = self._runner.server
        assert server is not None  # noqa: S101 - set up on entering
        return Connection(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # aiohttp's own servers pass None for none
            keepalive_timeout=IDLE,
            lingering_time=LINGER,
            auto_decompress=False,
        )


class _Impatient:
    """A stream whose writes do not wait forever: with nobody reading, a connection would never end."""

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self.read, self.write_eof, self.close = inner.read, inner.write_eof, inner.close

    @property
    def peer(self) -> Peer:
        return self._inner.peer

    async def write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(STALLED):
                await self._inner.write(data)
        except TimeoutError:
            raise TimedOut("WEB-SLOW", seconds=f"{STALLED:g}") from None


class Connection(web.RequestHandler):
    """One connection. What is no HTTP is answered as everything else is: with our headers and a code."""

    __slots__ = ("successor",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.successor: Callable[[Stream], Awaitable[None]] | None = None
        """Who serves the connection after HTTP."""

    def hand_over(self, answer: bytes, successor: Callable[[Stream], Awaitable[None]]) -> None:
        """End HTTP on this connection with `answer`; `successor` serves what follows. The answer that the handler
        returns is not sent."""
        transport = self.transport
        assert isinstance(transport, StreamTransport)  # noqa: S101 - nothing else is served here
        self.successor = successor
        transport.write(answer)
        transport.hand_over()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        error = BadParameter("WEB-REQUEST", problem="it is not HTTP/1.1")
        response = web.Response(status=status, text=f"{error.code}: {error.what}\n{error.fix}\n")
        response.force_close()
        return harden(response)
