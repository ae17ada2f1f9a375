"""The debug service: HTTP over `<data_dir>/debug.sock`, for the owner of the process and root alone.

`GET /log-level` and `PUT /log-level` read and change the level without a restart; `GET /readyz` lists the
services. It is on by default and has no TCP listener.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from teleport.base import log as logging
from teleport.base.errors import BadParameter
from teleport.base.log import logger
from teleport.net.bridge import as_transport
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.process.supervisor import Supervisor

log = logger("DEBUG")


class DebugService:
    """Answers on the debug socket."""

    name = "debug"

    def __init__(self, network: Network, path: Path, supervisor: Callable[[], Supervisor]) -> None:
        self._network = network
        self._path = path
        self._supervisor = supervisor

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        runner = web.AppRunner(self._application(), access_log=None)
        await runner.setup()
        server = runner.server
        assert server is not None  # noqa: S101 - set up above

        async def serve(stream: Stream) -> None:
            if stream.peer.uid not in (0, os.geteuid()):
                return
            transport, _ = as_transport(stream, server)
            await transport.wait_closed()

        listener = await self._network.listen(f"unix:{self._path}", serve)
        try:
            ready()
            await listener.serve_forever()
        finally:
            await listener.close()
            await runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=4096)
        app.add_routes(
            [
                web.get("/log-level", self._get_level),
                web.put("/log-level", self._set_level),
                web.get("/readyz", self._readyz),
            ]
        )
        return app

    async def _get_level(self, request: web.Request) -> web.Response:
        return web.Response(text=logging.get_level())

    async def _set_level(self, request: web.Request) -> web.Response:
        wanted = (await request.text()).strip()
        try:
            old = logging.set_level(wanted)
        except BadParameter as error:
            return web.json_response({"code": error.code, "fields": error.fields}, status=400)
        new = logging.get_level()
        if old != new:
            log.info("Changed log level", old=old, new=new)
        return web.json_response({"old": old, "new": new})

    async def _readyz(self, request: web.Request) -> web.Response:
        supervisor = self._supervisor()
        states = {
            entry.service.name: "ready" if entry.ready else entry.failure or "starting" for entry in supervisor.entries
        }
        return web.json_response(
            {"status": "ok" if supervisor.is_ready else "not ready", "services": states},
            status=200 if supervisor.is_ready else 503,
        )
