"""access.explain: what a caller is told, what an administrator is told."""

import json

import pytest

from teleport.access.checker import Assume, Connect, Denial, Grant, Join, Open, Reach, Use, decide
from teleport.access.denial import Reasons, Step
from teleport.access.explain import fingerprint, from_record, not_found, to_record, tree, user_error, why_allowed
from teleport.access.roleset import RoleSet
from teleport.base.errors import AccessDenied, BadParameter, NotFound
from teleport.model.resource import load
from tests.support.policy import CLUSTER, caller, conditions, joins, lock, node, role, tracker

PROD = {"env": "prod"}
CONFIRM = "access to node denied. User does not have permissions. Confirm SSH login."


def deny(*roles, action=None, target=None, who=None, world=None):
    who = who or caller(*(each.name for each in roles))
    target = node(**PROD) if target is None else target
    denial = decide(who, RoleSet.build(roles, {}), action or Connect("root"), target, world or conditions())
    assert isinstance(denial, Denial)
    return denial


def told(error):
    return (type(error), error.code, error.fields, error.id, error.what, error.why, error.fix)


ACCESS = role("access", {"logins": ["alice"], "node_labels": {"env": "prod"}})
DBA = role("dba", {"logins": ["root"], "node_labels": {"env": "db"}})


def test_a_login_that_no_role_has():
    error = user_error(deny(ACCESS, DBA, action=Connect("bob")), "id-1")
    assert isinstance(error, AccessDenied)
    assert (error.code, error.id, error.what) == ("POL-NO-LOGIN", "id-1", CONFIRM)
    assert error.why == 'role "access" allows logins [alice]; you asked for "bob". node-7 itself matches'
    assert error.fix == "tsh ssh alice@node-7"


def test_an_account_that_no_role_lists():
    spec = {"protocol": "postgres", "uri": "db:5432"}
    database = load({"kind": "db", "metadata": {"name": "sales", "labels": PROD}, "spec": spec})
    reader = role("reader", {"db_labels": {"env": "prod"}, "db_users": ["alice"]})
    denial = deny(reader, action=Reach("root", "orders"), target=database)
    error = user_error(denial, "id-1")
    assert error.what == "access to db denied. User does not have permissions. Confirm database user and name."
    assert error.why == "no role of yours that allows sales lists what you asked for"
    assert from_record(to_record(denial)).request == "reach db/sales as root in orders"
    app = load({"kind": "app", "metadata": {"name": "graphs"}, "spec": {"uri": "http://graphs"}})
    hidden = deny(reader, action=Reach(), target=app)
    assert user_error(hidden, "id").what == 'app "graphs" not found'
    hidden.visible = True
    assert user_error(hidden, "id").what == "access to app denied. User does not have permissions."


def test_a_role_that_was_not_given():
    denial = deny(role("bot-x", {"impersonate": {"roles": ["ops"]}}), action=Assume(), target=DBA)
    error = user_error(denial, "id-1")
    assert error.what == 'access denied: you may not have certificates with role "dba"'
    assert error.why == 'allow.impersonate.roles of role "bot-x" is [ops]'
    assert from_record(to_record(denial)).request == "assume role/dba"
    assert user_error(deny(DBA, action=Assume(), target=ACCESS), "x").why.startswith("no role of yours has")


def test_many_roles_are_counted():
    roles = [role(f"r{i}", {"logins": ["alice"], "node_labels": {"env": "prod"}}) for i in range(5)]
    assert "; and 2 more; you asked" in user_error(deny(*roles, action=Connect("bob")), "x").why


def test_a_hidden_target_and_an_absent_one_are_the_same():
    hidden = user_error(deny(DBA), "id-1", asked="node-7")
    assert told(hidden) == told(not_found("node", "node-7", "id-1"))
    assert hidden.what == 'node "node-7" not found'
    assert "tctl access explain id-1" in hidden.fix
    assert user_error(deny(DBA), "x").fields["name"] == "uuid-7"
    assert isinstance(user_error(deny(DBA, action=Use("read")), "x"), NotFound)


@pytest.mark.parametrize(
    ("message", "target", "what"),
    [
        ("Stolen.", {"user": "carol"}, 'lock targeting User:"carol" is in force: Stolen.'),
        ("", {"role": "access"}, 'lock targeting Role:"access" is in force'),
        ("x", {"login": "alice"}, 'lock targeting Login:"alice" is in force: x'),
        ("x", {"server_id": "uuid-7"}, 'lock targeting ServerID:"uuid-7" is in force: x'),
    ],
)
def test_locks(message, target, what):
    error = user_error(deny(ACCESS, action=Connect("alice"), world=conditions(lock(message=message, **target))), "i")
    assert error.what == what
    assert error.fix.endswith("tctl rm lock/lock-1")


@pytest.mark.parametrize(
    ("denial", "code", "what", "why"),
    [
        (
            deny(ACCESS, action=Use("create"), target="role"),
            "POL-NO-VERB",
            'access denied to perform action "create" on "role"',
            "no role of yours has a rule for it",
        ),
        (
            deny(role("dev", {"logins": ["root", "alice"], "node_labels": {"*": "*"}}, {"logins": ["root"]})),
            "POL-DENY-RULE",
            CONFIRM,
            'role "dev" denies logins [root]',
        ),
        (
            deny(
                role("dev", deny={"rules": [{"resources": ["node"], "verbs": ["list"]}]}),
                action=Use("list"),
                target="node",
            ),
            "POL-DENY-RULE",
            'access denied to perform action "list" on "node"',
            'role "dev" denies rules [node]: [list]',
        ),
        (
            deny(ACCESS, action=Connect("alice"), who=caller("access", expires=conditions().now)),
            "POL-EXPIRED",
            "access denied: the certificate has expired",
            "wanted: valid at 2026-01-02T12:04:11Z; found: valid until 2026-01-02T12:04:11Z",
        ),
        (
            deny(role("dev", {"logins": ["alice", "new"], "node_labels": {"*": "*"}}), action=Connect("new")),
            "POL-NO-PRINCIPAL",
            CONFIRM,
            "your roles allow the login now, but your certificate was issued before and does not list it",
        ),
        (
            deny(who=caller(kind="host", system_roles=("Node",)), action=Use("create"), target="role"),
            "POL-SYSTEM",
            'access denied to perform action "create" on "role"',
            "a service of the cluster may do only what its system roles list",
        ),
        (
            deny(ACCESS, target="node"),
            "POL-NOT-CONNECTABLE",
            CONFIRM,
            "no role of yours allows it on node",
        ),
    ],
)
def test_other_refusals(denial, code, what, why):
    error = user_error(denial, "id-1")
    assert (error.code, error.what, error.why) == (code, what, why)
    assert error.fix


def test_a_broken_rule_of_nobody_has_a_reason_too():
    denial = deny(action=Use("x"), target="user")
    denial.code = "POL-DENY-RULE"
    assert user_error(denial, "i").why == "a rule forbids it"


def test_a_login_shown_by_no_role_of_the_caller():
    denial = deny(DBA, action=Connect("bob"))
    denial.code = "POL-NO-LOGIN"
    denial.visible = True
    assert user_error(denial, "i").why.startswith("no role of yours allows it; you asked")


def test_the_name_of_a_token_is_not_kept():
    secret = "a-secret-that-lets-hosts-join"
    token = load({"kind": "token", "version": "v2", "metadata": {"name": secret}, "spec": {"roles": ["Node"]}})
    denial = deny(ACCESS, action=Use("delete"), target=token)
    kept = to_record(denial)
    assert secret.encode() not in kept
    assert from_record(kept).name == "*" * 21 + secret[21:]
    assert from_record(kept).request == f"delete token/{'*' * 21}{secret[21:]}"
    assert fingerprint(denial) != fingerprint(deny(ACCESS, action=Use("delete"), target=token.with_metadata(name="x")))


def test_the_tree():
    record = from_record(to_record(deny(ACCESS, DBA, action=Connect("bob"), who=caller("access", "dba"))))
    assert tree(record) == (
        "DENY ssh bob@node-7 (user carol, 2026-01-02T12:04:11Z, POL-NO-LOGIN)\n"
        ' role access  node_labels env=prod MATCH | logins [alice] MISS ("bob") <- nearest miss\n'
        ' role dba     node_labels env=db MISS (env=prod) | logins [root] MISS ("bob")\n'
        " cluster ok | certificate ok | ip ok | roles ok | role set ok | locks none | list of locks ok\n"
        'would succeed if: add login "bob" to role "access", and '
        'log in again, so that the certificate lists "bob"\n'
    )


def test_the_tree_of_other_refusals():
    locked = tree(from_record(to_record(deny(ACCESS, world=conditions(lock(user="carol"))))))
    assert 'locks User:"carol" (lock lock-1), wanted none <- nearest miss' in locked
    both = role("dev", {"logins": ["root"], "node_labels": {"*": "*"}}, {"logins": ["root"]})
    assert "deny logins [root] MATCH <- denies" in tree(from_record(to_record(deny(both))))
    used = tree(from_record(to_record(deny(role("a"), role("b"), action=Use("create"), target=role("x")))))
    assert used.startswith("DENY create role/x (user carol")
    assert "rules no rule for it for create on role MISS <- nearest miss" in used
    assert "             or: add a rule" in used
    alone = deny(action=Use("create"), target="role")
    assert tree(from_record(to_record(alone))).startswith("DENY create role (user")
    host = deny(who=caller(kind="host"), action=Use("list"), target="role")
    assert "rights none" in tree(from_record(to_record(host)))
    assert "target kind node, wanted a node <- nearest miss" in tree(from_record(to_record(deny(target="node"))))


def test_names_from_the_network_cannot_break_lines_or_encoding():
    denial = deny(ACCESS, action=Connect("a\nDENY\x1b[2J\ud800"))
    assert b"\n" not in to_record(denial)
    shown = tree(from_record(to_record(denial)))
    assert "\x1b" not in shown
    assert sum(line.startswith("DENY") for line in shown.splitlines()) == 1
    assert "\n" not in user_error(denial, "i").why


@pytest.mark.parametrize("change", [{"version": 2}, {"steps": 1}, {"more": 1}])
def test_what_is_no_record(change):
    good = json.loads(to_record(deny(ACCESS)))
    with pytest.raises(BadParameter) as refused:
        from_record(json.dumps({**good, **change, "version": change.get("version", 1)}).encode())
    assert refused.value.code == "POL-RECORD"
    with pytest.raises(BadParameter):
        from_record(b"{")


def test_a_record_without_a_near_miss():
    record = from_record(to_record(deny(who=caller(), world=conditions())))
    assert record.nearest == -1
    assert "nearest" not in tree(record)


def test_fingerprints_are_equal_for_what_says_the_same():
    first = deny(ACCESS)
    later = deny(ACCESS, world=conditions(now=conditions().now.replace(second=59)))
    assert fingerprint(first) == fingerprint(later)
    assert len(fingerprint(first)) == 32
    others = [
        deny(ACCESS, action=Connect("bob")),
        deny(ACCESS, target=node("uuid-8", **PROD)),
        deny(ACCESS, world=conditions(client_ip="192.0.2.1")),
        deny(ACCESS, who=caller("access", name="dave")),
        deny(role("access", {"logins": ["alice"]})),
        deny(ACCESS, world=conditions(lock(user="carol"))),
        deny(ACCESS, world=conditions(lock("other", user="carol"))),
    ]
    assert len({fingerprint(denial) for denial in [first, *others]}) == 8


def test_why_something_is_allowed():
    grant = decide(caller("access"), RoleSet.build([ACCESS], {}), Connect("alice"), node(**PROD), conditions())
    assert isinstance(grant, Grant)
    assert why_allowed(grant) == 'ALLOW ssh alice@node-7 (user carol): role "access", until 2026-01-02T13:04:11Z'
    assert grant.caller.cluster == CLUSTER


def test_a_role_that_the_caller_does_not_hold_is_not_named():
    """Whatever the checker looked at: words for the caller are made of the caller's own roles."""
    seen = Step(role="secret-role", side="deny", condition="logins", matched=True, wanted="[root]", found='"root"')
    denial = Denial(
        "POL-DENY-RULE", caller("access"), Connect("root"), node(), conditions(),
        reasons=lambda: Reasons((seen,), seen, ()), visible=lambda: True,
    )  # fmt: skip
    error = user_error(denial, "i")
    assert error.why == "a rule forbids it"
    assert "secret-role" not in f"{error.what}{error.why}{error.fix}{error.fields}"
    assert "secret-role" in tree(from_record(to_record(denial)))


ROOT = {"logins": ["root"], "node_labels": {"env": "prod"}}
CERTIFIED = {"permit_port_forwarding": True, "permit_agent_forwarding": True, "permit_x11_forwarding": True}


@pytest.mark.parametrize(
    ("options", "channel", "who", "closed", "expected"),
    [
        ({}, "agent", CERTIFIED, (), ("POL-CHANNEL-ROLE", "agent forwarding not allowed",
         "no role of yours sets forward_agent to yes", "ask an administrator")),
        ({"ssh_file_copy": False}, "file_copy", CERTIFIED, (), ("POL-CHANNEL-ROLE", "file copying not allowed",
         'role "access" sets ssh_file_copy to no', "ask an administrator")),
        ({}, "local_forward", {}, (), ("POL-CHANNEL-CERTIFICATE", "port forwarding not allowed",
         "your certificate has no extension permit-port-forwarding", "log in again: tsh login")),
        ({}, "x11", CERTIFIED, ("x11",), ("POL-CHANNEL-SERVICE", "X11 forwarding not allowed",
         "ssh_service.x11.enabled is off at the node, or a proxy that records the session does not carry it",
         "ask an administrator")),
        ({}, "agent", CERTIFIED, ("agent",), ("POL-CHANNEL-SERVICE", "agent forwarding not allowed",
         "a proxy that records the session does not carry it", "ask an administrator")),
        ({}, "remote_forward", CERTIFIED, ("remote_forward",), ("POL-CHANNEL-SERVICE",
         "remote port forwarding not allowed", "ssh_service.port_forwarding is off", "ask an administrator")),
    ],
)  # fmt: skip
def test_channels(options, channel, who, closed, expected):
    held = role("access", ROOT, options=options)
    denial = deny(
        held, action=Open("root", channel), who=caller("access", **who), world=conditions(closed=closed)
    )  # fmt: skip
    error = user_error(denial, "id")
    code, what, why, fix = expected
    assert (error.code, error.what) == (code, what)
    assert why in error.why
    assert fix in error.fix
    record = from_record(to_record(denial))
    assert record.request.startswith("ssh root@node-7 (")
    assert "<- " in tree(record)


def test_a_channel_on_a_node_that_is_refused_is_refused_like_a_session():
    denial = deny(ACCESS, action=Open("root", "agent"), who=caller("access", **CERTIFIED))
    assert user_error(denial, "id").what == CONFIRM
    assert denial.code == "POL-NO-LOGIN"


def test_refusals_of_two_channels_are_two():
    first, second = (deny(role("access", ROOT), action=Open("root", name), who=caller("access", **CERTIFIED))
                     for name in ("agent", "x11"))  # fmt: skip
    assert fingerprint(first) != fingerprint(second)


def test_a_refusal_to_join_is_told_and_explained():
    watcher = role("watcher", joins("observer"))
    denial = deny(watcher, action=Join("peer"), target=tracker("alice", "dev"))
    error = user_error(denial, "id-1", asked="session-1")
    assert (error.code, error.id) == ("POL-JOIN", "id-1")
    assert error.what == "access to the session denied: you may not join it as peer"
    assert (
        error.why == "no role of yours has a join_sessions policy for this mode and for a role of the session's owner"
    )
    shown = tree(from_record(to_record(denial)))
    assert shown.startswith("DENY join session_tracker/session-1 as peer (user carol")
    assert "role watcher  join_sessions modes [observer], kinds [ssh], roles [*] MISS (peer, ssh" in shown
    forbidden = deny(watcher, role("never", deny=joins("*")), action=Join("observer"), target=tracker("carl", "dev"))
    assert not forbidden.visible
    assert user_error(forbidden, "x", asked="session-1").code == "POL-NOT-FOUND"
    own_list = role("lists", {"rules": [{"resources": ["session_tracker"], "verbs": ["list"]}]}, joins("*"))
    shown = user_error(deny(own_list, action=Join("observer"), target=tracker("carl", "dev")), "x")
    assert (shown.code, shown.why.startswith('role "lists" denies join_sessions modes [*]')) == ("POL-DENY-RULE", True)
