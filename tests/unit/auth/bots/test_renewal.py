"""Renewal: one generation after the other, lost answers, copies, and what follows."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Renewal
from teleport.api.caller import Caller
from teleport.api.pb import bots_pb2 as pb
from teleport.api.services import bots
from teleport.auth.join.method import Proven
from teleport.base.errors import TeleportError
from teleport.model.kinds.bot_instance import Heartbeat, ServiceHealth
from tests.support.auth_cluster import Cluster, public_keys, run
from tests.support.bots import ELSEWHERE, HOME, NAME, USER, Robot, identity_of, invite, make_bot
from tests.support.joiner import Shows, join, refused
from tests.support.log_lines import said

__all__ = ["said"]


async def instance_of(cluster: Cluster):
    (found,) = [each async for each in cluster.admin.list("bot_instance")]
    return found


async def locks(cluster: Cluster):
    return [each async for each in cluster.admin.list("lock")]


def test_each_renewal_is_the_next_generation() -> None:
    """S1-06: the counter in the certificate and the stored one grow together."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        for generation in range(2, 15):
            cluster.clock.advance(dt.timedelta(minutes=20))
            await robot.renew()
            assert (robot.identity.generation, robot.identity.renewable) == (generation, True)
            assert robot.identity.expires - cluster.clock.now() == dt.timedelta(hours=1)
            found = await instance_of(cluster)
            assert (found.latest.generation, found.first.generation) == (generation, 1)
        assert len(found.status.latest_authentications) == 10
        assert found.name == robot.identity.bot_instance_id
        assert await locks(cluster) == []

    run(story)


def test_a_lost_answer_is_given_again() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        before, keys = robot.copy(HOME), robot.keys()
        await robot.renew(keys)
        for _ in range(3):
            again = identity_of(await before.copy(HOME).renew(keys))
            assert (again.generation, again.bot_instance_id) == (2, robot.identity.bot_instance_id)
        await asyncio.gather(*(before.copy(HOME).renew(keys) for _ in range(5)))
        assert (await instance_of(cluster)).latest.generation == 2
        await robot.renew()
        assert await locks(cluster) == []

    run(story)


def test_many_requests_at_once_are_one() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        keys = robot.keys()
        made = await asyncio.gather(*(robot.copy(HOME).renew(keys) for _ in range(5)))
        assert {identity_of(each).generation for each in made} == {2}
        assert await locks(cluster) == []

    run(story)


def test_a_copy_locks_the_bot_with_the_evidence(said: io.StringIO) -> None:
    """S1-01, S1-07, S1-10: a renewal with an older generation is refused with these words, and the user is locked."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        await robot.renew()
        thief = robot.copy()
        await robot.calls.beat(Heartbeat(hostname="build-7", is_startup=True))
        await robot.renew()
        error = await thief.refused()
        assert error.what == "renewable cert generation mismatch: stored=3, presented=2"
        (lock,) = await locks(cluster)
        assert (lock.spec.target.user, lock.metadata.expires) == (USER, None)
        assert lock.spec.message == (
            'The bot user "bot-example" has been locked due to a certificate generation mismatch, possibly indicating '
            "a stolen certificate."
        )
        assert lock.name in error.fix
        (event,) = await cluster.events("cert.generation_mismatch")
        shown = {name: event[name] for name in ("code", "user", "bot_name", "stored", "presented", "reason", "lock")}
        assert shown == {
            "code": "TCB03W", "user": USER, "bot_name": NAME, "stored": 3, "presented": 2, "reason": "fork",
            "lock": lock.name,
        }  # fmt: skip
        where = (event["addr.remote"], event["other_addr_remote"], event["other_hostname"])
        assert where == (ELSEWHERE, HOME, "build-7")
        assert "certificates that are not the last ones" in said.getvalue()
        assert lock.metadata.id == 1893456000000000000, "nanoseconds, as servers of long ago numbered their resources"
        assert f"tctl bots recover {NAME} (it removes lock/{lock.name} and makes a new token)" in error.fix
        after = await robot.refused()
        assert after.code == "POL-LOCKED"
        assert f"tctl bots recover {NAME} (it removes lock/{lock.name} and makes a new token)" in after.fix

    run(story)


def test_every_call_of_a_locked_bot_is_logged(said: io.StringIO) -> None:
    """S1-04: the Auth Service says at each refused call which lock is in force, and why; S1-18: until it is lifted."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        thief = robot.copy()
        await robot.renew()
        await thief.refused()
        for _ in range(3):
            assert (await robot.refused()).code == "POL-LOCKED"
        line = (
            '[AUTH]      lock targeting User:"bot-example" is in force: The bot user "bot-example" has been locked due '
            "to a certificate generation mismatch, possibly indicating a stolen certificate."
        )
        assert said.getvalue().count(line) == 3
        (lock,) = await locks(cluster)
        await invite(cluster, "second-token-0123")
        error = await refused(cluster, token="second-token-0123", system_role="Bot")
        assert error.code == "POL-LOCKED"
        assert f"tctl bots recover {NAME} (it removes lock/{lock.name}" in error.fix
        await cluster.admin.delete("lock", lock.name)
        fresh = await Robot.joined(cluster, "second-token-0123")
        assert fresh.identity.generation == 1
        assert fresh.identity.bot_instance_id != robot.identity.bot_instance_id
        await fresh.renew()

    run(story)


def test_what_was_confirmed_is_over() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access", lock_scope="instance")
        robot = await Robot.joined(cluster)
        thief, keys = robot.copy(), robot.keys()
        await robot.renew(keys)
        await robot.renew()
        error = await thief.refused(keys)
        assert error.what == "renewable cert generation mismatch: stored=3, presented=1"
        (lock,) = await locks(cluster)
        instance = robot.identity.bot_instance_id
        assert lock.spec.target.named() == {"bot_instance_id": instance}
        assert lock.spec.message.startswith(f"The bot instance example/{instance} has been locked due to a certificate")
        (event,) = await cluster.events("cert.generation_mismatch")
        assert event["reason"] == "mismatch"
        assert (await robot.refused()).code == "POL-LOCKED"

    run(story)


def test_a_request_that_comes_too_late_is_no_copy(said: io.StringIO) -> None:
    """It was given up and repeated, and the bot has gone on: nobody is locked, and nothing is given. Who waits for the
    answer, as somebody does whose storage was put back, insists, and is a copy."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        before, keys = robot.copy(HOME), robot.keys()
        await robot.renew(keys)
        for _ in range(5):
            await robot.renew()
        late, channel = pb.RenewBotRequest(**keys), cluster.client(Caller(before.identity, HOME)).channel
        for _ in range(3):
            with pytest.raises(TeleportError) as caught:
                await channel.unary(bots.RENEW, late)
            assert caught.value.code == "AUTH-BOT-LATE"
        assert "arrived that was answered long ago" in said.getvalue()
        await robot.renew()
        assert await locks(cluster) == []
        assert await cluster.events("cert.generation_mismatch") == []
        error = await before.refused(keys)
        assert error.what == "renewable cert generation mismatch: stored=8, presented=1"
        assert len(await locks(cluster)) == 1

    run(story)


def test_another_key_than_the_one_of_then_is_a_copy_at_once() -> None:
    """Whoever holds old certificates and a key of their own gets no second chance."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        thief = robot.copy()
        for _ in range(3):
            await robot.renew()
        channel = cluster.client(Caller(thief.identity, ELSEWHERE)).channel
        with pytest.raises(TeleportError) as caught:
            await channel.unary(bots.RENEW, pb.RenewBotRequest(**thief.keys()))
        assert caught.value.code == "AUTH-BOT-GENERATION"
        assert len(await locks(cluster)) == 1

    run(story)


@pytest.mark.parametrize("own", ["ssh_public_key", "tls_public_key"])
def test_half_of_the_keys_of_another_is_a_copy(own: str) -> None:
    """A thief who knows the public key that the bot asked for cannot have another certified beside it."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        thief, keys = robot.copy(), robot.keys()
        await robot.renew(keys)
        assert (await thief.refused({**keys, own: robot.keys()[own]})).code == "AUTH-BOT-GENERATION"

    run(story)


def test_evidence_names_both_machines() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        thief = robot.copy()
        await robot.renew(hostname="build-7", host_id="aaaa" * 50)
        cluster.clock.advance(dt.timedelta(minutes=3))
        with pytest.raises(TeleportError):
            await thief.renew(hostname="laptop", host_id="bbbb")
        (event,) = await cluster.events("cert.generation_mismatch")
        assert (event["hostname"], event["host_id"], event["addr.remote"]) == ("laptop", "bbbb", ELSEWHERE)
        assert (event["other_hostname"], event["other_host_id"]) == ("build-7", "aaaa" * 20)
        assert (event["other_addr_remote"], event["other_time"]) == (HOME, "2030-01-01T00:00:00+00:00")
        assert event["time"].startswith("2030-01-01T00:03:00")

    run(story)


def test_an_instance_is_known_as_long_as_what_was_given_again() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        before, keys = robot.copy(HOME), robot.keys()
        await robot.renew(keys)
        first = (await instance_of(cluster)).metadata.expires
        cluster.clock.advance(dt.timedelta(minutes=40))
        await before.renew(keys)
        found = await instance_of(cluster)
        assert found.metadata.expires == before.identity.expires + dt.timedelta(minutes=5) > first
        assert len(found.status.latest_authentications) == 2

    run(story)


def test_the_lock_of_one_instance_spares_the_others() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access", lock_scope="instance")
        robot = await Robot.joined(cluster)
        await invite(cluster, "second-token-0123")
        other = await Robot.joined(cluster, "second-token-0123")
        thief = robot.copy()
        await robot.renew()
        await thief.refused()
        await other.renew()
        assert (await robot.refused()).code == "POL-LOCKED"

    run(story)


def test_an_instance_that_was_removed_is_a_mismatch() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        await cluster.admin.delete("bot_instance", robot.identity.bot_instance_id)
        assert (await robot.refused()).what == "renewable cert generation mismatch: stored=0, presented=1"
        for code in ("POL-LOCKED", "AUTH-BOT-NO-INSTANCE"):
            with pytest.raises(TeleportError) as caught:
                await robot.calls.beat(Heartbeat())
            assert caught.value.code == code
            for lock in await locks(cluster):
                await cluster.admin.delete("lock", lock.name)

    run(story)


@pytest.mark.parametrize("gone", [("bot", NAME), ("user", USER)])
def test_a_bot_that_was_removed_is_told_so(gone: tuple[str, str]) -> None:
    """By every call; nobody is locked."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        await cluster.admin.delete(*gone)
        asked: list[Coroutine[Any, Any, object]] = [robot.renew(), robot.output("access"), robot.output()]
        if gone[0] == "bot":  # its role and its instances are gone with it
            asked += [robot.calls.beat(Heartbeat()), robot.calls.standing()]
        told = []
        for call in asked:
            with pytest.raises(TeleportError) as caught:
                await call
            assert caught.value.code == "AUTH-BOT-GONE"
            told.append(caught.value)
        if gone[0] == "bot":
            assert all(error.id for error in told[:2]), "what the roles decide is kept"
        assert f"tctl bots add {NAME} --roles=" in caught.value.fix
        assert await locks(cluster) == []

    run(story)


def test_who_is_no_bot_is_not_told_which_there_are() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        await Robot.joined(cluster)
        calls = BotCalls(cluster.client(cluster.user("bob", "access")))
        told = []
        for _ in range(2):
            with pytest.raises(TeleportError) as caught:
                await calls.renew(Renewal(**public_keys(cluster.entropy)))
            told.append((caught.value.code, caught.value.fields))
            await cluster.admin.delete("bot", NAME) if len(told) == 1 else None
        assert told[0] == told[1]

    run(story)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bot_name": ""}, "identity did not contain bot name"),
        ({"bot_instance_id": ""}, "identity did not contain bot instance ID"),
        ({"generation": 0}, "a current identity generation must be provided"),
    ],
)
def test_what_is_no_certificate_of_a_bots_own(changes: dict[str, object], text: str) -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        strange = msgspec.structs.replace(robot.identity, **changes)
        with pytest.raises(TeleportError) as caught:
            await BotCalls(cluster.client(Caller(strange, HOME))).renew(Renewal(**robot.keys()))
        assert caught.value.what == text

    run(story)


def test_what_it_says_of_itself_is_kept() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        for number in range(12):
            await robot.calls.beat(Heartbeat(hostname=f"h{number}" + "x" * 200, is_startup=number == 0, uptime=number))
        found = await instance_of(cluster)
        assert (found.status.initial_heartbeat.is_startup, len(found.status.latest_heartbeats)) == (True, 10)
        assert (found.hostname[:3], len(found.hostname)) == ("h11", 80)
        assert found.last_seen == cluster.clock.now()
        await asyncio.gather(*(robot.calls.beat(Heartbeat(hostname="z")) for _ in range(4)))

    run(story)


def test_what_it_says_of_its_services_is_kept_within_bounds() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        at = cluster.clock.now() - dt.timedelta(minutes=1)
        said = [
            ServiceHealth(name="n" * 64, status="unhealthy", reason="r" * 256, updated_at=at),
            ServiceHealth(name="identity", status="healthy"),
        ]
        await robot.calls.beat(Heartbeat(kind="tbot"), said)
        found = await instance_of(cluster)
        assert found.status.latest_heartbeats[-1].kind == "tbot"
        assert [each.name for each in found.status.service_health] == ["n" * 64, "identity"]
        assert [each.updated_at for each in found.status.service_health] == [at, cluster.clock.now()]
        for wrong in (
            {"name": "n" * 65, "status": "healthy"}, {"name": "", "status": "healthy"},
            {"name": "ä" * 33, "status": "healthy"}, {"name": "a", "status": "well"},
            {"name": "a", "status": "healthy", "reason": "r" * 257},
        ):  # fmt: skip
            with pytest.raises(TeleportError) as caught:
                await robot.calls.beat(Heartbeat(), [ServiceHealth(**wrong)])
            assert caught.value.code == "AUTH-BOT-HEALTH", wrong
        with pytest.raises(TeleportError) as caught:
            await robot.calls.beat(Heartbeat(), [ServiceHealth(name="a", status="healthy")] * 201)
        assert caught.value.code == "AUTH-BOT-HEALTH"
        assert len((await instance_of(cluster)).status.service_health) == 2

    run(story)


def test_where_both_say_that_they_run_is_evidence() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster, host_name="build-1")
        assert (await instance_of(cluster)).latest.hostname == "build-1"
        thief = robot.copy()
        await robot.renew(hostname="build-2")
        with pytest.raises(TeleportError):
            await thief.renew(hostname="elsewhere")
        (event,) = await cluster.events("cert.generation_mismatch")
        assert (event["hostname"], event["other_hostname"]) == ("elsewhere", "build-2")

    run(story)


def test_an_instance_ends_a_little_after_its_certificates() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        cluster.clock.advance(dt.timedelta(minutes=30))
        await robot.renew()
        cluster.clock.advance(dt.timedelta(minutes=64))
        assert (await instance_of(cluster)).name == robot.identity.bot_instance_id
        cluster.clock.advance(dt.timedelta(minutes=2))
        assert [each async for each in cluster.admin.list("bot_instance")] == []

    run(story)


async def with_another_method(cluster: Cluster) -> Robot:
    """Let an instance of the bot join with a proof of somebody else's."""
    spec = {"join_method": "github", "github": {"allow": [{"repository": "a/b"}]}}
    await invite(cluster, "actions", **spec)

    async def proven(request: object) -> Proven:
        return Proven()

    cluster.service._join_methods["github"] = proven  # type: ignore[index]
    return Robot(cluster, (await join(cluster, Shows("github"), token="actions", system_role="Bot")).certificates)


async def again(robot: Robot) -> None:
    caller = Caller(robot.identity, robot.address)
    joined = await join(robot.cluster, Shows("github"), caller, token="actions", system_role="Bot")
    robot.made = joined.certificates


def test_who_proves_itself_otherwise_is_not_locked(said: io.StringIO) -> None:
    """S1-05: a mismatch of an instance of another join method is told, and locks nobody."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await with_another_method(cluster)
        copy = robot.copy()
        await again(robot)
        await again(robot)
        assert "not the last ones" not in said.getvalue()
        await again(copy)
        assert "proven anew who it is, and is not locked" in said.getvalue()
        assert await locks(cluster) == []
        await again(robot)
        await robot.output("access")

    run(story)


@pytest.mark.parametrize("scope", ["user", "instance"])
def test_the_lock_of_a_token_instance_meets_instances_of_other_methods(scope: str) -> None:
    """S1-62: after a mismatch of the token instance the user's lock refuses every instance of the bot; with
    `lock_scope: instance` that one alone."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access", lock_scope=scope)
        robot, other = await Robot.joined(cluster), await with_another_method(cluster)
        thief = robot.copy()
        await robot.renew()
        await thief.refused()
        if scope == "instance":
            await again(other)
            await other.output("access")
            return
        for work in (again(other), other.output("access")):
            with pytest.raises(TeleportError) as caught:
                await work
            assert caught.value.code == "POL-LOCKED"

    run(story)


@pytest.mark.parametrize(("longest", "asked", "expected"), [("", 24, 12), ("24h", 48, 24), ("168h", 200, 168)])
def test_how_long_its_own_certificates_live(longest: str, asked: int, expected: int) -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access", **({"max_session_ttl": longest} if longest else {}))
        robot = await Robot.joined(cluster)
        await robot.renew(expires=cluster.clock.now() + dt.timedelta(hours=asked))
        assert robot.identity.expires - cluster.clock.now() == dt.timedelta(hours=expected)
        made = identity_of(await robot.output("access", expires=cluster.clock.now() + dt.timedelta(hours=100)))
        assert made.expires - cluster.clock.now() == dt.timedelta(hours=24)

    run(story)
