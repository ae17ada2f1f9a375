"""Order of versions: the example of Semantic Versioning, section 11, and what is no version."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.version_order import check_age, check_fit, oldest, ordered

RISING = (
    "0.0.0-0", "0.9.10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "v1.2.0", "1.10.0", "16.2.0",
)  # fmt: skip


def test_the_order_of_the_document():
    assert all(ordered(older) < ordered(newer) for older, newer in pairwise(RISING))


def test_what_was_built_and_a_letter_before_make_no_difference():
    assert ordered("1.2.3+git.5") == ordered("v1.2.3")


@given(st.tuples(*[st.integers(0, 10**9 - 1)] * 3), st.tuples(*[st.integers(0, 10**9 - 1)] * 3))
def test_numbers_are_compared_as_numbers(one, other):
    assert (ordered(".".join(map(str, one))) < ordered(".".join(map(str, other)))) == (one < other)


@pytest.mark.parametrize(
    "text", ["", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-a..b", "x", "1.2.3 ", "1.2.3\n", "\uff11.2.3"]
)
def test_what_is_no_version(text):
    with pytest.raises(BadParameter) as caught:
        ordered(text)
    assert caught.value.code == "KIND-VERSION-ORDER"


@pytest.mark.parametrize(("version", "least"), [("16.2.0", "15.0.0"), ("v1.0.0-rc.1", "0.0.0"), ("0.1.0", "0.0.0")])
def test_one_major_version_before_is_old_enough(version, least):
    assert oldest(version) == least


@pytest.mark.parametrize(
    ("ours", "theirs", "least", "code"),
    [
        ("16.2.0", "16.2.0", "", ""), ("15.0.0", "16.2.0", "", ""), ("16.9.0", "16.2.0", "", ""),
        ("14.9.9", "16.2.0", "", "VER-TOO-OLD"), ("15.0.0-rc.1", "16.2.0", "", "VER-TOO-OLD"),
        ("15.0.0", "16.2.0", "15.1.0", "VER-TOO-OLD"), ("14.0.0", "16.2.0", "13.0.0", ""),
        ("17.0.0", "16.2.0", "", "VER-TOO-NEW"), ("x", "16.2.0", "", ""), ("15.0.0", "", "", ""),
        ("15.0.0", "x", "1.0.0", ""),
    ],
)  # fmt: skip
def test_what_works_together(ours, theirs, least, code):
    for check in (check_fit, check_age):
        if code == "VER-TOO-OLD" or (code and check is check_fit):
            with pytest.raises(NotSupported) as caught:
                check(ours, theirs, who="node-1", least=least)
            assert caught.value.code == code
            assert "{" not in caught.value.what + caught.value.why + caught.value.fix
        else:
            check(ours, theirs, who="node-1", least=least)
