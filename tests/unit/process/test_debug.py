"""The debug service over a network in memory. Rows S0-05, S0-06, S0-08, S0-09."""

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from teleport.base import log
from teleport.base.entropy import SeededEntropy
from teleport.net.memory_network import MemoryNetwork
from teleport.process.debug import DebugService
from teleport.process.drain import DrainableNetwork
from teleport.process.health import Health
from teleport.process.pulse import Pulse
from teleport.process.supervisor import Entry, Supervisor
from tests.support.log_lines import said
from tests.unit.process.test_pprof import decoded

__all__ = ["said"]

ADDRESS = "unix:/run/debug.sock"


class Named:
    """A service that only has a name."""

    def __init__(self, name):
        self.name = name

    async def run(self, ready):
        ready()


class Door:
    """Asks the service."""

    def __init__(self, network, supervisor, health):
        self.health = health
        self.network = network
        self.supervisor = supervisor

    async def ask(self, method, path, body=""):
        """Return status and body of the answer."""
        stream = await self.network.dial(ADDRESS)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        await stream.write((head + body).encode())
        answer = b""
        while part := await stream.read(1 << 16):
            answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def json(self, method, path, body=""):
        status, answer = await self.ask(method, path, body)
        return status, json.loads(answer)


@asynccontextmanager
async def serving(uid=0):
    network = DrainableNetwork(MemoryNetwork(uid=uid), kept=(), cut=0.0)
    supervisor = Supervisor([Entry(Named("auth"), ready=True), Entry(Named("proxy"))], entropy=SeededEntropy(1))
    service = DebugService(
        network, Path("/run/debug.sock"), lambda: supervisor, pulse=Pulse(), health=(health := Health())
    )
    ready = asyncio.Event()
    task = asyncio.get_running_loop().create_task(service.run(ready.set))
    await ready.wait()
    try:
        yield Door(network, supervisor, health)
    finally:
        task.cancel()
        await asyncio.wait([task])


def with_door(work, **options):
    async def body():
        async with serving(**options) as door:
            return await work(door)

    return asyncio.run(body())


@pytest.mark.usefixtures("said")
def test_levels():
    async def work(door):
        assert await door.ask("GET", "/log-level") == (200, b"INFO")
        assert await door.json("PUT", "/log-level", "debug") == (200, {"old": "INFO", "new": "DEBUG"})
        assert log.get_level() == "DEBUG"
        status, told = await door.json("PUT", "/log-level", "loud")
        assert (status, told["code"], told["fields"]) == (400, "CFG-LOG-LEVEL", {"level": "loud"})

    with_door(work)


def test_readiness():
    async def work(door):
        status, told = await door.json("GET", "/readyz")
        assert (status, told["status"], told["services"]) == (503, "not ready", {"auth": "ready", "proxy": "starting"})
        door.supervisor.entries[1].ready = True
        assert (await door.json("GET", "/readyz"))[0] == 200
        door.network.drain(0.0, lambda error: None)
        status, told = await door.json("GET", "/readyz")
        assert (status, told["status"]) == (503, "stopping")
        assert await door.json("GET", "/healthz") == (200, {"status": "ok"})

    with_door(work)


def test_readiness_follows_what_services_lack():
    async def work(door):
        lacks = [""]
        door.supervisor.entries[1].ready = True
        door.health.follow("proxy", lambda: "", lambda: lacks[0])
        assert (await door.json("GET", "/readyz"))[0] == 200
        lacks[0] = "there is no tunnel"
        status, told = await door.json("GET", "/readyz")
        assert (status, told["status"], told["services"]["proxy"]) == (503, "not ready", "there is no tunnel")
        assert b'teleport_service_ready{service="proxy"} 0\n' in (await door.ask("GET", "/metrics"))[1]
        door.health.follow("proxy")
        assert (await door.json("GET", "/readyz"))[0] == 200

    with_door(work)


def test_metrics():
    async def work(door):
        status, body = await door.ask("GET", "/metrics")
        assert status == 200
        assert b'teleport_service_ready{service="proxy"} 0\n' in body
        assert b'teleport_connections{address="unix:/run/debug.sock"} 1\n' in body

    with_door(work)


def test_profiles():
    async def work(door):
        for name in ("goroutine", "heap", "profile?seconds=1"):
            status, body = await door.ask("GET", f"/debug/pprof/{name}")
            assert status == 200
            assert decoded(body)["types"]
        assert (await door.ask("GET", "/debug/pprof/cmdline"))[0] == 200

    with_door(work)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/debug/pprof/trace", 404, "PROC-PROFILE"),
        ("/debug/pprof/profile?seconds=0", 400, "PROC-PROFILE-SECONDS"),
        ("/debug/pprof/profile?seconds=301", 400, "PROC-PROFILE-SECONDS"),
        ("/debug/pprof/profile?seconds=-1", 400, "PROC-PROFILE-SECONDS"),
        ("/debug/pprof/profile?seconds=1e3", 400, "PROC-PROFILE-SECONDS"),
        ("/nothing", 404, "PROC-DEBUG-PATH"),
    ],
)
def test_refusals_are_data(path, status, code):
    async def work(door):
        found, told = await door.json("GET", path)
        assert (found, told["code"]) == (status, code)

    with_door(work)


def test_one_profile_at_a_time():
    async def work(door):
        first = asyncio.get_running_loop().create_task(door.ask("GET", "/debug/pprof/profile?seconds=1"))
        while True:
            status, told = await door.ask("GET", "/debug/pprof/cmdline")
            if status == 429:
                break
        assert json.loads(told)["code"] == "PROC-PROFILE-BUSY"
        assert (await first)[0] == 200

    with_door(work)


def test_another_user_gets_nothing():
    async def work(door):
        stream = await door.network.dial(ADDRESS)
        assert await stream.read(1) == b""

    with_door(work, uid=os.geteuid() + 1)
