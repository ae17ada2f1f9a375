"""Targets on the way in: the first bytes on a real socket, and what a client wants to reach."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import ipaddress
import socket

from teleport.base.clock import ManualClock
from teleport.base.errors import AccessDenied, BadParameter, NotFound, Unavailable
from teleport.base.log import logger
from teleport.net.proxy_protocol import ProxyProtocol
from teleport.net.router import NO_APPLICATION_PROTOCOL, PlainRoute, Route, RoutedStream, Router
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Peer
from teleport.pki.client_address import ENTRY
from teleport.wire import proxy_header, reach
from teleport.wire.buffer import NeedMore, ProtocolError
from tests.fuzz.engine import Target, plain, register
from tests.fuzz.loops import asynchronous
from tests.fuzz.targets_wire import hellos

_NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
_NO_PROTOCOL = bytes([0x15, 3, 3, 0, 2, 2, NO_APPLICATION_PROTOCOL])


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
                    assert not answer or answer.startswith((b"HTTP/1.1 400 Bad Request\r\n", _NO_PROTOCOL))
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


async def _forged(header: proxy_header.ProxyHeader) -> None:
    raise AccessDenied("PKI-CLIENT-ADDRESS", problem="nobody signs here")


async def _headers(data: bytes) -> object:
    """What is left after the headers is the end of what was sent, and the address is one; or it is refused."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        stream = SocketStream(ours, peer=Peer("192.0.2.1:9"))
        headers = ProxyProtocol("on", clock=ManualClock(_NOW), log=logger("FUZZ"), verify=_forged)
        try:
            arrived = await headers.receive(stream)
            rest = b""
            while arrived is not None and (part := await arrived.read()):
                rest += part
        finally:
            await stream.close()
    if arrived is None:
        return None
    assert data.endswith(rest)
    assert len(rest) < len(data)  # without a header it would have been refused
    host, _, port = stream.peer.address.rpartition(":")
    ipaddress.ip_address(host.strip("[]"))
    assert 0 <= int(port) < 65536
    return host == "192.0.2.1"


_ENDS = proxy_header.Endpoint("203.0.113.9", 5), proxy_header.Endpoint("10.0.0.1", 3080)

register(
    Target(
        "net.proxy_protocol",
        asynchronous(_headers),
        lambda: [
            proxy_header.build_v1(*_ENDS) + b"x",
            proxy_header.build_v2(*_ENDS) + b"x",
            proxy_header.build_v2(*_ENDS, ((ENTRY, b"\1\0\1a\2\0\1b"),)) + b"x",
            proxy_header.build_local() + proxy_header.build_v1(*_ENDS) + b"x",
            b"PROXY UNKNOWN\r\nx",
            b"\x16\x03\x01",
        ],
        (BadParameter, Unavailable),
        widths=(1, 2),
        limit=20_000,
        dictionary=(b"PROXY ", b"\r\n", proxy_header.V2_SIGNATURE, b"TCP4", b"::ffff:", b"\xe4"),
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
