"""Targets on the way to a proxy: answers of CONNECT proxies and load balancers, frames, variables."""

from __future__ import annotations

from teleport.model import proxy_env
from teleport.model.address import Address
from teleport.net.upgrade import refusal
from teleport.wire import connection_upgrade, http_head
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.framing import Data, Framing, LengthFraming
from teleport.wire.websocket import WebSocketFraming
from tests.fuzz.engine import Target, plain, register

_KEY = connection_upgrade.make_key(bytes(16))
_REFUSES = (ProtocolError, NeedMore)


def _heads() -> list[bytes]:
    return [
        connection_upgrade.write_answer(connection_upgrade.Upgraded(kind, pinged=True), _KEY)
        for kind in ("websocket", "alpn-ping", "alpn")
    ] + [b"HTTP/1.1 407 Who\r\nServer: squid\r\nVia: 1.1 a, 1.1 b\r\nProxy-Authenticate: Basic\r\n\r\nbody"]


def _head(data: bytes) -> object:
    """A head is a prefix that says the same when nothing follows it; messages about it hold no control characters."""
    head = http_head.read_head(data)
    assert http_head.read_head(data[: head.size]) == head
    error = refusal(head, "p:1")
    assert f"{error.what}{error.why}{error.fix}".isprintable()
    if head.status == 101:
        connection_upgrade.read_answer(head, _KEY)
    return head.status, len(head.fields)


def _frames(data: bytes) -> object:
    """Where bytes are cut makes no difference, on any side of any framing; nothing is kept beyond one frame's head."""
    sides: tuple[Framing, ...] = (
        WebSocketFraming(mask=None), WebSocketFraming(mask=lambda size: bytes(size)), LengthFraming(),
    )  # fmt: skip
    others: tuple[Framing, ...] = (
        WebSocketFraming(mask=None), WebSocketFraming(mask=lambda size: bytes(size)), LengthFraming(),
    )  # fmt: skip
    told = []
    for whole, pieces in zip(sides, others, strict=True):
        at_once, one_by_one = _told(whole, [data]), _told(pieces, [data[at : at + 1] for at in range(len(data))])
        assert at_once is None or at_once == one_by_one
        told.append(one_by_one is None)
    return tuple(told)


def _told(framing: Framing, pieces: list[bytes]) -> tuple[bytes, list[object]] | None:
    payload, others = b"", list[object]()
    try:
        for piece in pieces:
            for event in framing.feed(piece):
                if isinstance(event, Data):
                    payload += event.payload
                else:
                    others.append((len(payload), event))
    except ProtocolError:
        return None
    return payload, others


def _variables(data: bytes) -> object:
    """No value shows its credentials, or leads to loopback."""
    text = data.decode("utf-8", "replace")
    value, _, exceptions = text.partition("|")
    if "=" in exceptions:
        proxy_env.upgrade_wanted({"TELEPORT_TLS_ROUTING_UPGRADE": exceptions}, Address("p.example", 443))
    found = proxy_env.connect_proxy({"HTTPS_PROXY": value, "NO_PROXY": exceptions}, "p.example", 443)
    if found is None:
        return None
    assert found.address.host.lower() not in ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - never
    assert found.authorization.isprintable()
    return found.tls, bool(found.authorization)


register(
    Target("wire.http_head", plain(_head), _heads, refuses=_REFUSES, dictionary=(b"\r\n", b": ", b"HTTP/1.1 ")),
)
register(
    Target(
        "wire.framing",
        plain(_frames),
        lambda: [
            b"\x82\x05hello\x89\x00\x88\x02\x03\xe8", b"\x82\x85abcdhello\x89\x80abcd", b"\0\0\0\2hi\0\0\0\0",
            b"\x02\x7e\x01\x00" + bytes(256) + b"\x80\x01x", b"\x82\xff" + (70000).to_bytes(8, "big") + bytes(100),
        ],
        widths=(1, 2, 4, 8),
    )
)  # fmt: skip
register(
    Target(
        "model.proxy_env",
        plain(_variables),
        lambda: [
            b"http://bob:secret@proxy.example.com:8080/|10.0.0.0/8,.example.com:443,*", b"https://[fd00::1]:3|[fd00::]:443",
            b"proxy:3128|true;p.example:443=0",
        ],
        dictionary=(b"://", b"@", b":", b"/", b"[", b"]", b"%41", b"localhost", b"127.0.0.1", b"=", b";", b"0.0.0.0"),
    )
)  # fmt: skip
