"""The debug service: HTTP over `<data_dir>/debug.sock`, for the owner of the process and root alone.

`GET /log-level` and `PUT /log-level` read and change the level without a restart; `GET /readyz` lists the
services, `/healthz` says that the loop answers, `/metrics` has numbers, `/debug/pprof/NAME` profiles. It is on
by default and has no TCP listener.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from teleport.base import log as logging
from teleport.base.clock import Clock, SystemClock
from teleport.base.counters import Counter
from teleport.base.errors import BadParameter, LimitExceeded, NotFound, TeleportError
from teleport.base.log import logger
from teleport.net.bridge import as_transport
from teleport.net.stream import Stream
from teleport.process import metrics, profile_names, profiles
from teleport.process.drain import DrainableNetwork
from teleport.process.health import Health
from teleport.process.pulse import Pulse
from teleport.process.supervisor import Supervisor

log = logger("DEBUG")

READY = "ready"
"""State of a service that lacks nothing."""


class DebugService:
    """Answers on the debug socket."""

    name = "debug"

    def __init__(
        self, network: DrainableNetwork, path: Path, supervisor: Callable[[], Supervisor], *, pulse: Pulse,
        clock: Clock | None = None, counters: Iterable[Counter] = (), health: Health | None = None,
    ) -> None:  # fmt: skip
        """`health` says what services lack that are running."""
        self._health = health or Health()
        self._network = network
        self._path = path
        self._supervisor = supervisor
        self._pulse = pulse
        self._counters = counters
        self._clock = clock or SystemClock()
        self._profiling = asyncio.Lock()

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
        app = web.Application(client_max_size=4096, middlewares=[_answer_errors])
        app.add_routes(
            [
                web.get("/log-level", self._get_level),
                web.put("/log-level", self._set_level),
                web.get("/readyz", self._readyz),
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
                web.get("/debug/pprof/{name}", self._profile),
            ]
        )
        return app

    async def _get_level(self, request: web.Request) -> web.Response:
        return web.Response(text=logging.get_level())

    async def _set_level(self, request: web.Request) -> web.Response:
        wanted = (await request.text()).strip()
        old = logging.set_level(wanted)
        new = logging.get_level()
        if old != new:
            log.info("Changed log level", old=old, new=new)
        return web.json_response({"old": old, "new": new})

    async def _readyz(self, request: web.Request) -> web.Response:
        states = self._states()
        ready = all(state == READY for state in states.values()) and not self._network.draining
        status = "ok" if ready else "stopping" if self._network.draining else "not ready"
        answer = {"status": status, "pid": os.getpid(), "services": states}
        return web.json_response(answer, status=200 if ready else 503)

    def _states(self) -> dict[str, str]:
        """Return of each service that it is ready, or what it lacks."""
        return {
            entry.service.name: (self._health.problem(entry.service.name) or READY)
            if entry.ready
            else (entry.failure or "starting")
            for entry in self._supervisor().entries
        }

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _metrics(self, request: web.Request) -> web.Response:
        ready = {name: state == READY for name, state in self._states().items()}
        found = metrics.metrics(self._pulse, ready, self._network.connections(), self._counters)
        return web.Response(body=metrics.render(found).encode(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _profile(self, request: web.Request) -> web.Response:
        name, wanted = request.match_info["name"], request.query.get("seconds", str(profile_names.SECONDS))
        if name not in profile_names.NAMES:
            raise NotFound("PROC-PROFILE", name=name[:40], known=", ".join(profile_names.NAMES))
        if not wanted.isdecimal() or not 1 <= int(wanted[:9]) <= profile_names.MOST_SECONDS:
            raise BadParameter("PROC-PROFILE-SECONDS", seconds=wanted[:20], most=profile_names.MOST_SECONDS)
        if self._profiling.locked():
            raise LimitExceeded("PROC-PROFILE-BUSY")
        async with self._profiling:
            body = await self._make(name, int(wanted))
        return web.Response(body=body, content_type="application/octet-stream")

    async def _make(self, name: str, seconds: int) -> bytes:
        if name == "profile":
            return await asyncio.to_thread(profiles.cpu, seconds, self._clock)
        if name == "allocs":
            return await asyncio.to_thread(profiles.allocs, seconds, self._clock)
        if name == "heap":
            return profiles.heap(self._clock)
        if name == "cmdline":
            return profiles.cmdline()
        return profiles.goroutine(asyncio.get_running_loop(), threading.get_ident(), self._pulse, self._clock)


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with the code and the fields of an error, from which the other side makes the same error."""
    try:
        return await handler(request)
    except TeleportError as error:
        return _refusal(error)
    except web.HTTPException as error:
        if error.status not in (404, 405):
            raise
        return _refusal(NotFound("PROC-DEBUG-PATH", path=request.path[:80]))


def _refusal(error: TeleportError) -> web.Response:
    told = {"code": error.code, "fields": error.fields, "grpc": error.kind.grpc}
    return web.json_response(told, status=error.kind.http)
