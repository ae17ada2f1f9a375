"""One GET: what is sent, and bodies of known length, in chunks, and to the end of the connection."""

from __future__ import annotations

import asyncio

import pytest

from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.net import http_get
from teleport.net.http_get import get
from teleport.net.memory import memory_pair


def answered(answer: bytes) -> tuple[int, bytes, bytes]:
    """Return status, body, and what was asked."""

    async def main() -> tuple[int, bytes, bytes]:
        near, far = memory_pair()

        async def serve() -> bytes:
            asked = await far.read()
            await far.write(answer)
            await far.close()
            return asked

        serving = tasks.spawn(serve(), name="server", on_error=lambda _: None)
        head, body = await get(near, "proxy:443", "/webapi/find", agent="me", timeout=10.0)
        await near.close()
        return head.status, body, await serving

    return asyncio.run(main())


def test_what_is_asked() -> None:
    status, body, asked = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more")
    assert (status, body) == (200, b"{}")
    assert asked.startswith(b"GET /webapi/find HTTP/1.1\r\nHost: proxy:443\r\nUser-Agent: me\r\n")
    assert asked.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 502 Bad\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"ab"),
    ],
)
def test_bodies(answer: bytes, body: bytes) -> None:
    assert answered(answer)[1] == body


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_get, "LARGEST", 10)
    assert answered(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1000)[1] == b"a" * 10


def test_what_is_no_answer() -> None:
    with pytest.raises(TeleportError):
        answered(b"SSH-2.0-x\r\n\r\n")
