"""Output of programs, taken apart."""

from __future__ import annotations

import pytest

from teleport.wire import terminal_output as terminal
from teleport.wire.terminal_output import CONTROL, ESCAPE, SEQUENCE, STRING, TEXT, Token, Tokenizer, numbers


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("ab\r\n", [Token(TEXT, "ab"), Token(CONTROL, "\r"), Token(CONTROL, "\n")]),
        ("\x1b[1;31mred\x9b0m", [Token(SEQUENCE, "1;31", "m"), Token(TEXT, "red"), Token(SEQUENCE, "0", "m")]),
        ("\x1b[?1049h\x1b[>4;2m", [Token(SEQUENCE, "?1049", "h"), Token(SEQUENCE, ">4;2", "m")]),
        ("\x1b7\x1b(0\x1b#8\x1b=", [Token(ESCAPE, *e) for e in (("", "7"), ("(", "0"), ("#", "8"), ("", "="))]),
        ("\x1b]0;title\x07x", [Token(STRING, "0;title", "]"), Token(TEXT, "x")]),
        ("\x1bP1$r\x07q\x1b\\x", [Token(STRING, "1$rq", "P"), Token(TEXT, "x")]),
        ("\x9d52;c;eA==\x9cx", [Token(STRING, "52;c;eA==", "]"), Token(TEXT, "x")]),
        ("\x1b_a\x18x", [Token(STRING, "a", "_"), Token(TEXT, "x")]),
        ("\x1b]0;a\x1b[mx", [Token(STRING, "0;a", "]"), Token(SEQUENCE, "", "m"), Token(TEXT, "x")]),
        ("\x1b[3\n1m", [Token(CONTROL, "\n"), Token(SEQUENCE, "31", "m")]),
        ("\x1b[3\x18x", [Token(CONTROL, "\x18"), Token(TEXT, "x")]),
        ("\x1b\x1b[mx", [Token(SEQUENCE, "", "m"), Token(TEXT, "x")]),
        ("\x1b\x00x", [Token(CONTROL, "\x00"), Token(TEXT, "x")]),
    ],
)
def test_tokens_whole_and_character_by_character(text: str, tokens: list[Token]) -> None:
    assert list(Tokenizer().feed(text)) == tokens
    pieces = Tokenizer()
    assert _joined(token for char in text for token in pieces.feed(char)) == _joined(tokens)
    assert pieces.ground


def test_what_is_begun_waits_for_its_end() -> None:
    tokens = Tokenizer()
    assert tokens.ground
    assert list(tokens.feed("\x1b[3")) == []
    assert not tokens.ground
    assert list(tokens.feed("1m\x1b]2;")) == [Token(SEQUENCE, "31", "m")]
    assert not tokens.ground


def test_a_string_that_never_ends_hides_nothing_for_long() -> None:
    tokens = Tokenizer()
    found = [token for _ in range(300) for token in tokens.feed("\x1b_" + "y" * 1000)]
    assert max(len(token.body) for token in found if token.kind == STRING) <= terminal.KEPT_OF_STRING
    tokens = Tokenizer()
    found = list(tokens.feed("\x1bP")) + [token for _ in range(80) for token in tokens.feed("z" * 1000)]
    assert [token.kind for token in found][:2] == [STRING, TEXT]


def test_an_endless_sequence_is_dropped() -> None:
    tokens = Tokenizer()
    found = [token for _ in range(100) for token in tokens.feed("\x1b[" + "1" * 500)]
    assert all(token.kind == TEXT for token in found)


def test_numbers() -> None:
    assert numbers("1;31") == [1, 31]
    assert numbers("38:2::1:2:3;;x;99999999999") == [38, 0, 0, 9999]
    assert numbers("", default=1) == [1]
    assert len(numbers(";" * 100)) == 32


def _joined(tokens: object) -> list[Token]:
    """Text that came in pieces is one text."""
    found: list[Token] = []
    for token in tokens:  # type: ignore[attr-defined]
        if found and token.kind == TEXT == found[-1].kind:
            found[-1] = Token(TEXT, found[-1].body + token.body)
        else:
            found.append(token)
    return found
