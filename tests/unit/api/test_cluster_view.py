"""ClusterView against a real Auth Service: the first copy, changes, lost connections, and that nothing is missed."""

import asyncio
import contextlib
import datetime as dt
import random

import msgspec
import pytest

from teleport.api.client import AuthClient, over_stream
from teleport.api.cluster_view import ROLE_PATIENCE, ClusterView
from teleport.base import tasks
from teleport.base.errors import AlreadyExists, NotFound, Unavailable
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.role import Role
from teleport.model.resource import load
from teleport.net.memory import memory_pair
from tests.support import auth_cluster, virtual_loop

KINDS = ("cert_authority", "role", "lock")


def lock(name, user="alice", **metadata):
    return load(
        {"kind": "lock", "version": "v2", "metadata": {"name": name, **metadata}, "spec": {"target": {"user": user}}}
    )


class Wire:
    """Connections of a node to the Auth Service, which can be cut and refused."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._streams = []
        self._serving = []
        self.refuses = False
        self.dials = []
        self.client = AuthClient(over_stream(self._dial))

    async def _dial(self):
        self.dials.append(asyncio.get_running_loop().time())
        if self.refuses:
            raise Unavailable("API-UNAVAILABLE", problem="refused")
        ours, theirs = memory_pair()
        work = self._cluster.service.serve(ours, self._cluster.host("Node"))
        self._serving.append(tasks.spawn(work, name="serve", on_error=self._cluster.failures.append))
        self._streams.append(theirs)
        return theirs

    def cut(self):
        for stream in self._streams:
            stream.reset()
        self._streams.clear()

    async def close(self):
        await self.client.close()
        for task in self._serving:
            await tasks.cancel(task)


@contextlib.asynccontextmanager
async def following(kinds=KINDS):
    """Yield cluster, wire and a view that follows it, once it is ready."""
    cluster = auth_cluster.Cluster(clock=virtual_loop.current().clock)
    await cluster.service.start()
    wire = Wire(cluster)
    view = ClusterView(wire.client, kinds, clock=cluster.clock, entropy=cluster.entropy)
    ready = asyncio.Event()
    task = tasks.spawn(view.run(ready.set), name="view", on_error=cluster.failures.append)
    await ready.wait()
    try:
        yield cluster, wire, view
    finally:
        await tasks.cancel(task)
        await wire.close()
        await cluster.close()
    assert cluster.failures == []


async def until(condition):
    """Wait in virtual time for a condition."""
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(0.01)


def locks(view):
    return sorted(found.name for found in view.all(Lock))


def run(story, **options):
    async def body():
        async with following(**options) as (cluster, wire, view):
            await story(cluster, wire, view)

    virtual_loop.run(body())


def test_first_copy_is_whole():
    async def story(cluster, wire, view):
        assert {role.name for role in view.all(Role)} == {"access", "auditor", "editor"}
        assert locks(view) == []
        assert view.age == 0

    run(story)


def test_changes_arrive():
    async def story(cluster, wire, view):
        admin = cluster.admin
        await admin.create(lock("a"))
        await until(lambda: locks(view) == ["a"])
        await admin.delete("lock", "a")
        await until(lambda: locks(view) == [])
        for login in ("x", "y"):
            await admin.upsert(auth_cluster.role("r", logins=[login]))
            await until(lambda: any(role.spec.allow.logins == (login,) for role in view.all(Role)))  # noqa: B023

    run(story)


def test_expired_things_are_not_shown_even_before_the_store_removes_them():
    async def story(cluster, wire, view):
        soon = (cluster.clock.now() + dt.timedelta(seconds=30)).isoformat()
        await cluster.admin.create(lock("a", expires=soon))
        await until(lambda: locks(view) == ["a"])
        wire.refuses = True
        wire.cut()
        await asyncio.sleep(31)
        assert locks(view) == []

    run(story)


def test_what_must_be_renewed_can_be_kept_while_nobody_can_renew_it():
    async def story(cluster, wire, view):
        now = cluster.clock.now()
        await cluster.admin.create(lock("a", expires=(now + dt.timedelta(seconds=30)).isoformat()))
        await until(lambda: locks(view) == ["a"])
        wire.refuses = True
        wire.cut()
        await asyncio.sleep(3600)
        assert [found.name for found in view.all(Lock, last_known=True)] == ["a"]
        wire.refuses = False
        await until(lambda: view.age == 0)
        assert view.all(Lock, last_known=True) == []

    run(story)


def test_last_state_stays_in_use_and_its_age_is_known(caplog):
    async def story(cluster, wire, view):
        await cluster.admin.create(lock("a"))
        await until(lambda: locks(view) == ["a"])
        await asyncio.sleep(3600)
        assert view.age == 0
        wire.refuses = True
        wire.cut()
        await asyncio.sleep(5)
        assert locks(view) == ["a"]
        assert 4.9 <= view.age <= 5
        await asyncio.sleep(100)
        assert 104.9 <= view.age <= 105

    run(story)
    assert "Lost the auth service" in caplog.text


def test_view_comes_back_and_learns_what_it_missed():
    async def story(cluster, wire, view):
        admin = cluster.admin
        await admin.create(lock("a"))
        await until(lambda: locks(view) == ["a"])
        wire.refuses = True
        wire.cut()
        await admin.delete("lock", "a")
        await admin.create(lock("b"))
        await asyncio.sleep(300)
        assert locks(view) == ["a"]
        wire.refuses = False
        await until(lambda: view.age == 0)
        assert locks(view) == ["b"]

    run(story)


def test_pauses_between_attempts_are_bounded_and_begin_anew():
    async def story(cluster, wire, view):
        wire.refuses = True
        wire.cut()
        await asyncio.sleep(600)
        attempts = [at for at in wire.dials if at > 0]
        assert 60 < len(attempts) < 250
        wire.refuses = False
        await until(lambda: view.age == 0)
        began, dials = asyncio.get_running_loop().time(), len(wire.dials)
        wire.cut()
        await until(lambda: len(wire.dials) > dials)
        await until(lambda: view.age == 0)
        assert asyncio.get_running_loop().time() - began < 0.5

    run(story)


def test_a_role_made_a_moment_ago_is_waited_for():
    async def story(cluster, wire, view):
        alice = cluster.identity("alice", roles=("dev",))
        asking = asyncio.get_running_loop().create_task(view.role_set(alice))
        await asyncio.sleep(ROLE_PATIENCE / 2)
        assert not asking.done()
        await cluster.admin.create(auth_cluster.role("dev", logins=["root"]))
        assert (await asking).names == {"dev"}

    run(story)


def test_a_role_that_is_gone_is_waited_for_a_moment_only():
    async def story(cluster, wire, view):
        alice = cluster.identity("alice", roles=("gone",))
        began = asyncio.get_running_loop().time()
        assert (await view.role_set(alice)).names == frozenset()
        assert asyncio.get_running_loop().time() - began == ROLE_PATIENCE
        asking = asyncio.get_running_loop().create_task(view.role_set(alice))
        await asyncio.sleep(0.5)
        wire.refuses = True
        wire.cut()
        await asyncio.wait_for(asking, 0.5)  # no news can come: what is known decides at once

    run(story)


def test_a_role_set_is_compiled_once_for_each_state():
    async def story(cluster, wire, view):
        await cluster.admin.create(auth_cluster.role("dev", logins=["root"]))
        alice = cluster.identity("alice", roles=("dev",))
        first = await view.role_set(alice)
        assert await view.role_set(alice) is first
        other = msgspec.structs.replace(alice, traits={"team": ("blue",)})
        assert (await view.role_set(other)).traits == {"team": ("blue",)}
        await cluster.admin.upsert(auth_cluster.role("dev", logins=["bob"]))
        await until(lambda: ("bob",) in {role.spec.allow.logins for role in view.all(Role)})
        assert set((await view.role_set(alice)).by_login) >= {"bob"}
        assert "root" not in (await view.role_set(alice)).by_login

    run(story)


def test_a_role_set_ends_with_its_roles():
    async def story(cluster, wire, view):
        soon = cluster.clock.now() + dt.timedelta(seconds=60)
        await cluster.admin.create(auth_cluster.role("dev", logins=["root"]).with_metadata(expires=soon))
        alice = cluster.identity("alice", roles=("dev",))
        assert (await view.role_set(alice)).names == {"dev"}
        await asyncio.sleep(61)
        assert (await view.role_set(alice)).names == frozenset()

    run(story)


def test_kinds_that_were_not_asked_for_are_not_held():
    async def story(cluster, wire, view):
        await cluster.admin.create(lock("a"))
        await cluster.admin.create(auth_cluster.role("r"))
        await until(lambda: "r" in {role.name for role in view.all(Role)})
        assert locks(view) == []

    run(story, kinds=("role",))


async def disturb(cluster, wire, chance, names):
    """Make random changes with random pauses and cuts; the last one is the lock `end`."""
    admin = cluster.admin
    for number in range(40):
        name = chance.choice(names)
        match chance.randrange(6):
            case 0 | 1:
                with contextlib.suppress(AlreadyExists):
                    await admin.create(lock(name, user=f"u{number}"))
            case 2:
                with contextlib.suppress(NotFound):
                    await admin.delete("lock", name)
            case 3:
                await admin.upsert(auth_cluster.role(f"role-{name}", logins=[f"u{number}"]))
            case 4 if chance.random() < 0.5:
                wire.cut()
            case _:
                pass
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.05]))
    await admin.create(lock("end"))


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_missed_whatever_happens_when(seed):
    async def story(cluster, wire, view):
        await disturb(cluster, wire, random.Random(seed), "abcd")
        await until(lambda: "end" in locks(view) and view.age == 0)
        await asyncio.sleep(1)
        for cls in (Lock, Role):
            stored = {found.name: found.spec for found in await cluster.service.store.list(cls)}
            assert {found.name: found.spec for found in view.all(cls)} == stored

    run(story)
