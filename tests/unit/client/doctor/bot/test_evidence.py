"""What the cluster's records of a locked bot point to."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from teleport.client.doctor.bot.evidence import EVENT, Evidence, read
from teleport.model.kinds.bot_instance import Authentication, BotInstance, BotInstanceSpec, BotInstanceStatus
from teleport.model.kinds.lock import Lock, LockTarget
from teleport.model.resource import Metadata

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
ONE, TWO = "11111111-2222-4333-8444-555555555555", "22222222-2222-4333-8444-555555555555"
MESSAGE = 'The bot user "bot-example" has been locked due to a certificate generation mismatch, possibly indicating ...'


def event(**changes: Any) -> dict[str, Any]:
    return {
        "event": EVENT, "bot_name": "example", "bot_instance_id": ONE, "time": "2030-01-01T00:00:00Z", "lock": "lock-1",
        "reason": "fork", "stored": 3, "presented": 2, "addr.remote": "198.51.100.4:5000",
        "other_addr_remote": "192.0.2.7:4000", "other_time": "2029-12-31T23:40:00+00:00", "other_hostname": "build-1",
        **changes,
    }  # fmt: skip


def instance(name: str = ONE, minutes: int = -60, bot: str = "example") -> BotInstance:
    first = Authentication(authenticated_at=NOW + dt.timedelta(minutes=minutes), generation=1)
    return BotInstance(
        version="v1", metadata=Metadata(name=name), spec=BotInstanceSpec(bot_name=bot, instance_id=name),
        status=BotInstanceStatus(initial_authentication=first, latest_authentications=(first,)),
    )  # fmt: skip


def lock(name: str = "lock-1", by: str = "Auth", message: str = MESSAGE, **target: str) -> Lock:
    return Lock.against(LockTarget(**(target or {"user": "bot-example"})), message, name=name, at=NOW, by=by)


def one(events: list[dict[str, Any]], locks: list[Lock], *instances: BotInstance) -> Evidence:
    (found,) = read("example", events, instances or (instance(),), locks)
    return found


def test_two_places_are_a_theft_with_both_sides() -> None:
    found = one([event()], [lock()])
    assert (found.verdict, found.elsewhere, found.own, found.instance) == ("BOT-STOLEN", True, True, ONE)
    assert dict(found.told()) == {
        "Instance": f"example/{ONE}",
        "Renewed last": "generation 3 by 192.0.2.7:4000 (build-1) at 2029-12-31T23:40:00Z",
        "Refused": "generation 2 by 198.51.100.4:5000 at 2030-01-01T00:00:00Z",
        "Lock": f"lock-1: {MESSAGE}",
        "Verdict": "fork, BOT-STOLEN: two places hold the same certificates",
    }


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"addr.remote": "192.0.2.7:9"}, "BOT-GEN-MISMATCH"),
        ({"addr.remote": "[::ffff:192.0.2.7]:9"}, "BOT-GEN-MISMATCH"),
        ({"addr.remote": "192.0.2.7"}, "BOT-GEN-MISMATCH"),
        ({"addr.remote": "192.0.2.7:9", "hostname": "build-1"}, "BOT-GEN-MISMATCH"),
        ({"addr.remote": "192.0.2.7:9", "hostname": "build-2"}, "BOT-STOLEN"),
        ({"other_addr_remote": "", "other_hostname": "", "other_time": "", "stored": 0}, "BOT-GEN-MISMATCH"),
        ({"addr.remote": "[2001:db8::1]:9", "other_addr_remote": "[2001:db8::2]:9"}, "BOT-STOLEN"),
        ({"addr.remote": "here", "other_addr_remote": "there"}, "BOT-STOLEN"),
    ],
)
def test_where_the_two_were(changes: dict[str, Any], verdict: str) -> None:
    assert one([event(**changes)], [lock()]).verdict == verdict


@pytest.mark.parametrize(
    ("reason", "words"), [("fork", "two keys were made"), ("mismatch", "certificates of before were shown")]
)
def test_one_place_is_told_with_what_it_may_have_been(reason: str, words: str) -> None:
    told = dict(one([event(reason=reason, **{"addr.remote": "192.0.2.7:9"})], [lock()]).told())
    assert words in told["Verdict"]
    assert "from one place" in told["Verdict"]


def test_half_a_fix_is_seen() -> None:
    found = one([event()], [])
    assert (found.verdict, found.lock, found.elsewhere) == ("BOT-UNLOCK-INCOMPLETE", None, True)
    assert "has not been replaced" in dict(found.told())["Verdict"]


def test_what_is_settled_is_not_told() -> None:
    assert read("example", [event()], [instance(), instance(TWO, minutes=1)], []) == ()
    assert read("example", [event()], [], []) == (), "the instance has ended"
    assert read("example", [event(bot_name="other")], [instance()], []) == ()
    assert read("example", [event(event="other")], [instance()], []) == ()


def test_an_instance_that_is_shut_was_replaced() -> None:
    shut = lock("narrow", by="admin", message="was replaced", bot_instance_id=ONE)
    assert read("example", [event()], [instance()], [shut]) == ()
    short = msgspec.structs.replace(shut, spec=msgspec.structs.replace(shut.spec, expires=NOW))
    assert one([event()], [short]).verdict == "BOT-UNLOCK-INCOMPLETE", "it ends before the instance"
    ending = instance().with_metadata(expires=NOW)
    assert read("example", [event()], [ending], [short]) == ()
    assert one([event()], [lock("other", by="admin", message="no", bot_instance_id=TWO)]).lock is None


def test_an_older_instance_does_not_replace_the_locked_one() -> None:
    assert one([event()], [], instance(), instance(TWO, minutes=-90)).verdict == "BOT-UNLOCK-INCOMPLETE"
    assert one([event()], [], instance(), instance(TWO, minutes=5, bot="other")).verdict == "BOT-UNLOCK-INCOMPLETE"


def test_the_newest_event_of_an_instance_counts_and_every_lock() -> None:
    old = event(time="2029-12-31T20:00:00Z", lock="lock-0", presented=1)
    assert one([old, event()], []).presented == 2
    both = read("example", [old, event()], [instance()], [lock(), lock("lock-0")])
    assert [each.lock.name for each in both if each.lock] == ["lock-1", "lock-0"]


def test_locks_of_other_origin() -> None:
    found = one([], [lock("mine", by="alice", message="holiday")])
    assert (found.verdict, found.own, found.elsewhere) == ("BOT-LOCKED", False, True)
    assert dict(found.told())["Verdict"] == "BOT-LOCKED: somebody has locked the bot"
    forged = one([], [lock("mine", by="alice")])
    assert not forged.own
    assert read("example", [], [instance()], [lock("x", user="bot-other"), lock("y", login="root")]) == ()
    manual = lock("z", by="alice", message="tried", bot_instance_id=ONE)
    assert read("example", [], [instance()], [manual]) == (), "it is about one instance, and somebody wanted that"


def test_an_own_lock_without_a_record() -> None:
    for target in ({}, {"bot_instance_id": ONE}):
        found = one([], [lock(**target)])
        assert (found.verdict, found.own, found.elsewhere) == ("BOT-LOCKED", True, True)
        assert "there is no record" in dict(found.told())["Verdict"]


def test_a_time_that_is_none() -> None:
    found = one([event(time="soon", other_time=None)], [lock()])
    assert found.refused is not None
    assert found.refused.time is None
    assert one([event(time="soon")], []).verdict == "BOT-UNLOCK-INCOMPLETE"
