"""base.regexp: RE2's syntax, the same answers as Python's engine where both agree, and linear time."""

import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base import regexp
from teleport.base.errors import BadParameter


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^prod-.*$", "prod-1", True),
        ("prod", "prod-1", False),
        ("a|bc", "bc", True),
        ("(?:ab)+", "abab", True),
        ("a{2}", "aa", True),
        ("a{2,}", "aaaa", True),
        ("a{1,2}", "aaa", False),
        ("a{", "a{", True),
        ("a{x}", "a{x}", True),
        ("a{1,x}", "a{1,x}", True),
        ("[a-c]x", "bx", True),
        ("[^a-c]", "b", False),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        (r"[\d.]+", "1.2", True),
        ("[[:alpha:]]+", "ab", True),
        (r"\d\D\w\W\s\S", "1a_- x", True),
        (r"\x41\.\n", "A.\n", True),
        ("(?i)PROD", "prod", True),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        ("(?is)A.B", "a\nb", True),
        ("a*?b??", "aa", True),
        ("(a*)*", "aaa", True),
        ("", "", True),
        ("x^", "x", False),
        ("(?P<n>a)(?<m>b)", "ab", True),
    ],
)
def test_whole_text(pattern, text, expected):
    assert regexp.compile(pattern).matches(text) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a)\1", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?P=n)", r"\b", r"\pL", "(", ")", "a)", "[", "[a", "[b-a]",
        r"[a-\d]", "[[:nope:]]", "[[:alpha", r"[\D]", "a**", "a{2,1}", "a{999}", "*a", "\\", r"\xg1", "(?P<1>a)",
        "(?P<n>a)(?P<n>b)", "(?P<n", "a(?i)", "((a{50}){50}){50}", "(" * 40 + "a" + ")" * 40, "a" * 600, "ab" * 300,
        "|".join("ab" for _ in range(130)),
    ],
)  # fmt: skip
def test_refused_with_a_column(pattern):
    with pytest.raises(BadParameter) as refused:
        regexp.compile(pattern)
    assert refused.value.code == "POL-REGEXP"
    assert int(refused.value.fields["column"]) >= 1


@pytest.mark.parametrize(
    ("pattern", "text", "template", "expected"),
    [
        ("^x-(.*)$", "x-dev", "$1", "dev"),
        ("(a)(b)?", "ac", "[$1$2]", "[a]c"),
        ("b", "abab", "<$0>", "a<b>a<b>"),
        ("(?P<who>[a-z]+)@.*", "bob@x", "${who}-$$1", "bob-$1"),
        ("x", "abc", "y", None),
        ("a", "a", "$9${nope}$", "$"),
        ("x*", "ab", "-", "-a-b-"),
    ],
)
def test_replace(pattern, text, template, expected):
    assert regexp.compile(pattern).replace(text, template) == expected


def test_a_result_is_bounded():
    with pytest.raises(BadParameter, match="too long"):
        regexp.compile("a").replace("a" * 1000, "$0" * 100)


@pytest.mark.parametrize(
    ("pattern", "text", "template", "expected"),
    [
        ("([a-z]+)-([0-9]+)", "..node-7..x-1", "$2:${1}", "7:node"),
        ("(?P<name>[a-z]+)", "abc", "${name}.$$", "abc.$"),
        ("x", "abc", "y", None),
        ("b", "abc", "", ""),
    ],
)
def test_expand(pattern, text, template, expected):
    assert regexp.compile(pattern).expand(text, template) == expected


def test_what_is_expanded_is_bounded():
    with pytest.raises(BadParameter, match="too long"):
        regexp.compile("a+").expand("a" * 1000, "$0" * 100)


def test_a_pattern_that_stops_python_takes_linear_time():
    assert regexp.compile("(a+)+$").matches("a" * 5000 + "b") is False


@settings(max_examples=150, deadline=None)
@given(st.text("ab|()*+?.[]^c1", min_size=1, max_size=10), st.text("abc1]", max_size=6))
def test_agrees_with_python_where_both_understand(pattern, text):
    try:
        ours = regexp.compile(pattern)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = re.compile(pattern)
    except (BadParameter, re.error):
        return
    assert ours.matches(text) == (theirs.fullmatch(text) is not None)
    assert (ours.replace(text, "") is None) == (theirs.search(text) is None)
