"""Serving streams: what is no HTTP, connections that wait, and the end."""

import asyncio

from teleport.base import tasks
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.net.memory import memory_pair
from teleport.web import app, server
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
