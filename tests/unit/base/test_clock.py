"""Clocks are aware and in UTC."""

import datetime as dt

from teleport.base.clock import ManualClock, SystemClock


def test_system_clock_is_aware():
    assert SystemClock().now().utcoffset() == dt.timedelta(0)


def test_manual_clock_moves_only_when_told():
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    clock = ManualClock(start)
    assert clock.now() == clock.now() == start
    clock.advance(dt.timedelta(hours=1))
    assert clock.now() - start == dt.timedelta(hours=1)
