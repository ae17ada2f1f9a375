"""Through an HTTP CONNECT proxy: the exchange, and an error for each refusal."""

from __future__ import annotations

import asyncio

import pytest

from teleport.base.errors import AccessDenied, TeleportError
from teleport.model.proxy_env import read_proxy
from teleport.net.http_connect import connect
from teleport.net.memory import memory_pair
from tests.support.check_stream import read_exactly

PROXY = read_proxy("HTTPS_PROXY", "http://bob:secret@proxy.example:3128")


def answered(answer: bytes, *, authorization: str = PROXY.authorization) -> tuple[bytes, bytes, str]:
    """Ask for a tunnel; return the request, what came behind the answer, and the address that the stream then has."""

    async def run() -> tuple[bytes, bytes, str]:
        ours, theirs = memory_pair()
        await theirs.write(answer)
        await theirs.write_eof()
        stream = await connect(ours, PROXY._replace(authorization=authorization), "t.example:443", timeout=5)
        behind = await stream.read()
        return await theirs.read(), behind, stream.peer.address

    return asyncio.run(run())


def refused(answer: bytes, **options: str) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        answered(answer, **options)
    assert "secret" not in str(caught.value)
    return caught.value


def test_a_tunnel() -> None:
    request, behind, address = answered(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nSSH-2.0-x")
    assert request.startswith(b"CONNECT t.example:443 HTTP/1.1\r\n")
    assert b"\r\nProxy-Authorization: Basic Ym9iOnNlY3JldA==\r\n" in request
    assert (behind, address) == (b"SSH-2.0-x", "t.example:443")


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (b"HTTP/1.1 407 Who\r\nServer: squid\r\n\r\n", "NET-CONNECT-LOGIN", "proxy.example:3128 (squid) asks who"),
        (b"HTTP/1.1 403 No\r\nVia: 1.1 tinyproxy\r\n\r\n", "NET-CONNECT-FORBIDDEN", "(1.1 tinyproxy) does not let"),
        (b"HTTP/1.1 502 Bad\r\n\r\n", "NET-CONNECT-TARGET", "(without a name) does not reach t.example:443"),
        (b"HTTP/1.1 405 \x1b[31m\r\n\r\n", "NET-CONNECT-ANSWER", "no status"),
        (b"HTTP/1.1 405 Method\xff\r\n\r\n", "NET-CONNECT-ANSWER", r"it answered 405 Method\xff"),
        (b"SSH-2.0-OpenSSH\r\n", "NET-CONNECT-ANSWER", "not an answer of HTTP/1.1"),
        (b"HTTP/1.1 200 O", "NET-CONNECT-ANSWER", "first few bytes"),
        (b"", "NET-CONNECT-ANSWER", "of HTTPS_PROXY did not open a connection"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000, "NET-CONNECT-ANSWER", "longer than"),
    ],
)
def test_refusals(answer: bytes, code: str, says: str) -> None:
    error = refused(answer)
    assert error.code == code
    assert says in str(error)


def test_a_login_that_is_missing_and_one_that_is_wrong() -> None:
    answer = b"HTTP/1.1 407 Who\r\n\r\n"
    assert isinstance(refused(answer), AccessDenied)
    assert "HTTPS_PROXY has not the right user" in refused(answer).why
    assert "HTTPS_PROXY has no user" in refused(answer, authorization="").why
    assert "HTTPS_PROXY=http://USER:PASSWORD@proxy.example:3128" in refused(answer).fix


def test_a_proxy_that_says_nothing() -> None:
    async def run() -> None:
        ours, theirs = memory_pair()
        with pytest.raises(TeleportError) as caught:
            await connect(ours, PROXY, "t.example:443", timeout=0.01)
        assert (caught.value.code, caught.value.__cause__.code) == ("NET-CONNECT-ANSWER", "NET-FIRST-BYTES")  # type: ignore[union-attr]
        assert await read_exactly(theirs, 7) == b"CONNECT"

    asyncio.run(run())
