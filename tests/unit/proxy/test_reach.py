"""Reach: nothing is dialled without a permission, and only what is registered."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from teleport.base.errors import NotFound, TeleportError
from teleport.base.struct import Switch
from teleport.model.identity import Identity
from teleport.model.login import JOIN
from teleport.net.network import SystemNetwork
from teleport.net.peek import PeekStream
from teleport.net.stream import Stream
from teleport.proxy.reach import Asker, Reach
from teleport.wire.reach import Request
from tests.support import policy, proxy_world
from tests.support.proxy_world import NODE_ID, CountingNode, World, record

CLIENT = "198.51.100.7:4022"
OTHER_ID = "80000000-0000-4000-8000-000000000008"


class CountingNetwork(SystemNetwork):
    """Counts attempts to dial."""

    def __init__(self) -> None:
        super().__init__(timeout=5)
        self.dialled: list[str] = []

    async def dial(self, address: str) -> Any:
        self.dialled.append(address)
        return await super().dial(address)


@pytest.fixture(scope="module")
def base() -> World:
    return proxy_world.world()


@pytest.fixture
def world(base: World) -> World:
    return dataclasses.replace(base, roles=list(base.roles), denials={}, events=[], network=CountingNetwork())


def caller(world: World, **changes: Any) -> Identity:
    expires = world.clock.now() + dt.timedelta(hours=1)
    return world.cluster.identity(**{"roles": ("dev",), "principals": ("root",), "expires": expires, **changes})


async def ask(world: World, target: str, login: str = "root", where: str = "", **changes: Any) -> Stream:
    return await world.reach().open(Asker(caller(world, **changes), CLIENT), Request(target, where, login))


async def refusal(world: World, target: str, *args: str, **changes: Any) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await ask(world, target, *args, **changes)
    return caught.value


def play(scene: Callable[[CountingNode], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), CountingNode() as node:
            await scene(node)

    asyncio.run(main())


@pytest.mark.parametrize("target", ["node-1", "node-1:22", "node-1.example.com:3022", NODE_ID, "ADDRESS"])
@pytest.mark.parametrize("login", ["root", ""])
def test_a_permitted_caller_gets_the_node(world: World, target: str, login: str) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="prod")]
        address = f"127.0.0.1:{node.port}"
        stream = await ask(world, target.replace("ADDRESS", address), login, "example.com")
        assert await stream.read() == proxy_world.BANNER
        await stream.close()
        assert world.network.dialled == [address]

    play(scene)


def test_the_client_address_is_what_is_decided_with(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="staging")]
        await refusal(world, "node-1")
        (kept,) = world.denials.values()
        assert kept.client_ip == "198.51.100.7"

    play(scene)


@pytest.mark.parametrize(
    ("changes", "login", "code"),
    [
        ({}, "postgres", "POL-NO-LOGIN"),
        ({"principals": ("alice",)}, "root", "POL-NOT-FOUND"),  # no login of the certificate shows the node
        ({"roles": ()}, "root", "POL-NOT-FOUND"),
        ({"roles": ("gone",)}, "root", "POL-ROLE-MISSING"),
        ({"cluster": "other.example.com"}, "root", "POL-OTHER-CLUSTER"),
    ],
)
def test_a_refusal_dials_nothing(world: World, changes: dict[str, Any], login: str, code: str) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="prod")]
        error = await refusal(world, "node-1", login, **changes)
        assert error.code == code
        assert list(world.denials) == [error.id]
        assert (world.network.dialled, node.connections) == ([], 0)

    play(scene)


def test_a_lock_dials_nothing_and_hides_nothing_it_should_not(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="prod")]
        world.held = (policy.lock("lock-9", "stop now", user="alice"),)
        for target in ("node-1", "no-such-node"):
            error = await refusal(world, target)
            assert (error.code, error.what) == ("POL-LOCKED", 'lock targeting User:"alice" is in force: stop now')
        assert world.network.dialled == []

    play(scene)


def test_hidden_and_absent_are_one_to_the_byte(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource("hidden", env="staging")]
        hidden, absent = await refusal(world, "hidden"), await refusal(world, "absent")
        assert hidden.code == absent.code == "POL-NOT-FOUND"
        shown = [
            "\n".join((error.what, error.why, error.fix)).replace(error.id, "ID").replace(name, "NAME")
            for error, name in ((hidden, "hidden"), (absent, "absent"))
        ]
        assert shown[0] == shown[1]
        assert type(hidden) is type(absent)
        assert set(hidden.fields) == set(absent.fields)
        reasons = [record.code for record in world.denials.values()]
        assert reasons == ["POL-NO-LABELS", "POL-NOT-FOUND"]  # an administrator sees which it was

    play(scene)


def test_two_names_of_a_hidden_node_are_not_recognised_by_their_record(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource("hidden", env="staging")]
        await refusal(world, "hidden")
        await refusal(world, NODE_ID)
        asked = [record.request for record in world.denials.values()]
        assert asked == ["ssh root@hidden", f"ssh root@{NODE_ID}"]

    play(scene)


@pytest.mark.parametrize("target", ["127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT", "10.0.0.1", "unregistered"])
def test_what_is_not_registered_is_not_dialled(world: World, target: str) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [record("node-1", "127.0.0.1:1", env="prod")]
        error = await refusal(world, target.replace("PORT", str(node.port)))
        assert error.code == "POL-NOT-FOUND"
        assert (world.network.dialled, node.connections) == ([], 0)

    play(scene)


def test_a_registered_address_that_is_no_ssh_server_gets_no_byte(world: World) -> None:
    async def main() -> None:
        async with CountingNode(b"220 mail.example.com ESMTP\r\n") as node:
            world.registered = [node.resource(env="prod")]
            error = await refusal(world, "node-1")
            assert error.code == "PROXY-NODE-UNREACHABLE"
            assert "SSH-" in str(error.__cause__.why if isinstance(error.__cause__, TeleportError) else "")

    asyncio.run(main())


def test_a_node_that_is_down_is_said(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [record("node-1", "127.0.0.1:1", env="prod")]
        error = await refusal(world, "node-1")
        assert error.code == "PROXY-NODE-UNREACHABLE"
        assert "127.0.0.1:1 refused the connection" in error.what
        assert error.why == "This usually means that the agent is offline or has disconnected."

    play(scene)


def test_several_nodes_of_a_name_are_listed_as_far_as_the_caller_may_see_them(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        first, second = node.resource(env="prod"), node.resource(name=OTHER_ID, env="prod")
        hidden = node.resource(name="90000000-0000-4000-8000-000000000009", env="staging")
        world.registered = [first, second, hidden]
        error = await refusal(world, "node-1")
        assert error.code == "PROXY-AMBIGUOUS"
        assert "ambiguous host could match multiple nodes" in error.what
        assert NODE_ID in error.why
        assert OTHER_ID in error.why
        assert "env=prod" in error.why
        assert "90000000" not in error.why
        world.registered = [first, hidden]
        await (await ask(world, "node-1")).close()

    play(scene)


def test_a_long_list_of_candidates_is_cut(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        ids = [f"{number:08d}-0000-4000-8000-000000000009" for number in range(15)]
        world.registered = [node.resource(name=id, env="prod") for id in ids]
        assert "; and 5 more" in (await refusal(world, "node-1")).why

    play(scene)


def test_without_a_login_any_login_of_the_certificate_will_do(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="prod")]
        await (await ask(world, "node-1", "", principals=("postgres", "root"))).close()
        assert (await refusal(world, "node-1", "", principals=("-teleport-internal-join",))).code == "POL-NOT-FOUND"

    play(scene)


def test_whoever_joins_sessions_is_led_to_a_node_by_its_id_alone(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="staging")]
        id = world.registered[0].name
        assert (await refusal(world, id, JOIN)).code == "POL-NOT-FOUND"
        world.roles[:] = [policy.role("dev", policy.joins("observer"))]
        await (await ask(world, id, JOIN)).close()
        assert (await refusal(world, "node-1", JOIN)).code == "POL-NOT-FOUND", "names are not found out by asking"

    play(scene)


def test_another_cluster_is_not_known(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="prod")]
        assert (await refusal(world, "node-1", "root", "leaf.example.com")).code == "PROXY-CLUSTER"

    play(scene)


def test_a_certificate_bound_to_an_address_does_not_pass(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="prod")]
        assert (await refusal(world, "node-1", pinned_ip="198.51.100.7")).code == "PROXY-PINNED-IP"
        assert (await refusal(world, "node-1", pinned_ip="198.51.100.8")).code == "POL-PINNED-IP"
        assert (await refusal(world, "node-1", recorded_by="proxy-1", only_at="node-1")).code == "PKI-CARRIED"
        assert node.connections == 0

    play(scene)


def test_without_the_auth_service_a_refusal_stays_one(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        world.registered = [node.resource(env="staging")]
        world.reachable = False
        for target in ("node-1", "absent"):
            assert (await refusal(world, target)).code == "API-UNAVAILABLE"
        assert node.connections == 0

    play(scene)


def test_a_dial_that_is_cancelled_leaves_no_connection(world: World) -> None:
    async def main() -> None:
        async with CountingNode(b"") as node:  # it says nothing, so the proxy waits
            world.registered = [node.resource(env="prod")]
            task = asyncio.get_running_loop().create_task(ask(world, "node-1"))
            await node.met.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(main())


def test_carriers_that_cannot_be_peeked_work_too(world: World) -> None:
    class Plain(CountingNetwork):
        async def dial(self, address: str) -> Any:
            return PeekStream(await super().dial(address))

    async def scene(node: CountingNode) -> None:
        world.network = Plain()
        world.registered = [node.resource(env="prod")]
        stream = await ask(world, "node-1")
        assert await stream.read() == proxy_world.BANNER
        await stream.close()

    play(scene)


class Tunnels:
    """Agents' tunnels, here or at other proxies."""

    def __init__(self, address: str) -> None:
        self.address = address
        """Where a node really is."""
        self.here: list[str] = []
        self.lost: list[str] = []
        """Nodes whose tunnel here has just gone."""
        self.asked: list[tuple[str, ...]] = []

    def connected(self, host: str, kind: str) -> bool:
        return host in (*self.here, *self.lost)

    async def dial(self, host: str, kind: str, client: str, proxies: tuple[str, ...] = ()) -> Stream:
        self.asked.append((host, kind, client, *proxies))
        if not proxies and host not in self.here:
            raise NotFound("PROXY-NO-TUNNEL", kind=kind, host=host)
        return await SystemNetwork().dial(self.address)


def in_tunnel(node: CountingNode, *proxies: str) -> Any:
    """Return the record of a node that is reached through tunnels alone."""
    made = node.resource(env="prod")
    spec = msgspec.structs.replace(made.spec, addr="", use_tunnel=Switch(True), proxy_ids=proxies)
    return msgspec.structs.replace(made, spec=spec)


def reach_over(world: World, tunnels: Tunnels, *, peers: bool) -> Reach:
    any_tunnels: Any = tunnels
    return Reach(
        cluster=world, name=world.cluster.name, network=world.network, clock=world.clock, tunnels=any_tunnels,
        peers=any_tunnels if peers else None,
    )  # fmt: skip


def test_a_tunnel_here_then_other_proxies_then_no_address(world: World) -> None:
    """What has a tunnel somewhere is not dialled, and other proxies are asked where they may be."""

    async def scene(node: CountingNode) -> None:
        tunnels = Tunnels(f"127.0.0.1:{node.port}")
        with_peers, without = (reach_over(world, tunnels, peers=peers) for peers in (True, False))
        asker, request = Asker(caller(world), CLIENT), Request("node-1", "", "root")
        for here, proxies in ((NODE_ID,), ()), ((NODE_ID,), ("p2",)), ((), ("p2",)):
            world.registered, tunnels.here = [in_tunnel(node, *proxies)], [*here]
            await (await with_peers.open(asker, request)).close()
        ours = (NODE_ID, "node", CLIENT)
        assert tunnels.asked == [ours, ours, ours, (*ours, "p2")]
        for reach, proxies, way in (
            (with_peers, (), "local and peer reverse tunnels"),
            (without, ("p2",), "reverse tunnel"),
        ):
            world.registered, tunnels.here = [in_tunnel(node, *proxies)], []
            with pytest.raises(TeleportError) as caught:
                await reach.open(asker, request)
            assert caught.value.code == "PROXY-NODE-UNREACHABLE"
            assert caught.value.fields["way"] == way
        assert world.network.dialled == []

    play(scene)


def test_nobody_else_is_asked_for_a_caller_who_may_not(world: World) -> None:
    async def scene(node: CountingNode) -> None:
        tunnels = Tunnels(f"127.0.0.1:{node.port}")
        world.registered = [in_tunnel(node, "p2")]
        with pytest.raises(TeleportError):
            await reach_over(world, tunnels, peers=True).open(
                Asker(caller(world, roles=()), CLIENT), Request("node-1", "", "root")
            )
        assert tunnels.asked == []

    play(scene)
