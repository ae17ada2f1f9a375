"""The filter never denies what is there, and seldom affirms what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.store.recordings.index_filter import Question, build
from teleport.store.recordings.index_lines import fold


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=30)), st.data())
def test_what_is_there_is_possible(lines: list[str], data: st.DataObject) -> None:
    text = "".join(line + "\n" for line in lines)
    bits = build(text)
    for line in lines:
        folded = fold(line)
        start = data.draw(st.integers(0, len(folded)))
        assert Question(folded[start : start + 8]).possible(bits)
        assert Question(line).possible(bits)


def test_what_is_not_there_is_mostly_impossible() -> None:
    bits = build("".join(f"line number {number} of a log\n" for number in range(3000)))
    wrong = sum(Question(f"zq{number}xw").possible(bits) for number in range(1000))
    assert wrong < 20
    assert Question("NUMBER 2999 of").possible(bits)
    assert Question("ab").possible(bits)


def test_a_damaged_filter() -> None:
    for bits in (b"", b"abc"):
        with pytest.raises(BadParameter) as caught:
            Question("text").possible(bits)
        assert caught.value.code == "INDEX-DAMAGED"
