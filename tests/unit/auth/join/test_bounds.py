"""Bounds of joining: how often one source may fail, and how many are under way at a time."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest

from teleport.auth.join.bounds import FAILURES, OF_ALL, OF_ONE, Bounds
from teleport.base.clock import ManualClock
from teleport.base.errors import LimitExceeded
from tests.support.auth_cluster import START, Cluster, run
from tests.support.joiner import join, make, refused


def fail(bounds: Bounds, address: str) -> None:
    with contextlib.suppress(ZeroDivisionError), bounds.attempt(address):
        raise ZeroDivisionError


def test_failures_of_a_minute_are_counted_by_source() -> None:
    clock = ManualClock(START)
    bounds = Bounds(clock)
    for _ in range(FAILURES):
        fail(bounds, "2001:db8::1")
    with pytest.raises(LimitExceeded) as caught, bounds.attempt("2001:db8::2"):  # the same network
        pass
    assert caught.value.code == "AUTH-JOIN-OFTEN"
    with bounds.attempt("192.0.2.1"):
        pass
    clock.advance(dt.timedelta(minutes=1))
    with bounds.attempt("2001:db8::1"):
        pass


def test_what_succeeds_does_not_count() -> None:
    bounds = Bounds(ManualClock(START))
    for _ in range(3 * FAILURES):
        with bounds.attempt("192.0.2.1"):
            pass


def test_places() -> None:
    bounds = Bounds(ManualClock(START))
    with contextlib.ExitStack() as held:
        for _ in range(OF_ONE):
            held.enter_context(bounds.attempt("192.0.2.1"))
        with pytest.raises(LimitExceeded), bounds.attempt("192.0.2.1"):
            pass
        for number in range(OF_ALL - OF_ONE):
            held.enter_context(bounds.attempt(f"198.51.{number // 250}.{number % 250}"))
        with pytest.raises(LimitExceeded), bounds.attempt("203.0.113.1"):
            pass
    with bounds.attempt("192.0.2.1"):
        pass


def test_what_is_remembered_is_bounded() -> None:
    bounds = Bounds(ManualClock(START))
    for number in range(10_100):
        fail(bounds, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(bounds._failed) == 10_000


def test_whoever_guesses_is_stopped_and_others_are_not() -> None:
    async def story(cluster: Cluster) -> None:
        from teleport.api.caller import Caller

        await make(cluster)
        for number in range(FAILURES):
            assert (await refused(cluster, token=f"guess-{number}")).code == "AUTH-JOIN-TOKEN"
        assert (await refused(cluster)).code == "AUTH-JOIN-OFTEN"
        assert (await join(cluster, caller=Caller(None, "198.51.100.1:1"))).host_id

    run(story)
