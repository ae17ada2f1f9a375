"""Users and groups by name and number."""

from __future__ import annotations

import pytest

from teleport.base.errors import NotFound
from teleport.bot.destinations import accounts
from teleport.model.config.tbot_destinations import Reader


def test_accounts_by_name_and_number() -> None:
    assert (accounts.user("root"), accounts.user(7), accounts.user("12345"), accounts.group("root")) == (0, 7, 12345, 0)
    assert accounts.first_group(0) == 0
    assert accounts.first_group(3999999999) == 3999999999
    assert 0 in accounts.groups_of(0)
    assert accounts.groups_of(3999999999) == frozenset()
    with pytest.raises(NotFound, match="no user nonesuch-user on this machine"):
        accounts.user("nonesuch-user")
    listed = accounts.readers((Reader(user="root"), Reader(user=5), Reader(group="6")))
    assert (listed.users, listed.groups) == (frozenset({0, 5}), frozenset({6}))
