"""A fleet of bots for a day: no drift, no herd, no lock. A hundred times as many for a month with `make soak`."""

from __future__ import annotations

from tests.simulation.bot_fleet import live


def test_a_fleet_keeps_its_pace_and_does_not_come_together() -> None:
    """S1-35: the interval is 20 minutes, less a jitter that keeps bots apart which were started in one second."""
    figures = live(10, 1, seed=7)
    figures.check()
    assert 720 <= figures.renewals <= 800
