"""Rules of tokens: what a block must say, and what a rule matches."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.model import resource as kinds
from teleport.model.token_methods.github import GithubRule
from teleport.model.token_methods.gitlab import GitlabRule
from teleport.model.token_methods.rules import glob_matches, matches
from tests.unit.model.samples import sample

ACCOUNT = [{"service_account": "a:b"}]

_pieces = st.text(alphabet="ab*?/", max_size=12)


@given(_pieces, st.text(alphabet="ab*?/", max_size=12))
def test_patterns_mean_what_shells_mean_by_them(pattern: str, text: str) -> None:
    assert glob_matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@given(st.text(max_size=20))
def test_everything_but_two_characters_is_itself(text: str) -> None:
    assert glob_matches(text.replace("*", "").replace("?", ""), text.replace("*", "").replace("?", ""))
    assert glob_matches("*", text)


def test_many_stars_take_no_time() -> None:
    assert not glob_matches("*a" * 200 + "b", "a" * 2000)


def test_every_field_of_a_rule_must_be_the_claim_of_its_name() -> None:
    rule = GithubRule(repository="o/r", actor="a*")
    assert matches(rule, {"repository": "o/r", "actor": "a*", "ref": "x"})
    assert not matches(rule, {"repository": "o/r", "actor": "ab"})
    assert matches(rule, {"repository": "o/r", "actor": "ab"}, glob=("actor",))
    assert not matches(rule, {"repository": "o/r"})
    assert not matches(rule, {"repository": ["o/r"], "actor": "a*"})
    assert matches(GithubRule(), {})


@pytest.mark.parametrize(("wanted", "said", "same"), [(True, "true", True), (True, True, True), (True, "false", False),
                                                      (False, "false", True), (False, None, False)])  # fmt: skip
def test_truth(wanted: bool, said: object, same: bool) -> None:
    assert matches(GitlabRule(ref_protected=wanted), {"ref_protected": said}) is same


def _load(method: str, **block: Any) -> Any:
    return kinds.load(sample("token", join_method=method, **{method: block}))


@pytest.mark.parametrize(
    ("method", "block", "words"),
    [
        ("github", {}, "requires defined token allow rules"), ("github", {"allow": [{}]}, "allow[0] must set at least"),
        ("github", {"allow": [{"sub": "a"}, {"actor": "a"}]}, "allow[1] must set at least one of repository"),
        ("github", {"allow": [{"sub": "x" * 3000}]}, "too long"),
        ("github", {"allow": [{"sub": "a"}] * 201}, "more than 200"),
        ("github", {"allow": [{"sub": "a"}], "enterprise_server_host": "https://h"}, "without scheme"),
        ("github", {"allow": [{"sub": "a"}], "enterprise_slug": "a/b"}, "one word"),
        ("github", {"allow": [{"sub": "a"}], "enterprise_slug": "a", "enterprise_server_host": "h"}, "both"),
        ("gitlab", {"allow": [{"ref": "a"}]}, "must set at least one of sub"),
        ("gitlab", {"allow": [{"sub": "a"}], "domain": "https://h"}, "without scheme"),
        ("gcp", {"allow": [{"locations": ["l"]}]}, "project_ids"),
        ("kubernetes", {}, "at least one rule"),
        ("kubernetes", {"allow": [{"service_account": "a:b"}] * 201}, "more than 200"),
        ("kubernetes", {"allow": [{"service_account": "a:b"}, {"service_account": "ab"}]}, "allow[1].service_account"),
        ("kubernetes", {"allow": [{"service_account": "a:b"}], "static_jwks": {"jwks": "{}"}}, "must not be set"),
        ("kubernetes", {"allow": [{"service_account": "a:b"}], "type": "static_jwks"}, "static_jwks must be set"),
        ("kubernetes", {"allow": ACCOUNT, "type": "static_jwks", "static_jwks": {}}, "jwks must be"),
        ("kubernetes", {"allow": ACCOUNT, "type": "oidc", "oidc": {"issuer": "http://i"}}, "https://"),
    ],
)  # fmt: skip
def test_blocks_that_say_too_little_or_what_cannot_be(method: str, block: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter) as caught:
        _load(method, **block)
    assert (caught.value.code, words in caught.value.what) == ("KIND-TOKEN-BLOCK", True), caught.value.what


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{}], "aws_account, aws_arn"), ([{"aws_account": "12"}], "twelve digits"),
        ([{"aws_account": "1" * 12, "aws_role": "r"}], '"aws_role" cannot be set'),
        ([{"aws_account": "1" * 12, "aws_regions": ["r"]}], '"aws_regions" cannot be set'),
    ],
)  # fmt: skip
def test_rules_of_aws(rules: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(BadParameter) as caught:
        kinds.load(sample("token", join_method="iam", allow=rules))
    assert words in caught.value.what


@pytest.mark.parametrize(
    ("method", "block"),
    [
        ("github", {"allow": [{"repository_owner": "o"}], "enterprise_slug": "acme", "static_jwks": "{}"}),
        ("gitlab", {"allow": [{"ci_config_ref_uri": "u", "environment_protected": False}]}),
        ("kubernetes", {"allow": [{"service_account": "ns-1:name.x"}]}),
        ("kubernetes", {"type": "oidc", "oidc": {"issuer": "https://i"}, "allow": [{"service_account": "a:b"}]}),
    ],
)  # fmt: skip
def test_blocks_that_say_enough(method: str, block: dict[str, Any]) -> None:
    token = _load(method, **block)
    assert kinds.load(kinds.dump(token)) == token
