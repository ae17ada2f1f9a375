"""access.impersonation: which roles somebody may have in certificates, and why not."""

from __future__ import annotations

import pytest

from teleport.access.checker import Assume, Conditions, Grant, decide
from teleport.access.explain import from_record, request_text, to_record, tree, user_error, why_allowed
from teleport.access.impersonation import Permission, allowing, data_of, denies, permissions
from teleport.access.roleset import RoleSet, check
from teleport.base.errors import AccessDenied, BadParameter
from teleport.model.kinds.role import Role, warnings
from tests.support.policy import CLUSTER, NOW, caller, node, role

WANTED = role("dev").with_metadata(labels={"team": "red"})
WORLD = Conditions(now=NOW, cluster=CLUSTER)


def says(*names: str, where: str = "") -> dict[str, object]:
    return {"impersonate": {"roles": list(names), "where": where}}


def asked(*roles: Role, traits: dict[str, tuple[str, ...]] | None = None, wanted: Role = WANTED):
    who = caller(*(each.name for each in roles), traits=traits or {})
    return decide(who, RoleSet.build(roles, traits or {}), Assume(), wanted, WORLD)


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("dev",), True), (("ops", "d*"), True), (("^(dev|x)$",), True), (("*",), True), (("ops",), False), ((), False)],
)
def test_names_and_patterns(names: tuple[str, ...], expected: bool) -> None:
    assert isinstance(asked(role("bot-x", says(*names))), Grant) is expected


def test_denying_wins() -> None:
    denied = asked(role("a", says("*")), role("b", deny={"impersonate": {"roles": ["d*"]}}))
    assert not isinstance(denied, Grant)
    assert denied.code == "POL-DENY-RULE"
    error = user_error(denied, "id1")
    assert isinstance(error, AccessDenied)
    assert error.what == 'access denied: you may not have certificates with role "dev"'
    assert error.why == 'role "b" denies impersonate [d*]'
    assert denied.succeed_if == ('remove it from deny.impersonate of role "b"',)


def test_a_condition_may_speak_of_the_role_and_of_the_caller() -> None:
    where = "contains(user.spec.traits.team, impersonate_role.metadata.labels.team)"
    bot = role("bot-x", says("*", where=where))
    assert isinstance(asked(bot, traits={"team": ("red",)}), Grant)
    assert not isinstance(asked(bot, traits={"team": ("blue",)}), Grant)
    assert not isinstance(asked(bot), Grant), "what cannot be evaluated never allows"


def test_what_cannot_be_read_denies_and_never_allows() -> None:
    data = data_of(caller("a"), {}, WANTED)
    for broken in (Permission("a", "allow", ("^($",)), Permission("a", "allow", ("*",), "nonsense(")):
        assert allowing([broken], WANTED, data) == ""
        assert denies([broken._replace(side="deny")], WANTED, data)
    with pytest.raises(BadParameter) as caught:
        check(role("a", says("x", where="nonsense(")))
    assert caught.value.code == "POL-PREDICATE"


def test_a_refusal_says_what_would_help() -> None:
    refused = asked(role("bot-x", says("ops")), role("plain"))
    assert not isinstance(refused, Grant)
    assert refused.code == "POL-IMPERSONATION"
    error = user_error(refused, "id1")
    assert (error.why, error.id) == ('allow.impersonate.roles of role "bot-x" is [ops]', "id1")
    assert refused.succeed_if == ('let allow.impersonate.roles of role "bot-x" name "dev"',)
    shown = tree(from_record(to_record(refused)))
    assert shown.startswith("DENY assume role/dev (user carol")
    assert "impersonate [ops] MISS (dev)" in shown
    nobody = asked(role("plain"))
    assert not isinstance(nobody, Grant)
    assert user_error(nobody, "id1").why == "no role of yours has allow.impersonate.roles"
    assert nobody.succeed_if == ('give "carol" a role whose allow.impersonate.roles names "dev"',)


def test_a_role_that_does_not_exist_is_refused_alike() -> None:
    bot = role("bot-x", says("ops"))
    there, bare = (user_error(asked(bot, wanted=wanted), "i") for wanted in (WANTED, role("dev", {"logins": ["a"]})))
    assert str(there) == str(bare)


def test_only_roles_can_be_assumed() -> None:
    refused = decide(caller("a"), RoleSet.build([role("a", says("*"))], {}), Assume(), node(), WORLD)
    assert not isinstance(refused, Grant)
    assert refused.steps[-1].wanted == "a role"
    assert not isinstance(decide(caller("a"), RoleSet.build([role("a")], {}), Assume(), "role", WORLD), Grant)


def test_what_is_said_of_many_is_shortened_and_what_is_allowed_names_the_role() -> None:
    (said,) = permissions(role("a", says(*(f"r{number}" for number in range(12)), where="equals(1, 1)")))
    assert str(said).endswith("r9 ...] where equals(1, 1)")
    grant = asked(role("bot-x", says("dev")))
    assert isinstance(grant, Grant)
    assert request_text(grant.action, grant.target) == "assume role/dev"
    assert 'role "bot-x"' in why_allowed(grant)


def test_users_are_not_what_it_is_about() -> None:
    found = role("a", {"impersonate": {"roles": ["x"], "users": ["bob"]}})
    assert warnings(found) == [
        'role "a": allow.impersonate.users has no effect; a rule on user with the verb use decides on that'
    ]
