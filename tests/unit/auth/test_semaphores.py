"""Places in the whole cluster: merged by host, limited, ended by the clock, raced for."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from teleport.api.client import AuthClient
from teleport.auth.semaphores import LIFE
from teleport.base.errors import AccessDenied, LimitExceeded, NotSupported
from teleport.model.kinds.semaphore import CONNECTION, Lease, Semaphore, SemaphoreSpec
from teleport.model.resource import Metadata
from tests.support.auth_cluster import HOST_UUID, Cluster, run

OTHER_UUID = "99999999-2222-4333-8444-555555555555"


def semaphore(*leases: str, most: int = 0, user: str = "alice", holder: str = "") -> Semaphore:
    held = tuple(Lease(lease_id=id, holder=holder) for id in leases)
    return Semaphore(
        version="v3", sub_kind=CONNECTION, metadata=Metadata(name=user),
        spec=SemaphoreSpec(leases=held, max_leases=most),
    )  # fmt: skip


def nodes(cluster: Cluster) -> tuple[AuthClient, AuthClient]:
    return cluster.client(cluster.host("Node")), cluster.client(cluster.host("Node", uuid=OTHER_UUID))


async def held(cluster: Cluster, user: str = "alice") -> dict[str, str]:
    stored = await cluster.service.store.get(Semaphore, user, CONNECTION)
    return {lease.lease_id: lease.holder for lease in stored.spec.leases}


def test_each_host_writes_its_own_and_cannot_touch_others() -> None:
    async def story(cluster: Cluster) -> None:
        one, two = nodes(cluster)
        await one.upsert(semaphore("a", "b"))
        await two.upsert(semaphore("c", holder=HOST_UUID))
        assert await held(cluster) == {"a": HOST_UUID, "b": HOST_UUID, "c": OTHER_UUID}
        await one.upsert(semaphore())
        assert await held(cluster) == {"c": OTHER_UUID}
        await one.upsert(semaphore("x", user="bob"))
        assert await held(cluster, "bob") == {"x": HOST_UUID}

    run(story)


def test_one_too_many_is_refused_and_what_is_held_may_be_renewed() -> None:
    async def story(cluster: Cluster) -> None:
        one, two = nodes(cluster)
        await one.upsert(semaphore("a", most=2))
        await two.upsert(semaphore("b", most=2))
        with pytest.raises(LimitExceeded) as caught:
            await two.upsert(semaphore("b", "c", most=2))
        assert caught.value.what == "err-max-leases: 2 places of 'alice' are held, which is as many as there may be"
        assert await held(cluster) == {"a": HOST_UUID, "b": OTHER_UUID}
        await two.upsert(semaphore("b", most=1))
        await one.upsert(semaphore("a", most=1))
        await two.upsert(semaphore("b", "c", "d"))
        assert len(await held(cluster)) == 4

    run(story)


def test_leases_of_a_node_that_is_gone_end_by_themselves() -> None:
    async def story(cluster: Cluster) -> None:
        one, two = nodes(cluster)
        await one.upsert(semaphore("a", most=1))
        cluster.clock.advance(LIFE - dt.timedelta(seconds=1))
        with pytest.raises(LimitExceeded):
            await two.upsert(semaphore("b", most=1))
        cluster.clock.advance(dt.timedelta(seconds=1))
        await two.upsert(semaphore("b", most=1))
        assert await held(cluster) == {"b": OTHER_UUID}
        with pytest.raises(LimitExceeded):
            await one.upsert(semaphore("a", most=1))

    run(story)


def test_two_nodes_that_race_for_the_last_place_get_it_once() -> None:
    async def story(cluster: Cluster) -> None:
        one, two = nodes(cluster)
        for turn in range(20):
            answers = await asyncio.gather(
                one.upsert(semaphore("a", most=1, user=f"user-{turn}")),
                two.upsert(semaphore("b", most=1, user=f"user-{turn}")),
                return_exceptions=True,
            )
            assert sorted(type(answer).__name__ for answer in answers) == ["LimitExceeded", "Semaphore"]
            assert len(await held(cluster, f"user-{turn}")) == 1

    run(story)


def test_people_can_free_places_and_nothing_else() -> None:
    async def story(cluster: Cluster) -> None:
        one, _ = nodes(cluster)
        await one.upsert(semaphore("a"))
        with pytest.raises(NotSupported):
            await cluster.admin.upsert(semaphore("b"))
        with pytest.raises(AccessDenied):
            await cluster.client(cluster.host("Instance")).upsert(semaphore("b"))
        await cluster.admin.delete("semaphore", "alice", sub_kind=CONNECTION)
        assert await cluster.service.store.list(Semaphore) == []
        assert await cluster.events("resource.change") != []

    run(story)


def test_a_proxy_beside_a_node_holds_places_of_its_own() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.client(cluster.host("Node")).upsert(semaphore("a", most=2))
        await cluster.proxy.upsert(semaphore("b", most=2))
        assert len(await held(cluster)) == 2
        with pytest.raises(LimitExceeded):
            await cluster.proxy.upsert(semaphore("b", "c", most=2))

    run(story)
