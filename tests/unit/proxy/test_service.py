"""The Proxy Service: web over real TLS on loopback, the way to the Auth Service, silent clients in virtual time."""

import asyncio
import contextlib
import http.client
import ssl

import pytest

from teleport.base import log as base_log
from teleport.base import tasks
from teleport.base.clock import SystemClock
from teleport.base.entropy import SeededEntropy
from teleport.net.memory_network import MemoryNetwork
from teleport.net.network import SystemNetwork
from teleport.net.proxy_protocol import ProxyProtocol
from teleport.proxy.service import AUTH_PREFIX, ProxyService
from teleport.web import app
from teleport.web.server import WebServer
from tests.support import tls, virtual_loop
from tests.support.web_site import AUTH_SETTINGS, SETTINGS
from tests.unit.wire.test_tls_hello import openssl_hello

AUTH = AUTH_PREFIX + b"c.example".hex()


@pytest.fixture(autouse=True)
def _level():
    former = base_log.get_level()
    base_log.set_level("DEBUG")
    yield
    base_log.set_level(former)


@contextlib.asynccontextmanager
async def proxy(network, *, auth="127.0.0.1:1", address="127.0.0.1:0", context=None, **more):
    """Run a Proxy Service with the real web application."""
    application = app.build(
        accounts=None, entropy=SeededEntropy(1), cluster="c.example", public_address="p:1", settings=SETTINGS,
        auth_settings=AUTH_SETTINGS,
    )  # fmt: skip
    async with WebServer(application) as web:
        service = ProxyService(
            network=network, address=address, dial_auth=lambda: network.dial(auth), web=web.serve,
            context=lambda _: context or tls.authority().server(alpn=("http/1.1",)),
            headers=ProxyProtocol("", clock=SystemClock(), log=base_log.logger("PROXY")), **more,
        )  # fmt: skip
        ready, failures = asyncio.Event(), []
        task = tasks.spawn(service.run(ready.set), name="proxy", on_error=failures.append)
        await ready.wait()
        try:
            yield service
        finally:
            await tasks.cancel(task)
    assert failures == []


def client_context(*alpn):
    context = tls.authority().client(alpn=alpn)
    context.check_hostname = False
    return context


def get(address, path, *alpn):
    host, port = address.split(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=10, context=client_context(*alpn))
    try:
        connection.request("GET", path)
        with connection.getresponse() as response:
            return response.status, response.read().decode(), response.headers
    finally:
        connection.close()


async def open_tls(address, *alpn):
    host, port = address.split(":")
    return await asyncio.open_connection(host, int(port), ssl=client_context(*alpn), server_hostname="x")


async def ask_plain(address, data):
    """Send bytes without TLS and return the answer."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


def run(story):
    async def body():
        async with asyncio.timeout(30):
            await story()

    asyncio.run(body())


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2", "http/1.1"), ("unknown", "http/1.1")])
def test_web_is_served_over_tls(alpn):
    async def story():
        async with proxy(SystemNetwork()) as service:
            status, body, headers = await asyncio.to_thread(get, service.address, "/webapi/ping", *alpn)
            assert status == 200
            assert '"cluster_name"' in body
            assert headers["Strict-Transport-Security"]

    run(story)


def test_plain_http_is_told_what_is_wrong():
    async def story():
        async with proxy(SystemNetwork()) as service:
            answer = await ask_plain(service.address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"TLS" in answer or b"https" in answer.lower()

    run(story)


def test_nonsense_is_dropped_and_others_go_on(caplog):
    async def story():
        async with proxy(SystemNetwork()) as service:
            assert await ask_plain(service.address, b"\x00nonsense\r\n") == b""
            assert await ask_plain(service.address, b"\x16\x03\x01\x00\x05hello") == b""
            assert (await asyncio.to_thread(get, service.address, "/webapi/find"))[0] == 200

    run(story)
    assert {record.levelname for record in caplog.records} <= {"DEBUG", "INFO"}


def test_connections_for_the_auth_service_are_passed_on_unopened():
    seen = []

    async def auth(stream):
        seen.append(await stream.read())
        await stream.write(b"not tls")

    async def story():
        network = SystemNetwork()
        listener = await network.listen("127.0.0.1:0", auth)
        async with proxy(network, auth=listener.address) as service:
            with pytest.raises(ssl.SSLError):
                await open_tls(service.address, AUTH, "h2")
        await listener.close()

    run(story)
    assert seen[0][:1] == b"\x16"
    assert AUTH.encode() in seen[0]


def test_name_of_the_protocol_must_be_whole():
    """What only resembles the name for the Auth Service is nobody's."""

    async def story():
        async with proxy(SystemNetwork()) as service:
            for name in ("teleport-auth", "teleport-auth-", "xteleport-auth@"):
                with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                    await open_tls(service.address, name)

    run(story)


def test_log_tells_once_that_the_auth_service_is_gone_and_once_that_it_is_back(caplog):
    async def closing(stream):
        await stream.close()

    async def story():
        network = SystemNetwork()
        probe = await network.listen("127.0.0.1:0", closing)
        address = probe.address
        await probe.close()
        async with proxy(network, auth=address) as service:
            for _ in range(3):
                with pytest.raises((OSError, ssl.SSLError)):
                    await open_tls(service.address, AUTH)
            listener = await network.listen(address, closing)
            for _ in range(2):
                with pytest.raises((OSError, ssl.SSLError)):
                    await open_tls(service.address, AUTH)
            await listener.close()

    run(story)
    told = [(r.levelname, r.getMessage()) for r in caplog.records if "Auth Service" in r.getMessage()]
    assert told == [
        ("WARNING", "The Auth Service cannot be reached, clients are turned away"),
        ("INFO", "The Auth Service can be reached again"),
    ]


def test_the_certificate_is_chosen_for_each_connection_by_its_name():
    asked, other = [], tls.Authority("other")

    def choose(name):
        asked.append(name)
        return tls.authority().server(pem=other.issue())

    async def story():
        network, web = SystemNetwork(), []
        service = ProxyService(
            network=network, address="127.0.0.1:0", dial_auth=lambda: network.dial("127.0.0.1:1"), web=web.append,
            context=choose,
            headers=ProxyProtocol("", clock=SystemClock(), log=base_log.logger("PROXY")),
        )  # fmt: skip
        ready = asyncio.Event()
        task = tasks.spawn(service.run(ready.set), name="proxy", on_error=web.append)
        await ready.wait()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(get, service.address, "/")
        await tasks.cancel(task)
        assert (asked, web) == ([""], [])  # an address is no name that TLS could ask for

    run(story)


@pytest.mark.parametrize("name", ["teleport-mysql", "h2", "acme-tls/1", "teleport-auth", "x"])
def test_s3_25_a_protocol_that_is_not_served_is_refused_with_its_alert(name):
    """S3-25: what the port serves can be found out by asking; nothing is answered by the web server instead."""

    async def story():
        async with proxy(SystemNetwork()) as service:
            with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                await open_tls(service.address, name)

    run(story)


@pytest.mark.parametrize("name", ["kube-teleport-proxy-alpn.proxy.example.com", "kube.teleport.cluster.local"])
def test_kubernetes_is_refused_as_long_as_it_is_not_served(name):
    async def story():
        async with proxy(SystemNetwork()) as service:
            host, port = service.address.split(":")
            with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                await asyncio.open_connection(host, int(port), ssl=client_context("http/1.1"), server_hostname=name)

    run(story)


def test_stopping_ends_idle_connections():
    async def story():
        async with proxy(SystemNetwork()) as service:
            reader, writer = await open_tls(service.address)
            writer.write(b"GET /webapi/ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
            stop = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - stop < 5
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    run(story)


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01", b"GE"])
def test_client_that_says_nothing_more_is_cut(start):
    async def story():
        network = MemoryNetwork()
        async with proxy(network, address="proxy:443"):
            stream = await network.dial("proxy:443")
            if start:
                await stream.write(start)
            assert await stream.read() == b""
            return asyncio.get_running_loop().time()

    assert virtual_loop.run(story()) == 10


async def first_bytes(address, data):
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        return await reader.read(8)
    finally:
        writer.close()


def test_the_auth_service_is_told_who_the_client_is_before_anything_else():
    seen = []

    class Vouching:
        def introduce(self, client, target):
            return f"{client.peer.address} to {target.peer.address}\n".encode()

    async def auth(stream):
        seen.append(await stream.read())

    async def story():
        network = SystemNetwork()
        listener = await network.listen("127.0.0.1:0", auth)
        async with proxy(network, auth=listener.address, vouch=Vouching()) as service:
            header = b"PROXY TCP4 203.0.113.9 10.0.0.1 5001 3080\r\n"
            await first_bytes(service.address, header + openssl_hello("x", [AUTH]))
        await listener.close()
        assert seen[0].startswith(f"203.0.113.9:0 to {listener.address}\n".encode())

    run(story)


def test_a_port_for_ssh_alone():
    class Nodes:
        async def serve_ssh(self, stream):
            await stream.write(b"SSH-2.0-")

        serve_tls = None

    async def story():
        more = {"nodes": Nodes(), "ports": {"ssh": "127.0.0.1:0"}, "one_port": False}
        async with proxy(SystemNetwork(), **more) as service:
            assert service.ports["ssh"] not in ("", service.address)
            assert await first_bytes(service.ports["ssh"], b"SSH-2.0-x\r\n") == b"SSH-2.0-"
            assert await ask_plain(service.address, b"SSH-2.0-x\r\n") == b""
            with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                await open_tls(service.ports["ssh"])

    run(story)
