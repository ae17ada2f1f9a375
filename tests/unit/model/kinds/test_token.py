from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import NotSupported, TeleportError
from teleport.model import resource as kinds
from teleport.model.kinds.token import METHODS, ROLES, SERVED_METHODS, SERVED_ROLES, mask
from tests.unit.model.samples import SAMPLES, sample


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("", ""), ("short", "*****"), ("x" * 15, "*" * 15), ("0123456789abcdef", "************cdef"),
     ("0123456789abcdef0123456789abcdef", "*" * 24 + "89abcdef")],
)  # fmt: skip
def test_mask(secret: str, shown: str) -> None:
    assert mask(secret) == shown


@given(st.text(min_size=1, max_size=60))
def test_at_most_a_quarter_and_a_part_is_readable(secret: str) -> None:
    assert len(mask(secret)) == len(secret)
    assert mask(secret).count("*") >= len(secret) * 3 // 4


def test_the_name_stands_in_no_column() -> None:
    token = kinds.load(SAMPLES["token"])
    assert all(token.name not in column.cell(token) for column in token.info.columns)


@pytest.mark.parametrize(
    ("spec", "code", "text"),
    [
        ({"roles": None}, "KIND-TOKEN-ROLES", "provisioning token is missing roles"),
        ({"roles": []}, "KIND-TOKEN-ROLES", "provisioning token is missing roles"),
        ({"roles": ["Nodes"]}, "KIND-TOKEN-ROLE", 'unknown role "Nodes"'),
        ({"join_method": "magic"}, "KIND-TOKEN-METHOD", 'unknown join method "magic"'),
        ({"join_method": "ma\x1bgic"}, "KIND-TOKEN-METHOD", 'unknown join method "ma\\x1bgic"'),
        ({"allow": [{"aws_account": "1"}]}, "KIND-TOKEN-ALLOW",
         'allow rules are not compatible with the "token" join method'),
        ({"roles": ["Bot"]}, "KIND-TOKEN-BOT", 'token with role "Bot" must set bot_name'),
        ({"bot_name": "b"}, "KIND-TOKEN-BOT", 'can only set bot_name on token with role "Bot"'),
        ({"roles": ["bot"], "bot_name": "b", "join_method": "ec2"}, "KIND-TOKEN-BOT-METHOD",
         'unsupported join method "ec2" for bot'),
        ({"join_method": "github"}, "KIND-TOKEN-MISSING",
         '"github" configuration must be provided for join method "github"'),
        ({"github": {"allow": [{"sub": "x"}]}}, "KIND-TOKEN-OTHER", "spec.github"),
        ({"join_method": "iam"}, "KIND-TOKEN-BLOCK", "requires defined token allow rules"),
    ],
)  # fmt: skip
def test_impossible_tokens(spec: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(TeleportError) as caught:
        kinds.load(sample("token", **spec))
    assert caught.value.code == code
    assert text in str(caught.value)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_served_or_refused_in_any_spelling(role: str) -> None:
    document = sample("token", roles=[role.upper()], **({"bot_name": "b"} if role == "Bot" else {}))
    if role in SERVED_ROLES:
        assert kinds.load(document).spec.roles == (role,)
    else:
        with pytest.raises(TeleportError) as caught:
            kinds.load(document)
        assert caught.value.code in ("KIND-VALUE-NOT-SUPPORTED", "KIND-TOKEN-BOT")


@pytest.mark.parametrize("method", [method for method in METHODS if method not in SERVED_METHODS])
def test_every_other_method_is_refused(method: str) -> None:
    with pytest.raises(NotSupported) as caught:
        kinds.load(sample("token", join_method=method))
    assert caught.value.code == "KIND-VALUE-NOT-SUPPORTED"


def test_rules_without_a_method_mean_ec2() -> None:
    token = kinds.load(sample("token", join_method=None, allow=[{"aws_account": "123456789012"}]))
    assert (token.spec.join_method, float(token.spec.aws_iid_ttl)) == ("ec2", 300.0)


@pytest.mark.parametrize(
    "spec",
    [
        {"roles": ["bot", "kube"], "bot_name": "b"}, {"join_method": "iam", "allow": [{"aws_account": "123456789012"}]},
        {"join_method": "gcp", "gcp": {"allow": [{"project_ids": ["p"]}]}},
    ],
)  # fmt: skip
def test_tokens_of_other_sorts(spec: dict[str, Any]) -> None:
    token = kinds.load(sample("token", **spec))
    assert kinds.load(kinds.dump(token)) == token


def test_names_are_secrets_of_one_method_alone() -> None:
    secret, public = (
        kinds.load(sample("token", **spec))
        for spec in ({}, {"join_method": "gcp", "gcp": {"allow": [{"project_ids": ["p"]}]}})
    )
    assert (secret.is_secret, public.is_secret) == (True, False)  # type: ignore[attr-defined]
    assert "*" in secret.safe_name()  # type: ignore[attr-defined]
    assert public.safe_name() == public.name  # type: ignore[attr-defined]
