"""Planted texts are found at their millisecond; `python -m tests.recordings.planted 200 500` is the whole story."""

from __future__ import annotations

import pytest

from teleport.client.recordings import screen
from tests.recordings import planted


def test_planted_texts_are_all_found_at_their_millisecond() -> None:
    count, problems = planted.check(20, 60, seed=20)
    assert (count, problems) == (60, [])


def test_every_way_of_planting_is_used() -> None:
    ways = {plant.way for writer in planted.library(20, 60, 20) for plant in writer.plants}
    assert len(ways) == len(planted.WAYS)


def test_an_index_that_forgets_wraps_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red check: the story must notice a screen that cuts lines at the margin."""
    monkeypatch.setattr(screen.Screen, "_tell", lambda self, y: (self._tell_lines([self.rows[y]]), y + 1)[1])
    monkeypatch.setattr(screen.Screen, "_scrolled_off", lambda self, line: self._tell_lines([line]))
    _, problems = planted.check(20, 60, seed=20)
    assert any("wrapped" in problem for problem in problems)


def test_an_index_with_the_time_of_the_whole_line_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red check: the time is that of the text, not of the line."""
    monkeypatch.setattr("teleport.store.recordings.index_lines._complete", lambda runs, start, stop: max(runs[1::2]))
    _, problems = planted.check(20, 60, seed=20)
    assert problems
