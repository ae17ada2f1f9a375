"""Fetch: requests to a small HTTPS server, and what is not fetched."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from teleport.base.errors import TeleportError
from teleport.net import fetch
from teleport.net.fetch import SystemFetch
from tests.support.pretenders import speaking
from tests.support.tls import NAME, authority


async def _serve(request: web.Request) -> web.StreamResponse:
    if request.path == "/big":
        return web.Response(body=b"x" * (fetch.LARGEST + 1))
    if request.path == "/away":
        raise web.HTTPFound("/echo")
    if request.path == "/slow":
        await asyncio.Event().wait()
    body = await request.read()
    return web.Response(status=201, text=f"{request.method} {request.headers.get('X-Word', '-')} {body.decode()}")


def serve(story: Callable[[str], Awaitable[None]]) -> None:
    async def body() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", _serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        try:
            await story(f"http://127.0.0.1:{port}")
        finally:
            await runner.cleanup()

    asyncio.run(body())


async def code_of(fetching: SystemFetch, url: str) -> str:
    with pytest.raises(TeleportError) as caught:
        await fetching(url)
    return caught.value.code


def test_a_request_and_its_answer() -> None:
    async def story(base: str) -> None:
        got = await SystemFetch(plain=True)(f"{base}/echo", method="POST", headers={"X-Word": "w"}, body=b"hello")
        assert (got.status, got.body) == (201, b"POST w hello")
        assert (await SystemFetch(plain=True)(f"{base}/away")).status == 302

    serve(story)


def test_bounds() -> None:
    async def story(base: str) -> None:
        assert await code_of(SystemFetch(plain=True), f"{base}/big") == "NET-FETCH-SIZE"
        assert await code_of(SystemFetch(plain=True, timeout=0.1), f"{base}/slow") == "NET-FETCH"

    serve(story)


def test_that_nobody_listens_is_said_in_the_words_of_the_system() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/readyz"
        with pytest.raises(TeleportError) as caught:
            asyncio.run(SystemFetch(plain=True)(url))
    assert str(caught.value) == f"cannot fetch {url}: connection refused"


def test_what_is_not_fetched() -> None:
    async def story(base: str) -> None:
        assert await code_of(SystemFetch(), f"{base}/echo") == "NET-FETCH-URL"
        assert await code_of(SystemFetch(plain=True), "file:///etc/passwd") == "NET-FETCH-URL"
        trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        assert await code_of(SystemFetch(trusting_nobody), base.replace("http:", "https:")) == "NET-FETCH"
        assert await code_of(SystemFetch(), "https://[") == "NET-FETCH"

    serve(story)


def test_nothing_is_left_open_when_the_answer_is_there() -> None:
    """A server that goes on listening on the connection, and never says that it has heard of its end."""
    trust, over = authority(), threading.Event()

    def answer(connection: socket.socket) -> None:
        with trust.server().wrap_socket(connection, server_side=True) as opened:
            opened.recv(4096)
            opened.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            over.wait(60)

    fetching = SystemFetch(trust.client(), server_name=NAME)
    with speaking(answer) as address, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        assert asyncio.run(fetching(f"https://{address}/")).body == b"ok"
        gc.collect()
        over.set()
    assert not [str(each.message) for each in told]
