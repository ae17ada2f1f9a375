"""What signals do inside of the process: waiting for sessions, telling so, ending. In virtual time."""

import asyncio
import signal

from teleport.base.errors import Unavailable
from teleport.net.memory_network import MemoryNetwork
from teleport.process.drain import DrainableNetwork
from teleport.process.duty import Duty
from teleport.process.life import DRAIN_BOUND, Life
from teleport.process.pulse import Pulse
from tests.support.log_lines import said
from tests.support.virtual_loop import run

__all__ = ["said"]


class Reloads:
    """Counts."""

    def __init__(self):
        self.count = 0
        self.sound = True

    def reload(self):
        self.count += 1

    def check(self):
        return self.sound


class House:
    """A life whose signals the test gives."""

    def __init__(self, bound=DRAIN_BOUND, successor=None):
        self.network = DrainableNetwork(MemoryNetwork())
        self.stopped = asyncio.Event()
        self.reloads = Reloads()
        self.duty, self.back = Duty(), []
        self.life = Life(
            stop=self.stopped.set,
            network=self.network,
            reloader=self.reloads,
            bound=bound,
            successor=successor,
            duty=self.duty,
            back=lambda: self.back.append(self.duty.on),
        )

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


class Next:
    """A process that is started, or is not."""

    def __init__(self, problem=""):
        self.problem = problem
        self.started = 0
        self.over = asyncio.Event()

    async def start(self):
        self.started += 1
        await asyncio.sleep(2)
        if self.problem:
            raise Unavailable("PROC-SUCCESSOR", problem=self.problem)
        return 4711

    async def ended(self):
        await self.over.wait()


def test_hangup_hands_over_and_ends_with_the_last_session(said):
    async def body():
        after = Next()
        house = House(successor=after)
        async with house.running():
            await house.session(3600)
            await house.network.listen("unix:/debug.sock", lambda stream: asyncio.sleep(0))
            house.actions[signal.SIGHUP]()
            house.actions[signal.SIGHUP]()
            house.actions[signal.SIGUSR2]()
            await asyncio.sleep(1)
            assert house.duty.on
            assert not house.network.draining
            await house.stopped.wait()
            assert 3600 <= seconds() < 3603
            assert (after.started, house.duty.on, house.reloads.count) == (1, False, 0)
            assert house.network.draining

    run(body())
    text = said.getvalue()
    assert "Another process has taken over, this one waits for its sessions to finish successor:4711" in text
    assert text.count("another process is there already") == 2


def test_what_cannot_take_over_changes_nothing(said):
    async def body(sound, problem):
        house = House(successor=Next(problem))
        house.reloads.sound = sound
        async with house.running():
            for _ in range(2):  # and it may be tried again
                house.actions[signal.SIGHUP]()
                await asyncio.sleep(5)
            assert house.duty.on
            assert not house.network.draining
            return house.life._successor.started

    assert run(body(True, "it has ended")) == 2
    assert said.getvalue().count("The configuration was not reloaded") == 2
    assert run(body(False, "")) == 0


def test_two_serve_side_by_side_until_one_ends(said):
    async def body(quits):
        after = Next()
        house = House(successor=after)
        async with house.running():
            await house.session(60)
            house.actions[signal.SIGUSR2]()
            await asyncio.sleep(5)
            assert not house.network.draining
            assert not house.duty.on
            if quits:
                house.actions[signal.SIGQUIT]()
            after.over.set()
            await asyncio.sleep(1)
            assert house.duty.on is not quits
            assert house.back == ([] if quits else [False])

    run(body(False))
    run(body(True))
    assert "serves alone again" in said.getvalue()


def test_user_signal_2_without_a_successor(said):
    async def body():
        house = House()
        async with house.running():
            house.actions[signal.SIGUSR2]()

    run(body())
    assert "which a process with the Auth Service ignores" in said.getvalue()
