"""Diagnostics: `diag_addr` of a bot, over HTTP. `/livez` says that the process answers, `/readyz` how its parts are,
`/readyz/NAME` how one is, `/metrics` how often each did its work (Prometheus, text format 0.0.4).

Reference: machine identity, sections 9 and 12.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from teleport.base import tasks
from teleport.base.log import logger
from teleport.bot.health import Condition, Health, Histogram, Tallies, Tally
from teleport.net.bridge import as_transport
from teleport.net.network import Network
from teleport.net.stream import Stream

log = logger("TBOT")

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Diagnostics:
    """Answers questions about one bot."""

    def __init__(self, health: Health, tallies: Tallies) -> None:
        self._health = health
        self._tallies = tallies

    @asynccontextmanager
    async def serving(self, network: Network, address: str) -> AsyncIterator[str]:
        """Serve for the time of a block; yield the address (`host:port`). Raises what listening raises."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._livez), web.get("/readyz", self._readyz),
                web.get("/readyz/{name}", self._readyz_of), web.get("/metrics", self._metrics),
            ]
        )  # fmt: skip
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        server = runner.server
        assert server is not None  # noqa: S101 - set up above

        async def serve(stream: Stream) -> None:
            transport, _ = as_transport(stream, server)
            await transport.wait_closed()

        listener = await network.listen(address, serve)
        serving = tasks.spawn(listener.serve_forever(), name="diagnostics", on_error=_ended)
        log.info("Diagnostics are served", address=listener.address)
        try:
            yield listener.address
        finally:
            await tasks.cancel(serving)
            await listener.close()
            await runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, request: web.Request) -> web.Response:
        ready = self._health.ready
        services = {name: _condition(each) for name, each in self._health.conditions.items()}
        told = {"status": "healthy" if ready else "unhealthy", "services": services}
        return web.json_response(told, status=200 if ready else 503)

    async def _readyz_of(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = self._health.conditions.get(name)
        if found is None:
            return web.json_response({"error": f"there is no service {name[:80]!r}"}, status=404)
        return web.json_response(_condition(found), status=200 if found.state == "healthy" else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        text = "".join(f"{line}\n" for line in metrics(self._tallies))
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})


def metrics(tallies: Tallies) -> Iterator[str]:
    """Yield the lines of the metrics."""
    labelled = {f'service="{service}",name="{task}"': tally for (service, task), tally in tallies.items()}
    counters: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
        ("tbot_task_iterations_total", "Rounds of a task.", lambda tally: tally.rounds),
        ("tbot_task_iterations_failed", "Rounds of which no attempt succeeded.", lambda tally: tally.failed),
    )
    for name, text, value in counters:
        yield from (f"# HELP {name} {text}", f"# TYPE {name} counter")
        yield from (f"{name}{{{labels}}} {value(tally)}" for labels, tally in labelled.items())
    retries = {labels: tally.retries for labels, tally in labelled.items()}
    yield from _histogram("tbot_task_iterations_successful", "Retries of rounds that succeeded.", retries)
    seconds = {labels: tally.seconds for labels, tally in labelled.items()}
    yield from _histogram("tbot_task_iteration_duration_seconds", "How long a round took.", seconds)


def _histogram(name: str, text: str, found: Mapping[str, Histogram]) -> Iterator[str]:
    yield from (f"# HELP {name} {text}", f"# TYPE {name} histogram")
    for labels, each in found.items():
        for bound, count in zip(each.bounds, each.counts, strict=True):
            yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
        yield f'{name}_bucket{{{labels},le="+Inf"}} {each.count}'
        yield f"{name}_sum{{{labels}}} {each.total}"
        yield f"{name}_count{{{labels}}} {each.count}"


def _condition(found: Condition) -> dict[str, str]:
    return {"status": found.state, "reason": found.reason}


def _ended(error: BaseException) -> None:
    log.error("Diagnostics are no longer served", error=error)
