"""A process and the Auth Service of another, over TLS on loopback: joining, what it may then, what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from teleport.api.client import AuthClient
from teleport.base import tasks
from teleport.base.disk import MemoryDisk
from teleport.base.errors import AccessDenied, BadParameter, TeleportError
from teleport.base.retry import Backoff
from teleport.client.auth_way import AuthWay
from teleport.model.config import teleport_yaml
from teleport.model.resource import load
from teleport.process import settings as process_settings
from teleport.process.assembly import World
from teleport.process.control_plane import ControlPlane
from teleport.process.joining import Joining
from teleport.process.membership import Membership
from tests.support import one_process
from tests.support.one_process import UUID, admin, running

TOKEN = "0123456789abcdef0123456789abcdef"
SOON = Backoff(first=0.5, most=1.0)
"""Quicker, and the Auth Service would no longer listen."""
SERVICES = {"node": "proxy_service: {enabled: no}", "proxy": "ssh_service: {enabled: no}", "both": ""}


class Site:
    """An Auth Service, and processes that join it."""

    def __init__(self, folder: Path, world: World, plane: ControlPlane) -> None:
        self.folder = folder
        self.world = world
        self.plane = plane
        self.disk = MemoryDisk()
        self.disk.make_dir("/member")

    async def token(self, *roles: str) -> None:
        async with admin(self.folder) as client:
            document = {"kind": "token", "version": "v2", "metadata": {"name": TOKEN}, "spec": {"roles": roles}}
            await client.upsert(load(document))

    async def pin(self) -> str:
        async with admin(self.folder) as client:
            return (await client.status()).ca_pins[0]

    async def member(self, services: str = "node", *, pin: str = "", more: str = "") -> Membership:
        text = (
            f"version: v3\nteleport: {{data_dir: /member, nodename: m1, auth_server: '{self.plane.address}', "
            f"ca_pin: '{pin or await self.pin()}'{more}}}\nauth_service: {{enabled: no}}\n{SERVICES[services]}\n"
        )
        settings = process_settings.make(teleport_yaml.load(text, "t.yaml"), "t.yaml")
        way = AuthWay(
            settings.join.servers, network=self.world.network, entropy=self.world.entropy, environment={}
        )  # fmt: skip
        parts = {"disk": self.disk, "clock": self.world.clock, "entropy": self.world.entropy}
        return Membership(settings, way=way, join=Joining(settings, way, **parts), backoff=SOON, **parts)  # type: ignore[arg-type]


def play(tmp_path: Path, story: Callable[[Site], Awaitable[None]], auth: str = "") -> None:
    async def main() -> None:
        world = one_process.world()
        assert world.signer is not None
        settings = one_process.settings(tmp_path, proxy="no", ssh="no")
        if auth:
            section = teleport_yaml.load(f"version: v3\nauth_service: {{{auth}}}\n", "t").auth_service
            section = type(section)(**{
                name: getattr(section, name) for name in section.__struct_fields__
            } | {"cluster_name": "c.example", "listen_addr": "127.0.0.1:0"})  # fmt: skip
            settings = dataclasses.replace(settings, auth=section)
        plane = ControlPlane(settings, world.clock, world.entropy, world.network, world.signer, UUID)
        async with asyncio.timeout(60), running(plane):
            await story(Site(tmp_path, world, plane))

    asyncio.run(main())


TOKEN_LINE = f", join_params: {{token_name: {TOKEN}}}"


@contextlib.asynccontextmanager
async def joined(site: Site, services: str = "node", *roles: str) -> AsyncIterator[Membership]:
    await site.token(*(roles or ("Node",)))
    member = await site.member(services, more=TOKEN_LINE)
    async with running(member):
        yield member


def test_what_the_auth_service_decides_holds_in_the_member(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        async with joined(site) as member:
            found = member.settings
        assert found.cluster_name == "c.example"
        assert (float(found.auth.client_idle_timeout), found.auth.client_idle_timeout_message) == (600.0, "go")
        assert (found.auth.cuts_expired, found.auth.keep_alive_count_max, found.tls_routing) == (True, 5, False)
        assert (found.peering, found.auth.tunnel_strategy.connections) == (True, 2)

    lines = (
        "client_idle_timeout: 10m, client_idle_timeout_message: go, disconnect_expired_cert: yes, "
        "keep_alive_count_max: 5, proxy_listener_mode: separate, "
        "tunnel_strategy: {type: proxy_peering, agent_connection_count: 2}"
    )
    play(tmp_path, story, lines)


def test_each_role_has_its_own_certificate_and_may_no_more(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        async with joined(site, "both", "Node", "Proxy") as member:
            assert member.identity("Node").current.role == "Node"
            assert member.host_uuid == site.disk.read("/member/host_uuid").decode().strip() != UUID
            proxy, node = member.client("Proxy"), member.client("Node")
            assert (await proxy.ping())[0] == (await node.ping())[0] == "c.example"
            with pytest.raises(AccessDenied) as caught:
                await node.login("x", "y", ssh_public_key="", tls_public_key="")
            assert caught.value.code == "API-AUDIENCE"
            with pytest.raises(TeleportError) as other:
                await proxy.login("x", "y", ssh_public_key="", tls_public_key="")
            assert other.value.code != "API-AUDIENCE"

    play(tmp_path, story)


def test_who_has_an_identity_needs_no_token(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        async with joined(site) as member:
            uuid = member.host_uuid
        async with admin(tmp_path) as client:
            await client.delete("token", TOKEN)
        async with running(again := await site.member()):
            assert again.host_uuid == uuid

    play(tmp_path, story)


def test_another_service_needs_another_token_and_the_host_stays_the_same(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        async with joined(site) as member:
            uuid = member.host_uuid
        with pytest.raises(BadParameter) as caught:
            async with running(await site.member("both")):
                pass
        assert caught.value.code == "PROC-NO-TOKEN"
        async with joined(site, "both", "Proxy") as more:
            assert more.host_uuid == uuid
            assert more.identity("Instance").current.also == ("Node", "Proxy")

    play(tmp_path, story)


def test_what_is_wrong_is_told_until_it_is_right(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def codes() -> set[str]:
        fields = [getattr(record, "fields", {}) for record in caplog.records]
        return {getattr(found.get("error"), "code", "") for found in fields}

    async def said(code: str) -> None:
        async with asyncio.timeout(30):
            while code not in codes():  # noqa: ASYNC110 - the log has no event to wait for
                await asyncio.sleep(0.02)

    async def story(site: Site) -> None:
        site.disk.write("/member/token", f"{'e' * 32}\n".encode())
        site.disk.write("/member/pin", f"sha256:{'00' * 32}\n".encode())
        member = await site.member(pin="/member/pin", more=", join_params: {token_name: /member/token}")
        ready = asyncio.Event()
        task = tasks.spawn(member.run(ready.set), name="member", on_error=lambda _: None)
        await said("CLIENT-CA-PIN")
        site.disk.write("/member/pin", (await site.pin()).encode())
        await said("AUTH-JOIN-TOKEN")
        await site.token("Proxy")
        site.disk.write("/member/token", TOKEN.encode())
        await said("AUTH-JOIN-ROLES")
        assert not site.disk.exists("/member/host_uuid")  # nothing was certified
        await site.token("Node")
        await ready.wait()
        assert site.disk.exists("/member/host_uuid")
        await tasks.cancel(task)

    play(tmp_path, story)


def test_new_certificates_are_used_from_the_next_call_on(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        async with joined(site) as member:
            client: AuthClient = member.client("Node")
            await client.ping()
            held = member.identity("Node")
            before = held.current
            await held.renew(member.host_uuid, "c.example")
            assert held.current.tls_certificate != before.tls_certificate
            assert (await client.ping())[0] == "c.example"

    play(tmp_path, story)
