"""access.labels: the table of selectors in the reference, row by row."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.access.labels import Miss, Selector, matcher, show
from teleport.base.errors import BadParameter


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {}, False),
        ({}, {"env": "prod"}, False),
        ({"*": "*"}, {}, True),
        ({"*": ["*"]}, {"env": "prod"}, True),
        ({"env": "prod"}, {"env": "prod", "team": "a"}, True),
        ({"env": ["prod", "staging"]}, {"env": "dev"}, False),
        ({"env": ["prod", "staging"]}, {"env": "staging"}, True),
        ({"env": "prod", "team": "a"}, {"env": "prod"}, False),
        ({"env": "*"}, {"env": "x"}, True),
        ({"env": "*"}, {}, False),
        ({"env": "^prod-.*$"}, {"env": "prod-1"}, True),
        ({"env": "^prod$"}, {"env": "prod-1"}, False),
        ({"env": "prod-*"}, {"env": "prod-1"}, True),
        ({"env": "prod"}, {"env": "prod-1"}, False),
        ({"env": "p*d-*1"}, {"env": "prod-1"}, True),
        ({"env": "p*d-*2"}, {"env": "prod-1"}, False),
        ({"env": "p*x*1"}, {"env": "prod-1"}, False),
        ({"env": "a*a"}, {"env": "a"}, False),
        ({"env": "{{external.env}}"}, {"env": "blue"}, True),
        ({"env": "{{external.none}}"}, {"env": "blue"}, False),
        ({"env": "{{external.bad}}"}, {"env": "^(?=a)$"}, True),
        ({"env": "{{external.bad}}"}, {"env": "a"}, False),
    ],
)
def test_matching(selector, labels, expected):
    fixed = {key: tuple(value) if isinstance(value, list) else value for key, value in selector.items()}
    compiled = Selector(fixed, {"env": ("green", "blue"), "bad": ("^(?=a)$",)})
    assert compiled.matches(labels) is expected
    assert bool(compiled) is bool(selector)
    assert (not compiled.misses(labels)) == (expected or not selector)


def test_misses_name_what_was_wanted_and_found():
    selector = Selector({"env": ("prod", "{{external.x}}"), "team": "a", "zone": "*"}, {"x": ("prod", "dev")})
    assert selector.misses({"env": "qa", "zone": "1"}) == (
        Miss("env", ("prod", "dev"), "qa"),
        Miss("team", ("a",), None),
    )
    assert str(selector) == "env=[prod dev], team=a, zone=*"


def test_a_bad_expression_is_told_to_who_asks_for_it():
    with pytest.raises(BadParameter, match="regular expression"):
        matcher("^(a$")


def test_show():
    assert show({}) == "none"
    assert show({"b": "2", "a": "1"}) == "a=1, b=2"


@settings(max_examples=300, deadline=None)
@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_globs_agree_with_regular_expressions(glob, text):
    expected = re.fullmatch(".*".join(map(re.escape, glob.split("*"))), text) is not None
    assert matcher(glob)(text) is expected
