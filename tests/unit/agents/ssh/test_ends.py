"""When a connection is ended: by its certificate, by nobody using it, and never otherwise."""

import asyncio
import datetime as dt

from teleport.access.roleset import Options
from teleport.agents.ssh.ends import LOOK, Ends, Watch
from teleport.base.struct import Duration
from tests.support import virtual_loop

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class LoopClock:
    """Wall time that goes with the loop's, and may jump."""

    def __init__(self):
        self.jumped = 0.0

    def now(self):
        return START + dt.timedelta(seconds=asyncio.get_running_loop().time() + self.jumped)


def run(ends, story):
    """Run a story with a watch; return what the connection was ended with, and when."""

    async def body():
        told, failures, clock = [], [], LoopClock()

        def end(reason, text):
            told.append((reason, text, asyncio.get_running_loop().time()))

        watch = Watch(ends, clock, end, failures.append)
        await story(watch, clock)
        await watch.stop()
        assert failures == []
        return told

    return virtual_loop.run(body())


def test_certificate():
    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(seconds=100))
        await asyncio.sleep(1000)

    ((reason, text, at),) = run(Ends(with_certificate=True), story)
    assert (reason, text) == ("client certificate expired", "client certificate expired: sign in again with tsh login")
    assert 100 <= at < 101
    assert run(Ends(), story) == []


def test_time_in_which_the_machine_slept_counts():
    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(hours=1))
        clock.jumped = 3600.0
        await asyncio.sleep(1000)

    ((_, _, at),) = run(Ends(with_certificate=True), story)
    assert at <= LOOK


def test_only_use_puts_the_end_off():
    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(hours=1))
        for _ in range(5):
            await asyncio.sleep(50)
            watch.used()
        await asyncio.sleep(1000)

    said = "client exceeded idle timeout of 1m0s"
    assert run(Ends(idle=60), story) == [(said, f"{said}; connect again to go on", 310.0)]
    ((reason, text, _),) = run(Ends(idle=60, idle_message="Good night"), story)
    assert (reason, text) == ("client exceeded idle timeout of 1m0s", "Good night")


def test_roles_shorten_and_add():
    ends = Ends(idle=60, idle_message="Good night")
    assert ends.with_roles(Options()) == ends
    assert ends.with_roles(Options(client_idle_timeout=Duration(30))).idle == 30
    assert ends.with_roles(Options(client_idle_timeout=Duration(90))).idle == 60
    assert Ends().with_roles(Options(client_idle_timeout=Duration(90))) == Ends(idle=90)
    assert Ends().with_roles(Options(disconnect_expired_cert=True)).with_certificate
    assert Ends(with_certificate=True).with_roles(Options()).with_certificate


def test_other_ends_hold_from_then_on_and_use_still_counts():
    async def story(watch, clock):
        await watch.change(Ends(idle=100))
        await watch.begin(START + dt.timedelta(hours=1))
        await asyncio.sleep(50)
        await watch.change(Ends(idle=60))
        await watch.change(Ends(idle=60))
        await asyncio.sleep(1000)

    ((_, _, at),) = run(Ends(), story)
    assert at == 60


def test_whichever_comes_first_and_once():
    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(seconds=100))
        await asyncio.sleep(1000)

    ((reason, _, _),) = run(Ends(with_certificate=True, idle=300), story)
    assert "certificate" in reason
    ((reason, _, _),) = run(Ends(with_certificate=True, idle=30), story)
    assert "idle" in reason


def test_another_certificate_replaces_the_first():
    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(seconds=10))
        await watch.begin(START + dt.timedelta(seconds=500))
        await asyncio.sleep(1000)

    ((_, _, at),) = run(Ends(with_certificate=True), story)
    assert at >= 500
