"""access.served: databases, applications and Kubernetes clusters - who may reach them, and as whom."""

from typing import Any

import pytest

from teleport.access import served
from teleport.access.checker import Denial, Grant, Reach, Use, decide, visible
from teleport.access.explain import user_error
from teleport.access.roleset import RoleSet
from teleport.access.rules import user_data
from teleport.model.resource import Resource, load
from tests.support.policy import caller, conditions, lock, node, role
from tests.unit.model.samples import SAMPLES

ALICE, ORDERS = "alice", "orders"
POSTGRES = {"protocol": "postgres", "uri": "db:5432"}


def thing(kind: str, name: str = "example", spec: dict[str, Any] | None = None, **labels: str) -> Resource[Any]:
    document = {"kind": kind, "version": "v3", "metadata": {"name": name, "labels": labels}}
    return load({**document, "spec": spec or {}})


def db(protocol: str = "postgres", **labels: str) -> Resource[Any]:
    return thing("db", spec={**POSTGRES, "protocol": protocol}, **labels)


def ask(target: Resource[Any], action: Reach, *roles: Any, traits: Any = None, **changes: Any) -> Grant | Denial:
    who = caller(*(each.name for each in roles), **changes)
    return decide(who, RoleSet.build(roles, traits or {}), action, target, conditions())


def code(answer: Grant | Denial) -> str:
    return "" if isinstance(answer, Grant) else answer.code


def reader(**more: Any) -> dict[str, Any]:
    return {"db_labels": {"env": "dev"}, "db_users": [ALICE], "db_names": [ORDERS], **more}


@pytest.mark.parametrize(
    ("allow", "deny", "action", "expected"),
    [
        (reader(), {}, Reach(ALICE, ORDERS), ""),
        (reader(), {}, Reach(ALICE), ""),
        (reader(), {}, Reach(), ""),
        (reader(), {}, Reach("root", ORDERS), "POL-NO-ACCOUNT"),
        (reader(), {}, Reach(ALICE, "stock"), "POL-NO-ACCOUNT"),
        (reader(), {}, Reach("", ORDERS), "POL-NO-ACCOUNT"),
        (reader(), {}, Reach(ALICE, ""), "POL-NO-ACCOUNT"),
        (reader(db_users=["*"], db_names=["*"]), {}, Reach("root", "stock"), ""),
        (reader(db_users=["{{internal.db_users}}"]), {}, Reach(ALICE, ORDERS), ""),
        (reader(db_labels={"env": "prod"}), {}, Reach(ALICE, ORDERS), "POL-NO-LABELS"),
        (reader(db_labels={}), {}, Reach(), "POL-NO-LABELS"),
        (reader(db_labels={}, db_labels_expression='labels["env"] == "dev"'), {}, Reach(ALICE), ""),
        (reader(), {"db_labels": {"env": "*"}}, Reach(ALICE, ORDERS), "POL-DENY-RULE"),
        (reader(), {"db_labels_expression": 'labels["env"] == "dev"'}, Reach(ALICE, ORDERS), "POL-DENY-RULE"),
        (reader(), {"db_users": [ALICE]}, Reach(ALICE, ORDERS), "POL-DENY-RULE"),
        (reader(), {"db_names": ["*"]}, Reach(ALICE, ORDERS), "POL-DENY-RULE"),
        (reader(), {"db_users": ["root"]}, Reach(ALICE, ORDERS), ""),
        (reader(), {"db_users": [ALICE]}, Reach(), ""),
    ],
)
def test_a_database_needs_labels_account_and_part(allow, deny, action, expected):
    answer = ask(db(env="dev"), action, role(allow=allow, deny=deny), traits={"db_users": (ALICE,)})
    assert code(answer) == expected
    if isinstance(answer, Grant):
        assert (answer.role, answer.action) == ("dev", action)


def test_roles_are_not_mixed():
    ro = role("ro", reader(db_labels={"env": "prod"}))
    admin = role("admin", reader(db_users=["root"]))
    assert code(ask(db(env="prod"), Reach("root", ORDERS), ro, admin)) == "POL-NO-ACCOUNT"
    assert code(ask(db(env="dev"), Reach("root", ORDERS), ro, admin)) == ""


@pytest.mark.parametrize(("protocol", "expected"), [("postgres", "POL-NO-ACCOUNT"), ("mysql", ""), ("redis", "")])
def test_parts_count_where_the_protocol_has_them(protocol, expected):
    assert code(ask(db(protocol, env="dev"), Reach(ALICE, "stock"), role(allow=reader()))) == expected


@pytest.mark.parametrize("kind", ["app", "app_server"])
def test_an_application_needs_labels(kind):
    target = load(SAMPLES[kind])
    assert code(ask(target, Reach(), role(allow={"app_labels": {"env": "dev"}}))) == ""
    assert code(ask(target, Reach(), role(allow={"app_labels": {"env": "prod"}}))) == "POL-NO-LABELS"
    denied = role(allow={"app_labels": {"*": "*"}}, deny={"app_labels": {"env": "dev"}})
    assert code(ask(target, Reach(), denied)) == "POL-DENY-RULE"


@pytest.mark.parametrize("kind", ["kube_cluster", "kube_server"])
@pytest.mark.parametrize(
    ("allow", "deny", "expected"),
    [
        ({"kubernetes_groups": ["viewers"]}, {}, ""),
        ({"kubernetes_users": ["ci"]}, {}, ""),
        ({}, {}, "POL-NO-ACCOUNT"),
        ({"kubernetes_groups": ["viewers"]}, {"kubernetes_groups": ["viewers"]}, "POL-NO-ACCOUNT"),
        ({"kubernetes_groups": ["viewers"]}, {"kubernetes_groups": ["*"]}, "POL-NO-ACCOUNT"),
        ({"kubernetes_groups": ["viewers"], "kubernetes_users": ["ci"]}, {"kubernetes_groups": ["*"]}, ""),
        ({"kubernetes_groups": ["viewers"]}, {"kubernetes_labels": {"env": "dev"}}, "POL-DENY-RULE"),
    ],
)
def test_a_kubernetes_cluster_needs_labels_and_somebody_to_be(kind, allow, deny, expected):
    given = role(allow={"kubernetes_labels": {"env": "dev"}, **allow}, deny=deny)
    assert code(ask(load(SAMPLES[kind]), Reach(), given)) == expected


def test_users_and_groups_are_those_of_every_role_that_allows_it():
    target = thing("kube_cluster", env="dev")
    one = role("one", {"kubernetes_labels": {"env": "dev"}, "kubernetes_groups": ["viewers", "masters"]})
    two = role("two", {"kubernetes_labels": {"*": "*"}, "kubernetes_users": ["ci"]}, {"kubernetes_groups": ["masters"]})
    other = role("other", {"kubernetes_labels": {"env": "prod"}, "kubernetes_groups": ["prod"]})
    roles = RoleSet.build([one, two, other], {})
    found = served.principals(roles, target, user_data(caller(), {}))
    assert found == served.Principals(("ci",), ("viewers",))


def test_what_roles_list_of_accounts():
    user = user_data(caller(), {})
    some = RoleSet.build([role("a", reader(db_users=["bob", ALICE]), {"db_users": ["bob"]})], {})
    assert served.listing(some, "db_users", db(env="dev"), user) == served.Listed((ALICE,), ("bob",))
    assert served.listing(some, "db_users", db(env="prod"), user) == served.Listed((), ("bob",))
    none = RoleSet.build([role("a", reader(), {"db_users": ["*"]})], {})
    assert served.listing(none, "db_users", db(env="dev"), user) == served.Listed((), ("*",))


def test_what_is_nothing_of_the_kind_is_refused():
    everything = role(allow={"db_labels": {"*": "*"}, "node_labels": {"*": "*"}, "logins": ["root"]})
    for target in (node(), "db", role("other")):
        assert code(ask(target, Reach(), everything)) == "POL-NOT-CONNECTABLE"  # type: ignore[arg-type]
    answer = ask(node(), Reach(), everything)
    assert isinstance(answer, Denial)
    assert answer.nearest is not None
    assert answer.nearest.found == "kind node"
    assert (served.is_served(node()), served.is_served("db"), served.is_served(db())) == (False, False, True)


def test_version_3_reaches_everything_and_later_ones_nothing_of_which_they_do_not_speak():
    for kind in ("db", "app", "kube_cluster"):
        target = load(SAMPLES[kind])
        old = role(version="v3", allow={"kubernetes_groups": ["g"]})
        assert code(ask(target, Reach(), old)) == ""
        assert code(ask(target, Reach(), role(version="v4", allow={"kubernetes_groups": ["g"]}))) == "POL-NO-LABELS"
    narrow = role(version="v3", allow={"db_labels": {"env": "prod"}})
    assert code(ask(load(SAMPLES["db"]), Reach(), narrow)) == "POL-NO-LABELS"


def test_lists_show_what_labels_allow():
    roles = RoleSet.build([role(allow={"db_labels": {"env": "dev"}}, deny={"db_labels": {"secret": "yes"}})], {})
    who = caller("dev")
    assert visible(who, roles, db(env="dev"), conditions())
    assert not visible(who, roles, db(env="dev", secret="yes"), conditions())
    assert not visible(who, roles, db(env="prod"), conditions())
    assert not visible(who, roles, db(env="dev"), conditions(lock(user="carol")))
    hidden = decide(who, roles, Use("read"), db(env="prod"), conditions())
    assert isinstance(hidden, Denial)
    assert (hidden.code, hidden.visible) == ("POL-NO-LABELS", False)
    assert user_error(hidden, "id").code == "POL-NOT-FOUND"


@pytest.mark.parametrize("kind", ["db", "db_server"])
def test_people_may_list_databases_and_bots_only_with_a_rule(kind):
    """S1-40: what everybody else may do anyway, a bot needs a role for."""
    labels = {"db_labels": {"*": "*"}}
    rules = {"rules": [{"resources": ["db", "db_server"], "verbs": ["list", "read"]}]}
    for who, allow, expected in (("human", {}, ""), ("bot", {}, "POL-NO-VERB"), ("bot", rules, "")):
        given = role(allow={**labels, **allow})
        roles = RoleSet.build([given], {})
        for target in (kind, load(SAMPLES[kind])):
            answer = decide(caller("dev", kind=who), roles, Use("list"), target, conditions())
            assert code(answer) == expected


def reasons(target: Resource[Any], action: Reach, *roles: Any) -> Denial:
    answer = ask(target, action, *roles)
    assert isinstance(answer, Denial)
    return answer


def test_it_says_what_would_help():
    missing = reasons(db(env="dev"), Reach("root", "stock"), role(allow=reader()))
    assert missing.succeed_if == ('add "root" to db_users of role "dev", and add "stock" to db_names of role "dev"',)
    assert missing.nearest is not None
    assert (missing.nearest.condition, missing.nearest.wanted) == ("db_users", "[alice]")
    labels = reasons(db(env="dev"), Reach(ALICE), role(allow=reader(db_labels={"env": "prod"})))
    assert labels.succeed_if == ('let db_labels of role "dev" match env=dev',)
    expression = reasons(db(env="dev"), Reach(ALICE), role(allow=reader(db_labels={}, db_labels_expression="false")))
    assert expression.succeed_if == ('let db_labels_expression of role "dev" match env=dev',)
    nobody = reasons(thing("kube_cluster"), Reach(), role(allow={"kubernetes_labels": {"*": "*"}}))
    assert nobody.succeed_if == (
        'add a group or a user to kubernetes_groups or kubernetes_users of role "dev"',
    )  # fmt: skip
    without = reasons(db(env="dev"), Reach(ALICE))
    assert (without.nearest, without.succeed_if) == (None, ("give a role whose db_labels match example",))


def test_it_says_what_denies():
    denied = reasons(
        db(env="dev"), Reach(ALICE), role(allow=reader(), deny={"db_users": [ALICE], "db_labels": {"a": "b"}})
    )
    assert denied.succeed_if == ('remove db_users [alice] from the deny side of role "dev"',)
    assert denied.nearest is not None
    assert (denied.nearest.side, denied.nearest.condition) == ("deny", "db_users")
    both = reasons(db(env="dev"), Reach("root"), role(allow=reader(), deny={"db_labels_expression": "broken("}))
    assert both.succeed_if[0].endswith('from the deny side of role "dev", and add "root" to db_users of role "dev"')
    listed = [step for step in both.steps if step.condition == "db_labels_expression"]
    assert "broken(" in listed[0].wanted


def test_errors_say_what_to_look_at():
    kinds = {
        "db": "access to db denied. User does not have permissions. Confirm database user and name.",
        "kube_cluster": "access to kube_cluster denied. User does not have permissions. "
        "Confirm Kubernetes user or group.",
        "app": "access to app denied. User does not have permissions.",
    }
    for kind, text in kinds.items():
        target = load(SAMPLES[kind])
        everything = {"db_labels": {"*": "*"}, "app_labels": {"*": "*"}, "kubernetes_labels": {"*": "*"}}
        deny = {"db_users": ["root"]} if kind != "app" else {"app_labels": {"*": "*"}}
        answer = reasons(target, Reach("root"), role(allow=everything, deny=deny))
        answer.visible = True
        assert user_error(answer, "id").what == text


def test_requests_in_one_line():
    assert served.request_text(Reach(ALICE, ORDERS), db()) == "reach db/example as alice in orders"
    assert served.request_text(Reach(), load(SAMPLES["app"])) == "reach app/grafana"
    assert served.request_text(Reach(), "db") == "reach db"
