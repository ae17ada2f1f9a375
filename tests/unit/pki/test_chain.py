"""Chains of certificates: over those between to a root, and every link that does not hold."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.pki import chain
from tests.support.cms import FROM, UNTIL, Authority

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
ROOT, OTHER = Authority("root"), Authority("root")
ONE = Authority("one", ROOT)
TWO = Authority("two", ONE)
THREE = Authority("three", TWO)
FOUR = Authority("four", THREE)
LEAF = Authority("leaf", TWO, ca=False)
BELOW = Authority("below", LEAF, ca=False)
FAR = Authority("far", FOUR, ca=False)
OLD = Authority("old", ROOT, until=FROM + dt.timedelta(days=1))
OF_OLD = Authority("of-old", OLD, ca=False)


@pytest.mark.parametrize(
    ("end", "between", "root", "good"),
    [
        (ONE, [], ROOT, True), (LEAF, [ONE, TWO], ROOT, True), (LEAF, [TWO, OTHER, ONE, LEAF], ROOT, True),
        (FAR, [ONE, TWO, THREE], ROOT, False), (FAR, [ONE, TWO, THREE, FOUR], ROOT, False),
        (FOUR, [ONE, TWO, THREE], ROOT, True),
        (LEAF, [TWO], ROOT, False), (LEAF, [ONE, TWO], OTHER, False), (BELOW, [LEAF, TWO, ONE], ROOT, False),
        (OF_OLD, [OLD], ROOT, False), (OLD, [], ROOT, False), (OF_OLD, [], OLD, False),
    ],
)  # fmt: skip
def test_chains(end: Authority, between: list[Authority], root: Authority, good: bool) -> None:
    found = chain.leads(end.certificate, [each.certificate for each in between], [root.certificate], now=NOW)
    assert found is good


def test_times() -> None:
    assert [chain.is_valid(ONE.certificate, moment) for moment in (FROM, UNTIL)] == [True, True]
    late, early = UNTIL + dt.timedelta(seconds=1), FROM - dt.timedelta(seconds=1)
    assert [chain.is_valid(ONE.certificate, moment) for moment in (late, early)] == [False, False]
