"""access.sides: labels and expression of one side of a role together."""

import pytest

from teleport.access.sides import LabelSide

PROD = {"env": "prod"}
USER = {"metadata": {"name": "carol"}}


@pytest.mark.parametrize(
    ("labels", "expression", "side", "expected"),
    [
        ({}, "", "allow", False),
        ({"env": "prod"}, "", "allow", True),
        ({"env": "dev"}, "", "allow", False),
        ({"env": "{{external.env}}"}, "", "allow", True),
        ({}, 'labels["env"] == "prod"', "allow", True),
        ({"env": "dev"}, 'labels["env"] == "prod"', "allow", False),
        ({"env": "prod"}, 'labels["env"] == "dev"', "allow", False),
        ({"env": "dev"}, 'labels["env"] == "prod"', "deny", True),
        ({"env": "prod"}, 'labels["env"] == "dev"', "deny", True),
        ({"env": "dev"}, 'labels["env"] == "dev"', "deny", False),
        ({}, "", "deny", False),
        ({"env": "prod"}, "broken(", "allow", False),
        ({}, "broken(", "deny", True),
        ({"env": "prod"}, 'labels["env"]', "allow", False),
        ({}, 'labels["env"]', "deny", True),
        ({}, 'user.metadata.name == "carol"', "allow", True),
    ],
)
def test_allowing_needs_both_and_denying_either(labels, expression, side, expected):
    assert LabelSide(labels, expression, side, {"env": ("prod",)}).selects(PROD, USER) is expected


def test_what_it_says_of_itself():
    silent, speaking, broken = (
        LabelSide({}, "", "allow", {}), LabelSide(PROD, "", "allow", {}), LabelSide({}, "broken(", "allow", {})
    )  # fmt: skip
    assert [side.speaks for side in (silent, speaking, broken)] == [False, True, True]
    assert (silent.broken, bool(broken.broken), broken.expression) == ("", True, "broken(")
