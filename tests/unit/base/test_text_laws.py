"""What is written reads back; tables keep their shape."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base import text
from teleport.base.errors import BadParameter

WORDS = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=12)


@given(st.dictionaries(WORDS.filter(bool), WORDS, max_size=5))
@settings(max_examples=200, deadline=None)
def test_labels_round_trip(labels):
    assert text.parse_labels(text.label_text(labels)) == labels


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_labels_or_refused(given_text):
    with contextlib.suppress(BadParameter):
        assert isinstance(text.parse_labels(given_text), dict)


CELLS = st.text(alphabet="abc 한", max_size=8).map(str.strip)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
@settings(max_examples=100, deadline=None)
def test_cells_are_found_under_the_dashes(rows):
    header, dashes, *lines = text.table(["First", "Second"], rows)
    width = len(dashes.split(" ")[0])
    assert len(lines) == len(rows)
    assert header.index("Second") == width + 1
    for (first, second), line in zip(rows, lines, strict=True):
        pad = width - text.columns(first) + 1
        assert line == (first + " " * pad + second).rstrip()


@given(st.text(max_size=30), st.lists(st.text(max_size=12), max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_suggestion_is_always_known(word, known):
    assert text.suggest(word, known) in {*known, ""}
