"""What goes with a bot, comes and goes with it."""

from __future__ import annotations

import contextlib

import pytest

from teleport.api.client import AuthClient
from teleport.base.errors import TeleportError
from tests.support.auth_cluster import Cluster, document_of, role, rule, run, user
from tests.support.bots import NAME, USER, Robot, invite, make_bot
from tests.support.joiner import SECRET


def test_a_bot_stands_on_a_user_and_a_role() -> None:
    """S1-61: bot `example` has the Teleport user `bot-example`, its role lets it have the roles that it was given."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access", "other", traits=[{"name": "logins", "values": ["alice"]}])
        (user,) = [each async for each in cluster.admin.list("user")]
        assert (user.name, user.spec.roles) == (USER, (USER,))
        assert user.spec.traits == {"logins": ("alice",)}
        assert user.spec.created_by.user.name == "admin@test"
        assert user.metadata.labels == {"teleport.internal/bot": NAME, "teleport.internal/bot-generation": "0"}
        own = await cluster.admin.get("role", USER)
        assert own.metadata.description == "Automatically generated role for bot example"
        assert str(own.spec.options.max_session_ttl) == "12h0m0s"
        assert own.spec.allow.impersonate.roles == ("access", "other")
        (rule,) = own.spec.allow.rules
        assert (rule.resources, rule.verbs) == (("cert_authority",), ("readnosecrets",))
        bot = await cluster.admin.get("bot", NAME)
        assert (bot.status.user_name, bot.status.role_name) == (USER, USER)
        (event,) = await cluster.events("bot.create")
        assert (event["code"], event["name"]) == ("TB001I", NAME)

    run(story)


def test_a_change_of_the_bot_changes_both() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        await cluster.admin.create(role("db"))
        made = (await cluster.admin.get("user", USER)).spec.created_by
        spec = {"roles": ["db"], "max_session_ttl": "24h", "traits": [{"name": "logins", "values": ["bob"]}]}
        await cluster.admin.upsert(document_of("bot", NAME, spec))
        own = await cluster.admin.get("role", USER)
        assert (own.spec.allow.impersonate.roles, str(own.spec.options.max_session_ttl)) == (("db",), "24h0m0s")
        changed = await cluster.admin.get("user", USER)
        assert (changed.spec.traits, changed.spec.created_by) == ({"logins": ("bob",)}, made)

    run(story)


def test_everything_of_it_goes_with_it() -> None:
    """S1-46: `bots rm` deletes user, role and bot; instances and tokens too."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        await invite(cluster, "second-token-0123")
        await cluster.admin.create(document_of("token", "shared", {"roles": ["Bot", "Node"], "bot_name": NAME}))
        await cluster.admin.delete("bot", NAME)
        for kind in ("user", "bot", "bot_instance"):
            assert [each.name async for each in cluster.admin.list(kind)] == [], kind
        assert USER not in [each.name async for each in cluster.admin.list("role")]
        assert [each.name async for each in cluster.admin.list("token", with_secrets=True)] == ["shared"]
        assert (await robot.refused()).code == "AUTH-BOT-GONE"

    run(story)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_names_that_belong_to_others_are_not_taken(kind: str) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(user(USER, "access") if kind == "user" else role(USER))
        with pytest.raises(TeleportError) as caught:
            await cluster.admin.create(document_of("bot", NAME, {"roles": ["access"]}))
        assert (caught.value.code, caught.value.fields["kind"]) == ("AUTH-BOT-NAME", kind)

    run(story)


def test_its_roles_must_exist_and_patterns_need_not() -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(TeleportError) as caught:
            await cluster.admin.create(document_of("bot", NAME, {"roles": ["gone"]}))
        assert "gone" in caught.value.what
        assert [each async for each in cluster.admin.list("bot")] == []
        await cluster.admin.create(document_of("bot", NAME, {"roles": ["team-*"]}))
        await invite(cluster, SECRET)

    run(story)


def test_what_is_somebody_elses_by_now_stays() -> None:
    """S1-46: user and role go only where they say that they are the bot's."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        await cluster.admin.upsert(user(USER, "access"))
        await cluster.admin.delete("bot", NAME)
        assert [each.name async for each in cluster.admin.list("user")] == [USER]
        assert USER not in [each.name async for each in cluster.admin.list("role")]

    run(story)


@pytest.mark.parametrize(
    ("work", "needs"),
    [
        ("make", {"bot": "create", "token": "create"}),
        ("change", {"bot": "readnosecrets update"}),
        ("remove", {"bot": "delete"}),
        ("list", {"bot": "list readnosecrets", "bot_instance": "list readnosecrets"}),
        ("forget", {"bot_instance": "list readnosecrets delete"}),
        ("unlock", {"lock": "list readnosecrets delete create"}),
    ],
)
def test_rules_say_who_administers_bots(work: str, needs: dict[str, str]) -> None:
    """Each thing is allowed by exactly these rules, and a refusal has the id of its decision."""

    async def story(cluster: Cluster) -> None:
        await cluster.admin.upsert(role("access"))
        rules = [rule(kind, verbs) for kind, verbs in needs.items()]
        await cluster.admin.upsert(role("may", rules=rules))
        for number, left_out in enumerate(needs):
            kept = [rule(kind, verbs) for kind, verbs in needs.items() if kind != left_out]
            await cluster.admin.upsert(role(f"lacks-{number}", rules=kept))
            await _prepared(cluster, work)
            with pytest.raises(TeleportError) as caught:
                await _works(cluster.client(cluster.user("carol", f"lacks-{number}")), work)
            assert caught.value.code.startswith("POL-")
            assert caught.value.id, "tctl access explain knows it"
        await _prepared(cluster, work)
        await _works(cluster.client(cluster.user("dora", "may")), work)

    run(story)


async def _prepared(cluster: Cluster, work: str) -> None:
    """Leave a bot, a lock and an instance, unless a bot is to be made."""
    for kind, name in (("bot", NAME), ("lock", "a-lock")):
        with contextlib.suppress(TeleportError):
            await cluster.admin.delete(kind, name)
    if work == "make":
        return
    secret = cluster.entropy.token(16).hex()
    await make_bot(cluster, "access", token=secret)
    await Robot.joined(cluster, secret)
    await cluster.admin.create(document_of("lock", "a-lock", {"target": {"user": "somebody"}}))


async def _works(client: AuthClient, work: str) -> None:
    if work == "make":
        await client.create(document_of("bot", NAME, {"roles": ["access"]}))
        await client.create(document_of("token", "made-by-hand-01234", {"roles": ["Bot"], "bot_name": NAME}))
    elif work == "change":
        bot = await client.get("bot", NAME)
        await client.update(bot.with_metadata(labels={"team": "build"}))
    elif work == "remove":
        await client.delete("bot", NAME)
    elif work == "list":
        assert [each.name async for each in client.list("bot")] == [NAME]
        assert len([each async for each in client.list("bot_instance")]) == 1
    elif work == "forget":
        (instance,) = [each.name async for each in client.list("bot_instance")]
        await client.delete("bot_instance", instance)
    else:
        assert [each.name async for each in client.list("lock")] == ["a-lock"]
        await client.delete("lock", "a-lock")
        await client.create(document_of("lock", "a-lock", {"target": {"user": "somebody"}}))
