"""Lines of an index: kept once, bounded, found with the time of the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.store.recordings import index_lines
from teleport.store.recordings.index_lines import Collector, Hit, Lines, find, fold, inflate


def collected(*lines: tuple[str, list[int], int]) -> Lines:
    collector = Collector()
    for text, times, last in lines:
        collector.line(list(text), times, last)
    return collector.lines()


def test_the_time_is_that_of_the_text_not_of_the_line() -> None:
    lines = collected(("ls -l", [1, 2, 3, 4, 5], 50))
    assert find(lines, "ls", limit=9) == [Hit(2, 50, "ls -l")]
    assert find(lines, "-l", limit=9) == [Hit(5, 50, "ls -l")]
    assert find(lines, "LS -L", limit=9) == [Hit(5, 50, "ls -l")]
    assert find(lines, "la", limit=9) == []


def test_the_first_of_several_places_in_a_line_counts() -> None:
    lines = collected(("a b a", [9, 9, 9, 2, 2], 9))
    assert find(lines, "a", limit=9)[0].at == 2


def test_a_line_is_kept_once_with_its_first_time_and_its_last() -> None:
    lines = collected(("same", [7] * 4, 10), ("same", [30] * 4, 40), ("other", [1] * 5, 2))
    assert find(lines, "same", limit=9) == [Hit(7, 40, "same")]
    assert find(lines, "e", limit=9) == [Hit(1, 2, "other"), Hit(7, 40, "same")]
    assert len(find(lines, "e", limit=1)) == 1
    earlier = collected(("same", [7] * 4, 10), ("same", [3] * 4, 5))
    assert find(earlier, "same", limit=9) == [Hit(3, 10, "same")]


def test_cells_of_no_and_of_several_characters() -> None:
    collector = Collector()
    collector.line(["가", "", "나", "", "é", "x", " "], [1, 1, 2, 2, 3, 4, 9], 10)
    assert find(collector.lines(), "나é", limit=9) == [Hit(3, 10, "가나éx")]
    assert find(collector.lines(), "나e\u0301X", limit=9)[0].at == 4


def test_blank_lines_are_none() -> None:
    assert collected(("   ", [1, 1, 1], 5)).text == ""
    assert find(collected(), "x", limit=5) == []
    assert find(collected(("x", [1], 1)), "", limit=5) == []


def test_what_rushed_past_does_not_take_the_place_of_what_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_lines, "PASSING_CHARACTERS", 50)
    monkeypatch.setattr(index_lines, "STANDING_CHARACTERS", 50)
    collector = Collector()
    collector.plain((f"line {number}" for number in range(1000)), 5)
    collector.line(list("typed"), [6] * 5, 1000)
    lines = collector.lines()
    assert lines.dropped > 900
    assert lines.dropped_at == 5
    assert find(lines, "typed", limit=9) == [Hit(6, 1000, "typed")]


def test_a_line_that_is_too_long_is_cut_with_an_overlap() -> None:
    collector = Collector()
    text = "x" * (index_lines.LONGEST_LINE - 3) + "needle" + "y" * 100
    collector.plain([text], 1)
    assert find(collector.lines(), "needle", limit=9)
    collector.line(list(text), [1] * len(text), 1)


@given(st.text(st.characters(exclude_characters="\n")))
def test_folding_keeps_the_length(text: str) -> None:
    composed = index_lines.unicodedata.normalize("NFC", text)
    assert len(fold(text)) == len(composed)
    assert fold(fold(text)) == fold(text)


def test_what_inflates_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_lines, "LARGEST", 1000)
    with pytest.raises(BadParameter):
        inflate(index_lines.zlib.compress(bytes(5000)))


def test_times_that_are_missing_are_damage() -> None:
    lines = collected(("one", [1] * 3, 5))
    with pytest.raises(BadParameter):
        find(lines._replace(text="one\ntwo\n"), "two", limit=5)
