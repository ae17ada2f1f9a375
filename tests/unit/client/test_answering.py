"""What answers at an address, by what it says: on a network in memory. Real servers: tests/integration."""

import asyncio

import pytest

from teleport.base.errors import Unavailable
from teleport.client.answering import AUTH, PROXY, identify, named
from teleport.net.memory_network import MemoryNetwork
from tests.support.virtual_loop import run

PLACE = "server.example.com:1234"
ERROR = Unavailable("NET-TLS-NOT-TLS", address=PLACE)


def server(*, first=b"", answers=()):
    """Return a handler that says something first, and then answers what begins with a word."""

    async def serve(stream):
        if first:
            await stream.write(first)
        question = await stream.read()
        for word, answer in answers:
            if question.startswith(word):
                await stream.write(answer)
        await stream.write_eof()
        await asyncio.sleep(1)

    return serve


async def told(serve, wanted=PROXY, environment=None):
    network = MemoryNetwork()
    await network.listen(PLACE, serve)
    found = await identify(network, PLACE)
    error = await named(ERROR, network, PLACE, environment or {}, wanted=wanted)
    assert (error is ERROR) is (found is None or bool(environment))
    return (found.kind if found else "", "" if error is ERROR else error.what)


@pytest.mark.parametrize(
    ("serve", "kind", "words"),
    [
        (server(first=b"SSH-2.0-other\r\n"), "ssh", "an SSH server"),
        (server(first=b"teleport-resume-v1 0 0\r\nSSH-2.0-x\r\n"), "ssh", "an SSH server"),
        (server(answers=[(b"SSH-", b"SSH-2.0-waits\r\n")]), "ssh", "an SSH server"),
        (server(first=b"J\0\0\0\x0a8.0.36\0"), "mysql", "a MySQL server"),
        (server(first=b"J\0\0\0\xff\x10\x04"), "mysql", "a MySQL server"),
        (server(answers=[(b"GET", b"HTTP/1.0 404 No\r\nServer: some\r\n\r\n")]), "web", "without TLS (some)"),
        (server(answers=[(b"GET", b"HTTP/1.0 404 No\r\n\r\n")]), "web", "a web server without TLS,"),
    ],
)
def test_servers_are_known_by_what_they_say(serve, kind, words):
    found, said = run(told(serve))
    assert found == kind
    assert words in said
    assert "not the web port of a proxy: write the address of the proxy's web port" in said


def test_for_who_wants_the_auth_service_there_is_another_fix():
    assert "usually port 3025, or use `proxy_server`" in run(told(server(first=b"SSH-2.0-x\r\n"), AUTH))[1]


@pytest.mark.parametrize("serve", [server(first=b"220 mail\r\n"), server()])
def test_what_cannot_be_told_leaves_the_error_as_it_is(serve):
    assert run(told(serve)) == ("", "")


def test_behind_a_connect_proxy_nobody_is_asked():
    way = {"HTTPS_PROXY": "http://proxy.example.com:8080"}
    assert run(told(server(first=b"SSH-2.0-other\r\n"), environment=way)) == ("ssh", "")


def test_where_nobody_answers_the_error_says_so_already():
    async def story():
        assert await named(ERROR, MemoryNetwork(), PLACE, {}, wanted=PROXY) is ERROR
        assert await named(ERROR, MemoryNetwork(), "a b:c", {}, wanted=PROXY) is ERROR

    run(story())
