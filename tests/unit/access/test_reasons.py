"""access.reasons: every role's answer, the nearest miss, and help that helps."""

import pytest

from teleport.access.checker import Connect, Grant, Open, Use, decide
from teleport.access.denial import Step
from teleport.access.reasons import channel_reasons, connect_reasons, names, use_reasons
from teleport.access.roleset import RoleSet
from teleport.model.resource import dump, load
from tests.support.policy import caller, conditions, node, role

ROOT = {"logins": ["root"]}
DENY_SIDE = 'the deny side of role "dev"'
PROD = node(env="prod", team="a")


def connect(*roles, login="root", who=None, target=PROD):
    who = who or caller(*(each.name for each in roles))
    return connect_reasons(who, RoleSet.build(roles, {}), Connect(login), target, ())


def lines(reasons):
    return [(s.role, s.side, s.condition, s.matched, s.wanted, s.found) for s in reasons.steps]


def test_names():
    assert names(["a", "b"]) == "[a b]"
    assert names([str(i) for i in range(11)]) == "[0 1 2 3 4 5 6 7 8 9 ...]"


def test_every_condition_of_every_role():
    reasons = connect(
        role("a", {"logins": ["alice"], "node_labels": {"env": "dev"}}, {"logins": ["*"], "node_labels": {"x": "y"}}),
        role("b", {"node_labels_expression": "nope("}, {"node_labels_expression": "false"}),
    )
    found = "env=prod, team=a"
    broken = reasons.steps[-2].wanted
    assert lines(reasons) == [
        ("a", "deny", "node_labels", False, "x=y", found),
        ("a", "deny", "logins", True, "[*]", '"root"'),
        ("a", "allow", "node_labels", False, "env=dev", found),
        ("a", "allow", "logins", False, "[alice]", '"root"'),
        ("b", "deny", "node_labels_expression", False, "false", found),
        ("b", "allow", "node_labels_expression", False, broken, found),
        ("b", "allow", "logins", False, "[]", '"root"'),
    ]
    assert broken.startswith("nope( (cannot read")
    assert reasons.nearest == reasons.steps[1]


@pytest.mark.parametrize(
    ("roles", "login", "who", "expected"),
    [
        ([role("dev", {"node_labels": {"env": "prod"}})], "root", None, ['add login "root" to role "dev"']),
        (
            [role("dev", {"node_labels": {"env": "prod"}})],
            "bob",
            None,
            ['add login "bob" to role "dev", and log in again, so that the certificate lists "bob"'],
        ),
        (
            [role("dev", {"logins": ["root"], "node_labels": {"env": "dev", "zone": "1"}})],
            "root",
            None,
            ['add env=prod to node_labels of role "dev", and remove zone from node_labels of role "dev"'],
        ),
        (
            [role("dev", {"logins": ["root"]})],
            "root",
            None,
            ['let node_labels of role "dev" match node-7 (env=prod, team=a)'],
        ),
        (
            [role("dev", {"logins": ["root"], "node_labels_expression": "false"})],
            "root",
            None,
            ['change node_labels_expression of role "dev" so that it is true of node-7'],
        ),
        ([], "root", None, ['give user "carol" a role that allows login "root" on node-7 (env=prod, team=a)']),
        (
            [role("dev", {**ROOT, "node_labels": {"*": "*"}}, {**ROOT, "node_labels": {"*": "*"}})],
            "root",
            None,
            [f'remove node_labels from {DENY_SIDE}, and remove login "root" from {DENY_SIDE}'],
        ),
        (
            [role("dev", {"node_labels": {"*": "*"}}, {"logins": ["root"]})],
            "root",
            None,
            ['remove login "root" from the deny side of role "dev", and add login "root" to role "dev"'],
        ),
        (
            [role("dev", {"logins": ["root"], "node_labels": {"*": "*"}})],
            "root",
            caller("dev", principals=("alice",)),
            ['log in again, so that the certificate lists "root"'],
        ),
    ],
)  # fmt: skip
def test_help(roles, login, who, expected):
    assert list(connect(*roles, login=login, who=who).succeed_if) == expected


def test_help_is_for_the_roles_that_are_nearest():
    many = [role(f"r{i}", {"node_labels": {"env": "prod"}}) for i in range(5)]
    far = role("a-far", {"node_labels": {"env": "dev"}})
    reasons = connect(*many, far)
    assert reasons.succeed_if == tuple(f'add login "root" to role "r{i}"' for i in range(3))
    assert reasons.nearest is not None
    assert (reasons.nearest.role, reasons.nearest.condition) == ("r0", "logins")
    assert connect().nearest is None


def test_granting_what_it_says_makes_it_succeed():
    before = role("dev", {"node_labels": {"env": "prod"}})
    assert connect(before).succeed_if == ('add login "root" to role "dev"',)
    document = dump(before)
    document["spec"]["allow"]["logins"] = ["root"]
    after = RoleSet.build([load(document)], {})
    assert isinstance(decide(caller("dev"), after, Connect("root"), PROD, conditions()), Grant)


def use(*roles, verb="create", target="role"):
    who = caller(*(each.name for each in roles))
    return use_reasons(who, RoleSet.build(roles, {}), Use(verb), target, ())


def with_rule(name, side="allow", **rule):
    given = {"rules": [{"resources": ["role"], "verbs": ["read"], **rule}]}
    return role(name, given if side == "allow" else None, given if side == "deny" else None)


def test_rules_of_every_role():
    reasons = use(with_rule("a"), role("b"), with_rule("c", "deny", verbs=["create"]))
    implicit = "default-implicit-role"
    assert [line[:4] for line in lines(reasons)] == [
        ("a", "allow", "rules", False),
        ("b", "allow", "rules", False),
        ("c", "deny", "rules", True),
        ("c", "allow", "rules", False),
        (implicit, "allow", "rules", False),
    ]
    assert reasons.steps[1].found == "no rule for it"
    assert reasons.nearest == reasons.steps[2]
    assert reasons.succeed_if == ('remove the rule [role]: [create] from role "c"',)


@pytest.mark.parametrize(
    ("where", "target", "side", "matched"),
    [
        ("nope(", "role", "deny", True),
        ("user.metadata.name", "role", "deny", True),
        ("true", "role", "allow", True),
        ("false", "role", "allow", False),
        ('resource.metadata.name == "x"', "role", "allow", True),
        ('resource.metadata.name == "x"', role("y"), "allow", False),
    ],
)
def test_conditions_of_rules(where, target, side, matched):
    step = use(with_rule("a", where=where), verb="read", target=target).steps[0]
    assert (step.side, step.matched) == (side, matched)
    assert ("cannot be evaluated" in step.found) is (side == "deny")


def test_a_deny_rule_that_depends_on_the_object_does_not_match_the_kind():
    step = use(with_rule("a", "deny", where='resource.metadata.name == "x"'), verb="read").steps[0]
    assert (step.side, step.matched) == ("deny", False)


def test_help_for_rules():
    given = "a rule with resources [role] and verbs [create]"
    assert use().succeed_if == (f'give user "carol" a role with {given}',)
    assert use(role("a")).succeed_if == (f'add {given} to role "a"',)
    assert use(role("a"), with_rule("b")).succeed_if == (f'add {given} to role "b"',)
    nearest = use(role("a"), with_rule("b")).nearest
    assert nearest is not None
    assert nearest.role == "b"
    assert use().nearest is None


def channel(*roles, before=(), which="agent"):
    who = caller(*(each.name for each in roles))
    return channel_reasons(who, RoleSet.build(roles, {}), Open("root", which), PROD, before)


def test_a_channel_is_explained_by_the_session_and_by_each_role():
    reasons = channel(role("a", ROOT), role("b", ROOT))
    assert [(step.role, step.condition, step.matched) for step in reasons.steps if step.role == "b"] == [
        ("b", "node_labels", False), ("b", "logins", True), ("b", "forward_agent", False),
    ]  # fmt: skip
    assert reasons.nearest in reasons.steps
    assert reasons.nearest.role == "a"
    assert reasons.succeed_if == tuple(f'set forward_agent of role "{name}" to yes' for name in "ab")


def test_a_role_that_takes_a_channel_away_is_the_reason():
    reasons = channel(role("a", ROOT), role("b", ROOT, options={"ssh_file_copy": False}), which="file_copy")
    assert (reasons.nearest.role, reasons.nearest.side) == ("b", "deny")
    assert reasons.succeed_if == ('set ssh_file_copy of role "b" to yes',)


def test_nobody_has_a_role():
    assert channel().nearest is None
    assert channel().succeed_if == ()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("extension permit-agent-forwarding", "log in again"),
        ("ssh_service.ssh_file_copy", "set ssh_service.ssh_file_copy to yes in the configuration of the node"),
    ],
)
def test_what_is_not_the_roles_is_the_reason(condition, expected):
    missing = Step(condition=condition, matched=False, wanted="yes", found="no")
    reasons = channel(role("a", ROOT), before=(missing,))
    assert reasons.nearest is missing
    assert expected in reasons.succeed_if[0]
