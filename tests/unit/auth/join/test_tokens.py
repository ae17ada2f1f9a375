"""Finding tokens: static ones first, and what became of those that are gone."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.auth.join.tokens import Missing
from teleport.base.errors import TeleportError
from teleport.model.config.static_token import parse
from teleport.model.kinds.token import CONFIG_FILE, ORIGIN, Token
from tests.support.auth_cluster import Cluster, document_of, run
from tests.support.joiner import SECRET, join, make, refused

STATIC = parse("node,app:static-secret-1").token("static-secret-1")


async def reason(cluster: Cluster, name: str) -> str:
    found = await cluster.service._tokens.find(name)
    return found.reason if isinstance(found, Missing) else ""


def test_static_tokens_are_there_as_long_as_they_are_written() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.static_tokens = (STATIC,)
        await cluster.restart()
        assert (await join(cluster, token="static-secret-1")).system_roles == ("Instance", "Node", "App")
        listed = [token async for token in cluster.admin.list("token", with_secrets=True)]
        assert [(token.name, token.metadata.expires) for token in listed] == [("static-secret-1", None)]
        cluster.static_tokens = ()
        await cluster.restart()
        assert (await refused(cluster, token="static-secret-1")).code == "AUTH-JOIN-TOKEN"
        assert [token async for token in cluster.admin.list("token")] == []

    run(story)


def test_they_are_not_written_at_run_time() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.static_tokens = (STATIC,)
        await cluster.restart()
        forged = document_of("token", "mine", {"roles": ["Node"]}, labels={ORIGIN: CONFIG_FILE})
        other = document_of("token", "static-secret-1", {"roles": ["Proxy"]})
        for work in (
            cluster.admin.create(forged), cluster.admin.upsert(other), cluster.admin.delete("token", "static-secret-1"),
        ):  # fmt: skip
            with pytest.raises(TeleportError) as caught:
                await work
            assert caught.value.code == "AUTH-TOKEN-STATIC"
            assert "static-secret-1" not in str(caught.value)

    run(story)


def test_one_that_another_server_published_is_not_believed() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.service.store.upsert(STATIC)
        assert await reason(cluster, STATIC.name) == "it stood in a configuration file"

    run(story)


def test_what_became_of_a_token() -> None:
    async def story(cluster: Cluster) -> None:
        soon = (cluster.clock.now() + dt.timedelta(minutes=30)).isoformat()
        for name in ("expires-1", "used-up-1", "removed-1"):
            await cluster.admin.create(document_of("token", name, {"roles": ["Node"]}, expires=soon))
        token = await cluster.service.store.get(Token, "used-up-1")
        await cluster.backend.commit(*cluster.service._tokens.use_up_ops(token))
        await cluster.admin.delete("token", "removed-1")
        assert await reason(cluster, "used-up-1") == "it was used at 2030-01-01T00:00:00+00:00"
        assert await reason(cluster, "removed-1") == "it was removed at 2030-01-01T00:00:00+00:00"
        assert await reason(cluster, "expires-1") == ""
        cluster.clock.advance(dt.timedelta(minutes=31))
        assert await reason(cluster, "expires-1") == "it expired at 2030-01-01T00:30:00+00:00"
        assert await reason(cluster, "never-1") == "no token has this name"
        cluster.clock.advance(dt.timedelta(days=31))
        assert await reason(cluster, "expires-1") == "no token has this name"

    run(story)


def test_each_fate_of_a_token_has_an_error_and_a_record_of_its_own() -> None:
    async def story(cluster: Cluster) -> None:
        soon = (cluster.clock.now() + dt.timedelta(minutes=30)).isoformat()
        for name in ("expires-1", "used-up-1", "removed-1"):
            await cluster.admin.create(document_of("token", name, {"roles": ["Node"]}, expires=soon))
        token = await cluster.service.store.get(Token, "used-up-1")
        await cluster.backend.commit(*cluster.service._tokens.use_up_ops(token))
        await cluster.admin.delete("token", "removed-1")
        await make(cluster, "for-kube-only-1", roles=["Kube"])
        cluster.clock.advance(dt.timedelta(minutes=31))
        told = {
            "never-1": ("AUTH-JOIN-TOKEN", "no token has this name"),
            "expires-1": ("AUTH-TOKEN-EXPIRED", "it expired at 2030-01-01T00:30:00+00:00"),
            "used-up-1": ("AUTH-TOKEN-USED", "it was used at 2030-01-01T00:00:00+00:00"),
            "removed-1": ("AUTH-TOKEN-REMOVED", "it was removed at 2030-01-01T00:00:00+00:00"),
            "for-kube-only-1": ("AUTH-JOIN-ROLES", "the token does not allow role Node"),
        }
        for name, (code, words) in told.items():
            error = await refused(cluster, token=name, services=("Node",))
            assert error.code == code
            assert "tctl tokens add --type=node" in error.fix
            event = (await cluster.events("instance.join"))[-1]
            assert (event["success"], event["code"], words in event["error"]) == (False, "TJ002E", True)
            assert name not in str(event)
            if code != "AUTH-JOIN-ROLES":  # S1-15: a bot needs a token of another kind
                bot = await refused(cluster, token=name, system_role="Bot")
                assert (bot.code, "tctl bots instances add NAME" in bot.fix, "--type" in bot.fix) == (code, True, False)

    run(story)


def test_a_token_is_used_up_once() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster)
        token = await cluster.service.store.get(Token, SECRET)
        ops = cluster.service._tokens.use_up_ops(token)
        await cluster.backend.commit(*ops)
        with pytest.raises(TeleportError) as caught:
            await cluster.backend.commit(*ops)
        assert caught.value.code.startswith("STORE-")

    run(story)


def test_the_store_that_fails_is_not_told_as_a_missing_token() -> None:
    async def story(cluster: Cluster) -> None:
        from teleport.store.backend import Put

        await cluster.backend.commit(Put("/tokens/broken-1", b"{"))
        error = await refused(cluster, token="broken-1")
        assert (error.code, "the token is not valid" in error.what) == ("AUTH-JOIN-INVALID", True)

    run(story)
