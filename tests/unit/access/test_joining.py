"""access.joining: which policies speak of a session, who owns it, and why somebody may not join."""

import pytest

from teleport.access.joining import (
    MODES,
    Policy,
    allowing,
    denies,
    join_reasons,
    owner_roles,
    owns,
    policies,
    showing,
)
from teleport.access.roleset import RoleSet
from teleport.model.role_spec import JoinSessions
from tests.support.policy import caller, joins, role, tracker


def known(*roles):
    return RoleSet.build(roles, {}).joining


ALICE = tracker("alice", "dev", "dba")


@pytest.mark.parametrize(
    ("side", "mode", "expected"),
    [
        (joins("observer"), "observer", True),
        (joins("observer"), "peer", False),
        (joins("*"), "peer", True),
        (joins("observer", "peer"), "peer", True),
        (joins("*", roles=("ops",)), "peer", False),
        (joins("*", roles=("ops", "d*")), "peer", True),
        (joins("*", roles=("^(dev|x)$",)), "peer", True),
        (joins("*", kinds=("k8s",)), "peer", False),
        (joins("*", kinds=("k8s", "*")), "peer", True),
    ],
)
def test_when_a_policy_speaks_of_a_session(side, mode, expected):
    assert allowing(known(role("a", side)), ALICE, mode) == ("a" if expected else "")
    assert denies(known(role("a", deny=side)), ALICE, mode) is expected
    assert allowing(known(role("a", deny=side)), ALICE, mode) == ""
    assert denies(known(role("a", side)), ALICE, mode) is False


def test_a_session_whose_owner_had_no_roles_is_nobodys_to_join():
    assert owner_roles(ALICE) == ("dev", "dba")
    assert allowing(known(role("a", joins("*"))), tracker("alice"), "observer") == ""


def test_a_pattern_that_cannot_be_read_never_allows_and_always_denies():
    broken = JoinSessions(name="x", roles=("^($",), kinds=("*",), modes=("*",))
    assert allowing([Policy("a", "allow", broken)], ALICE, "peer") == ""
    assert denies([Policy("a", "deny", broken)], ALICE, "peer")


@pytest.mark.parametrize("version", ["v3", "v4", "v5", "v8"])
def test_allowing_counts_from_version_5_on_and_denying_always(version):
    found = list(policies(role("a", joins("peer"), joins("observer"), version=version)))
    assert [each.side for each in found] == (["deny"] if version in ("v3", "v4") else ["allow", "deny"])


def test_owners():
    assert owns(caller(name="alice"), ALICE)
    assert owns(caller(name="alice", kind="bot"), ALICE)
    assert not owns(caller(name="alice", kind="admin"), ALICE)
    assert not owns(caller(name="bob"), ALICE)
    assert not owns(caller(name=""), tracker(""))


def test_whoever_may_join_in_one_mode_sees_the_session():
    assert MODES == ("observer", "peer", "moderator")
    assert showing(known(role("a", joins("moderator"))), ALICE) == "a"
    assert showing(known(role("a", joins("moderator")), role("b", deny=joins("moderator"))), ALICE) == ""
    assert showing(known(role("a", joins("*", roles=("ops",)))), ALICE) == ""
    assert showing(known(role("a", joins("*", roles=("ops",)))), None) == "a"
    assert showing(known(role("a", deny=joins("*"))), None) == ""


def test_a_refusal_names_the_policies_and_what_would_help():
    reasons = join_reasons(caller(), known(role("a", joins("observer")), role("b")), ALICE, "peer", ())
    (step,) = reasons.steps
    assert reasons.nearest is step
    assert (step.role, step.side, step.condition, step.matched) == ("a", "allow", "join_sessions", False)
    assert step.wanted == "modes [observer], kinds [ssh], roles [*]"
    assert step.found == "peer, ssh, owner's roles [dev dba]"
    assert reasons.succeed_if == (
        'let join_sessions of role "a" name mode peer, kind ssh and a role of the owner',
    )  # fmt: skip


def test_a_refusal_without_any_policy():
    reasons = join_reasons(caller(), known(role("b")), tracker("alice", *(f"r{n}" for n in range(11))), "peer", ())
    assert (reasons.steps, reasons.nearest) == ((), None)
    assert reasons.succeed_if[0].startswith(
        'give user "carol" a role (v5 or later) whose join_sessions names mode peer'
    )


def test_a_refusal_by_a_deny_side():
    many = tuple(f"r{n}" for n in range(11))
    found = known(role("a", joins("*")), role("b", deny=joins("*", roles=("d*", *many))))
    reasons = join_reasons(caller(), found, ALICE, "peer", ())
    assert reasons.nearest is reasons.steps[1]
    assert reasons.nearest.wanted.endswith(" ...]")
    assert reasons.succeed_if == ('remove join_sessions from the deny side of role "b"',)
