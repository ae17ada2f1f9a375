"""tctl lock: what is created, how long it lasts, and what is refused."""

import datetime as dt
import re

import pytest

from teleport.base.clock import SystemClock

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def created(host, *words):
    done = host.tctl("lock", *words)
    found = re.fullmatch(f'Created a lock with name "({UUID})"\\.\n', done.out)
    assert found, done
    return host.do(lambda cluster: cluster.service.store.get("lock", found[1]))


def test_lock_of_a_user(host):
    lock = created(host, "--user=alice", "--message=Suspicious activity")
    assert (lock.spec.target.user, lock.spec.message, lock.spec.expires) == ("alice", "Suspicious activity", None)
    assert lock.spec.created_by == "admin@auth-host"
    assert host.tctl("rm", f"lock/{lock.name}").out == f'lock "{lock.name}" has been deleted\n'


def test_all_targets_count(host):
    lock = created(host, "--user=a", "--role=b", "--login=c", "--server-id=00000000-0000-4000-8000-000000000000")
    target = lock.spec.target
    assert (target.user, target.role, target.login) == ("a", "b", "c")
    assert target.server_id == "00000000-0000-4000-8000-000000000000"


def test_length_and_end(host):
    lock = created(host, "--user=a", "--ttl=2h")
    left = lock.spec.expires - SystemClock().now()
    assert dt.timedelta(hours=1, minutes=59) < left <= dt.timedelta(hours=2)
    lock = created(host, "--user=a", "--expires=2999-01-01T00:00:00Z")
    assert lock.spec.expires == dt.datetime(2999, 1, 1, tzinfo=dt.UTC)


def test_end_and_length_contradict_each_other(host):
    done = host.tctl("lock", "--user=a", "--ttl=1h", "--expires=2999-01-01T00:00:00Z", status=1)
    assert done.err.startswith("ERROR: use only one of --expires and --ttl\n")


@pytest.mark.parametrize(
    "words", [(), ("--message=x",), ("--user=",), ("--user=a", "--ttl=x"), ("--user=a", "--expires=x")]
)
def test_what_is_no_lock(host, words):
    done = host.tctl("lock", *words, status=1)
    assert done.out == ""
    assert "fix:" in done.err


def test_targets_that_nothing_enforces_yet_are_refused(host):
    assert created(host, "--join-token=invite-1").spec.target.join_token == "invite-1"
    assert created(host, "--bot-instance-id=i-1").spec.target.bot_instance_id == "i-1"
    for option in ("--mfa-device", "--windows-desktop", "--access-request", "--device"):
        done = host.tctl("lock", f"{option}=x", status=1)
        assert "NOT-SUPPORTED" in done.err
        assert done.out == ""
