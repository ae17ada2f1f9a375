"""What signals do inside of the process: waiting for sessions, telling so, ending. In virtual time."""

import asyncio
import signal

from teleport.net.memory_network import MemoryNetwork
from teleport.process.drain import DrainableNetwork
from teleport.process.life import DRAIN_BOUND, Life
from teleport.process.pulse import Pulse
from tests.support.log_lines import said
from tests.support.virtual_loop import run

__all__ = ["said"]


class Reloads:
    """Counts."""

    def __init__(self):
        self.count = 0

    def reload(self):
        self.count += 1


class House:
    """A life whose signals the test gives."""

    def __init__(self, bound=DRAIN_BOUND):
        self.network = DrainableNetwork(MemoryNetwork())
        self.stopped = asyncio.Event()
        self.reloads = Reloads()
        self.life = Life(stop=self.stopped.set, network=self.network, reloader=self.reloads, bound=bound)

    def attach(self, actions):
        self.actions = actions

    def running(self):
        return self.life.running(self, Pulse())

    async def session(self, seconds):
        async def serve(stream):
            await asyncio.sleep(seconds)

        await self.network.listen("node:3022", serve)
        return await self.network.dial("node:3022")


def seconds():
    return asyncio.get_running_loop().time()


def test_quit_ends_with_the_last_session(said):
    async def body():
        house = House()
        async with house.running():
            await house.session(3600)
            house.actions[signal.SIGQUIT]()
            await house.stopped.wait()
            assert 3600 <= seconds() < 3602

    run(body())
    text = said.getvalue()
    assert 'Got signal "quit", waiting for sessions to finish.' in text
    assert text.count("Waiting for services: node:3022 (1) to finish.") == 360  # every ten seconds
    assert "All sessions have finished, exiting." in text


def test_quit_without_sessions_ends_at_once(said):
    async def body():
        house = House()
        async with house.running():
            house.actions[signal.SIGQUIT]()
            await house.stopped.wait()
            assert seconds() < 1

    run(body())


def test_quit_waits_no_longer_than_the_bound(said):
    async def body():
        house = House(bound=60)
        async with house.running():
            stream = await house.session(1_000_000)
            house.actions[signal.SIGQUIT]()
            house.actions[signal.SIGQUIT]()
            await house.stopped.wait()
            assert 60 <= seconds() < 62
            assert await stream.read(1) == b""

    run(body())
    assert "already waiting" in said.getvalue()


def test_term_ends_a_drain(said):
    async def body():
        house = House()
        async with house.running():
            await house.session(1_000_000)
            house.actions[signal.SIGQUIT]()
            await asyncio.sleep(5)
            house.actions[signal.SIGTERM]()
            await house.stopped.wait()
            assert seconds() < 6

    run(body())


def test_hangup_reloads_and_int_stops():
    async def body():
        house = House()
        async with house.running():
            house.actions[signal.SIGHUP]()
            assert house.reloads.count == 1
            house.actions[signal.SIGINT]()
            assert house.stopped.is_set()

    run(body())
