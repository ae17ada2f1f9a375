"""The client's side of the connection upgrade: when it is needed, and what the answers to it mean."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from teleport.base.entropy import SeededEntropy, SystemEntropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.memory import memory_pair
from teleport.net.peek import peekable
from teleport.net.router import NO_APPLICATION_PROTOCOL, refuse
from teleport.net.tls import server_handshake
from teleport.net.upgrade import is_needed, upgrade
from teleport.wire.connection_upgrade import Upgraded, make_key, write_answer
from tests.support.check_stream import read_exactly
from tests.support.tls import authority

KEY = make_key(SeededEntropy(1).token(16))


def probed(alpn: Sequence[str]) -> bool:
    """Probe a TLS server that selects one of these protocols."""

    async def run() -> bool:
        ours, theirs = memory_pair()

        async def serve() -> None:
            try:
                stream = await server_handshake(theirs, authority().server(alpn=alpn))
            except TeleportError:
                return
            await stream.close()

        return (await asyncio.gather(is_needed(ours, "proxy.example"), serve()))[0]

    return asyncio.run(run())


def test_a_proxy_selects_our_protocol() -> None:
    assert not probed(["http/1.1", "teleport-reversetunnel"])


@pytest.mark.parametrize("alpn", [[], ["http/1.1", "h2"]])
def test_a_balancer_does_not(alpn: list[str]) -> None:
    assert probed(alpn)


@pytest.mark.parametrize(("answer", "needed"), [("alert", True), ("SSH-2.0-x\r\n", False), ("", False)])
def test_what_does_not_shake_hands(answer: str, needed: bool) -> None:
    async def run() -> bool:
        ours, theirs = memory_pair()

        async def serve() -> None:
            if answer == "alert":
                await refuse(peekable(theirs), NO_APPLICATION_PROTOCOL)
            else:
                await theirs.write(answer.encode())
            await theirs.close()

        return (await asyncio.gather(is_needed(ours, "proxy.example"), serve()))[0]

    assert asyncio.run(run()) is needed


@pytest.mark.parametrize(("kind", "frame"), [("websocket", b"\x82\x85"), ("alpn-ping", b"\0\0\0\5h")])
def test_framed_upgrades(kind: str, frame: bytes) -> None:
    async def run() -> None:
        ours, theirs = memory_pair()
        await theirs.write(write_answer(Upgraded(kind, pinged=True), KEY))
        stream = await upgrade(ours, "proxy.example:443", _Keyed())
        request = await theirs.read()
        assert request.startswith(b"GET /webapi/connectionupgrade HTTP/1.1\r\nHost: proxy.example:443\r\n")
        assert stream.peer.address == "proxy.example:443"
        await stream.write(b"hello")
        assert (await read_exactly(theirs, len(frame))) == frame
        await stream.close()

    asyncio.run(run())


class _Keyed:
    """The key of the request is known; everything else is random."""

    def token(self, size: int) -> bytes:
        return SeededEntropy(1).token(16) if size == 16 else SystemEntropy().token(size)


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (b"502 Bad Gateway\r\nServer: nginx/1.22.1", "NET-502-BACKEND-HTTP", "(nginx/1.22.1) at proxy.example:443"),
        (b"503 Service Unavailable", "NET-502-BACKEND-HTTP", "answered 503"),
        (b"504 Late", "NET-502-BACKEND-HTTP", 'backend-protocol: "HTTPS"'),
        (b"400 Bad Request\r\nX-Teleport-Error: NET-PLAIN-HTTP", "NET-502-BACKEND-HTTP", "plain HTTP"),
        (b"404 Not Found", "NET-UPGRADE-UNKNOWN", "call to proxy.example:443 failed with status code 404"),
        (b"404 Not Found", "NET-UPGRADE-UNKNOWN", "Please upgrade the server and try again"),
        (b"400 Bad Request\r\nServer: Teleport", "NET-ALPN-STRIPPED", "(Teleport) at proxy.example:443 ends TLS"),
        (b"200 OK", "NET-ALPN-STRIPPED", "it answered a request for a WebSocket with 200 OK"),
        (b"101 Yes\r\nUpgrade: h2c", "NET-ALPN-STRIPPED", "the server switched to something else"),
        (b"x", "NET-ALPN-STRIPPED", "not an answer of HTTP/1.1"),
    ],
)  # fmt: skip
def test_s0_39_answers_that_are_no_upgrade(answer: bytes, code: str, says: str) -> None:
    """S0-39: the error names the cause, and nothing hangs."""

    async def run() -> None:
        ours, theirs = memory_pair()
        await theirs.write(b"HTTP/1.1 " + answer + b"\r\n\r\n")
        with pytest.raises(Unavailable) as caught:
            await upgrade(ours, "proxy.example:443", SystemEntropy())
        assert caught.value.code == code
        assert says in f"{caught.value.what} {caught.value.why} {caught.value.fix}"
        await ours.close()

    asyncio.run(run())
