"""Serving streams: what is no HTTP, connections that wait, and the end."""

import asyncio
import re

import pytest

from teleport.base import tasks
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.net.memory import memory_pair
from teleport.web import app, security, server
from teleport.web.server import WebServer
from tests.support import virtual_loop, web_site
from tests.support.web_site import AUTH_SETTINGS, HOST, SETTINGS, parse, until_end

REQUEST = f"GET /webapi/ping HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def site(story):
    """Run a story with a site that needs no accounts, in virtual time, and return how long it took."""

    async def body():
        async with web_site.serving(None, SeededEntropy(1)) as made:
            await story(made)
            return asyncio.get_running_loop().time()

    return virtual_loop.run(body())


def test_what_is_no_http_is_answered_with_code_and_headers():
    async def story(site):
        for data in (b"\x16\x03\x01 hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"):
            reply = parse(await site.raw(data))
            assert (reply.status, reply.text.partition(":")[0]) == (400, "WEB-REQUEST")
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
            assert reply.headers["Cache-Control"] == "no-store"

    site(story)


def test_bad_request_is_not_reflected_or_logged(caplog):
    async def story(site):
        assert b"<script>" not in await site.raw(b"GET /<script> HTTP/1.1\r\n<script>\r\n\r\n")

    site(story)
    assert caplog.text == ""


def test_two_lengths_are_refused():
    async def story(site):
        for extra in ("Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nTransfer-Encoding: chunked"):
            data = f"POST /webapi/ssh/certs HTTP/1.1\r\nHost: x\r\n{extra}\r\n\r\n0\r\n\r\n"
            assert parse(await site.raw(data.encode())).status == 400

    site(story)


def test_head_that_is_too_large_is_refused():
    async def story(site):
        for line in (
            b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: " + b"x" * 9000 + b"\r\n\r\n",
        ):
            assert parse(await site.raw(line)).status == 400

    site(story)


def test_connection_is_used_again():
    async def story(site):
        stream = site.connect()
        for _ in range(3):
            await stream.write(REQUEST)
            assert (await stream.read()).startswith(b"HTTP/1.1 200 OK")
        await stream.close()

    assert site(story) < 1


def test_silent_connection_is_closed():
    async def story(site):
        assert await until_end(site.connect()) == b""

    assert site(story) == server.IDLE


def test_connection_that_dribbles_a_head_is_closed():
    async def story(site):
        stream = site.connect()

        async def dribble():
            await stream.write(b"GET / HTTP/1.1\r\n")
            while True:
                await asyncio.sleep(1)
                await stream.write(b"a: b\r\n")

        failures = []
        task = tasks.spawn(dribble(), name="dribble", on_error=failures.append)
        assert await until_end(stream) == b""
        await tasks.cancel(task)

    assert site(story) <= server.IDLE + 1


def test_client_that_reads_nothing_is_cut():
    async def story(site):
        stream = site.connect()
        closed = asyncio.get_running_loop().create_future()

        async def ask():
            try:
                while True:
                    await stream.write(REQUEST)
            except Unavailable:
                closed.set_result(None)

        failures = []
        task = tasks.spawn(ask(), name="ask", on_error=failures.append)
        await closed
        await asyncio.wait([task])
        assert failures == []
        await stream.close()

    assert server.STALLED <= site(story) <= server.STALLED + server.IDLE


def test_idle_connection_is_closed_after_its_last_answer():
    async def story(site):
        stream = site.connect()
        await stream.write(REQUEST)
        await asyncio.sleep(20)
        await stream.write(REQUEST)
        await until_end(stream)

    assert 20 + server.IDLE <= site(story) <= 21 + server.IDLE


def test_cancelled_serving_closes_the_stream_at_once():
    async def body():
        entropy = SeededEntropy(1)
        application = app.build(
            accounts=None, entropy=entropy, cluster="c", public_address="p:1", settings=SETTINGS,
            auth_settings=AUTH_SETTINGS,
        )  # fmt: skip
        async with WebServer(application) as made:
            theirs, ours = memory_pair()
            failures = []
            task = tasks.spawn(made.serve(ours), name="serve", on_error=failures.append)
            await theirs.write(REQUEST)
            assert await theirs.read()
            await tasks.cancel(task)
            assert await theirs.read() == b""
            assert failures == []
        return asyncio.get_running_loop().time()

    assert virtual_loop.run(body()) < 1


def test_server_ends_with_idle_connections_open():
    async def body():
        entropy = SeededEntropy(1)
        async with web_site.serving(None, entropy) as site:
            stream = site.connect()
            await stream.write(REQUEST)
            assert await stream.read()
            await stream.close()
            await site.ended()

    virtual_loop.run(body())


HIDDEN = f"GET /webapi/find HTTP/1.1\r\nHost: {HOST}\r\nX-Marker: 1\r\n\r\n"
POST = f"POST /webapi/ssh/certs HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "request_text",
    [
        pytest.param(f"{POST}Content-Length: -1\r\n\r\n", id="a_negative_length"),
        pytest.param(f"{POST}Content-Length: 1_0\r\n\r\n", id="a_length_as_python_writes_it"),
        pytest.param(f"{POST}Content-Length: \u0661\r\n\r\n", id="a_length_in_other_digits"),
        pytest.param(f"{POST}Content-Length: 99999999999999999999\r\n\r\n", id="a_length_that_overflows"),
        pytest.param(
            f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunks_twice"
        ),
        pytest.param(CHUNKED.replace("1.1", "1.0") + "0\r\n\r\n", id="chunks_of_http_1_0"),
        pytest.param(f"{CHUNKED}-0\r\n\r\n", id="a_negative_chunk"),
        pytest.param(f"{CHUNKED}+0\r\n\r\n", id="a_chunk_with_a_sign"),
        pytest.param(f"{CHUNKED} 0\r\n\r\n", id="a_chunk_with_a_blank"),
        pytest.param(f"{CHUNKED}ffffffffffffffff0\r\n\r\n", id="a_chunk_that_overflows"),
        pytest.param(f"{CHUNKED}2\r\n{{}}0\r\n\r\n", id="a_chunk_without_end"),
        pytest.param(f"{CHUNKED}2\r\n{{}}\r\n0\r\nContent-Length: 99\r\n\r\n", id="a_length_behind_the_body"),
        pytest.param(f"{POST}: x\r\n\r\n", id="a_header_without_name"),
        pytest.param(f"{POST}Content Length: 40\r\n\r\n", id="a_blank_in_a_name"),
        pytest.param(POST.replace("\r\n", "\n") + "\n", id="line_feeds_alone"),
        pytest.param("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two_hosts"),
        pytest.param("GET / HTTP/1.1\r\n\r\n", id="no_host"),
        pytest.param("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", id="a_host_with_a_blank"),
        pytest.param("GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n", id="a_host_with_a_path"),
        pytest.param("GET / HTTP/1.1\r\nHost: evil@a\r\n\r\n", id="a_host_with_a_user"),
        pytest.param("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", id="a_list_of_hosts"),
        pytest.param("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", id="a_tab_in_the_first_line"),
        pytest.param("GET /\r\n\r\n", id="http_0_9"),
        pytest.param("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http_2"),
    ],
)
def test_doubtful_request_is_refused_and_ends_the_connection(request_text):
    """Whoever stands in front may have read it in another way: the request behind it is not answered."""

    async def story(site):
        reply = await site.raw((request_text + HIDDEN).encode())
        assert re.findall(rb"HTTP/\d\.\d (\d{3})", reply) == [b"400"]
        assert b"cluster_name" not in reply

    assert site(story) < security.BODY_WITHIN + server.LINGER + server.IDLE


@pytest.mark.parametrize("host", [HOST, f"{HOST}:443", "[::1]:3080", "192.0.2.1", "localhost:"])
def test_hosts_as_browsers_write_them_are_let_through(host):
    async def story(site):
        data = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        assert parse(await site.raw(data.encode())).status == 200

    site(story)


@pytest.mark.parametrize(
    "lines",
    [
        "GET /web/logout HTTP/1.1\r\nHost: evil.example",
        "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example",
        "GET / HTTP/1.1\r\nHost: evil.example",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Original-URL: //evil.example\r\nX-Forwarded-Prefix: //evil.example",
        "GET /web/login HTTP/1.1\r\nHost: evil.example",
        "OPTIONS * HTTP/1.1\r\nHost: evil.example",
        "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example",
        "TRACE / HTTP/1.1\r\nHost: evil.example",
    ],
)
def test_no_page_or_header_repeats_the_name_that_a_client_gives_us(lines):
    """Links and commands on pages carry the address of the configuration; nothing is taken from the request."""

    async def story(site):
        reply = await site.raw(f"{lines}\r\nConnection: close\r\n\r\n".encode())
        assert reply.startswith(b"HTTP/1.1 ")
        assert b"evil.example" not in reply

    site(story)


def test_switching_protocols_is_not_done():
    async def story(site):
        for wish in ("h2c\r\nHTTP2-Settings: AAMAAABk", "websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="):
            head = f"GET /webapi/ping HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: {wish}\r\n\r\n"
            assert b" 101 " not in await site.raw(head.encode())

    site(story)
