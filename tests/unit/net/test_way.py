"""Ways to a proxy: straight, through an HTTP CONNECT proxy, inside a WebSocket, and both."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from teleport.base.entropy import SeededEntropy, SystemEntropy
from teleport.base.errors import BadParameter, NotAuthenticated, TeleportError, Unavailable
from teleport.net.memory_network import MemoryNetwork
from teleport.net.router import NO_APPLICATION_PROTOCOL, Route, RoutedStream, Router, refuse
from teleport.net.stream import Stream
from teleport.net.tls import server_handshake
from teleport.net.way import Way
from teleport.pki.tls_settings import public_context
from teleport.web.server import WebServer
from teleport.wire.tls_hello import ClientHello
from tests.support import web_site
from tests.support.tls import NAME, Authority, authority
from tests.support.ways import Between

WEB = Authority("public authority")
PROTOCOLS = ("one", "two", "http/1.1", "teleport-reversetunnel")


class World:
    """A proxy at proxy.example:443, and what stands before it."""

    def __init__(self, network: MemoryNetwork, between: Between, web: WebServer) -> None:
        self.network = network
        self.between = between
        self.web = web
        self.dialled: list[str] = []

    async def dial(self, address: str) -> Stream:
        self.dialled.append(address)
        return await self.network.dial(address)

    async def listen(self, address: str, handler: Any, *, limits: Any = None) -> Any:
        raise AssertionError("nobody listens here")

    def way(self, address: str = "proxy.example:443", upgrade: bool | None = None, **environment: str) -> Way:
        """A way with these variables."""
        return Way(
            address, network=self, entropy=SystemEntropy(), environment=environment,
            roots=WEB.client, upgrade=upgrade,
        )  # fmt: skip

    async def said(self, way: Way, *alpn: str, context: ssl.SSLContext | None = None) -> str:
        """What the proxy says on a connection with these protocols."""
        stream = await way.open(alpn, context or authority().client(), NAME)
        words = await stream.read()
        await stream.close()
        return words.decode()


async def proxy(stream: Stream) -> None:
    """The proxy of these tests: it says which protocol was asked for, with a certificate of the host."""

    async def serve(routed: RoutedStream, hello: ClientHello) -> None:
        tls = await server_handshake(routed, authority().server(alpn=PROTOCOLS), server_name=hello.server_name)
        await tls.write(f"{tls.peer.alpn} for {tls.peer.server_name}".encode())
        await tls.close()

    await Router([Route("all", serve, alpn=PROTOCOLS)], default=serve)(stream)


def run(story: Callable[[World], Awaitable[None]]) -> None:
    @asynccontextmanager
    async def world() -> AsyncIterator[World]:
        network = MemoryNetwork()
        between = Between(network, WEB)
        async with web_site.serving(None, SeededEntropy(1), inner=proxy) as site:  # type: ignore[arg-type]
            listener = await network.listen("proxy.example:443", proxy)
            yield World(network, between, site.server)
            await between.close()
            await listener.close(0)

    async def body() -> None:
        async with world() as made:
            await story(made)

    asyncio.run(body())


def test_s0_45_straight_to_the_web_port() -> None:
    """S0-45: nothing in between, and nothing is asked for that would be needed only then."""

    async def story(world: World) -> None:
        way = world.way("proxy.example")
        assert await world.said(way, "two") == f"two for {NAME}"
        assert (way.upgraded, world.dialled) == (False, ["proxy.example:443"])

    run(story)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_s3_13_a_connect_proxy_of_each_variable(variable: str) -> None:
    """S3-13: each variable is followed, and only the CONNECT proxy is dialled."""

    async def story(world: World) -> None:
        await world.between.connect_proxy("corporate.example:8080")
        way = world.way(**{variable: "http://corporate.example:8080/"})
        assert await world.said(way, "one") == f"one for {NAME}"
        assert world.dialled == ["corporate.example:8080"]
        assert world.between.requests[0].startswith("CONNECT proxy.example:443 HTTP/1.1\r\n")

    run(story)


def test_s3_19_credentials_and_tls_to_the_connect_proxy() -> None:
    """S3-19: the basic header is sent, and an https proxy is spoken to over TLS with a certificate that is checked."""

    async def story(world: World) -> None:
        await world.between.connect_proxy("secure.example:3129", tls=True)
        way = world.way(HTTPS_PROXY="https://bob:secret@secure.example:3129")
        assert await world.said(way, "one") == f"one for {NAME}"
        assert "\r\nProxy-Authorization: Basic Ym9iOnNlY3JldA==\r\n" in world.between.requests[0]
        await world.between.connect_proxy("other.example:3129", tls=True)
        stranger = Way("proxy.example", network=world, entropy=SystemEntropy(), roots=authority().client,
                       environment={"HTTPS_PROXY": "https://other.example:3129"})  # fmt: skip
        with pytest.raises(Unavailable, match="unknown authority") as caught:
            await world.said(stranger, "one")
        assert caught.value.code == "NET-CONNECT-PROXY"

    run(story)


def test_s3_18_no_proxy_goes_straight() -> None:
    """S3-18: the address with that port is dialled directly."""

    async def story(world: World) -> None:
        variables = {"HTTPS_PROXY": "http://nobody.example:8080", "NO_PROXY": "proxy.example:443"}
        assert await world.said(world.way(**variables), "one") == f"one for {NAME}"
        variables["NO_PROXY"] = "proxy.example:444"
        with pytest.raises(Unavailable) as caught:
            await world.said(world.way(**variables), "one")
        assert caught.value.code == "NET-CONNECT-PROXY"
        assert "nobody.example:8080 of HTTPS_PROXY" in caught.value.what

    run(story)


def test_s3_20_loopback_is_never_dialled(caplog: pytest.LogCaptureFixture) -> None:
    """S3-20: neither as a proxy nor past it; a log line names the variable."""

    async def story(world: World) -> None:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(BadParameter, match="HTTPS_PROXY"):
                await world.said(world.way(HTTPS_PROXY=f"http://{host}:3128"), "one")
        assert world.dialled == []

    run(story)
    assert all("HTTPS_PROXY" in str(record.fields["error"]) for record in caplog.records)  # type: ignore[attr-defined]
    assert len(caplog.records) == 2


def test_refusals_of_the_connect_proxy_reach_the_caller() -> None:
    async def story(world: World) -> None:
        await world.between.connect_proxy("strict.example:1", answer="407 Who")
        with pytest.raises(TeleportError) as caught:
            await world.said(world.way(HTTPS_PROXY="strict.example:1"), "one")
        assert caught.value.code == "NET-CONNECT-LOGIN"
        assert "(corporate)" in caught.value.what

    run(story)


@pytest.mark.parametrize("alpn", [(), ("http/1.1", "h2")])
def test_s0_35_through_a_balancer_that_ends_tls(alpn: tuple[str, ...]) -> None:
    """S0-35: found out at the first connection, by what the balancer selects or whose certificate it shows."""

    async def story(world: World) -> None:
        await world.between.balancer("public.example:443", world.web.serve, alpn=alpn)
        way = world.way("public.example:443")
        assert await world.said(way, "two") == f"two for {NAME}"
        assert way.upgraded
        found = len(world.dialled)
        assert await world.said(way, "one") == f"one for {NAME}"
        assert world.dialled[found:] == ["public.example:443"]  # remembered: one connection is enough
        trusting = world.way("public.example:443")
        assert await world.said(trusting, "one", context=both()) == f"one for {NAME}"
        assert trusting.upgraded

    run(story)


def both() -> ssl.SSLContext:
    """A context that trusts balancers as well, so that only the protocol tells them from the proxy."""
    context = authority().client()
    context.load_verify_locations(cadata=WEB.pem)
    context.check_hostname = False
    return context


def test_a_balancer_behind_a_connect_proxy() -> None:
    async def story(world: World) -> None:
        await world.between.connect_proxy("corporate.example:8080")
        await world.between.balancer("public.example:443", world.web.serve)
        way = world.way("public.example:443", HTTPS_PROXY="corporate.example:8080")
        assert await world.said(way, "two") == f"two for {NAME}"
        assert {*world.dialled} == {"corporate.example:8080"}

    run(story)


def test_what_is_known_or_wanted_needs_no_finding_out() -> None:
    async def story(world: World) -> None:
        await world.between.balancer("public.example:443", world.web.serve)
        for way in (
            world.way("public.example:443", upgrade=True),
            world.way("public.example:443", TELEPORT_TLS_ROUTING_CONN_UPGRADE="true"),
        ):
            world.dialled.clear()
            assert await world.said(way, "two") == f"two for {NAME}"
            assert (way.upgraded, world.dialled) == (True, ["public.example:443"])

    run(story)


def test_upgrades_that_are_forbidden() -> None:
    async def story(world: World) -> None:
        await world.between.balancer("public.example:443", world.web.serve)
        way = world.way("public.example:443", upgrade=True, TELEPORT_TLS_ROUTING_UPGRADE="public.example:443=0")
        with pytest.raises(Unavailable, match="TELEPORT_TLS_ROUTING_CONN_UPGRADE forbids") as caught:
            await world.said(way, "two")
        assert caught.value.code == "NET-ALPN-STRIPPED"

    run(story)


def test_a_way_that_has_changed_is_looked_at_again() -> None:
    """The balancer was taken away: the first connection fails, the next one is straight."""

    async def story(world: World) -> None:
        way = world.way(upgrade=True)
        with pytest.raises(TeleportError):
            await world.said(way, "two")
        assert await world.said(way, "two") == f"two for {NAME}"
        assert not way.upgraded

    run(story)


async def bad_gateway(stream: Stream) -> None:
    await stream.read()
    await stream.write(b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.22.1\r\nContent-Length: 0\r\n\r\n")


async def no_upgrades(stream: Stream) -> None:
    await stream.read()
    await stream.write(b"HTTP/1.1 400 Bad Request\r\nServer: haproxy\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("behind", "code", "server"),
    [(bad_gateway, "NET-502-BACKEND-HTTP", "nginx/1.22.1"), (no_upgrades, "NET-ALPN-STRIPPED", "haproxy")],
)
def test_s0_39_balancers_through_which_there_is_no_way(behind: Any, code: str, server: str) -> None:
    """S0-39: the error names the cause and the balancer."""

    async def story(world: World) -> None:
        await world.between.balancer("public.example:443", behind)
        with pytest.raises(Unavailable) as caught:
            await world.said(world.way("public.example:443"), "two")
        assert caught.value.code == code
        assert f"({server})" in caught.value.what

    run(story)


def test_a_certificate_that_is_wrong_stays_wrong() -> None:
    """Who answers selects our protocols: it is a proxy, and of another cluster."""

    async def story(world: World) -> None:
        with pytest.raises(NotAuthenticated) as caught:
            await world.said(world.way(), "two", context=Authority("other").client())
        assert caught.value.code == "NET-TLS-UNKNOWN-CA"

    run(story)


def test_a_protocol_that_the_proxy_does_not_have() -> None:
    async def story(world: World) -> None:
        async def none(stream: RoutedStream, hello: ClientHello) -> None:
            if "teleport-reversetunnel" in hello.alpn:
                await proxy(stream)
            else:
                await refuse(stream, NO_APPLICATION_PROTOCOL)

        router = Router([Route("all", none, alpn=("*",))])
        listener = await world.network.listen("small.example:443", router)
        with pytest.raises(Unavailable) as caught:
            await world.said(world.way("small.example:443"), "two")
        assert caught.value.code == "NET-TLS-PROTOCOL"
        await listener.close(0)

    run(story)


def test_http_itself_needs_no_upgrade() -> None:
    async def story(world: World) -> None:
        await world.between.balancer("public.example:443", bad_gateway)
        way = world.way("public.example:443")
        stream = await way.open(["http/1.1"], both(), "public.example")
        assert (stream.peer.alpn, way.upgraded) == ("http/1.1", False)
        await stream.close()

    run(story)


def test_nothing_answers() -> None:
    async def story(world: World) -> None:
        with pytest.raises(Unavailable) as caught:
            await world.said(world.way("nobody.example:1"), "two")
        assert caught.value.code == "NET-REFUSED"

    run(story)


def test_an_address_that_is_no_proxys_is_not_probed() -> None:
    async def story(world: World) -> None:
        await world.between.balancer("auth.example:3025", bad_gateway)
        way = world.way("auth.example:3025", upgrade=False, TELEPORT_TLS_ROUTING_CONN_UPGRADE="true")
        with pytest.raises(NotAuthenticated):
            await world.said(way, "two")
        stream = await way.open(["two"], both(), NAME)
        assert (stream.peer.alpn, way.upgraded) == ("", False)
        assert world.dialled == ["auth.example:3025"] * 2
        await stream.close()

    run(story)


def test_a_balancer_that_nobody_vouches_for() -> None:
    async def story(world: World) -> None:
        await world.between.balancer("public.example:443", world.web.serve)
        options = {"network": world, "entropy": SystemEntropy(), "roots": Authority("other").client}
        with pytest.raises(NotAuthenticated) as caught:
            await world.said(Way("public.example:443", **options), "two")
        assert caught.value.code == "NET-TLS-UNKNOWN-CA"
        assert await world.said(Way("public.example:443", insecure=True, **options), "two") == f"two for {NAME}"

    run(story)


def test_a_balancer_vouches_for_what_is_behind_it() -> None:
    """For who joins and knows no authority yet; never where the balancer itself is not checked."""

    async def story(world: World) -> None:
        await world.between.balancer("public.example:443", world.web.serve)
        nothing = public_context(insecure=True)
        options = {"network": world, "entropy": SystemEntropy(), "roots": WEB.client}
        stream = await Way("public.example:443", **options).open(["two"], WEB.client(), NAME, vouched=nothing)
        assert await stream.read() == f"two for {NAME}".encode()
        await stream.close()
        for way in (Way("public.example:443", insecure=True, **options), world.way()):
            with pytest.raises(NotAuthenticated) as caught:
                await way.open(["two"], WEB.client(), NAME, vouched=nothing)
            assert caught.value.code == "NET-TLS-UNKNOWN-CA"

    run(story)


def test_what_is_no_balancer_is_told_apart_from_one() -> None:
    """An Auth Service at a port that looks like a proxy's wants a certificate: its first answer is the one to tell."""

    async def story(world: World) -> None:
        async def auth(stream: Stream) -> None:
            with contextlib.suppress(TeleportError):
                tls = await server_handshake(stream, authority().server(alpn=["h2"], clients=True))
                await tls.read()

        listener = await world.network.listen("auth.example:443", auth)
        with pytest.raises(NotAuthenticated) as caught:
            await world.said(world.way("auth.example:443"), "two", context=Authority("other").client())
        assert caught.value.code == "NET-TLS-UNKNOWN-CA"
        await listener.close(0)

    run(story)
