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


def run(ends, story, warnings=None, heard_from=0.0):
    """Run a story with a watch; return what the connection was ended with, and when."""

    async def body():
        told, failures, clock = [], [], LoopClock()
        warned = warnings if warnings is not None else []

        def warn(text):
            now = asyncio.get_running_loop().time()
            if now >= heard_from:
                warned.append((text, now))
            return now >= heard_from

        def end(reason, text):
            told.append((reason, text, asyncio.get_running_loop().time()))

        watch = Watch(ends, clock, end, warn, failures.append)
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


def test_a_certificate_that_ends_soon_is_told_of_once_a_minute_before():
    warnings = []

    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(seconds=200))
        await asyncio.sleep(150)
        await watch.change(Ends(with_certificate=True, idle=1000))  # watching anew is no reason to say it again
        await asyncio.sleep(1000)

    assert len(run(Ends(with_certificate=True), story, warnings)) == 1
    ((text, at),) = warnings
    assert at == 140
    assert text.startswith("this connection ends in 1m0s with your certificate: save your work, sign in again")


def test_somebody_who_connects_in_the_last_minute_is_warned_at_once():
    warnings = []

    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(seconds=20.5))
        await asyncio.sleep(100)

    run(Ends(with_certificate=True), story, warnings)
    ((text, at),) = warnings
    assert (text[:28], at) == ("this connection ends in 21s ", 0)


def test_idleness_is_told_of_once_for_each_silence():
    warnings = []

    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(hours=1))
        await asyncio.sleep(100)
        watch.used()
        await asyncio.sleep(1000)

    ((_, _, at),) = run(Ends(idle=120), story, warnings)
    assert at == 220
    assert [at for _, at in warnings] == [90, 190]
    assert warnings[0][0] == "nobody uses this connection: it ends in 30s. Press a key to keep it"


def test_the_warning_of_a_short_idle_time_comes_in_its_last_quarter():
    warnings = []

    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(hours=1))
        await asyncio.sleep(100)

    run(Ends(idle=8), story, warnings)
    assert [at for _, at in warnings] == [6]


def test_who_comes_to_a_terminal_late_is_warned_then():
    warnings = []

    async def story(watch, clock):
        await watch.begin(START + dt.timedelta(seconds=50))
        await asyncio.sleep(100)

    run(Ends(with_certificate=True, idle=100), story, warnings, heard_from=12.0)
    assert [at for _, at in warnings] == [15]
    warnings.clear()
    run(Ends(idle=40), story, warnings, heard_from=32.0)
    assert [at for _, at in warnings] == [35]
