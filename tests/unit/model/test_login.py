"""model.login: what may be a login, and what must never be one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.model.login import are_login_characters, is_login


@pytest.mark.parametrize("login", ["root", "alice", "no-login-1f", "a.b_c+d@example.com", "DOM\\bob", "svc$", "김"])
def test_accepted(login):
    assert is_login(login)


@pytest.mark.parametrize(
    "login",
    [
        "", "-x", "a,b", "a b", "a\nb", "a\x00b", "a\u200bb", "a\u00a0b", ".", "..", "a/b", "a:b", "*", "e\u0301",
        "x" * 300, "\ud800",
    ],
)  # fmt: skip
def test_refused(login):
    assert not is_login(login)


@settings(max_examples=200)
@given(st.text(max_size=8), st.sampled_from(",\n\r\x00 \t/:;'\"`|&<>(){}[]*?!#%^=~\u2028"), st.text(max_size=8))
def test_no_separator_anywhere(before, separator, after):
    assert not is_login(before + separator + after)


@settings(max_examples=200)
@given(st.lists(st.text("ab.-_@$김é", min_size=1, max_size=10).filter(is_login), min_size=1, max_size=5))
def test_a_list_of_logins_survives_a_comma_list(logins):
    assert ",".join(logins).split(",") == logins


def test_fixed_parts_of_a_template():
    assert are_login_characters("svc-")
    assert not are_login_characters("a,")
