from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.base.errors import BadParameter
from teleport.model import resource as kinds
from teleport.model.kinds.user import User
from tests.unit.model.samples import sample

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def user(**spec: Any) -> User:
    loaded = kinds.load({"kind": "user", "metadata": {"name": "alice"}, "spec": spec})
    assert isinstance(loaded, User)
    return loaded


def test_a_lockout_lasts_until_its_end_or_until_it_is_taken_away() -> None:
    assert not user().is_locked_out(NOON)
    assert user(status={"is_locked": True}).is_locked_out(NOON)
    ending = user(status={"is_locked": "yes", "lock_expires": (NOON + HOUR).isoformat()})
    assert ending.is_locked_out(NOON)
    assert not ending.is_locked_out(NOON + HOUR)
    assert not user(status={"is_locked": False, "lock_expires": (NOON + HOUR).isoformat()}).is_locked_out(NOON)


def test_an_account_ends_at_the_first_of_both_times() -> None:
    assert not user().is_expired(NOON)
    assert user(expires=NOON.isoformat()).is_expired(NOON)
    assert not user(expires=NOON.isoformat()).is_expired(NOON - HOUR)
    ended = user().with_metadata(expires=NOON)
    assert ended.is_expired(NOON)


@pytest.mark.parametrize("login", ["a,b", "root\n", "-x", "", "a b", "..", "a\0"])
def test_logins_that_would_be_two_or_another(login: str) -> None:
    with pytest.raises(BadParameter) as caught:
        user(traits={"logins": ["ok", login]})
    assert caught.value.code in ("KIND-LOGIN", "KIND-TEXT")


@pytest.mark.parametrize(
    "spec",
    [{"roles": ["a,b"]}, {"traits": {"a/b": []}}, {"traits": {"a": ["\x1b"]}}, {"status": {"locked_message": "\x07"}}],
)
def test_values_out_of_grammar(spec: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        kinds.load(sample("user", **spec))


def test_times_need_a_zone() -> None:
    with pytest.raises(BadParameter) as caught:
        user(expires="2026-01-01T00:00:00")
    assert caught.value.code == "KIND-FIELD"
