"""The router: which handler gets a connection, and what happens to those that nobody wants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.base.errors import BadParameter, TeleportError, TimedOut, Unavailable
from teleport.net import peek as peek_module
from teleport.net.memory import memory_pair
from teleport.net.network import SystemNetwork
from teleport.net.peek import LIMIT, PeekStream, peek, take
from teleport.net.router import PlainRoute, Route, RoutedStream, Router
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Stream
from teleport.net.tls import client_handshake, server_handshake
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.proxy_header import Endpoint, ProxyHeader, build_v2
from teleport.wire.proxy_header import parse as parse_proxy_header
from teleport.wire.tls_hello import ClientHello
from tests.support.check_stream import read_all, read_exactly
from tests.support.pairs import Pair, in_memory, socket_pair, tcp_pair
from tests.support.tls import NAME, authority
from tests.unit.wire.test_tls_hello import openssl_hello

CARRIERS = {"tcp": tcp_pair, "unix": socket_pair, "memory": in_memory}
every_carrier = pytest.mark.parametrize("under", CARRIERS.values(), ids=CARRIERS)


class Board:
    """Handlers that write down who was called."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def handler(self, name: str) -> Callable[[RoutedStream, ClientHello], Awaitable[None]]:
        async def handle(stream: RoutedStream, hello: ClientHello) -> None:
            self.seen.append((name, hello.server_name, hello.alpn, await read_exactly(stream, hello.size)))

        return handle

    async def plain(self, stream: RoutedStream) -> None:
        self.seen.append(("plain", await stream.read(4)))

    def router(self, **options: Any) -> Router:
        routes = [
            Route("kube", self.handler("kube"), server_name=("kube-teleport-proxy-alpn.*",)),
            Route("auth", self.handler("auth"), alpn=("teleport-auth@*",)),
            Route("tunnel", self.handler("tunnel"), alpn=("teleport-reversetunnel",)),
            Route("web", self.handler("web"), alpn=("http/1.1", "h2")),
        ]
        return Router(routes, plain=[PlainRoute("ssh", self.plain, b"SSH-")], **options)


@pytest.mark.parametrize(
    ("server_name", "alpn", "expected"),
    [
        ("kube-teleport-proxy-alpn.p.example", ["h2"], "kube"),
        ("p.example", ["teleport-auth@61.teleport.cluster.local", "h2"], "auth"),
        ("p.example", ["teleport-reversetunnelv2", "teleport-reversetunnel"], "tunnel"),
        ("p.example", ["h2", "teleport-reversetunnel"], "web"),
        ("p.example", [], "default"),
    ],
)
@every_carrier
def test_names_and_protocols_choose_the_handler_and_nothing_is_taken(
    under: Callable[[], Pair], server_name: str | None, alpn: list[str], expected: str
) -> None:
    hello = openssl_hello(server_name, alpn)
    board = Board()

    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, b):
            serving = asyncio.get_running_loop().create_task(board.router(default=board.handler("default"))(a))
            for part in (hello[:1], hello[1:70], hello[70:]):
                await b.write(part)
                await asyncio.sleep(0.002)
            await serving

    asyncio.run(main())
    assert board.seen == [(expected, server_name or "", tuple(alpn), hello)]


@every_carrier
def test_plain_protocol_by_its_first_bytes(under: Callable[[], Pair]) -> None:
    board = Board()

    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, b):
            await b.write(b"SSH-2.0-OpenSSH\r\n")
            await board.router()(a)

    asyncio.run(main())
    assert board.seen == [("plain", b"SSH-")]


def refused(
    under: Callable[[], Pair], data: bytes, *, end: bool = False, **options: Any
) -> tuple[TeleportError, bytes]:
    """Return the error for `data` as first bytes, and what the peer was told."""

    async def main() -> tuple[TeleportError, bytes]:
        async with asyncio.timeout(20), under() as (a, b):
            await b.write(data)
            if end:
                await b.write_eof()
            with pytest.raises(TeleportError) as failed:
                await Board().router(**options)(a)
            try:
                return failed.value, await b.read() if failed.value.code == "NET-PLAIN-HTTP" else b""
            finally:
                await a.close()

    return asyncio.run(main())


@every_carrier
def test_plain_http_is_told_to_use_https(under: Callable[[], Pair]) -> None:
    error, answer = refused(under, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", end=True)
    assert error.code == "NET-PLAIN-HTTP"
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"https://" in answer


@every_carrier
@pytest.mark.parametrize("data", [b"\x00\x01garbage", b"GEX", b"\x80\x2e\x01", b"SSX-2"])
def test_garbage_is_refused_with_its_first_bytes(under: Callable[[], Pair], data: bytes) -> None:
    error, _ = refused(under, data)
    assert isinstance(error, BadParameter)
    assert error.what == f"failed to detect connection protocol, first few bytes were: {data[:8].hex(' ')}"


@every_carrier
def test_end_before_the_message_is_complete(under: Callable[[], Pair]) -> None:
    for data in (b"", b"GE", openssl_hello("p.example", [])[:50]):
        error, _ = refused(under, data, end=True)
        assert error.code == "NET-PROTOCOL"


@every_carrier
def test_broken_hello_is_refused(under: Callable[[], Pair]) -> None:
    error, _ = refused(under, b"\x16\x03\x01\x00\x05\x02")
    assert isinstance(error, ProtocolError)


@every_carrier
def test_no_route(under: Callable[[], Pair]) -> None:
    error, _ = refused(under, openssl_hello("p.example", ["x"]))
    assert isinstance(error, Unavailable)
    assert error.code == "NET-NO-ROUTE"


@pytest.mark.parametrize(("under", "looks"), [(tcp_pair, 3), (socket_pair, 15), (in_memory, 0)])
def test_slow_peer_meets_the_deadline_and_does_not_keep_us_busy(
    under: Callable[[], Pair], looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    real = peek_module._peek_now

    def peek_now(stream: SocketStream) -> bytes:
        seen.append(real(stream))
        return seen[-1]

    monkeypatch.setattr(peek_module, "_peek_now", peek_now)
    error, _ = refused(under, openssl_hello("p.example", [])[:100], timeout=0.3)
    assert isinstance(error, TimedOut)
    assert error.code == "NET-FIRST-BYTES"
    assert len(seen) <= looks


def seen_through(under: Callable[[], Pair], stream: Stream) -> Any:
    return PeekStream(stream) if under is in_memory else stream


@every_carrier
def test_look_is_bounded(under: Callable[[], Pair]) -> None:
    def insatiable(data: bytes) -> None:
        raise NeedMore(LIMIT)

    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, b):
            await b.write(b"x")
            with pytest.raises(BadParameter) as bounded:
                await peek(seen_through(under, a), insatiable)
            assert "larger" in bounded.value.why

    asyncio.run(main())


@every_carrier
def test_proxy_header_is_taken_exactly(under: Callable[[], Pair]) -> None:
    header = build_v2(Endpoint("192.0.2.7", 1), Endpoint("192.0.2.8", 2))

    async def main() -> ProxyHeader:
        async with asyncio.timeout(20), under() as (a, b):
            stream = seen_through(under, a)
            await b.write(header + b"\x16rest")
            found = await peek(stream, parse_proxy_header)
            await take(stream, found.size)
            assert await stream.read() == b"\x16rest"
            return found

    assert asyncio.run(main()).source == Endpoint("192.0.2.7", 1)


def test_routed_connections_open_tls_on_every_carrier() -> None:
    async def hello(stream: RoutedStream, found: ClientHello) -> None:
        tls = await server_handshake(stream, authority().server(alpn=["h2"]), server_name=found.server_name)
        await tls.write(f"{tls.peer.alpn} for {tls.peer.server_name}".encode())
        await tls.close()

    router = Router([Route("h2", hello, alpn=("h2",))])

    async def ask(stream: Stream) -> bytes:
        tls = await client_handshake(stream, authority().client(alpn=["h2"]), server_name=NAME)
        try:
            return await read_all(tls)
        finally:
            await tls.close()

    async def main() -> None:
        network = SystemNetwork()
        listener = await network.listen("127.0.0.1:0", router)
        assert await ask(await network.dial(listener.address)) == b"h2 for proxy.example"
        await listener.close()
        a, b = memory_pair()
        serving = asyncio.get_running_loop().create_task(router(a))
        assert await ask(b) == b"h2 for proxy.example"
        await serving

    asyncio.run(main())
