"""The bound on records that strangers cause."""

import datetime as dt

from teleport.agents.ssh.throttle import Throttle
from teleport.base.clock import ManualClock

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def test_so_many_in_a_window() -> None:
    clock = ManualClock(START)
    throttle = Throttle(clock, limit=2, window=dt.timedelta(minutes=1))
    assert [throttle.admit() for _ in range(4)] == [True, True, False, False]
    clock.advance(dt.timedelta(seconds=59))
    assert not throttle.admit()
    clock.advance(dt.timedelta(seconds=1))
    assert [throttle.admit() for _ in range(3)] == [True, True, False]


def test_a_clock_that_is_set_back_opens_a_new_window() -> None:
    clock = ManualClock(START)
    throttle = Throttle(clock, limit=1, window=dt.timedelta(minutes=1))
    assert throttle.admit()
    clock.advance(dt.timedelta(days=-1))
    assert throttle.admit()
