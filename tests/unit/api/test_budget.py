"""The purse: what costs, what is free, how it fills."""

from __future__ import annotations

from typing import Any

import pytest
from h2 import events

from teleport.api.budget import INCOME, PURSE, Budget


def made(cls: Any, **fields: Any) -> Any:
    event = cls.__new__(cls)
    for name, value in fields.items():
        setattr(event, name, value)
    return event


PING = made(events.PingReceived)
FREE = [
    made(events.RequestReceived), made(events.StreamEnded), made(events.SettingsAcknowledged),
    made(events.DataReceived, data=b"x", stream_ended=None),
    made(events.DataReceived, data=b"", stream_ended=made(events.StreamEnded)),
]  # fmt: skip
COSTLY = [
    PING, made(events.StreamReset), made(events.RemoteSettingsChanged), made(events.PriorityUpdated),
    made(events.UnknownFrameReceived), made(events.DataReceived, data=b"", stream_ended=None),
]  # fmt: skip


def spent(budget: Budget, event: Any, now: float) -> int:
    """Return how many such events are covered at a moment."""
    count = 0
    while budget.covers(event, now):
        count += 1
        if count > 100_000:
            break
    return count


@pytest.mark.parametrize("event", FREE, ids=lambda e: type(e).__name__)
def test_what_a_call_is_made_of_is_free(event: Any) -> None:
    assert spent(Budget(0.0), event, 0.0) > 100_000


@pytest.mark.parametrize("event", COSTLY, ids=lambda e: type(e).__name__)
def test_what_asks_for_nothing_costs(event: Any) -> None:
    assert spent(Budget(0.0), event, 0.0) == PURSE


def test_who_reads_may_say_so_often() -> None:
    assert spent(Budget(0.0), made(events.WindowUpdated), 0.0) == pytest.approx(20 * PURSE, abs=1)


def test_the_purse_fills_with_time_up_to_its_size() -> None:
    budget = Budget(5.0)
    assert spent(budget, PING, 5.0) == PURSE
    assert spent(budget, PING, 7.0) == pytest.approx(2 * INCOME, abs=1)
    assert spent(budget, PING, 1e6) == PURSE
