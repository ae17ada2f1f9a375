"""Laws of taking output apart: nothing raises, and pieces of any size give the same."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from teleport.wire.terminal_output import TEXT, Token, Tokenizer

OUTPUT = st.text(
    st.one_of(st.sampled_from("\x1b\x1b\x1b[]P_^X\\;?0123456789mHJK\x07\x18\x9b\x9c\x9d \n"), st.characters()),
    max_size=80,
)


@given(OUTPUT)
def test_what_is_between_tokens_is_bounded_and_nothing_raises(text: str) -> None:
    tokens = Tokenizer()
    for token in tokens.feed(text):
        assert token.kind != TEXT or token.body.isprintable() or not set(token.body) & {"\x1b", "\x9b", "\x9d"}
    list(tokens.feed("\x1b\\\x18"))
    assert list(tokens.feed("end")) == [Token(TEXT, "end")]


@given(OUTPUT, st.lists(st.integers(0, 80)))
def test_pieces_give_the_same(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = Tokenizer()
    found = [token for a, b in itertools.pairwise(edges) for token in pieces.feed(text[a:b])]
    assert _texts(found) == _texts(list(Tokenizer().feed(text)))


def _texts(tokens: list[Token]) -> list[tuple[str, str, str]]:
    return [(t.kind, char, "") if t.kind == TEXT else (t.kind, t.body, t.final) for t in tokens for char in _chars(t)]


def _chars(token: Token) -> list[str]:
    return list(token.body) if token.kind == TEXT else [""]
