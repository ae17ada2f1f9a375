"""Bots join: what the first certificates say, and that a secret token is good for one."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.api.caller import Caller
from teleport.base.errors import TeleportError
from tests.support.auth_cluster import CLUSTER, Cluster, document_of, run
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
