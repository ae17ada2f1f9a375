"""Counts of what has happened."""

from __future__ import annotations

from teleport.base.counters import Counters


def test_who_names_a_counter_shares_it() -> None:
    counters = Counters()
    counters.get("a_total", "A.").add()
    counters.get("a_total", "A.").add(2)
    counters.get("b_total", "B.")
    assert [(each.name, each.help, each.value) for each in counters] == [("a_total", "A.", 3), ("b_total", "B.", 0)]
