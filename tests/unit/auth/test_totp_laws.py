"""Laws: no step is accepted twice, in whatever order codes come; nothing outside the window is."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.auth import totp

SECRETS = st.binary(min_size=20, max_size=20)
START = 1_900_000_000


def moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(START + seconds, dt.UTC)


@given(SECRETS, st.lists(st.tuples(st.integers(0, 400), st.integers(-4, 4)), max_size=40))
@settings(max_examples=100)
def test_every_step_counts_once_and_only_in_its_window(secret: bytes, tries: list[tuple[int, int]]) -> None:
    """`tries` are codes typed at any moments, even of a clock that goes backwards."""
    last, accepted = -1, []
    for at, offset in tries:
        now = moment(at)
        typed = totp.step_at(now) + offset
        found = totp.accepted_step(secret, totp.code_of(secret, typed), now, last=last)
        if found is not None:
            assert abs(found - totp.step_at(now)) <= totp.WINDOW
            assert totp.code_of(secret, found) == totp.code_of(secret, typed)
            accepted.append(found)
            last = found
    assert accepted == sorted(set(accepted))


@given(SECRETS, st.integers(0, 10_000), st.integers(-1, 1))
@settings(max_examples=100)
def test_what_an_app_shows_is_accepted_while_it_is_fresh(secret: bytes, at: int, offset: int) -> None:
    step = totp.step_at(moment(at)) + offset
    assert totp.accepted_step(secret, totp.code_of(secret, step), moment(at), last=step - 1) is not None


@given(SECRETS, st.text(max_size=12))
@settings(max_examples=200)
def test_any_text_is_a_code_or_is_not(secret: bytes, text: str) -> None:
    found = totp.accepted_step(secret, text, moment(0))
    assert found is None or totp.code_of(secret, found) == totp.clean(text)
