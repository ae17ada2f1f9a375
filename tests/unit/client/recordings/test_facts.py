"""Positions in recordings, and what a header says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.client.recordings.facts import facts_of, position, position_text, size_in


@pytest.mark.parametrize(
    ("text", "at"),
    [("0", 0), ("83", 83000), ("83.5s", 83500), ("1m23s", 83000), ("1h2m3.25s", 3723250), ("2m", 120000),
     ("1:23", 83000), ("1:02:03.250", 3723250)],
)  # fmt: skip
def test_positions(text: str, at: int) -> None:
    assert position(text) == at


@pytest.mark.parametrize("text", ["", "x", "-1", "1d", "1:2:3:4", "1m1h", "1" * 50])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(BadParameter) as caught:
        position(text)
    assert caught.value.code == "CLIENT-POSITION"


@given(st.integers(0, 10**10))
def test_positions_are_read_as_they_are_written(at: int) -> None:
    assert position(position_text(at)) == at


def test_facts_that_are_none() -> None:
    assert facts_of(b"{") == facts_of(b"[]") == facts_of(b"[" * 5000) == {}
    assert size_in({"columns": "x"}) == size_in({"columns": 0, "rows": 5}) == (80, 25)
    assert size_in({"columns": 100, "rows": 5}) == (100, 5)
