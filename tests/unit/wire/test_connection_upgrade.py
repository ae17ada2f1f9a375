"""The connection upgrade: both sides of its handshake."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from teleport.wire.buffer import ProtocolError
from teleport.wire.connection_upgrade import (
    Upgraded,
    accept_of,
    choose,
    make_key,
    read_answer,
    write_answer,
    write_request,
)  # fmt: skip
from teleport.wire.framing import LengthFraming
from teleport.wire.http_head import read_head
from teleport.wire.websocket import WebSocketFraming

KEY = make_key(b"0123456789abcdef")


class Fields(dict[str, list[str]]):
    """Header fields of a request, as a server sees them."""

    @classmethod
    def of(cls, request: bytes) -> Fields:
        fields = cls()
        for line in request.decode().split("\r\n")[1:-2]:
            name, _, value = line.partition(": ")
            fields.setdefault(name, []).append(value)
        return fields

    def values(self, name: str) -> Sequence[str]:  # type: ignore[override]
        return self.get(name, [])


def chosen(request: bytes, **without: None) -> Upgraded | None:
    fields = Fields.of(request)
    for name in without:
        fields.pop(name.replace("_", "-"), None)
    return choose(fields.values)


def test_the_key_of_the_rfc() -> None:
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_request() -> None:
    request = write_request("proxy.example.com:443", KEY)
    assert request.startswith(b"GET /webapi/connectionupgrade HTTP/1.1\r\nHost: proxy.example.com:443\r\n")
    for line in (
        "Connection: Upgrade", "Upgrade: websocket", "Upgrade: alpn-ping", "X-Teleport-Upgrade: alpn-ping",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Protocol: alpn-ping",
    ):  # fmt: skip
        assert f"\r\n{line}\r\n".encode() in request


@pytest.mark.parametrize("protocol", ["alpn", "alpn-ping"])
def test_both_sides_agree(protocol: str) -> None:
    request = write_request("proxy", KEY, protocol)
    for lost, kind in (({}, "websocket"), ({"Upgrade": None}, protocol)):
        upgraded = chosen(request, **lost)
        assert upgraded == Upgraded(kind, protocol == "alpn-ping")
        answer = read_head(write_answer(upgraded, KEY))
        assert answer.status == 101
        assert read_answer(answer, KEY, protocol) == upgraded


def test_framings() -> None:
    assert isinstance(Upgraded("websocket", pinged=True).framing(None), WebSocketFraming)
    assert isinstance(Upgraded("alpn-ping", pinged=True).framing(None), LengthFraming)
    assert Upgraded("alpn", pinged=False).framing(None) is None


def test_nothing_that_could_be_done() -> None:
    assert choose(lambda name: []) is None
    assert choose(lambda name: ["h2c"] if name == "Upgrade" else []) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Sec-WebSocket-Version", ["8"]),
        ("Sec-WebSocket-Version", []),
        ("Sec-WebSocket-Key", []),
        ("Sec-WebSocket-Key", [KEY, KEY]),
        ("Sec-WebSocket-Key", ["c2hvcnQ="]),
        ("Sec-WebSocket-Key", ["not base64"]),
        ("Sec-WebSocket-Protocol", ["chat"]),
        ("Sec-WebSocket-Protocol", []),
    ],
)
def test_a_websocket_that_is_not_as_it_must_be(name: str, values: list[str]) -> None:
    fields = Fields.of(write_request("proxy", KEY))
    fields[name] = values
    with pytest.raises(ProtocolError) as caught:
        choose(fields.values)
    assert caught.value.code == "WIRE-UPGRADE"


@pytest.mark.parametrize(
    "lines",
    [
        "Upgrade: websocket",
        "Upgrade: websocket\r\nSec-WebSocket-Accept: wrong",
        f"Upgrade: websocket\r\nSec-WebSocket-Accept: {accept_of(KEY)}",
        f"Upgrade: websocket\r\nSec-WebSocket-Accept: {accept_of(KEY)}\r\nSec-WebSocket-Protocol: alpn",
        f"Upgrade: websocket\r\nSec-WebSocket-Accept: {accept_of(KEY)}\r\nSec-WebSocket-Protocol: alpn-ping"
        "\r\nSec-WebSocket-Extensions: permessage-deflate",
        "Upgrade: alpn",
        "Upgrade: h2c\r\nX-Teleport-Upgrade: alpn-ping",
        "A: b",
    ],
)
def test_answers_that_fit_no_request(lines: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_answer(read_head(f"HTTP/1.1 101 Yes\r\n{lines}\r\n\r\n".encode()), KEY)
    assert caught.value.code == "WIRE-UPGRADE"
