"""The Auth Service in the process: its doors, its clients in memory, its end."""

import asyncio
import os
import stat

import pytest

from teleport.api.client import AuthClient, over_stream
from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError, Unavailable
from teleport.model.resource import load
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.pki import contexts, x509
from teleport.process.control_plane import ControlPlane
from tests.support import one_process
from tests.support.one_process import UUID, admin, running


def run(tmp_path, story):
    async def body():
        world = one_process.world()
        plane = ControlPlane(
            one_process.settings(tmp_path), world.clock, world.entropy, world.network, world.signer, UUID
        )
        async with asyncio.timeout(60), running(plane):
            await story(plane)

    asyncio.run(body())


def user(name):
    return load({"kind": "user", "metadata": {"name": name}, "spec": {"roles": ["access"]}})


def test_doors_are_open_when_it_is_ready(tmp_path):
    async def story(plane):
        async with admin(tmp_path) as client, plane.client("Proxy") as inner:
            assert (await client.ping())[0] == (await inner.ping())[0] == "c.example"
        assert plane.address.startswith("127.0.0.1:")
        assert not plane.address.endswith(":0")
        assert stat.S_IMODE(os.stat(tmp_path / "admin.sock").st_mode) == 0o600

    run(tmp_path, story)
    assert not (tmp_path / "admin.sock").exists()


def test_services_act_under_their_own_role_alone(tmp_path):
    async def story(plane):
        async with plane.client("Proxy") as proxy, plane.client("Node") as node:
            for client in (proxy, node):
                with pytest.raises(AccessDenied):
                    await client.create(user("alice"))
            assert [ca.spec.type async for ca in node.list("cert_authority")] == [
                "audit",
                "bound_keypair",
                "db",
                "db_client",
                "host",
                "jwt",
                "openssh",
                "user",
            ]

    run(tmp_path, story)


def test_stranger_at_the_tls_door_may_ask_for_nothing_but_the_name(tmp_path):
    async def story(plane):
        async with plane.client("Proxy") as inner:
            authorities = [ca async for ca in inner.list("cert_authority")]
        roots = [der for ca in authorities for key in ca.spec.active_keys.tls for der in x509.split_pem(key.cert)]
        context = contexts.client_context(host_authorities=roots, alpn=("h2",))

        async def dial():
            stream = await SystemNetwork().dial(plane.address)
            return await tls.client_handshake(stream, context, server_name=x509.CLUSTER_NAME)

        async with AuthClient(over_stream(dial)) as stranger:
            with pytest.raises(NotAuthenticated):
                await stranger.create(user("alice"))

    run(tmp_path, story)


def test_state_is_there_after_a_restart(tmp_path):
    async def first(plane):
        async with admin(tmp_path) as client:
            await client.create(user("alice"))

    async def second(plane):
        async with admin(tmp_path) as client:
            assert (await client.get("user", "alice")).name == "alice"

    # The signer is in memory, so only what needs no signature survives; certificates are walked in tests/integration.
    async def body():
        world = one_process.world()
        for story in (first, second):
            plane = ControlPlane(
                one_process.settings(tmp_path), world.clock, world.entropy, world.network, world.signer, UUID
            )
            async with running(plane):
                await story(plane)

    asyncio.run(body())


def test_second_one_on_the_same_directory_is_refused_and_the_first_goes_on(tmp_path):
    async def story(plane):
        world = one_process.world()
        other = ControlPlane(
            one_process.settings(tmp_path), world.clock, world.entropy, world.network, world.signer, UUID
        )
        with pytest.raises(TeleportError) as caught:
            async with running(other):
                pass
        assert caught.value.code == "STORE-LOCKED"
        async with admin(tmp_path) as client:
            assert (await client.ping())[0] == "c.example"

    run(tmp_path, story)


def test_clients_lose_their_connection_at_the_end_and_nothing_hangs(tmp_path):
    async def body():
        world = one_process.world()
        plane = ControlPlane(
            one_process.settings(tmp_path), world.clock, world.entropy, world.network, world.signer, UUID
        )
        client = plane.client("Node")
        async with running(plane):
            watch = client.watch("role")
            assert (await anext(watch)).type == "init"
        with pytest.raises(Unavailable):
            await anext(watch)
        await client.close()

    async def limited():
        async with asyncio.timeout(30):
            await body()

    asyncio.run(limited())
