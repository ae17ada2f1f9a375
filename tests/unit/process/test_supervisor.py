"""The supervisor in virtual time: order, readiness, failures, back-off, the end."""

import asyncio
import itertools

import pytest

from teleport.base import tasks
from teleport.base.errors import Internal, TimedOut, Unavailable
from teleport.process.supervisor import READY_WITHIN, Entry, Supervisor
from tests.support import virtual_loop

DOWN = Unavailable("API-UNAVAILABLE", problem="down")


class Part:
    """A service that notes what happens to it in `notes`, as `(seconds, what)`."""

    def __init__(self, notes, name, *, starts=1.0, lives=None, fails=None, stops=0.0, deaf=0.0):
        self.notes = notes
        self.name = name
        self.starts, self.lives, self.fails, self.stops, self.deaf = starts, lives, fails, stops, deaf
        self.runs = 0

    def note(self, what):
        self.notes.append((asyncio.get_running_loop().time(), f"{self.name} {what}"))

    async def run(self, ready):
        self.runs += 1
        self.note("start")
        await asyncio.sleep(self.starts)
        ready()
        self.note("ready")
        try:
            await asyncio.sleep(1e9 if self.lives is None else self.lives)
        except asyncio.CancelledError:
            await asyncio.sleep(self.stops)
            self.note("stop")
            raise
        if self.fails is not None:
            raise self.fails


def supervise(entries, *, stop_after=100.0, grace=10.0, on_ready=lambda: None):
    """Run services, stop them after some time, and return the loop's time at the end."""

    async def body():
        loop = virtual_loop.current()
        supervisor = Supervisor(entries, entropy=loop.entropy, grace=grace)
        loop.call_later(stop_after, supervisor.stop)
        try:
            await supervisor.run(on_ready)
        finally:
            supervise.ended = loop.time()
        return loop.time()

    return virtual_loop.run(body())


def test_services_start_one_after_the_other_and_stop_in_reverse():
    notes = []
    supervise(
        [Entry(Part(notes, name)) for name in "abc"], on_ready=lambda: notes.append((0, "all ready")), stop_after=10
    )
    assert [what for _, what in notes] == [
        "a start", "a ready", "b start", "b ready", "c start", "c ready", "all ready", "c stop", "b stop", "a stop",
    ]  # fmt: skip
    assert [at for at, what in notes if what.endswith("start")] == [0, 1, 2]


def test_each_stops_before_the_one_below_it_is_told():
    notes = []
    entries = [Entry(Part(notes, name, stops=2)) for name in "ab"]
    assert supervise(entries, stop_after=10) == 14
    assert notes[-2:] == [(12, "b stop"), (14, "a stop")]


def test_failure_of_a_critical_service_ends_the_process_with_it():
    notes = []
    entries = [Entry(Part(notes, "a")), Entry(Part(notes, "b", lives=5, fails=DOWN)), Entry(Part(notes, "c"))]
    with pytest.raises(Unavailable) as caught:
        supervise(entries)
    assert caught.value is DOWN
    assert [what for _, what in notes[-2:]] == ["c stop", "a stop"]
    assert supervise.ended == 7


def test_failure_at_the_start_does_not_wait_for_readiness():
    class Broken:
        name = "broken"

        async def run(self, ready):
            raise DOWN

    told = []
    with pytest.raises(Unavailable):
        supervise([Entry(Broken())], on_ready=lambda: told.append("ready"))
    assert (supervise.ended, told) == (0, [])


def test_any_exception_of_a_critical_service_ends_the_process():
    with pytest.raises(KeyError):
        supervise([Entry(Part([], "a", lives=1, fails=KeyError("x")))])


def test_failure_of_one_part_is_taken_out_of_its_group():
    class Group:
        name = "group"

        async def run(self, ready):
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(1e9))
                ready()
                raise DOWN

    with pytest.raises(Unavailable) as caught:
        supervise([Entry(Group())])
    assert caught.value is DOWN


def test_service_that_ends_by_itself_has_failed():
    with pytest.raises(Internal) as caught:
        supervise([Entry(Part([], "a", lives=1))])
    assert caught.value.code == "PROC-ENDED"


@pytest.mark.parametrize("failure", [DOWN, ValueError("x"), ExceptionGroup("g", [DOWN])])
def test_other_services_are_started_again_with_growing_pauses(failure):
    notes = []

    class Broken(Part):
        async def run(self, ready):
            self.runs += 1
            self.note("start")
            raise failure

    entries = [Entry(Broken(notes, "b"), critical=False), Entry(Part(notes, "a"))]
    supervise(entries, stop_after=3600)
    starts = [at for at, what in notes if what == "b start"]
    pauses = [b - a for a, b in itertools.pairwise(starts)]
    assert 50 < len(starts) < 400
    assert max(pauses) <= 60
    assert sum(pauses[:4]) < 8
    assert entries[0].failure
    assert not entries[0].ready


def test_pauses_begin_anew_after_a_service_has_worked():
    notes = []
    entry = Entry(Part(notes, "b", lives=500, fails=DOWN), critical=False)
    supervise([entry], stop_after=20_000)
    starts = [at for at, what in notes if what == "b start"]
    assert all(b - a <= 501 + 0.5 for a, b in itertools.pairwise(starts))
    assert len(starts) > 30


def test_process_is_ready_when_all_are():
    async def body():
        loop = virtual_loop.current()
        entries = [Entry(Part([], name)) for name in "ab"]
        supervisor = Supervisor(entries, entropy=loop.entropy)
        task = tasks.spawn(supervisor.run(lambda: None), name="run", on_error=lambda error: None)
        seen = []
        for _ in range(3):
            await asyncio.sleep(0.9)
            seen.append(supervisor.is_ready)
        supervisor.stop()
        await task
        return seen

    assert virtual_loop.run(body()) == [False, False, True]


def test_service_that_is_never_ready_is_named():
    entries = [Entry(Part([], "a")), Entry(Part([], "slow", starts=1e6))]
    with pytest.raises(TimedOut) as caught:
        supervise(entries, stop_after=1000)
    assert caught.value.code == "PROC-NOT-READY"
    assert "slow" in caught.value.what
    assert supervise.ended == 1 + READY_WITHIN


def test_service_that_is_not_critical_is_not_waited_for():
    notes = []
    supervise([Entry(Part(notes, "slow", starts=1e6), critical=False), Entry(Part(notes, "a"))], stop_after=10)
    assert (1, "a ready") in notes


def test_stop_while_starting():
    notes = []
    told = []
    entries = [Entry(Part(notes, "a")), Entry(Part(notes, "b", starts=50)), Entry(Part(notes, "c"))]
    assert supervise(entries, stop_after=5, on_ready=lambda: told.append(1)) == 5
    assert told == []
    assert "c start" not in [what for _, what in notes]


def test_service_that_does_not_stop_is_left_behind_after_its_grace(caplog):
    notes = []
    entries = [Entry(Part(notes, "a")), Entry(Part(notes, "stuck", stops=25))]
    assert supervise(entries, stop_after=10, grace=10) == 20
    assert [(at, what) for at, what in notes if what == "a stop"] == [(20, "a stop")]
    assert "Service did not stop in time" in caplog.text


def test_failure_while_stopping_is_not_lost():
    class Sore(Part):
        async def run(self, ready):
            try:
                await super().run(ready)
            finally:
                raise DOWN

    with pytest.raises(Unavailable):
        supervise([Entry(Sore([], "a"))], stop_after=5)


def test_first_failure_is_the_one_that_is_raised():
    entries = [
        Entry(Part([], "a", lives=5, fails=DOWN)),
        Entry(Part([], "b", lives=6, stops=1, fails=KeyError("later"))),
    ]
    with pytest.raises(Unavailable):
        supervise(entries)
