"""access.standing: conditions on the caller, each seen to hold and to fail."""

import datetime as dt

import pytest

from teleport.access.checker import Connect, Join, Use
from teleport.access.roleset import RoleSet
from teleport.access.standing import standing
from tests.support.policy import CLUSTER, NOW, caller, conditions, lock, node, role, tracker

PLAIN = RoleSet.build([role("dev")], {})
PINNED = RoleSet.build([role("dev", options={"pin_source_ip": True})], {})
STRICT = RoleSet.build([role("dev", options={"lock": "strict"})], {})
OLD = NOW - dt.timedelta(minutes=6)


def failing(who, roles=PLAIN, action=None, world=None):
    checks = standing(who, roles, action or Connect("root"), node(), world or conditions())
    return [check.code for check in checks if not check.step.matched]


@pytest.mark.parametrize(
    ("who", "roles", "world", "codes"),
    [
        (caller("dev"), PLAIN, conditions(), []),
        (caller("dev", cluster="other"), PLAIN, conditions(), ["POL-OTHER-CLUSTER"]),
        (caller("dev", expires=NOW), PLAIN, conditions(), ["POL-EXPIRED"]),
        (caller("dev", expires=dt.datetime(2030, 1, 1)), PLAIN, conditions(), []),
        (caller("dev", pinned_ip="198.51.100.4"), PLAIN, conditions(), []),
        (caller("dev", pinned_ip="198.51.100.4"), PLAIN, conditions(client_ip="::ffff:198.51.100.4"), []),
        (caller("dev", pinned_ip="2001:db8::1"), PLAIN, conditions(client_ip="2001:DB8:0::1"), []),
        (caller("dev", pinned_ip="198.51.100.5"), PLAIN, conditions(), ["POL-PINNED-IP"]),
        (caller("dev", pinned_ip="198.51.100.5"), PLAIN, conditions(client_ip=""), ["POL-PINNED-IP"]),
        (caller("dev", pinned_ip="x"), PLAIN, conditions(client_ip="x"), ["POL-PINNED-IP"]),
        (caller("dev"), PINNED, conditions(), ["POL-PINNED-IP"]),
        (caller("dev", pinned_ip="198.51.100.4"), PINNED, conditions(), []),
        (caller("dev", kind="host"), PINNED, conditions(), []),
        (caller("dev", "gone"), PLAIN, conditions(), ["POL-ROLE-MISSING"]),
        (caller(), PLAIN, conditions(), ["POL-ROLE-SET"]),
        (caller("gone"), PLAIN, conditions(), ["POL-ROLE-MISSING", "POL-ROLE-SET"]),
        (caller(kind="host"), PLAIN, conditions(), []),
        (caller(kind="admin"), PLAIN, conditions(), []),
        (caller("dev"), PLAIN, conditions(lock(login="root")), ["POL-LOCKED"]),
        (caller("dev"), PLAIN, conditions(locks_as_of=OLD), []),
        (caller("dev"), STRICT, conditions(locks_as_of=OLD), ["POL-LOCKS-STALE"]),
        (caller("dev"), STRICT, conditions(locks_as_of=NOW), []),
        (caller("dev"), STRICT, conditions(), []),
        (caller(kind="host"), STRICT, conditions(locks_as_of=OLD), []),
    ],
)
def test_each_condition(who, roles, world, codes):
    assert failing(who, roles, world=world) == codes


def test_a_lock_on_a_login_is_for_sessions():
    assert failing(caller("dev"), action=Use("read"), world=conditions(lock(login="root"))) == []


def test_a_lock_on_a_login_is_for_those_who_join_its_sessions():
    for action, target, codes in (
        (Join("observer"), tracker(), ["POL-LOCKED"]),
        (Join("observer"), node(), []),
        (Use("read"), tracker(), []),
    ):
        checks = standing(caller("dev"), PLAIN, action, target, conditions(lock(login="root")))
        assert [check.code for check in checks if not check.step.matched] == codes


def test_missing_roles_are_named_in_order():
    names = tuple(f"r{i:02}" for i in range(12))
    checks = standing(caller("dev", *names), PLAIN, Connect("root"), node(), conditions())
    step = next(check.step for check in checks if check.code == "POL-ROLE-MISSING")
    assert step.found == f"missing [{' '.join(names[:10])} ...]"
    assert CLUSTER in {check.step.found for check in checks}


@pytest.mark.parametrize(
    ("kind", "verb", "codes"),
    [
        ("lock", "list", []),
        ("role", "read", []),
        ("event", "create", []),
        ("node", "update", ["POL-LOCKED"]),
        ("event", "delete", ["POL-LOCKED"]),
    ],
)
def test_a_locked_service_hears_of_locks_and_reports_but_changes_nothing(kind, verb, codes):
    host = caller(kind="host", name=f"uuid-7.{CLUSTER}")
    world = conditions(lock(server_id="uuid-7"))
    checks = standing(host, PLAIN, Use(verb), kind, world)
    assert [check.code for check in checks if not check.step.matched] == codes


def test_a_locked_user_reads_nothing():
    assert failing(caller("dev"), action=Use("read"), world=conditions(lock(user=caller().name))) == ["POL-LOCKED"]
