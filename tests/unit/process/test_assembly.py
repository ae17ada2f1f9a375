"""Assembly: which services there are, that they meet, and that the failure of a part is told as it is."""

import asyncio
import dataclasses
import http.client
import json
import socket
import ssl

import msgspec
import pytest

from teleport.agents.ssh.cluster_authority import ClusterAuthority
from teleport.agents.ssh.spawner import Spawner
from teleport.base import tasks
from teleport.base.errors import Unavailable
from teleport.base.struct import Switch
from teleport.model.address import parse_addr
from teleport.process import assembly
from teleport.process.supervisor import Supervisor
from tests.support import one_process
from tests.support.one_process import UUID, admin


@pytest.fixture
def spawner():
    made = Spawner.launch()
    yield made
    made.close()


def names(tmp_path, spawner=None, **enabled):
    async def body():
        return [e.service.name for e in assembly.services(one_process.settings(tmp_path, **enabled), world(spawner))]

    return asyncio.run(body())


def world(spawner):
    return one_process.world(spawner)


def test_services_are_those_that_are_enabled(tmp_path, spawner):
    assert names(tmp_path, spawner) == ["auth", "proxy", "node", "inventory"]
    assert names(tmp_path, spawner, ssh="no") == ["auth", "proxy", "inventory"]
    assert names(tmp_path, spawner, proxy="no", ssh="no") == ["auth", "inventory"]
    assert names(tmp_path, None) == ["auth", "proxy", "inventory"]


def play(tmp_path, spawner, story=None):
    """Run all services under a supervisor, tell the story, stop them, and raise what went wrong."""

    async def body():
        made = world(spawner)
        supervisor = Supervisor(assembly.services(one_process.settings(tmp_path), made), entropy=made.entropy)
        ready = asyncio.Event()
        failures = []

        def failed(error):
            failures.append(error)
            ready.set()

        task = tasks.spawn(supervisor.run(ready.set), name="run", on_error=failed)
        async with asyncio.timeout(60):
            await ready.wait()
            if not failures and story is not None:
                await story(supervisor)
            supervisor.stop()
            await asyncio.wait([task])
        if failures:
            raise failures[0]

    asyncio.run(body())


def test_services_meet(tmp_path, spawner):
    async def story(supervisor):
        async with admin(tmp_path) as client:
            (node,) = [node async for node in client.list("node")]
        assert (node.name, node.spec.hostname, node.metadata.labels) == (UUID, "node-1", {"env": "dev"})
        assert all(entry.ready for entry in supervisor.entries)
        assert (tmp_path / "webproxy_cert.pem").exists()

    play(tmp_path, spawner, story)


def test_web_certificate_is_for_the_public_name_and_the_loopback(tmp_path, spawner, monkeypatch):
    addresses = []
    run = assembly.ProxyService.run

    async def noted(self, ready):
        addresses.append(self)
        await run(self, ready)

    monkeypatch.setattr(assembly.ProxyService, "run", noted)

    def ping():
        context = ssl.create_default_context(cafile=str(tmp_path / "webproxy_cert.pem"))
        port = int(addresses[0].address.rpartition(":")[2])
        for host in ("localhost", "127.0.0.1"):
            connection = http.client.HTTPSConnection(host, port, timeout=10, context=context)
            connection.request("GET", "/webapi/ping")
            with connection.getresponse() as response:
                found = json.load(response)
            connection.close()
        return found

    async def story(supervisor):
        found = await asyncio.to_thread(ping)
        assert found["cluster_name"] == "c.example"
        assert found["proxy"]["ssh"]["public_addr"] == "localhost:3080"
        assert found["auth"]["type"] == "local"

    play(tmp_path, spawner, story)


@pytest.mark.parametrize("part", ["follow", "announce"])
def test_failure_of_a_part_of_the_node_is_told_as_it_is(tmp_path, spawner, monkeypatch, part):
    async def fails(self, ready):
        raise Unavailable("API-UNAVAILABLE", problem="on purpose")

    monkeypatch.setattr(ClusterAuthority, part, fails)
    with pytest.raises(Unavailable, match="on purpose"):
        play(tmp_path, spawner)


def test_port_that_is_taken_is_told(tmp_path, spawner, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = one_process.CONFIG.replace("web_listen_addr: '127.0.0.1:0'", f"web_listen_addr: '{address(taken)}'")
        monkeypatch.setattr(one_process, "CONFIG", text)
        with pytest.raises(Unavailable) as caught:
            play(tmp_path, spawner)
    assert caught.value.code == "NET-IN-USE"


def address(sock):
    return "{}:{}".format(*sock.getsockname())


@pytest.mark.parametrize(
    ("listen", "reachable"),
    [
        ("0.0.0.0:3022", "node-1:3022"),
        ("[::]:3022", "node-1:3022"),
        ("10.0.0.5:3022", "10.0.0.5:3022"),
        ("[fe80::1]:3022", "[fe80::1]:3022"),
    ],
)
def test_address_that_others_dial(tmp_path, listen, reachable):
    assert assembly._reachable(listening(tmp_path, listen)) == reachable


def listening(tmp_path, listen, **more):
    made = one_process.settings(tmp_path)
    return dataclasses.replace(made, ssh=msgspec.structs.replace(made.ssh, listen_addr=listen), **more)


@pytest.mark.config("teleport.advertise_ip")
def test_address_that_somebody_has_said(tmp_path):
    for said, reachable in (("192.0.2.7", "192.0.2.7:3022"), ("192.0.2.7:2222", "192.0.2.7:2222")):
        settings = listening(tmp_path, "0.0.0.0:3022", advertised=parse_addr(said, 0))
        assert assembly._reachable(settings) == reachable


def test_address_of_a_node_that_nobody_knows_by_name(tmp_path, monkeypatch):
    settings = listening(tmp_path, "0.0.0.0:3022")
    settings = dataclasses.replace(settings, auth=msgspec.structs.replace(settings.auth, enabled=Switch(False)))
    for own, reachable in (("192.0.2.8", "192.0.2.8:3022"), ("", "node-1:3022")):
        monkeypatch.setattr(assembly.facts, "outward_address", lambda own=own: own)
        assert assembly._reachable(settings) == reachable
