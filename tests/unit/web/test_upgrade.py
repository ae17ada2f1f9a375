"""The connection upgrade on the web port: what it leads to, and requests that are not upgraded."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.base.entropy import SeededEntropy, SystemEntropy
from teleport.base.errors import Unavailable
from teleport.net.framed import FramedStream
from teleport.net.http_connect import exchange
from teleport.net.peek import Peekable
from teleport.net.stream import Stream
from teleport.wire.connection_upgrade import make_key, read_answer, write_request
from teleport.wire.http_head import Head
from teleport.wire.websocket import WebSocketFraming
from tests.support import virtual_loop, web_site
from tests.support.check_stream import read_all, read_exactly
from tests.support.web_site import CLIENT, HOST, Site, parse

KEY = make_key(bytes(16))


async def echo(stream: Stream) -> None:
    """Say who is there, then repeat what comes, until the other side is gone."""
    with contextlib.suppress(Unavailable):
        await stream.write(f"{stream.peer.address} {stream.peer.alpn}|".encode())
        while data := await stream.read():
            await stream.write(data)
        await stream.write_eof()


def site(story: Callable[[Site], Awaitable[None]], **more: Any) -> None:
    async def body() -> None:
        async with web_site.serving(None, SeededEntropy(1), **{"inner": echo, **more}) as made:  # type: ignore[arg-type]
            await story(made)

    virtual_loop.run(body())


async def asked(made: Site, request: bytes) -> tuple[Peekable, Head]:
    return await exchange(made.connect(), request, timeout=5)


def with_field(request: bytes, line: str) -> bytes:
    return request.replace(b"\r\n\r\n", f"\r\n{line}\r\n\r\n".encode())


def without(request: bytes, name: bytes) -> bytes:
    return b"\r\n".join(line for line in request.split(b"\r\n") if not line.startswith(name + b":"))


@pytest.mark.parametrize("protocol", ["alpn", "alpn-ping"])
def test_s0_37_a_websocket(protocol: str) -> None:
    """S0-37: the upgrade is a WebSocket, which load balancers pass on."""

    async def story(made: Site) -> None:
        stream, head = await asked(made, write_request(HOST, KEY, protocol))
        agreed = read_answer(head, KEY, protocol)
        assert (head.status, agreed.kind, agreed.pinged) == (101, "websocket", protocol == "alpn-ping")
        inner = FramedStream(stream, WebSocketFraming(mask=SystemEntropy().token))

        async def send() -> None:
            await inner.write(b"x" * 200000)
            await inner.write_eof()

        _, got = await asyncio.gather(send(), read_all(inner))
        assert got == f"{CLIENT}:50000 |".encode() + b"x" * 200000
        await inner.close()

    site(story)


def test_pings_while_nothing_else_happens() -> None:
    async def story(made: Site) -> None:
        stream, _ = await asked(made, write_request(HOST, KEY))
        await read_exactly(stream, 2 + len(f"{CLIENT}:50000 |"))
        assert await read_exactly(stream, 20) == b"\x89\x08teleport" * 2
        await stream.close()

    site(story)


def test_old_forms() -> None:
    async def story(made: Site) -> None:
        for protocol, framed in (("alpn", False), ("alpn-ping", True)):
            request = without(write_request(HOST, KEY, protocol), b"Upgrade")
            stream, head = await asked(made, request)
            assert (head.status, read_answer(head, KEY, protocol).kind) == (101, protocol)
            hello = f"{CLIENT}:50000 |".encode()
            if framed:
                assert await read_exactly(stream, 4) == len(hello).to_bytes(4, "big")
            assert await read_exactly(stream, len(hello)) == hello
            await stream.write(b"\0\0\0\2hi" if framed else b"hi")
            assert await read_exactly(stream, 2 + 4 * framed) == (b"\0\0\0\2hi" if framed else b"hi")
            await stream.close()

    site(story)


def test_after_other_requests_on_the_same_connection() -> None:
    """Load balancers keep connections and use them for whoever comes next."""

    async def story(made: Site) -> None:
        stream = made.connect()
        await stream.write(f"GET /webapi/ping HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert b'"cluster_name"' in await stream.read()
        opened, head = await exchange(stream, write_request(HOST, KEY), timeout=5)
        assert head.status == 101
        await opened.close()

    site(story)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (without(without(write_request(HOST, KEY), b"Upgrade"), b"X-Teleport-Upgrade"), 404, "WEB-UPGRADE"),
        (without(write_request(HOST, KEY), b"Connection"), 400, "WEB-UPGRADE-LOST"),
        (without(write_request(HOST, KEY), b"Sec-WebSocket-Key"), 400, "WIRE-UPGRADE"),
        (write_request(HOST, KEY).replace(b"GET", b"POST"), 405, "WEB-METHOD"),
        (write_request(HOST, KEY).replace(b"GET", b"HEAD"), 405, ""),
    ],
)
def test_requests_that_are_not_upgraded(request_: bytes, status: int, code: str) -> None:
    async def story(made: Site) -> None:
        data = await made.raw(
            with_field(request_.replace(b"Connection: Upgrade", b"Connection: Upgrade, close"), "A: b")
        )
        reply = parse(data, "HEAD" if not code else "GET")
        assert reply.status == status
        if code:
            assert json.loads(reply.text)["error"]["code"] == code

    site(story)


def test_a_server_without_upgrades() -> None:
    async def story(made: Site) -> None:
        _, head = await asked(made, write_request(HOST, KEY))
        assert head.status == 404

    site(story, inner=None)


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("192.0.2.7", "192.0.2.7:50000"),
        ("192.0.2.7:1234", "192.0.2.7:1234"),
        ("2001:db8::1", "[2001:db8::1]:50000"),
        ("[2001:DB8::1]:7", "[2001:db8::1]:7"),
    ],
)
def test_what_a_trusted_balancer_says_of_its_client(said: str, address: str) -> None:
    async def story(made: Site) -> None:
        stream, _ = await asked(made, with_field(write_request(HOST, KEY), f"X-Forwarded-For: {said}"))
        inner = FramedStream(stream, WebSocketFraming(mask=SystemEntropy().token))
        assert (await inner.read()).partition(b" ")[0].decode() == address
        await inner.close()

    site(story, trust_forwarded=True)


def test_nobody_is_believed_unless_the_configuration_says_so() -> None:
    async def story(made: Site) -> None:
        stream, _ = await asked(made, with_field(write_request(HOST, KEY), "X-Forwarded-For: 192.0.2.7"))
        inner = FramedStream(stream, WebSocketFraming(mask=SystemEntropy().token))
        assert (await inner.read()).startswith(f"{CLIENT}:50000 ".encode())
        await inner.close()

    site(story)


@pytest.mark.parametrize("said", ["192.0.2.7, 192.0.2.8", "example.com", "", "192.0.2.7\r\nX-Forwarded-For: 192.0.2.8"])
def test_a_trusted_balancer_that_says_more_than_one_address(said: str) -> None:
    async def story(made: Site) -> None:
        _, head = await asked(made, with_field(write_request(HOST, KEY), f"X-Forwarded-For: {said}"))
        assert head.status == 400

    site(story, trust_forwarded=True)
