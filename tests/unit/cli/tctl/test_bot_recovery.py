"""tctl bots recover, and the ways back by hand: what is shown, what is refused, what is changed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from teleport.base.errors import TeleportError
from teleport.model.kinds.lock import Lock
from tests.support.admin_host import AdminHost
from tests.support.auth_cluster import role
from tests.support.bots import ELSEWHERE, HOME, Robot
from tests.support.joiner import refused


class Story:
    """A bot that the cluster has locked, because somebody else renewed its certificates from `address`."""

    def __init__(self, host: AdminHost, name: str, address: str, *, scope: str = "user") -> None:
        self.host = host
        self.name = name
        host.do(lambda cluster: cluster.admin.upsert(role("foo")))
        self.token = self._token(host.tctl("bots", "add", name, "--roles=foo").out)
        if scope != "user":
            host.tctl("bots", "update", name, f"--lock-scope={scope}")
        self.robot = self.joined(self.token)
        self.other = self.robot.copy(address)
        host.do(lambda cluster: self.robot.renew(hostname="build-1"))
        self.error = host.do(lambda cluster: self.other.refused())

    def _token(self, out: str) -> str:
        found = re.search(r"The bot token: ([0-9a-f]{32})", out)
        assert found, out
        return found[1]

    def joined(self, token: str) -> Robot:
        return self.host.do(lambda cluster: Robot.joined(cluster, token))

    def locks(self) -> list[Any]:
        """Return the locks on the bot and its instance."""
        found = self.host.do(lambda cluster: cluster.service.store.list(Lock))
        targets = [{"user": f"bot-{self.name}"}, {"bot_instance_id": self.robot.identity.bot_instance_id}]
        return [lock for lock in found if lock.spec.target.named() in targets]

    def refused(self, robot: Robot) -> TeleportError:
        return self.host.do(lambda cluster: robot.refused())

    def recover(self, *words: str, **options: Any) -> Any:
        return self.host.tctl("bots", "recover", self.name, *words, **options)


def test_the_lock_reads_as_the_documentation_has_it(host: AdminHost) -> None:
    """S1-13, S1-61: what `tctl get locks` prints; S1-14: `tctl rm lock/...`; S1-07: the lock follows the mismatch."""
    story = Story(host, "example", ELSEWHERE)
    assert story.error.what == "renewable cert generation mismatch: stored=2, presented=1"
    (lock,) = story.locks()
    printed = host.tctl("get", "locks").out
    document = next(part for part in printed.split("---\n") if lock.name in part)
    kept = [line for line in document.splitlines() if not re.match(r"  (revision|created_at|created_by):", line)]
    assert kept == [
        "kind: lock",
        "metadata:",
        f"  id: {lock.metadata.id}",
        f"  name: {lock.name}",
        "spec:",
        '  message: The bot user "bot-example" has been locked due to a certificate generation',
        "    mismatch, possibly indicating a stolen certificate.",
        "  target:",
        "    user: bot-example",
        "version: v2",
    ]
    assert re.fullmatch(r"\d{19}", str(lock.metadata.id))
    assert host.tctl("rm", f"lock/{lock.name}").out == f'lock "{lock.name}" has been deleted\n'
    assert lock.name not in host.tctl("get", "locks").out
    host.tctl("bots", "rm", "example")  # another story is about a bot of this name


def test_the_way_back_by_hand(host: AdminHost) -> None:
    """S1-15, S1-17, S1-18: the lock goes first, then a new instance; the other way round calls still fail."""
    story = Story(host, "by-hand", HOME)
    (lock,) = story.locks()
    token = story._token(host.tctl("bots", "instances", "add", story.name).out)
    error = host.do(lambda cluster: refused(cluster, token=token, system_role="Bot"))
    assert (error.code, story.refused(story.robot).code) == ("POL-LOCKED", "POL-LOCKED")
    host.tctl("rm", f"lock/{lock.name}")
    fresh = story.joined(token)
    rows = host.tctl("bots", "instances", "ls", story.name).out
    assert re.search(rf"{story.name}/{fresh.identity.bot_instance_id} .* 1\s*\n", rows), rows
    assert fresh.identity.bot_instance_id != story.robot.identity.bot_instance_id


def test_delete_and_make_anew(host: AdminHost) -> None:
    """S1-26: to delete the bot and to make it again works too."""
    story = Story(host, "anew", HOME)
    (lock,) = story.locks()
    host.tctl("rm", f"lock/{lock.name}")
    assert host.tctl("bots", "rm", "anew").out == 'Bot "anew" deleted successfully.\n'
    fresh = story.joined(story._token(host.tctl("bots", "add", "anew", "--roles=foo").out))
    host.do(lambda cluster: fresh.renew())
    assert fresh.identity.generation == 2


def test_one_place_is_recovered_when_somebody_says_yes(host: AdminHost) -> None:
    story = Story(host, "careless", "192.0.2.7:50000")
    (before,) = story.locks()
    done = story.recover(stdin="n\n", status=1)
    assert "BOT-GEN-MISMATCH: two keys were made for one generation, from one place" in done.out
    assert re.search(r"Renewed last: +generation 2 by 192\.0\.2\.7:40000 \(build-1\) at 2", done.out), done.out
    assert re.search(r"Refused: +generation 1 by 192\.0\.2\.7:50000 at 2", done.out), done.out
    assert "Nothing was changed." in done.err
    assert story.locks() == [before]
    done = story.recover(stdin="y\n")
    assert 'Bot "careless" is unlocked' in done.out
    token = story._token(done.out)
    assert f"--token={token}" in done.out
    (narrow,) = story.locks()
    assert narrow.spec.target.named() == {"bot_instance_id": story.robot.identity.bot_instance_id}
    instance = host.do(lambda cluster: cluster.admin.get("bot_instance", story.robot.identity.bot_instance_id))
    assert narrow.spec.expires == instance.metadata.expires
    for robot in (story.robot, story.other):
        assert story.refused(robot).code == "POL-LOCKED", "what is out there cannot lock the bot again"
    fresh = story.joined(token)
    host.do(lambda cluster: fresh.renew())
    assert "nothing is to be recovered" in story.recover("--yes", status=1).err


def test_what_was_recovered_is_not_half_unlocked(host: AdminHost) -> None:
    """Also before the new token is used: the former instance has been replaced, as the lock on it says."""
    story = Story(host, "twice", HOME)
    story.recover("--yes")
    done = story.recover("--yes", status=1)
    assert ("nothing is to be recovered" in done.err, "BOT-UNLOCK-INCOMPLETE" in done.out) == (True, False)
    assert "tctl bots instances add twice" in done.err


def test_two_places_need_somebody_who_has_looked(host: AdminHost) -> None:
    story = Story(host, "robbed", ELSEWHERE)
    before = story.locks()
    done = story.recover("--yes", status=1)
    assert "its certificates may be stolen: fork, BOT-STOLEN: two places hold the same certificates" in done.err
    assert f"generation 1 by {ELSEWHERE}" in done.out
    assert story.locks() == before
    done = story.recover("--yes", "--force", "--format=json")
    found = json.loads(done.out)
    assert (found["user_name"], found["verdicts"]) == ("bot-robbed", ["BOT-STOLEN"])
    assert f"generation 1 by {ELSEWHERE}" in done.err
    assert story.joined(found["token_id"]).identity.generation == 1


def test_half_a_fix_is_finished(host: AdminHost) -> None:
    story = Story(host, "half", HOME)
    (lock,) = story.locks()
    host.tctl("rm", f"lock/{lock.name}")
    done = story.recover("--yes")
    assert "BOT-UNLOCK-INCOMPLETE" in done.out
    assert story.refused(story.robot).code == "POL-LOCKED"
    assert "nothing is to be recovered" in story.recover("--yes", status=1).err
    assert len(story.locks()) == 1, "no second lock of the instance"
    story.joined(story._token(done.out))
    assert "nothing is to be recovered" in story.recover("--yes", status=1).err


def test_the_narrow_lock_is_recovered_too(host: AdminHost) -> None:
    story = Story(host, "narrow", HOME, scope="instance")
    (before,) = story.locks()
    assert before.spec.target.named() == {"bot_instance_id": story.robot.identity.bot_instance_id}
    id = story.robot.identity.bot_instance_id
    assert "nothing is to be" in story.recover("--yes", "--instance=another", status=1).err
    token = story._token(story.recover("--yes", f"--instance={id}").out)
    (after,) = story.locks()
    assert (after.name != before.name, after.spec.expires is not None) == (True, True)
    assert story.refused(story.robot).code == "POL-LOCKED"
    assert story.joined(token).identity.generation == 1


def test_what_somebody_else_has_locked_stays(host: AdminHost) -> None:
    story = Story(host, "holiday", HOME)
    out = host.tctl("bots", "lock", "holiday", "--message=gone fishing").out
    done = story.recover("--yes", "--force", status=1)
    assert "is locked for another reason" in done.err
    assert len(story.locks()) == 2
    name = re.search(r'"([0-9a-f-]{36})"', out)
    assert name
    host.tctl("rm", f"lock/{name[1]}")
    story.recover("--yes")


@pytest.mark.parametrize("words", [("nobody",), ("nobody", "--ttl=0s")])
def test_who_is_not_there(host: AdminHost, words: tuple[str, ...]) -> None:
    assert "fix:" in host.tctl("bots", "recover", *words, status=1).err
