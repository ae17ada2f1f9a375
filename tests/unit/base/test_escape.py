"""Characters that do not print."""

import pytest

from teleport.base.escape import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 한글", "plain 한글"),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202eb", "\\u202eb"),
        ("\ud800", "\\ud800"),
    ],
)
def test_only_what_does_not_print_is_escaped(text, shown):
    assert escape(text) == shown
