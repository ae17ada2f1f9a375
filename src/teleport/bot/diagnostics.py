"""Diagnostics: `diag_addr` of a bot, over HTTP. `/livez` says that the process answers, `/readyz` how its parts are,
`/readyz/NAME` how one is, `/metrics` how often each did its work (Prometheus, text format 0.0.4).

One GET for each connection, without a library: a bot that nobody asks should not hold the memory of a web server.
Reference: machine identity, sections 9 and 12.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

from teleport.base import tasks
from teleport.base.log import logger
from teleport.bot.health import Condition, Health, Histogram, Tallies, Tally
from teleport.net.network import Network
from teleport.net.stream import Stream

log = logger("TBOT")

JSON, METRICS = "application/json", "text/plain; version=0.0.4; charset=utf-8"
PATIENCE = 10.0
"""Seconds in which a question must be asked."""
LONGEST = 8192
"""Bytes of a question."""
_QUESTION = re.compile(rb"GET (/[!-~]*) HTTP/1\.[01]\r\n")


class Answer(NamedTuple):
    """What is said to a question."""

    status: int
    content: str
    kind: str = JSON


class Diagnostics:
    """Answers questions about one bot."""

    def __init__(self, health: Health, tallies: Tallies) -> None:
        self._health = health
        self._tallies = tallies

    @asynccontextmanager
    async def serving(self, network: Network, address: str) -> AsyncIterator[str]:
        """Serve for the time of a block; yield the address (`host:port`). Raises what listening raises."""
        listener = await network.listen(address, self._serve)
        serving = tasks.spawn(listener.serve_forever(), name="diagnostics", on_error=_ended)
        log.info("Diagnostics are served", address=listener.address)
        try:
            yield listener.address
        finally:
            await tasks.cancel(serving)
            await listener.close()

    async def _serve(self, stream: Stream) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                found = self.answer(await _path(stream))
                body = found.content.encode()
                head = (
                    f"HTTP/1.1 {found.status} {HTTPStatus(found.status).phrase}\r\nContent-Type: {found.kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                await stream.write(head.encode() + body)
                await stream.write_eof()
        except TimeoutError:
            log.debug("A question was not asked in time", peer=stream.peer.address)

    def answer(self, path: str) -> Answer:
        """Return what is said of a path; empty where the question could not be read."""
        match path.strip("/").split("/"):
            case ["livez"]:
                return Answer(200, json.dumps({"status": "ok"}))
            case ["readyz"]:
                return self._every()
            case ["readyz", name]:
                return self._one(name)
            case ["metrics"]:
                return Answer(200, "".join(f"{line}\n" for line in metrics(self._tallies)), METRICS)
        return Answer(404 if path else 400, json.dumps({"error": "ask for /livez, /readyz, /readyz/NAME or /metrics"}))

    def _every(self) -> Answer:
        ready = self._health.ready
        services = {name: _condition(each) for name, each in self._health.conditions.items()}
        told = {"status": "healthy" if ready else "unhealthy", "services": services}
        return Answer(200 if ready else 503, json.dumps(told))

    def _one(self, name: str) -> Answer:
        found = self._health.conditions.get(name)
        if found is None:
            return Answer(404, json.dumps({"error": f"there is no service {name[:80]!r}"}))
        return Answer(200 if found.state == "healthy" else 503, json.dumps(_condition(found)))


async def _path(stream: Stream) -> str:
    """Read a question; return its path, or nothing if it is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = await stream.read()
        data += part
        if not part or len(data) > LONGEST:
            return ""
    found = _QUESTION.match(data)
    return unquote(found[1].decode().partition("?")[0]) if found else ""


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
