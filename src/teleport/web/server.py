"""Runs the web application over finished streams.

How long a client may take stands here and in `security`: a connection without a request, or with the head of
one that does not end, is closed after `IDLE`; a body has `security.BODY_WITHIN`; a client that does not take what
it is sent is cut after `STALLED`.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from aiohttp import web

from teleport.base.errors import BadParameter, TimedOut
from teleport.net.bridge import as_transport
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
        """Serve one connection to its end; the stream is closed then."""
        transport, _ = as_transport(_Impatient(stream), self._connection)
        try:
            await transport.wait_closed()
        finally:
            transport.abort()

    def _connection(self) -> web.RequestHandler:
        server = self._runner.server
        assert server is not None  # noqa: S101 - set up on entering
        return _Connection(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # aiohttp's own servers pass None for none
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


class _Connection(web.RequestHandler):
    """One connection. What is no HTTP is answered as everything else is: with our headers and a code."""

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
