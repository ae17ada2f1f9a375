"""Runs the web application over finished streams."""

from __future__ import annotations

from types import TracebackType

from aiohttp import web

from teleport.net.bridge import as_transport
from teleport.net.stream import Stream


class WebServer:
    """Serves HTTP on streams that somebody else accepted. Used as an asynchronous context."""

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(application, access_log=None, keepalive_timeout=30.0)

    async def __aenter__(self) -> WebServer:
        await self._runner.setup()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def serve(self, stream: Stream) -> None:
        """Serve one connection to its end."""
        assert self._runner.server is not None  # noqa: S101 - set up on entering
        transport, _ = as_transport(stream, self._runner.server)
        await transport.wait_closed()
