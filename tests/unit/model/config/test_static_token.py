"""Static tokens: what an entry says, and that its secret is in no error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import TeleportError
from teleport.model.config.static_token import parse


@pytest.mark.parametrize(
    ("entry", "roles", "value", "is_path"),
    [
        ("node:abc", ("Node",), "abc", False), ("Proxy, node :a:b", ("Proxy", "Node"), "a:b", False),
        ("kube:/etc/token", ("Kube",), "/etc/token", True),
    ],
)  # fmt: skip
def test_entries(entry: str, roles: tuple[str, ...], value: str, is_path: bool) -> None:
    found = parse(entry)
    assert (found.value, found.is_path) == (value, is_path)
    token = found.token("secret" if is_path else value)
    assert (token.spec.roles, token.is_static, token.metadata.expires) == (roles, True, None)


@pytest.mark.parametrize(
    "entry", ["", "node", ":abc", "node:", "node: ", "bot:hidden-1", "x:hidden-1", "node:hidden-1/a"]
)
def test_what_is_none(entry: str) -> None:
    with pytest.raises(TeleportError) as caught:
        parse(entry)
    assert "hidden-1" not in str(caught.value)


def test_a_file_without_a_secret() -> None:
    with pytest.raises(TeleportError) as caught:
        parse("node:/etc/token").token("")
    assert caught.value.code == "CONFIG-STATIC-TOKEN"


@given(st.text(max_size=40))
def test_arbitrary_text_raises_nothing_else(text: str) -> None:
    try:
        parse(text)
    except TeleportError as error:
        assert error.code.startswith(("CONFIG-", "KIND-"))  # noqa: PT017 - any other error fails the test
