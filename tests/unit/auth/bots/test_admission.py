"""Bots join: what the first certificates say, and that a secret token is good for one."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Renewal
from teleport.api.caller import Caller
from teleport.auth.bots.admission import Admission
from teleport.base.errors import TeleportError
from teleport.model.identity import Identity
from tests.support.auth_cluster import CLUSTER, Cluster, document_of, public_keys, run
from tests.support.bots import HOME, NAME, USER, Robot, identity_of, invite, make_bot
from tests.support.joiner import SECRET, Shows, join, refused


def test_what_a_bot_gets() -> None:
    """S1-06, S1-17: the certificate is renewable and carries generation 1 of a new instance, which is stored."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        joined = await join(cluster, system_role="Bot")
        assert (joined.host_id, joined.system_roles, joined.cluster) == ("", ("Bot",), CLUSTER)
        identity = identity_of(joined.certificates)
        assert (identity.name, identity.kind, identity.roles) == (USER, "bot", (USER,))
        assert (identity.renewable, identity.disallow_reissue, identity.generation) == (True, False, 1)
        assert identity.principals == ("-teleport-internal-join",)
        assert (identity.bot_name, identity.join_token) == (NAME, "")
        assert identity.expires - cluster.clock.now() == dt.timedelta(hours=1)
        (instance,) = [each async for each in cluster.admin.list("bot_instance")]
        assert instance.name == instance.spec.instance_id == identity.bot_instance_id
        assert (instance.spec.bot_name, instance.spec.previous_instance_id) == (NAME, "")
        first = instance.status.initial_authentication
        assert (first,) == instance.status.latest_authentications
        assert (first.generation, first.join_method, first.addr_remote) == (1, "token", HOME)
        assert first.join_token.startswith("*")
        assert instance.metadata.expires - identity.expires == dt.timedelta(minutes=5)

    run(story)


def test_a_secret_token_is_good_for_one_join() -> None:
    """S1-25: the second join with the same token is told that it expired or is not there."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        await Robot.joined(cluster)
        error = await refused(cluster, system_role="Bot")
        assert (error.code, "token expired or not found" in error.what) == ("AUTH-TOKEN-USED", True)
        good, bad = await cluster.events("bot.join")
        assert (good["code"], good["success"], good["bot_name"]) == ("TJ001I", True, NAME)
        assert (bad["code"], bad["success"], "it was used at" in bad["error"]) == ("TJ001E", False, True)
        (made,) = [each for each in await cluster.events("cert.create") if each["user"] == USER]
        assert (made["user_kind"], made["addr.remote"]) == (2, HOME)

    run(story)


def test_how_long_is_the_bots_wish_within_limits() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access", max_session_ttl="2h")
        for hours, expected in ((0.5, 0.5), (48, 2)):
            token = f"token-for-{hours}-hours"
            await invite(cluster, token)
            asked = cluster.clock.now() + dt.timedelta(hours=hours)
            robot = await Robot.joined(cluster, token, expires=asked)
            assert robot.identity.expires - cluster.clock.now() == dt.timedelta(hours=expected)

    run(story)


def test_who_proves_itself_otherwise_is_not_renewable_and_goes_on_as_the_same_instance() -> None:
    """S1-24: a bot of another method joins again, as often as it likes."""
    proofs = {"github": {"allow": [{"repository": "a/b"}]}}

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        await cluster.admin.create(
            document_of("token", "actions", {"roles": ["Bot"], "bot_name": NAME, "join_method": "github", **proofs})
        )

        async def proven(request: object) -> object:
            from teleport.auth.join.method import Proven

            return Proven(attributes={"repository": "a/b"})

        cluster.service._join_methods["github"] = proven  # type: ignore[index]
        robot = Robot(cluster, (await join(cluster, Shows("github"), token="actions", system_role="Bot")).certificates)
        first = robot.identity
        assert (first.renewable, first.generation, first.join_token) == (False, 1, "actions")
        assert (await robot.refused()).code == "AUTH-BOT-NOT-RENEWABLE"
        again = await join(
            cluster, Shows("github"), Caller(first, HOME), token="actions", system_role="Bot"
        )  # fmt: skip
        second = identity_of(again.certificates)
        assert (second.bot_instance_id, second.generation) == (first.bot_instance_id, 2)
        third = identity_of((await join(cluster, Shows("github"), token="actions", system_role="Bot")).certificates)
        assert (third.bot_instance_id == first.bot_instance_id, third.generation) == (False, 1)

    run(story)


def test_a_bot_that_is_gone_or_locked_does_not_join() -> None:
    """S1-18: with the lock in place a new token does not help."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        lock = await cluster.admin.create(document_of("lock", "", {"target": {"user": USER}}))
        assert (await refused(cluster, system_role="Bot")).code == "POL-LOCKED"
        await cluster.admin.delete("lock", lock.name)
        await cluster.admin.create(document_of("token", "of-another-bot", {"roles": ["Bot"], "bot_name": "nobody"}))
        assert (await refused(cluster, token="of-another-bot", system_role="Bot")).code == "AUTH-BOT-GONE"
        with pytest.raises(TeleportError) as caught:
            await join(cluster, system_role="Bot", ssh_public_key="none")
        assert caught.value.code == "PKI-KEY"
        assert await Robot.joined(cluster, SECRET), "what failed has not used the token up"

    run(story)


async def instances(cluster: Cluster) -> list[str]:
    return [each.name async for each in cluster.admin.list("bot_instance")]


async def ask(cluster: Cluster, keys: dict[str, Any], **fields: Any) -> Identity:
    return identity_of((await join(cluster, system_role="Bot", **keys, **fields)).certificates)


def test_a_lost_answer_to_the_first_join_is_given_again() -> None:
    """The token is used up by one pair of keys; who asks for the same keys again gets the same instance."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        keys = public_keys(cluster.entropy)
        first = await ask(cluster, keys)
        cluster.clock.advance(dt.timedelta(minutes=59))
        again = await ask(cluster, keys)
        assert (again.bot_instance_id, again.generation, again.renewable) == (first.bot_instance_id, 1, True)
        assert await instances(cluster) == [first.bot_instance_id]
        assert [event["success"] for event in await cluster.events("bot.join")] == [True, True]
        cluster.clock.advance(dt.timedelta(minutes=30))
        renewed = await BotCalls(cluster.client(Caller(again, HOME))).renew(Renewal(**public_keys(cluster.entropy)))
        assert identity_of(renewed).generation == 2

    run(story)


def test_at_once_they_are_one() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        keys, others = public_keys(cluster.entropy), [public_keys(cluster.entropy) for _ in range(3)]
        asked = [keys, *others, keys, keys]
        results = await asyncio.gather(*(ask(cluster, each) for each in asked), return_exceptions=True)
        good = [each for each in results if isinstance(each, Identity)]
        assert len({each.bot_instance_id for each in good}) == 1
        assert all("token expired or not found" in str(each) for each in results if not isinstance(each, Identity))
        assert len(await instances(cluster)) == 1

    run(story)


@pytest.mark.parametrize("own", ["ssh_public_key", "tls_public_key"])
def test_half_of_the_keys_is_not_enough(own: str) -> None:
    """Public keys are no secret: who knows them and the used token gets nothing for a key of their own."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        keys = public_keys(cluster.entropy)
        await ask(cluster, keys)
        mixed = {**keys, own: public_keys(cluster.entropy)[own]}
        assert (await refused(cluster, system_role="Bot", **mixed)).code == "AUTH-TOKEN-USED"
        assert len(await instances(cluster)) == 1

    run(story)


def test_the_second_answer_ends_with_the_first_renewal_and_with_time() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        keys = public_keys(cluster.entropy)
        robot = Robot(cluster, (await join(cluster, system_role="Bot", **keys)).certificates)
        await robot.renew()
        assert (await refused(cluster, system_role="Bot", **keys)).code == "AUTH-TOKEN-USED"
        await invite(cluster, "second-token-0123")
        await ask(cluster, keys, token="second-token-0123")
        cluster.clock.advance(dt.timedelta(hours=1))
        error = await refused(cluster, system_role="Bot", **keys, token="second-token-0123")
        assert error.code == "AUTH-TOKEN-USED"
        await robot.refused()
        assert [each async for each in cluster.admin.list("lock")] == []

    run(story)


def test_the_second_answer_needs_what_the_first_did() -> None:
    """Locks, the instance, the role and the method: all of it still counts."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        keys = public_keys(cluster.entropy)
        first = await ask(cluster, keys)
        assert (await refused(cluster, **keys)).code == "AUTH-TOKEN-USED", "as a host"
        proof = Shows("github")
        assert (await refused(cluster, proof, system_role="Bot", **keys)).code == "AUTH-TOKEN-USED"
        lock = await cluster.admin.create(document_of("lock", "", {"target": {"user": USER}}))
        assert (await refused(cluster, system_role="Bot", **keys)).code == "POL-LOCKED"
        await cluster.admin.delete("lock", lock.name)
        lock = await cluster.admin.create(
            document_of("lock", "", {"target": {"bot_instance_id": first.bot_instance_id}})
        )
        assert (await refused(cluster, system_role="Bot", **keys)).code == "POL-LOCKED"
        await cluster.admin.delete("lock", lock.name)
        assert (await ask(cluster, keys)).bot_instance_id == first.bot_instance_id
        await cluster.admin.delete("bot_instance", first.bot_instance_id)
        assert (await refused(cluster, system_role="Bot", **keys)).code == "AUTH-TOKEN-USED"

    run(story)


def test_what_is_remembered_of_a_use_holds_no_secret() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        keys = public_keys(cluster.entropy)
        await ask(cluster, keys)
        (mark,) = [item async for item in cluster.backend.scan("/token_marks/")]
        assert SECRET not in f"{mark}"
        assert keys["ssh_public_key"].split()[1] not in f"{mark}"
        (event,) = await cluster.events("bot.join")
        assert SECRET not in str(event)

    run(story)


def test_a_renewal_between_question_and_answer_wins() -> None:
    """The instance is looked at again when the second answer is written."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        keys = public_keys(cluster.entropy)
        robot = Robot(cluster, (await join(cluster, system_role="Bot", **keys)).certificates)
        given = Admission.given
        seen = []

        async def look(self: Admission, bot: str, id: str) -> Any:
            found = await given(self, bot, id)
            if not seen:
                seen.append(found)
                await robot.renew()
            return found

        Admission.given = look  # type: ignore[method-assign]
        try:
            error = await refused(cluster, system_role="Bot", **keys)
        finally:
            Admission.given = given  # type: ignore[method-assign]
        assert error.code == "AUTH-JOIN-CHANGED"
        await robot.renew()
        assert robot.identity.generation == 3

    run(story)
