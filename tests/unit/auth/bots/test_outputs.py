"""Certificates of outputs: roles that the bot was given, and no others."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Output
from teleport.api.caller import Caller
from teleport.base.errors import TeleportError
from tests.support.auth_cluster import Cluster, document_of, role, run
from tests.support.bots import HOME, NAME, USER, Robot, identity_of, make_bot


def test_an_output_has_every_role_or_those_that_it_asks_for() -> None:
    """S1-44: all roles of the bot, or the requested ones; S1-33: principals are the logins of the roles."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access", "db")
        await cluster.admin.upsert(role("db", logins=["dba"]))
        robot = await Robot.joined(cluster)
        every = identity_of(await robot.output())
        assert (every.roles, every.principals) == (("access", "db"), ("alice", "dba", "-teleport-internal-join"))
        one = identity_of(await robot.output("access"))
        assert (one.name, one.kind, one.roles, one.impersonator) == (USER, "bot", ("access",), USER)
        assert (one.renewable, one.disallow_reissue, one.generation) == (False, True, 0)
        assert (one.bot_name, one.bot_instance_id) == (NAME, robot.identity.bot_instance_id)
        assert one.expires - cluster.clock.now() == dt.timedelta(hours=1)
        free = identity_of(await robot.output("access", allow_reissue=True, expires=one.expires))
        assert (free.disallow_reissue, free.expires) == (False, one.expires)
        event = (await cluster.events("cert.create"))[-1]
        assert (event["identity"]["impersonator"], event["addr.remote"], event["user"]) == (USER, HOME, USER)

    run(story)


def test_a_role_that_it_was_not_given_is_refused_and_explained() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        await cluster.admin.create(role("secret"))
        robot = await Robot.joined(cluster)
        said = []
        for name in ("secret", "not-there", "../x"):
            with pytest.raises(TeleportError) as caught:
                await robot.output(name)
            said.append((caught.value.code, caught.value.why, caught.value.what.replace(name, "NAME")))
        assert len(set(said)) == 1
        assert said[0][:2] == ("POL-IMPERSONATION", 'allow.impersonate.roles of role "bot-example" is [access]')
        kept = await cluster.admin.explain(caught.value.id)
        assert "assume role/" in str(kept)

    run(story)


def test_patterns_mean_the_roles_that_are_there_and_no_bots() -> None:
    async def story(cluster: Cluster) -> None:
        for name in ("team-red", "team-blue"):
            await cluster.admin.create(role(name))
        await make_bot(cluster, "access")
        await cluster.admin.upsert(document_of("bot", NAME, {"roles": ["access", "team-*", "bot-*"]}))
        robot = await Robot.joined(cluster)
        assert identity_of(await robot.output()).roles == ("access", "team-blue", "team-red")

    run(story)


def test_only_a_bots_own_certificates_get_them() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        output = identity_of(await robot.output(allow_reissue=True))
        with pytest.raises(TeleportError) as caught:
            await BotCalls(cluster.client(Caller(output, HOME))).issue(Output(roles=("access",), **robot.keys()))
        assert caught.value.code == "AUTH-BOT-OUTPUT"
        person = BotCalls(cluster.client(cluster.user("carol", "access")))
        with pytest.raises(TeleportError) as caught:
            await person.issue(Output(**robot.keys()))
        assert caught.value.code == "API-AUDIENCE"

    run(story)


def test_a_bot_without_roles_has_nothing_to_ask_for() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster)
        robot = await Robot.joined(cluster)
        with pytest.raises(TeleportError) as caught:
            await robot.output()
        assert caught.value.code == "AUTH-BOT-NO-ROLES"

    run(story)


def test_a_bot_itself_may_do_nothing_else() -> None:
    """S1-40: what the bot holds itself cannot list what its roles could."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        client = cluster.client(Caller(robot.identity, HOME))
        with pytest.raises(TeleportError) as caught:
            [each async for each in client.list("token")]
        assert caught.value.code == "POL-NO-VERB"
        assert [each async for each in client.list("node")] == []

    run(story)
