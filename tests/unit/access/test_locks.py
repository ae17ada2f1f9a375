"""access.locks: whom a lock meets, and when it is over."""

import datetime as dt

import pytest

from teleport.access.locks import fields, in_force, is_about_target
from teleport.model.kinds.lock import Lock, LockSpec, LockTarget
from tests.support.policy import CLUSTER, NOW, caller, lock, node, tracker

HOST = caller("Instance", name=f"uuid-7.{CLUSTER}", kind="host", system_roles=("Node",), join_token="tok-1")


@pytest.mark.parametrize(
    ("target", "who", "hit"),
    [
        ({"user": "carol"}, caller("dev"), True),
        ({"user": "dave"}, caller("dev"), False),
        ({"role": "dev"}, caller("dev"), True),
        ({"role": "extra"}, caller("dev"), True),
        ({"role": "ops"}, caller("dev"), False),
        ({"login": "root"}, caller("dev"), True),
        ({"login": "alice"}, caller("dev"), False),
        ({"server_id": "uuid-7"}, caller("dev"), True),
        ({"node": "uuid-7"}, caller("dev"), True),
        ({"server_id": "uuid-8"}, caller("dev"), False),
        ({"user": "carol", "login": "root"}, caller("dev"), True),
        ({"user": "carol", "login": "alice"}, caller("dev"), False),
        ({"server_id": "uuid-7"}, HOST, True),
        ({"role": "Node"}, HOST, True),
        ({"join_token": "tok-1"}, HOST, True),
    ],
)
def test_targets(target, who, hit):
    found = in_force(who, ("extra",), "root", node(), [lock(**target)], NOW)
    assert (found is not None) is hit


MISMATCH = "The bot user has been locked due to a certificate generation mismatch, possibly indicating ..."


@pytest.mark.parametrize(
    ("by", "message", "bot", "unlock"),
    [
        ("Auth", MISMATCH, "my bot", "tctl bots recover 'my bot' (it removes lock/lock-1 and makes a new token)"),
        ("Auth", MISMATCH, "", "tctl rm lock/lock-1"),
        ("alice", MISMATCH, "b", "tctl rm lock/lock-1"),
        ("Auth", "", "b", "tctl rm lock/lock-1"),
    ],
)
def test_how_a_lock_is_lifted(by, message, bot, unlock):
    """S1-15: the lock of a mismatch alone must not go, or the bot is locked again; others go as they came."""
    made = Lock.against(LockTarget(user="bot-b"), message, name="lock-1", at=NOW, by=by)
    told = fields(made, caller("dev", bot_name=bot))
    assert told["unlock"].startswith(unlock)
    assert (told["lock_name"], told["message"]) == ("lock-1", f": {message}" if message else "")


def test_a_session_is_on_its_server():
    for id, hit in (("uuid-7", True), ("uuid-8", False)):
        found = in_force(caller("dev"), (), "", tracker(), [lock(server_id=id)], NOW)
        assert (found is not None) is hit


def test_a_server_is_no_other_kind():
    assert in_force(caller(), (), "", "role", [lock(server_id="uuid-7")], NOW) is None
    assert in_force(HOST, (), "", "role", [lock(server_id="uuid-7")], NOW) is not None


def test_expired_locks_are_over():
    hour = dt.timedelta(hours=1)
    assert in_force(caller(), (), "", node(), [lock(user="carol", expires=NOW)], NOW) is None
    assert in_force(caller(), (), "", node(), [lock(user="carol", expires=NOW + hour)], NOW) is not None
    gone = lock(user="carol").with_metadata(expires=NOW - hour)
    assert in_force(caller(), (), "", node(), [gone], NOW) is None


def test_the_first_by_name_is_told_and_naive_times_are_utc():
    both = [lock("b", user="carol"), lock("a", user="carol")]
    found = in_force(caller(), (), "", node(), both, NOW.replace(tzinfo=None))
    assert found is not None
    assert found.name == "a"
    assert in_force(caller(), (), "", node(), [], NOW) is None


def test_a_lock_on_nothing_locks_nobody():
    assert in_force(caller(), (), "", node(), [Lock(spec=LockSpec(target=LockTarget()))], NOW) is None


def test_which_locks_tell_of_a_server():
    assert is_about_target(lock(server_id="x", user="y"))
    assert not is_about_target(lock(user="y"))
