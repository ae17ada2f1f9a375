"""The SSH Service's authority before a real Auth Service in virtual time: its view, heartbeats, records."""

import asyncio
import contextlib
import datetime as dt

from teleport.access.action import Conditions, Connect
from teleport.access.checker import decide
from teleport.access.denial import Denial
from teleport.agents.ssh import cluster_authority, labels
from teleport.agents.ssh.cluster_authority import ClusterAuthority
from teleport.agents.ssh.labels import CommandLabels
from teleport.base import tasks
from teleport.base.errors import Unavailable
from teleport.base.struct import Duration
from teleport.model.command_labels import CommandLabel
from teleport.model.events.base import document
from teleport.model.events.session import Exec
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from tests.support import auth_cluster, virtual_loop
from tests.support.auth_cluster import HOST_UUID


class Made:
    """An authority on a cluster whose Auth Service can be out of reach."""

    def __init__(self, cluster, **commands):
        self.cluster = cluster
        self.down = False
        self._inner = cluster.client(cluster.host("Node"))
        self.commands = CommandLabels(
            {name: CommandLabel(command=(name,), period=Duration(p)) for name, p in commands.items()}
        )
        self.writes = []
        self.client = self._inner
        self.authority = ClusterAuthority(
            self, host_uuid=HOST_UUID, hostname="node-1", address="10.0.0.5:3022", labels={"env": "dev"},
            commands=self.commands, public_addresses=["node-1.example.com:3022"], emit=self._emit, clock=cluster.clock,
            entropy=cluster.entropy,
        )  # fmt: skip

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def _emit(self, event):
        await self._inner.emit(document(event))

    async def upsert(self, resource):
        self.writes.append(asyncio.get_running_loop().time())
        if self.down:
            raise Unavailable("API-UNAVAILABLE", problem="down")
        return await self._inner.upsert(resource)

    async def stored(self):
        return list(await self.cluster.service.store.list(Node))


def run(story, **commands):
    async def body():
        async with auth_cluster.running(clock=virtual_loop.current().clock) as cluster:
            await story(Made(cluster, **commands))

    virtual_loop.run(body())


@contextlib.asynccontextmanager
async def running(work):
    """Run `announce` or `follow` until the block ends; yields when it is ready."""
    ready = asyncio.Event()
    failures = []
    task = tasks.spawn(work(ready.set), name="work", on_error=failures.append)
    await ready.wait()
    try:
        yield
    finally:
        await tasks.cancel(task)
    assert failures == []


def test_node_is_listed_while_it_runs(caplog):
    async def story(made):
        async with running(made.authority.announce):
            (node,) = await made.stored()
            assert (node.name, node.spec.hostname, node.spec.addr) == (HOST_UUID, "node-1", "10.0.0.5:3022")
            assert node.spec.public_addrs == ("node-1.example.com:3022",)
            assert node.metadata.labels == {"env": "dev"}
            assert node.metadata.expires - made.cluster.clock.now() == cluster_authority.LIFE
        await asyncio.sleep(cluster_authority.LEAVING.total_seconds())
        assert await made.stored() == []

    run(story)
    assert caplog.text == ""


def test_record_ends_by_itself_when_the_node_is_gone():
    async def story(made):
        async with running(made.authority.announce):
            made.down = True
            await asyncio.sleep(cluster_authority.LIFE.total_seconds() - 61)
            assert len(await made.stored()) == 1
            await asyncio.sleep(62)
            assert await made.stored() == []

    run(story)


def test_heartbeats_come_about_each_minute_and_leave_no_events():
    async def story(made):
        before = await made.cluster.events()
        async with running(made.authority.announce):
            await asyncio.sleep(3600)
            assert 60 <= len(made.writes) <= 68
            assert len(await made.stored()) == 1
        assert await made.cluster.events() == before

    run(story)


def test_a_node_in_a_tunnel_is_listed_for_two_heartbeats_without_it_and_soon_when_it_is_back():
    up = [True]

    async def story(made):
        cluster, beat = made.cluster, cluster_authority.HEARTBEAT
        authority = ClusterAuthority(
            made, host_uuid=HOST_UUID, hostname="node-1", address="", labels={}, commands=made.commands,
            public_addresses=["node-1.example.com:3022"], emit=made._emit, clock=cluster.clock,
            entropy=cluster.entropy, in_tunnel=lambda: up[0],
        )  # fmt: skip
        async with running(authority.announce):
            (node,) = await made.stored()
            assert (bool(node.spec.use_tunnel), node.spec.addr, node.spec.public_addrs) == (True, "", ())
            await asyncio.sleep(3 * beat)
            assert len(await made.stored()) == 1
            up[0] = False
            await asyncio.sleep(2 * beat + 1)
            assert await made.stored() == []
            await asyncio.sleep(3600)
            up[0] = True
            await asyncio.sleep(cluster_authority.AGAIN)
            assert len(await made.stored()) == 1

    run(story)


def test_a_node_says_soon_to_which_other_proxies_it_has_tunnels():
    proxies = [("p1",)]

    async def story(made):
        authority = ClusterAuthority(
            made, host_uuid=HOST_UUID, hostname="node-1", address="", labels={}, commands=made.commands,
            public_addresses=[], emit=made._emit, clock=made.cluster.clock, entropy=made.cluster.entropy,
            in_tunnel=lambda: True, proxies=lambda: proxies[0],
        )  # fmt: skip
        async with running(authority.announce):
            assert [node.spec.proxy_ids for node in await made.stored()] == [("p1",)]
            proxies[0] = ("p1", "p2")
            authority.moved()
            await asyncio.sleep(1)
            assert [node.spec.proxy_ids for node in await made.stored()] == [("p1", "p2")]
            assert len(made.writes) == 2

    run(story)


def test_a_process_after_which_another_has_come_says_nothing_even_at_its_end():
    duty = [True]

    async def story(made):
        cluster = made.cluster
        authority = ClusterAuthority(
            made, host_uuid=HOST_UUID, hostname="node-1", address="10.0.0.5:3022", labels={}, commands=made.commands,
            public_addresses=[], emit=made._emit, clock=cluster.clock, entropy=cluster.entropy,
            on_duty=lambda: duty[0],
        )  # fmt: skip
        async with running(authority.announce):
            (before,) = await made.stored()
            written = len(made.writes)
            duty[0] = False
            await asyncio.sleep(200)
        assert len(made.writes) == written
        assert await made.stored() == [before], "the other process renews it"

    run(story)


def test_changed_label_is_announced_at_once_and_without_an_event(monkeypatch):
    values = iter(["1.1", *["1.2"] * 1000])

    async def answer(command):
        return next(values)

    monkeypatch.setattr(labels, "run", answer)

    async def story(made):
        await made.commands.start()
        before = await made.cluster.events()
        async with running(made.authority.announce):
            (node,) = await made.stored()
            assert node.labels_now() == {"env": "dev", "load": "1.1"}
            await asyncio.sleep(10.1)
            (node,) = await made.stored()
            assert node.labels_now() == {"env": "dev", "load": "1.2"}
            assert len(made.writes) == 2
        await made.commands.stop()
        assert await made.cluster.events() == before

    run(story, load=10)


def test_failed_heartbeat_is_tried_again_soon(caplog):
    async def story(made):
        async with running(made.authority.announce):
            made.down = True
            await asyncio.sleep(70)
            assert len(made.writes) >= 3
            tries = len(made.writes)
            await asyncio.sleep(3600)
            assert len(made.writes) - tries < 3600, "not on and on"
            made.down = False
            await asyncio.sleep(cluster_authority.AGAIN + 1)
            assert len(await made.stored()) == 1

    run(story)
    assert caplog.text.count("Heartbeat failed") == 1, "the log hears of it once"


def test_readiness_waits_for_the_first_record():
    async def story(made):
        made.down = True
        ready = asyncio.Event()
        failures = []
        task = tasks.spawn(made.authority.announce(ready.set), name="announce", on_error=failures.append)
        await asyncio.sleep(20)
        assert not ready.is_set()
        made.down = False
        await asyncio.sleep(60)
        assert ready.is_set()
        await tasks.cancel(task)

    run(story)


def test_end_does_not_wait_long_for_an_auth_service_that_is_silent():
    async def story(made):
        async def silent(resource):
            await asyncio.Event().wait()

        loop = asyncio.get_running_loop()
        async with running(made.authority.announce):
            made.upsert = silent
            began = loop.time()
        assert loop.time() - began == 2

    run(story)


def test_view_answers_what_decisions_need():
    async def story(made):
        cluster, authority = made.cluster, made.authority
        await cluster.admin.create(auth_cluster.role("dev", logins=["{{internal.logins}}"], node_labels={"env": "dev"}))
        async with running(authority.follow):
            assert {ca.spec.type for ca in authority.authorities()} == {
                "host", "user", "openssh", "jwt", "bound_keypair", "audit", "db", "db_client",
            }  # fmt: skip
            assert authority.locks_as_of() is None
            identity = cluster.identity("alice", roles=("dev", "gone"), traits={"logins": ("alice",)})
            roles = await authority.role_set(identity)
            assert set(roles.names) == {"dev"}
            assert roles.logins_for_certificate() == ("alice",)
            await cluster.admin.create(auth_cluster.document_of("lock", "l", {"target": {"user": "alice"}}))
            async with asyncio.timeout(60):
                while not authority.locks():  # noqa: ASYNC110 - virtual time costs nothing
                    await asyncio.sleep(0.1)
            assert [type(lock) for lock in authority.locks()] == [Lock]

    run(story)


def test_age_of_the_locks_is_known_when_the_view_is_cut():
    async def story(made):
        async with running(made.authority.follow):
            pass
        left = made.cluster.clock.now()
        await asyncio.sleep(400)
        assert made.authority.locks_as_of() == left
        assert made.cluster.clock.now() - left == dt.timedelta(seconds=400)

    run(story)


def test_denial_is_kept_and_an_event_written():
    async def story(made):
        cluster, authority = made.cluster, made.authority
        await cluster.admin.create(auth_cluster.role("prod", logins=["root"], node_labels={"env": "prod"}))
        async with running(authority.follow), running(authority.announce):
            identity = cluster.identity("alice", roles=("prod",), principals=("root",))
            conditions = Conditions(now=cluster.clock.now(), cluster=auth_cluster.CLUSTER)
            roles = await authority.role_set(identity)
            denial = decide(identity, roles, Connect("root"), authority.node(), conditions)
            assert isinstance(denial, Denial)
            kept = await authority.record_denial(denial, identity, "192.0.2.9:1")
            assert (await cluster.admin.explain(kept)).count == 1
            (event,) = await cluster.events("access.denied")
            assert (event["user"], event["decision_id"]) == ("alice", kept)

    run(story)


def test_event_of_the_node_is_stored():
    async def story(made):
        fields = {"user": "alice", "login": "root", "sid": "s", "server_id": HOST_UUID, "addr_remote": "192.0.2.9:1"}
        await made.authority.emit(Exec(**fields, command="true", exit_code="0"))
        (event,) = await made.cluster.events("exec")
        assert (event["user"], event["login"], event["server_id"]) == ("alice", "root", HOST_UUID)

    run(story)
