"""tsh join: ids of sessions."""

from __future__ import annotations

import pytest

from teleport.base.errors import BadParameter
from teleport.cli.tsh.join import checked

ID = "5cee949f-5203-4f3b-9805-dac35d798a16"


def test_an_id_may_be_typed_with_capitals_and_blanks() -> None:
    assert checked(f" {ID.upper()}\n") == ID


@pytest.mark.parametrize("text", ["x", "", ID[:-1], f"{ID}0", ID.replace("-", ""), "../" + ID[3:], "\x1b[2J"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadParameter) as caught:
        checked(text)
    assert caught.value.code == "CLIENT-SESSION-ID"
    assert f"{text!a} is not a valid session ID (must be GUID)" in caught.value.what
    assert "\x1b" not in str(caught.value)
