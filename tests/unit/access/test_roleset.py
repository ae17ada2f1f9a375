"""access.roleset: roles compiled for a user, options merged."""

import pytest

from teleport.access.roleset import IMPLICIT_NAME, Options, RoleSet, check
from teleport.base.errors import BadParameter
from teleport.base.struct import Duration
from tests.support.policy import role

H = 3600


def options(*each):
    return RoleSet.build([role(f"r{i}", options=given) for i, given in enumerate(each)], {}).options


@pytest.mark.parametrize(
    ("each", "field", "expected"),
    [
        ([{"max_session_ttl": "8h"}, {"max_session_ttl": "12h"}], "max_session_ttl", 8 * H),
        ([{"max_session_ttl": "0"}, {"max_session_ttl": "12h"}], "max_session_ttl", 12 * H),
        ([{}], "max_session_ttl", 30 * H),
        ([], "max_session_ttl", 30 * H),
        ([{"forward_agent": False}, {"forward_agent": True}], "forward_agent", True),
        ([{}], "forward_agent", False),
        ([{"port_forwarding": False}, {}], "local_forwarding", True),
        ([{"port_forwarding": False}], "local_forwarding", False),
        ([], "local_forwarding", False),
        ([{"permit_x11_forwarding": True}, {}], "permit_x11_forwarding", True),
        ([{"pin_source_ip": True}, {}], "pin_source_ip", True),
        ([{"lock": "best_effort"}, {"lock": "strict"}], "strict_locks", True),
        ([{}], "strict_locks", False),
        ([{"client_idle_timeout": "5m"}, {"client_idle_timeout": "2m"}, {}], "client_idle_timeout", 120),
        ([{}], "client_idle_timeout", 0),
        ([{"disconnect_expired_cert": True}, {}], "disconnect_expired_cert", True),
        ([{}], "disconnect_expired_cert", False),
        ([{"max_connections": 4}, {"max_connections": 2}, {"max_connections": 0}], "max_connections", 2),
        (
            [{"enhanced_recording": ["disk"]}, {"enhanced_recording": ["command"]}],
            "enhanced_recording",
            ("command", "disk"),
        ),
        ([{"enhanced_recording": []}], "enhanced_recording", ()),
        ([{}], "enhanced_recording", ("command", "network")),
        ([{"max_sessions": 4}, {"max_sessions": 2}, {"max_sessions": 0}], "max_sessions", 2),
        ([{}], "max_sessions", 0),
        ([{"record_session": {"ssh": "strict"}}, {"record_session": {"ssh": "best_effort"}}], "strict_recording", True),
        ([{"record_session": {"default": "strict"}}, {}], "strict_recording", True),
        ([{"record_session": {"default": "strict", "ssh": "best_effort"}}], "strict_recording", False),
        ([{}, {"record_session": {}}], "strict_recording", False),
    ],
)
def test_options_merge(each, field, expected):
    assert getattr(options(*each), field) == expected
    assert getattr(options(*reversed(each)), field) == expected


def test_options_without_roles():
    assert options() == Options(file_copy=True)


def test_lifetime_is_capped():
    roles = RoleSet.build([role(options={"max_session_ttl": "8h"})], {})
    assert roles.ttl(Duration(H)) == H
    assert roles.ttl(Duration(20 * H)) == 8 * H
    assert roles.ttl(Duration(0)) == 8 * H


def test_logins_for_a_certificate():
    roles = RoleSet.build(
        [
            role("a", {"logins": ["root", "{{internal.logins}}", "no-login-1"]}),
            role("b", {"logins": ["ubuntu"]}, deny={"logins": ["root"]}),
        ],
        {"logins": ("alice", "not a login")},
    )
    assert roles.logins_for_certificate() == ("alice", "no-login-1", "ubuntu")
    assert RoleSet.build([role("a", {"logins": ["root"]}, deny={"logins": ["*"]})], {}).logins_for_certificate() == ()
    assert RoleSet.build([role("a", {"logins": ["{{internal.logins}}"]})], {}).logins_for_certificate() == ()


def test_the_implicit_role_is_always_there():
    roles = RoleSet.build([role("z"), role("a")], {})
    assert [held.name for held in roles.roles] == ["a", "z", IMPLICIT_NAME]
    assert roles.names == {"a", "z"}


@pytest.mark.parametrize(
    ("side", "conditions", "labels", "expected"),
    [
        ("allow", {"node_labels": {"env": "prod"}}, {"env": "prod"}, True),
        ("allow", {"node_labels_expression": 'labels["env"] == "prod"'}, {"env": "prod"}, True),
        ("allow", {"node_labels": {"a": "b"}, "node_labels_expression": "!false"}, {"env": "prod"}, False),
        ("allow", {"node_labels": {"env": "*"}, "node_labels_expression": "!false"}, {"env": "prod"}, True),
        ("allow", {"node_labels": {"env": "*"}, "node_labels_expression": "false"}, {"env": "prod"}, False),
        ("allow", {"node_labels_expression": "nope("}, {"env": "prod"}, False),
        ("allow", {"node_labels_expression": 'labels["env"]'}, {"env": "prod"}, False),
        ("allow", {}, {"env": "prod"}, False),
        ("deny", {"node_labels": {"a": "b"}, "node_labels_expression": "!false"}, {"env": "prod"}, True),
        ("deny", {"node_labels": {"env": "*"}, "node_labels_expression": "false"}, {"env": "prod"}, True),
        ("deny", {"node_labels": {"a": "b"}, "node_labels_expression": "false"}, {"env": "prod"}, False),
        ("deny", {"node_labels_expression": "nope("}, {"env": "prod"}, True),
        ("deny", {"node_labels_expression": 'labels["env"]'}, {"env": "prod"}, True),
    ],
)
def test_labels_and_expressions(side, conditions, labels, expected):
    held = RoleSet.build([role(**{side: conditions})], {}).roles[0]
    part = held.allow if side == "allow" else held.deny
    assert part.selects(labels, {}) is expected
    assert part.empty is (conditions == {})


def test_logins_of_a_side():
    deny = RoleSet.build([role(deny={"logins": ["*"]})], {}).roles[0].deny
    assert deny.has_login("anyone")
    assert not deny.empty
    allow = RoleSet.build([role(allow={"logins": ["a"]})], {}).roles[0].allow
    assert allow.has_login("a")
    assert not allow.has_login("b")


@pytest.mark.parametrize(
    "allow",
    [
        {"node_labels_expression": "nope("},
        {"db_labels_expression": "nope("},
        {"rules": [{"resources": ["role"], "verbs": ["read"], "where": "nope("}]},
        {"impersonate": {"roles": ["a"], "where": "nope("}},
    ],
)
def test_predicates_are_read_when_a_role_is_written(allow):
    with pytest.raises(BadParameter) as refused:
        check(role(allow=allow))
    assert refused.value.code == "POL-PREDICATE"


def test_a_good_role_passes():
    rules = [{"resources": ["role"], "verbs": ["read"]}, {"resources": ["a"], "verbs": ["read"], "where": "true"}]
    check(role(allow={"node_labels_expression": "true", "rules": rules, "impersonate": {"roles": ["a"]}}))


def test_a_held_role_says_what_it_alone_says():
    given = role(allow={"logins": ["a"]}, deny={"logins": ["b"]}, options={"forward_agent": True})
    (held,) = [each for each in RoleSet.build([given], {}).roles if each.name == given.name]
    assert held.options == given.spec.options
    assert held.labels("db_labels", "allow") is held.labels("db_labels", "allow")
    assert not held.labels("db_labels", "deny").speaks
    assert (held.conditions("allow"), held.conditions("deny")) == (given.spec.allow, given.spec.deny)
