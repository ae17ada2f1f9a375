"""access.checker: the worked cases of the reference, the order of checks, and grants that cannot be forged."""

import copy
import datetime as dt
import pickle

import pytest

from teleport.access.checker import Assume, Connect, Denial, Grant, Join, Open, Reach, Use, decide, visible
from teleport.access.roleset import RoleSet
from teleport.base.errors import Internal
from teleport.base.struct import Struct
from teleport.model.resource import Resource, _registry, kind, load
from tests.support.policy import CLUSTER, NOW, caller, conditions, joins, lock, node, role, tracker

PROD = {"env": "prod", "team": "a"}


def ask(*roles, action=None, target=None, who=None, world=None, traits=None):
    who = who or caller(*(each.name for each in roles))
    target = node(**PROD) if target is None else target
    return decide(who, RoleSet.build(roles, traits or {}), action or Connect("root"), target, world or conditions())


def code(*roles, **more):
    answer = ask(*roles, **more)
    return answer.code if isinstance(answer, Denial) else "yes"


def dev(allow=None, deny=None, name="dev", **more):
    return role(name, {"logins": ["root"], "node_labels": {"*": "*"}, **(allow or {})}, deny, **more)


@pytest.mark.parametrize(
    ("roles", "login", "expected"),
    [
        ([dev({"node_labels": {"env": "prod"}})], "root", "yes"),
        ([dev({"node_labels": {"env": ["dev", "staging"]}})], "root", "POL-NO-LABELS"),
        ([dev(deny={"node_labels": {"env": "prod"}})], "root", "POL-DENY-RULE"),
        ([dev({"logins": ["root", "ubuntu"]}, deny={"logins": ["root"]})], "root", "POL-DENY-RULE"),
        ([dev({"logins": ["root", "ubuntu"]}, deny={"logins": ["root"]})], "ubuntu", "yes"),
        ([dev(deny={"node_labels": {"*": "*"}})], "root", "POL-DENY-RULE"),
        ([dev(deny={"logins": ["*"]})], "root", "POL-DENY-RULE"),
        (
            [
                dev({"node_labels": {"env": "dev"}}, name="a"),
                dev({"logins": ["ubuntu"], "node_labels": {"env": "prod"}}, name="b"),
            ],
            "root",
            "POL-NO-LOGIN",
        ),
        ([dev({"logins": ["{{internal.logins}}"]})], "root", "POL-NO-LOGIN"),
        ([dev({"node_labels_expression": "nope("})], "root", "POL-NO-LABELS"),
        ([dev(deny={"node_labels_expression": "nope("})], "root", "POL-DENY-RULE"),
        ([dev({"node_labels": {"env": "^pr.*$"}})], "root", "yes"),
        ([dev({"node_labels": {"env": "pro"}})], "root", "POL-NO-LABELS"),
        ([role("old", {"logins": ["root"]}, version="v3")], "root", "yes"),
        ([role("new", {"logins": ["root"]}, version="v4")], "root", "POL-NO-LABELS"),
        ([], "root", "POL-NO-LABELS"),
        ([dev({"logins": ["postgres"]})], "postgres", "POL-NO-PRINCIPAL"),
        ([dev(), role("other", deny={"db_labels": {"*": "*"}, "db_users": ["*"]})], "root", "yes"),
    ],
)
def test_connecting(roles, login, expected):
    assert code(*roles, action=Connect(login)) == expected


DATABASE = load(
    {"kind": "db", "metadata": {"name": "sales", "labels": PROD}, "spec": {"protocol": "postgres", "uri": "db:5432"}}
)


@pytest.mark.parametrize(
    ("allow", "deny", "expected"),
    [
        ({"db_labels": {"env": "prod"}, "db_users": ["root"]}, {}, "yes"),
        ({"db_labels": {"env": "prod"}}, {}, "POL-NO-ACCOUNT"),
        ({"db_labels": {"env": "dev"}, "db_users": ["root"]}, {}, "POL-NO-LABELS"),
        ({"db_labels": {"env": "prod"}, "db_users": ["root"]}, {"db_users": ["*"]}, "POL-DENY-RULE"),
    ],
)
def test_reaching_a_database(allow, deny, expected):
    given = role("dba", allow, deny)
    assert code(given, action=Reach("root"), target=DATABASE) == expected
    if expected == "yes":
        assert ask(given, action=Reach("root"), target=DATABASE).role == "dba"
        locked = conditions(lock(user="carol"))
        assert code(given, action=Reach("root"), target=DATABASE, world=locked) == "POL-LOCKED"
    else:
        assert ask(given, action=Reach("root"), target=DATABASE).nearest is not None
    assert visible(caller("dba"), RoleSet.build([given], {}), DATABASE, conditions()) is (expected != "POL-NO-LABELS")


@pytest.mark.parametrize("target", ["db", node(), role("x")])
def test_only_what_is_served_is_reached(target):
    answer = ask(role("dba", {"db_labels": {"*": "*"}}), action=Reach(), target=target)
    assert answer.code == "POL-NOT-CONNECTABLE"
    assert answer.nearest.wanted == "a database, an application or a Kubernetes cluster"
    assert code(dev(), action=Connect("root"), target=DATABASE) == "POL-NOT-CONNECTABLE"


def test_a_database_that_rules_show_and_labels_do_not_is_not_listed():
    given = role("dba", {"db_labels": {"env": "dev"}})
    answer = ask(given, action=Use("read"), target=DATABASE)
    assert (answer.code, answer.visible) == ("POL-NO-LABELS", False)
    assert answer.nearest.condition == "db_labels"


@pytest.mark.parametrize("target", ["node", "role", role("x")])
def test_only_nodes_have_logins(target):
    assert code(dev(), target=target) == "POL-NOT-CONNECTABLE"
    answer = ask(dev(), target=target)
    assert answer.nearest.found == f"kind {'node' if target == 'node' else 'role'}"


@pytest.mark.parametrize(
    ("who", "world", "expected"),
    [
        (caller("dev", cluster="other"), conditions(lock(user="carol")), "POL-OTHER-CLUSTER"),
        (caller("dev", expires=NOW), conditions(lock(user="carol")), "POL-EXPIRED"),
        (caller("dev", pinned_ip="192.0.2.1"), conditions(lock(user="carol")), "POL-PINNED-IP"),
        (caller("dev", "gone"), conditions(lock(user="carol")), "POL-ROLE-MISSING"),
        (caller("dev"), conditions(lock(user="carol")), "POL-LOCKED"),
        (caller("dev"), conditions(lock(user="carol", expires=NOW)), "yes"),
    ],
)
def test_conditions_on_the_caller_come_first(who, world, expected):
    assert code(dev(), who=who, world=world) == expected


def rules(*entries, name="dev", **more):
    return role(name, {"rules": list(entries), **more})


READ_ROLE = {"resources": ["role"], "verbs": ["read"]}
WHERE_NAME = {**READ_ROLE, "where": 'equals(resource.metadata.name, "x")'}


@pytest.mark.parametrize(
    ("roles", "verb", "target", "expected"),
    [
        ([rules(READ_ROLE)], "read", "role", "yes"),
        ([rules(READ_ROLE)], "create", "role", "POL-NO-VERB"),
        ([rules(READ_ROLE), role("no", deny={"rules": [READ_ROLE]})], "read", "role", "POL-DENY-RULE"),
        ([rules(READ_ROLE), role("no", deny={"rules": [WHERE_NAME]})], "read", "role", "yes"),
        ([rules(READ_ROLE), role("no", deny={"rules": [WHERE_NAME]})], "read", role("x"), "POL-DENY-RULE"),
        ([rules(WHERE_NAME)], "read", "role", "yes"),
        ([rules(WHERE_NAME)], "read", role("x"), "yes"),
        ([rules(WHERE_NAME)], "read", role("y"), "POL-NO-VERB"),
        ([rules(READ_ROLE), rules({**READ_ROLE, "where": "nope("}, name="bad")], "read", "role", "POL-DENY-RULE"),
        ([], "list", "node", "yes"),
        ([], "list", "cert_authority", "yes"),
        ([], "read", "cert_authority", "POL-NO-VERB"),
        ([], "read", "user", "POL-NO-VERB"),
        ([], "read", role("dev"), "POL-NO-VERB"),
        ([dev()], "read", role("dev"), "yes"),
        ([dev()], "read", node(**PROD), "yes"),
        ([dev({"node_labels": {"env": "dev"}})], "read", node(**PROD), "POL-NO-LABELS"),
        ([dev(), role("no", deny={"rules": [{"resources": ["*"], "verbs": ["*"]}]})], "list", "node", "POL-DENY-RULE"),
        ([rules({"resources": ["node"], "verbs": ["delete"]})], "delete", node(**PROD), "yes"),
    ],
)
def test_using_the_api(roles, verb, target, expected):
    assert code(*roles, action=Use(verb), target=target) == expected


def test_services_are_judged_by_their_table():
    host = caller("Instance", name=f"uuid-7.{CLUSTER}", kind="host", system_roles=("Node",))
    assert isinstance(ask(who=host, action=Use("update"), target=node("uuid-7")), Grant)
    assert ask(who=host, action=Use("list"), target="lock").role == "Node"
    assert code(who=host, action=Use("update"), target=node("uuid-8")) == "POL-SYSTEM"
    assert code(dev(), who=host) == "POL-SYSTEM"
    world = conditions(lock(server_id="uuid-7"))
    assert code(who=host, action=Use("list"), target="lock", world=world) == "yes"
    assert code(who=host, action=Use("update"), target="node", world=world) == "POL-LOCKED"
    grant = ask(who=caller(kind="host", system_roles=("Node",), expires=NOW + dt.timedelta(days=400)),
                action=Use("list"), target="lock")  # fmt: skip
    assert grant.expires == NOW + dt.timedelta(days=400)


def test_the_local_administrator():
    admin = caller(name="admin@host", kind="admin", principals=())
    assert isinstance(ask(who=admin, action=Use("delete"), target=role("x")), Grant)
    assert isinstance(ask(who=admin, action=Use("read"), target=node()), Grant)
    assert code(dev(), who=admin) == "POL-NO-LABELS"
    assert code(who=admin, action=Use("list"), target="role", world=conditions(lock(user="admin@host"))) == "POL-LOCKED"
    assert visible(admin, RoleSet.build([], {}), node(), conditions())


def test_visible():
    roles = RoleSet.build([dev({"node_labels": {"env": "prod"}})], {})
    assert visible(caller("dev"), roles, node(**PROD), conditions())
    assert not visible(caller("dev"), roles, node(env="dev"), conditions())
    assert not visible(caller("dev", principals=("alice", "-internal")), roles, node(**PROD), conditions())
    assert not visible(caller("dev"), roles, node(**PROD), conditions(lock(server_id="uuid-7")))
    assert visible(caller("dev"), roles, role("dev"), conditions())
    assert not visible(caller("dev"), roles, role("other"), conditions())


class _Spec(Struct):
    pass


def test_a_kind_whose_selector_is_not_known_yet_is_not_shown():
    class Widget(Resource[_Spec], frozen=True, kw_only=True, tag="widget"):
        spec: _Spec = _Spec()

    kind(key="widgets", versions=("v1",), selector="widget_labels")(Widget)
    try:
        every = rules({"resources": ["*"], "verbs": ["*"]}, name="all")
        assert not visible(caller("all"), RoleSet.build([every], {}), Widget(), conditions())
        answer = ask(every, action=Use("read"), target=Widget())
        assert answer.code == "POL-NO-LABELS"
        assert answer.nearest.condition == "listing"
        assert code(every, action=Use("delete"), target=Widget()) == "yes"
    finally:
        del _registry["widget"]


def test_a_kind_that_is_not_declared_is_judged_by_rules():
    class Stray(Resource[_Spec], frozen=True, kw_only=True, tag="stray"):
        spec: _Spec = _Spec()

    every = rules({"resources": ["*"], "verbs": ["*"]}, name="all")
    assert code(every, action=Use("read"), target=Stray()) == "yes"
    assert code(every, target=Stray()) == "POL-NOT-CONNECTABLE"


def test_a_grant_says_what_for_and_how_long():
    short = dev(options={"max_session_ttl": "10m"})
    grant = ask(short)
    assert isinstance(grant, Grant)
    assert (grant.role, grant.action, grant.target, grant.caller) == (
        "dev",
        Connect("root"),
        node(**PROD),
        caller("dev"),
    )
    assert grant.expires == NOW + dt.timedelta(minutes=10)
    assert ask(dev()).expires == NOW + dt.timedelta(hours=1)
    assert not grant.options.forward_agent
    assert repr(grant) == "Grant(carol, Connect(login='root'), node/uuid-7)"
    endless = dev(options={"max_session_ttl": "2777777h"})
    late = caller("dev", expires=dt.datetime.max.replace(tzinfo=dt.UTC))
    world = conditions(now=late.expires - dt.timedelta(days=1))
    assert ask(endless, who=late, world=world).expires == late.expires


def test_a_grant_cannot_be_made_copied_or_changed():
    grant = ask(dev())
    forgeries = [
        lambda: Grant(object(), caller=None),
        lambda: Grant(None),
        lambda: setattr(grant, "role", "x"),
        lambda: delattr(grant, "role"),
        lambda: copy.copy(grant),
        lambda: copy.deepcopy(grant),
        lambda: pickle.dumps(grant),
        lambda: type("Free", (Grant,), {}),
    ]
    for forge in forgeries:
        with pytest.raises(Internal) as refused:
            forge()
        assert refused.value.code == "POL-GRANT-FORGED"
    with pytest.raises(AttributeError):
        _ = object.__new__(Grant).role


def test_reasons_hold_the_conditions_on_the_caller_and_of_every_role():
    locked = ask(dev(), world=conditions(lock(user="carol", message="why")))
    assert locked.fields == {
        "lock": 'User:"carol"', "message": ": why", "lock_name": "lock-1", "unlock": "tctl rm lock/lock-1",
    }  # fmt: skip
    assert locked.nearest.condition == "locks"
    assert locked.succeed_if == ('remove lock "lock-1": tctl rm lock/lock-1',)
    assert {step.role for step in locked.steps} == {"", "dev"}
    broken = ask(rules({"resources": ["role"], "verbs": ["read"], "where": "x"}), action=Use("read"), target="role")
    assert "cannot be evaluated" in broken.nearest.found
    used = ask(dev(), world=conditions(lock(user="carol")), action=Use("list"), target="role")
    assert "default-implicit-role" in {step.role for step in used.steps}
    expired = ask(dev(), who=caller("dev", expires=NOW))
    assert expired.succeed_if == ("log in again, so that the certificate is valid",)
    assert "valid until" in expired.fields["reason"]
    host = caller(kind="host", expires=NOW)
    assert {step.role for step in ask(who=host, action=Use("list"), target="lock").steps} == {""}
    service = ask(who=caller(kind="host", system_roles=("Node",)))
    assert (service.nearest.role, service.nearest.wanted) == ("Node", "open a session")


def test_a_denied_login_knows_those_that_work():
    answer = ask(dev({"logins": ["root", "alice"]}), action=Connect("bob"))
    assert answer.reasons.logins == ("root", "alice")
    hidden = ask(dev({"node_labels": {"env": "dev"}}), action=Use("read"))
    assert hidden.nearest.condition == "node_labels"
    nobody = ask(dev({"node_labels": {"env": "dev"}}), action=Use("read"), who=caller("dev", principals=("-x",)))
    assert nobody.code == "POL-NO-LABELS"
    assert any(step.condition == "listing" for step in nobody.steps)


def test_what_a_refusal_tells_of_the_target():
    assert ask(dev(), action=Connect("bob")).visible
    assert not ask(dev({"node_labels": {"env": "dev"}})).visible
    assert ask(dev({"node_labels": {"env": "dev"}}), world=conditions(lock(user="carol"))).visible
    assert ask(dev(), world=conditions(lock(server_id="uuid-7"))).visible
    assert not ask(dev({"node_labels": {"a": "b"}}), world=conditions(lock(server_id="uuid-7"))).visible
    assert ask(dev(), action=Use("create"), target="role").visible
    assert not ask(dev(), action=Use("delete"), target=role("x")).visible
    assert ask(dev(), action=Use("delete"), target=role("dev")).visible


CERTIFIED = {"permit_port_forwarding": True, "permit_agent_forwarding": True, "permit_x11_forwarding": True}
GIVING = {"forward_agent": True, "permit_x11_forwarding": True}


@pytest.mark.parametrize("channel", ["local_forward", "remote_forward", "agent", "x11", "file_copy"])
def test_a_channel_needs_a_session_the_service_the_certificate_and_the_roles(channel):
    action, who = Open("root", channel), caller("dev", **CERTIFIED)
    off = {
        "port_forwarding": False, "forward_agent": False, "permit_x11_forwarding": False, "ssh_file_copy": False,
    }  # fmt: skip
    assert isinstance(ask(dev(options=GIVING), action=action, who=who), Grant)
    assert code(dev(options=off), action=action, who=who) == "POL-CHANNEL-ROLE"
    bare = code(dev(options=GIVING), action=action, who=caller("dev"))
    assert bare == ("yes" if channel == "file_copy" else "POL-CHANNEL-CERTIFICATE")
    closed = code(dev(options=GIVING), action=action, who=who, world=conditions(closed=(channel,)))
    assert closed == "POL-CHANNEL-SERVICE"
    for refused in (Open("postgres", channel), Open("nobody", channel)):
        assert code(dev(options=GIVING), action=refused, who=who).startswith("POL-NO-")
    assert code(dev(options=GIVING), action=action, who=who, world=conditions(lock(user="carol"))) == "POL-LOCKED"
    assert code(dev(options=GIVING), action=action, who=who, world=conditions(lock(login="root"))) == "POL-LOCKED"
    answer = ask(dev(options=off), action=action, who=who)
    assert answer.nearest.role == "dev"
    assert answer.succeed_if


OBSERVING = role("watcher", joins("observer", roles=("dev*",)))
FORBIDDING = role("never", deny=joins("*", roles=("dev",), kinds=("*",)))
ANYBODY = tracker("alice", "dev", "other")


@pytest.mark.parametrize(
    ("roles", "mode", "target", "expected"),
    [
        ([OBSERVING], "observer", ANYBODY, "yes"),
        ([OBSERVING], "peer", ANYBODY, "POL-JOIN"),
        ([OBSERVING], "observer", tracker("alice", "ops"), "POL-JOIN"),
        ([OBSERVING], "observer", tracker("alice"), "POL-JOIN"),
        ([OBSERVING], "observer", tracker("alice", "dev", kind="k8s"), "POL-JOIN"),
        ([OBSERVING, FORBIDDING], "observer", ANYBODY, "POL-DENY-RULE"),
        ([OBSERVING, FORBIDDING], "observer", tracker("alice", "dev-2"), "yes"),
        ([dev()], "observer", ANYBODY, "POL-JOIN"),
        ([FORBIDDING], "moderator", tracker("carol", "dev"), "yes"),
        ([dev()], "peer", tracker("carol"), "yes"),
        ([role("old", joins("*"), version="v4")], "observer", ANYBODY, "POL-JOIN"),
        ([OBSERVING], "observer", role(), "POL-NOT-CONNECTABLE"),
        ([OBSERVING], "observer", "node", "POL-NOT-CONNECTABLE"),
    ],
)
def test_joining_a_session(roles, mode, target, expected):
    assert code(*roles, action=Join(mode), target=target) == expected


GIVEN = role("bot-x", {"impersonate": {"roles": ["dev"]}})


@pytest.mark.parametrize(
    ("roles", "target", "more", "expected"),
    [
        ([GIVEN], dev(), {}, "yes"),
        ([GIVEN], role("ops"), {}, "POL-IMPERSONATION"),
        ([dev()], dev(), {}, "POL-IMPERSONATION"),
        ([GIVEN, role("no", deny={"impersonate": {"roles": ["*"]}})], dev(), {}, "POL-DENY-RULE"),
        ([GIVEN], GIVEN, {}, "POL-IMPERSONATION"),
        ([GIVEN], GIVEN, {"renewable": True}, "yes"),
        ([GIVEN], dev(), {"expires": NOW}, "POL-EXPIRED"),
        ([GIVEN], dev(), {"kind": "host", "system_roles": ("Node",)}, "POL-SYSTEM"),
        ([GIVEN], node(), {}, "POL-IMPERSONATION"),
        ([GIVEN], "role", {}, "POL-IMPERSONATION"),
    ],
)
def test_certificates_with_other_roles(roles, target, more, expected):
    who = caller(*(each.name for each in roles), **more)
    assert code(*roles, action=Assume(), target=target, who=who) == expected
    answer = ask(*roles, action=Assume(), target=target, who=who)
    assert isinstance(answer, Grant) or (answer.visible or not isinstance(target, Resource), len(answer.steps) > 1)


def test_being_refused_a_role_does_not_tell_whether_it_is_there():
    assert ask(GIVEN, action=Assume(), target=role("ops")).visible


def test_who_may_join_is_granted_with_the_role_that_says_so():
    assert ask(OBSERVING, action=Join("observer"), target=ANYBODY).role == "watcher"


def test_conditions_on_the_caller_come_first_for_owners_too():
    own = tracker("carol")
    assert code(dev(), action=Join("peer"), target=own, world=conditions(lock(user="carol"))) == "POL-LOCKED"
    assert code(dev(), action=Join("peer"), target=own, who=caller("dev", expires=NOW)) == "POL-EXPIRED"
    assert code(dev(), action=Join("peer"), target=own, who=caller("dev", cluster="leaf")) == "POL-OTHER-CLUSTER"
    assert code(action=Join("peer"), target=own, who=caller(kind="host", system_roles=("Node",))) == "POL-SYSTEM"
    assert code(action=Join("peer"), target=own, who=caller(kind="admin")) == "POL-JOIN"


def test_the_way_to_a_node_where_a_session_runs():
    step = Join("observer")
    assert code(dev(), action=step) == "yes"
    assert code(OBSERVING, action=step) == "yes"
    assert code(role("none"), action=step) == "POL-JOIN"
    assert ask(role("none"), action=step).steps
    assert not ask(role("none"), action=step).visible


@pytest.mark.parametrize("verb", ["list", "read"])
def test_who_may_join_a_session_sees_it_even_if_lists_are_denied(verb):
    unlisted = role("blind", deny={"rules": [{"resources": ["session_tracker"], "verbs": ["*"]}]})
    for target in (ANYBODY, "session_tracker"):
        assert code(OBSERVING, unlisted, action=Use(verb), target=target) == "yes"
        assert code(unlisted, action=Use(verb), target=target) == "POL-DENY-RULE"
    assert code(OBSERVING, action=Use(verb), target=tracker("alice", "ops")) == "POL-NO-VERB"
    assert code(OBSERVING, FORBIDDING, action=Use(verb), target=ANYBODY) == "POL-NO-VERB"
    assert code(OBSERVING, action=Use("update"), target=ANYBODY) == "POL-NO-VERB"
    assert code(OBSERVING, action=Use(verb), target=role("x")) == "POL-NO-VERB"


def test_a_session_that_nobody_may_see_is_hidden_and_one_that_may_be_seen_is_not():
    assert ask(OBSERVING, action=Join("peer"), target=ANYBODY).visible
    assert not ask(OBSERVING, action=Join("observer"), target=tracker("alice", "ops")).visible
    assert ask(OBSERVING, action=Join("peer"), target=ANYBODY).nearest.condition == "join_sessions"


def test_a_lock_tells_what_it_is_about_whoever_joins():
    denial = ask(OBSERVING, action=Join("observer"), target=ANYBODY, world=conditions(lock(login="root")))
    assert (denial.code, denial.nearest.condition) == ("POL-LOCKED", "locks")
