"""Ways to a proxy without an event loop: a socket, whatever it is carried by."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import NotAuthenticated, TeleportError, Unavailable
from teleport.client import profile, way
from teleport.model import proxy_env
from teleport.net.network import SystemNetwork
from teleport.net.stream import Stream
from teleport.net.tls import server_handshake
from tests.support import web_site
from tests.support.tls import authority


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, str]]:
    """Addresses of a balancer that ends TLS, and of a proxy; inside is an echo."""
    found: dict[str, str] = {}
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def echo(stream: Stream) -> None:
        while data := await stream.read():
            await stream.write(data)
        await stream.write_eof()

    async def serve() -> None:
        async with web_site.serving(None, SeededEntropy(1), inner=echo) as site:  # type: ignore[arg-type]

            async def balancer(stream: Stream) -> None:
                await site.server.serve(await server_handshake(stream, authority().server()))

            async def proxy(stream: Stream) -> None:
                await (await server_handshake(stream, authority().server(alpn=["teleport-reversetunnel"]))).close()

            network = SystemNetwork(on_error=lambda error: None)
            listeners = [await network.listen("127.0.0.1:0", handler) for handler in (balancer, proxy, echo)]
            found.update(zip(("balancer", "proxy", "plain"), (each.address for each in listeners), strict=True))
            ready.set()
            await over.wait()
            for each in listeners:
                await each.close(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(30)
    yield found
    loop.call_soon_threadsafe(over.set)
    thread.join(30)
    loop.close()


def echoed(sock: socket.socket) -> bytes:
    """Send something in two parts and its end; return what comes back."""
    sock.settimeout(20)
    with sock:
        sock.sendall(b"x" * 100000)
        sock.sendall(b"end")
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_a_straight_socket_is_the_connection_itself(places: dict[str, str]) -> None:
    plain = places["plain"]
    for sock in (way.straight(plain, {}), way.carrier(plain, {}, upgraded=False)):
        assert sock.family == socket.AF_INET
        assert echoed(sock) == b"x" * 100000 + b"end"


def test_an_upgraded_one_is_carried_by_a_thread(places: dict[str, str]) -> None:
    assert echoed(way.carrier(places["balancer"], {}, upgraded=True)) == b"x" * 100000 + b"end"


def test_what_fails_is_raised_here(places: dict[str, str]) -> None:
    with pytest.raises(TeleportError) as caught:
        way.carrier(places["balancer"], {"HTTPS_PROXY": "localhost:1"}, upgraded=True)
    assert caught.value.code == "NET-CONNECT-LOOPBACK"


def test_whether_connections_must_be_upgraded(places: dict[str, str]) -> None:
    assert way.must_upgrade(places["balancer"], {})
    assert not way.must_upgrade(places["proxy"], {})
    assert not way.must_upgrade(places["plain"], {"HTTPS_PROXY": "localhost:1"})  # not to be found out now


STRANGE = NotAuthenticated("NET-TLS-UNKNOWN-CA", address="p:1", reason="unknown")


@pytest.mark.parametrize(
    ("error", "place", "code"),
    [
        (STRANGE, "balancer", "CLIENT-BALANCER"),
        (Unavailable("CLIENT-NO-WAY", address="p:1"), "balancer", "CLIENT-BALANCER"),
        (STRANGE, "proxy", "NET-TLS-UNKNOWN-CA"),
        (NotAuthenticated("NET-TLS-REFUSED-EXPIRED", address="p:1"), "balancer", "NET-TLS-REFUSED-EXPIRED"),
        (Unavailable("NET-TIMEOUT", address="p:1", seconds="1"), "balancer", "NET-TIMEOUT"),
    ],
)
def test_failures_are_explained(places: dict[str, str], error: TeleportError, place: str, code: str) -> None:
    assert way.explained(error, places[place], {}).code == code


def test_the_variables_of_the_environment() -> None:
    assert (*proxy_env.VARIABLES, *proxy_env.UPGRADE) == profile.WAY
    assert proxy_env.EXCEPTIONS == profile.WAY_EXCEPTIONS
    environment: dict[str, Any] = {"NO_PROXY": "x", "no_proxy": "", "PATH": "/bin"}
    assert profile.between(environment) == {}
    assert profile.between({**environment, "https_proxy": "p:1"}) == {"https_proxy": "p:1", "NO_PROXY": "x"}
