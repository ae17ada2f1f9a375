"""Refusals are kept, and what is kept holds no secret: the name of a token is one."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.base import errors
from teleport.model.resource import load
from tests.support.auth_cluster import Cluster, role, rule, run

SECRET = "a-secret-that-lets-hosts-join"
OTHER = "another-secret-of-some-length"


def token(cluster: Cluster, name: str, **labels: str) -> object:
    return load(
        {
            "kind": "token", "version": "v2", "spec": {"roles": ["Node"], "join_method": "token"},
            "metadata": {"name": name, "labels": labels, "expires": cluster.clock.now() + dt.timedelta(hours=1)},
        }
    )  # fmt: skip


@pytest.mark.parametrize("readable", [True, False], ids=["visible", "hidden"])
def test_no_refusal_about_a_token_keeps_its_name(readable: bool) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(token(cluster, SECRET, team="a"))  # type: ignore[type-var]
        mine = 'equals(resource.metadata.labels["team"], "mine")'
        rules = [rule("token", "read readnosecrets list delete update", where="" if readable else mine)]
        if readable:
            rules = [rule("token", "read readnosecrets list"), rule("token", "delete update", where=mine)]
        await cluster.admin.create(role("gardener", rules=rules))
        bob = cluster.client(cluster.user("bob", "gardener"))
        for name in (SECRET, OTHER):
            with pytest.raises((errors.NotFound, errors.AccessDenied)) as caught:
                await bob.delete("token", name)
            explained = await cluster.admin.explain(caught.value.id)
            assert name not in str(explained)
            assert name[-7:] in str(explained), "the last quarter tells which one it was"
        kept = [item.value for prefix in ("/decisions/",) async for item in cluster.backend.scan(prefix)]
        logged = [
            record.data for head in await cluster.backend.logs() for record in await cluster.backend.read_log(head.log)
        ]
        assert len(kept) == 2
        for secret in (SECRET.encode(), OTHER.encode()):
            assert not [data for data in (*kept, *logged) if secret in data]

    run(story)


def test_equal_refusals_of_different_tokens_are_not_counted_as_one() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("gardener", rules=[rule("token", "delete")]))
        bob = cluster.client(cluster.user("bob", "gardener"))

        async def refused(name: str) -> str:
            with pytest.raises(errors.NotFound) as caught:
                await bob.delete("token", name)
            return caught.value.id

        first, again, other = [await refused(name) for name in ("x" + SECRET, "x" + SECRET, "y" + SECRET)]
        assert first == again != other

    run(story)
