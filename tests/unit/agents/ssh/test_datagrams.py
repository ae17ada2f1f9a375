"""Messages as datagrams."""

from typing import Literal, NamedTuple

import pytest

from teleport.agents.ssh.datagrams import Book
from teleport.base.errors import BadParameter


class Word(NamedTuple):
    id: int
    text: str
    data: bytes = b""
    table: dict[str, str] = {}
    choice: Literal["a", "b"] = "a"
    flag: bool = False


class Order(NamedTuple):
    id: int
    command: bytes


BOOK = Book(Word, Order, limit=500)
WORD = Word(id=7, text="ö\n", data=b"\0\xff", table={"k": "v"}, choice="b", flag=True)


@pytest.mark.parametrize("message", [WORD, Word(1, ""), Order(2, b"\xff\0x"), Order(3, b"")], ids=repr)
def test_messages_survive(message: Word | Order) -> None:
    found = BOOK.decode(BOOK.encode(message))
    assert (type(found), found) == (type(message), message)


def test_what_may_be_left_out_has_its_default() -> None:
    assert BOOK.decode(b'{"kind": "Word", "id": 1, "text": "x"}') == Word(1, "x")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"7", b"\xff", b'{"kind": 7}', b'{"kind": ["Word"]}', b'{"kind": "Other"}', b"[" * 400,
        b'{"kind": "Word", "id": 1}',
        b'{"kind": "Word", "id": true, "text": "x"}',
        b'{"kind": "Word", "id": 1.0, "text": "x"}',
        b'{"kind": "Word", "id": 1, "text": null}',
        b'{"kind": "Word", "id": 1, "text": "x", "data": "?"}',
        b'{"kind": "Word", "id": 1, "text": "x", "data": "\xc3\xb6"}',
        b'{"kind": "Word", "id": 1, "text": "x", "data": 5}',
        b'{"kind": "Word", "id": 1, "text": "x", "table": {"a": 1}}',
        b'{"kind": "Word", "id": 1, "text": "x", "table": []}',
        b'{"kind": "Word", "id": 1, "text": "x", "choice": "c"}',
        b'{"kind": "Word", "id": 1, "text": "x", "choice": ["a"]}',
        b'{"kind": "Word", "id": 1, "text": "x", "flag": 1}',
        b'{"kind": "Word", "id": 1, "text": "x", "more": 1}',
        b'{"kind": "Word", "id": 1, "text": "x"}\0tail',
        b'{"kind": "Order", "id": 1}',
        b'{"kind": "Order", "id": 1, "command": "eA=="}',
        BOOK.encode(Word(1, "x")) + b" " * 500,
    ],
)  # fmt: skip
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(BadParameter) as caught:
        BOOK.decode(data)
    assert caught.value.code == "SSH-SPAWN-MESSAGE"


def test_messages_are_bounded_when_written() -> None:
    with pytest.raises(BadParameter, match="at most 500"):
        BOOK.encode(Word(1, "x" * 500))
