"""Targets on the way in: the first bytes on a real socket, and what a client wants to reach."""

from __future__ import annotations

import contextlib
import functools
import socket

from teleport.base.errors import AccessDenied, BadParameter, NotFound, Unavailable
from teleport.net.router import PlainRoute, Route, RoutedStream, Router
from teleport.net.socket_stream import SocketStream
from teleport.wire import proxy_header, reach
from teleport.wire.buffer import NeedMore, ProtocolError
from tests.fuzz.engine import Target, plain, register
from tests.fuzz.loops import asynchronous
from tests.fuzz.targets_wire import hellos


async def _router(data: bytes) -> object:
    """The whole stream reaches whoever is chosen, from the first byte on; nobody else gets any of it."""
    got: list[tuple[str, bytes]] = []

    async def take(name: str, stream: RoutedStream) -> None:
        parts = []
        while part := await stream.read():
            parts.append(part)
        got.append((name, b"".join(parts)))

    router = Router(
        [
            Route("name", lambda stream, hello: take("name", stream), server_name=("*.example", "a.*")),
            Route("auth", lambda stream, hello: take("auth", stream), alpn=("teleport-auth@*", "h2")),
        ],
        plain=[
            PlainRoute("ssh", functools.partial(take, "ssh"), b"SSH-2.0-"),
            PlainRoute("proxy", functools.partial(take, "proxy"), proxy_header.V2_SIGNATURE),
        ],
        default=lambda stream, hello: take("web", stream),
    )
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        stream = SocketStream(ours)
        try:
            await router(stream)
        finally:
            await stream.close()
            if not got:
                theirs.setblocking(False)
                with contextlib.suppress(OSError):
                    answer = theirs.recv(4096)
                    assert not answer or answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert [whole for _, whole in got] == [data]
    return got[0][0]


register(
    Target(
        "net.router",
        asynchronous(_router),
        lambda: [
            *hellos(),
            b"SSH-2.0-x\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0",
            b"\x16",
            proxy_header.build_local() + b"x",
        ],
        (BadParameter, Unavailable),
        widths=(1, 2, 3),
        limit=20_000,
        dictionary=(b"SSH-", b"GET ", b"\x16\x03\x01", b"POST", b"CONNECT a:1", b"a.example", b"\0", b"\x80\x2e\x01"),
    )
)

_BAD = NotFound("POL-NOT-FOUND", id="1", kind="node", name="n", decision="1")


def _reach(data: bytes) -> object:
    """Requests and answers read back as they were written, and nothing of theirs can write a second line."""
    answers: list[object] = []
    for read in (reach.read_request, reach.read_answer):
        try:
            found, size = read(data)
        except (ProtocolError, NeedMore) as error:
            answers.append(error.fields.get("problem", "more")[:20])
            continue
        assert size <= len(data)
        if isinstance(found, reach.Request):
            assert reach.read_request(reach.write_request(found))[0] == found
        elif found is not None:
            again, _ = reach.read_answer(reach.write_answer(found))
            assert again is not None
            assert (type(again), again.code) == (type(found), found.code)
        answers.append(type(found).__name__)
    return tuple(answers)


register(
    Target(
        "wire.reach",
        plain(_reach),
        lambda: [
            reach.write_request(reach.Request("node-1:3022", "example.com", "alice")),
            reach.write_answer(None),
            reach.write_answer(_BAD),
            reach.write_answer(AccessDenied("WEB-CSRF", id="i")),
        ],
        (),
        widths=(1, 2, 4),
        dictionary=(b"\n", b"\xff", b"POL-NOT-FOUND", b"id", b"message", b"{0}", b"\0", b" "),
    )
)
