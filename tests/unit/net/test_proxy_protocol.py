"""PROXY headers before a connection: every mode, every order, split anywhere, and what the log says of them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from teleport.base.clock import ManualClock
from teleport.base.errors import AccessDenied, TeleportError
from teleport.base.log import logger
from teleport.net.memory import memory_pair
from teleport.net.network import SystemNetwork
from teleport.net.proxy_protocol import Mode, ProxyProtocol, introduction, shown
from teleport.net.stream import Peer, Stream
from teleport.pki.client_address import ENTRY
from teleport.wire.proxy_header import Endpoint, ProxyHeader, build_local, build_v1, build_v2, parse
from tests.support import virtual_loop

CLIENT, TARGET = Endpoint("203.0.113.9", 5001), Endpoint("10.0.0.1", 3080)
V1, V2 = build_v1(CLIENT, TARGET), build_v2(CLIENT, TARGET)
SIGNED = build_v2(Endpoint("198.51.100.4", 77), TARGET, ((ENTRY, b"good"),))
FORGED = build_v2(Endpoint("198.51.100.4", 77), TARGET, ((ENTRY, b"bad"),))
V6 = build_v2(Endpoint("2001:db8::9", 5001), Endpoint("::1", 1))
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


async def verify(header: ProxyHeader) -> None:
    if dict(header.entries)[ENTRY] != b"good":
        raise AccessDenied("PKI-CLIENT-ADDRESS", problem="it is forged")


def gate(mode: Mode, *, clock: ManualClock | None = None, verifying: bool = True, timeout: float = 10) -> ProxyProtocol:
    return ProxyProtocol(
        mode, clock=clock or ManualClock(START), log=logger("TEST"), verify=verify if verifying else None,
        timeout=timeout,
    )  # fmt: skip


def arrive(mode: Mode, data: bytes, *, verifying: bool = True, piece: int = 0) -> tuple[str, bytes] | None:
    """Send bytes and the end; return the client's address and what is left of the bytes, None for a refusal."""

    async def story() -> tuple[str, bytes] | None:
        near, far = memory_pair(peers=(Peer("192.0.2.1:9"), Peer("192.0.2.2:3080")))

        async def send() -> None:
            for start in range(0, len(data), piece or len(data) or 1):
                await far.write(data[start : start + (piece or len(data))])
                await asyncio.sleep(0)
            await far.write_eof()

        sending = asyncio.get_running_loop().create_task(send())
        arrived = await gate(mode, verifying=verifying).receive(near)
        await sending
        if arrived is None:
            return None
        rest = b""
        while part := await arrived.read():
            rest += part
        return arrived.peer.address, rest

    return virtual_loop.run(story())


def fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = vars(record)["fields"]
    return found


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what the log says: level and code of each line."""

    def read() -> list[str]:
        lines = [f"{record.levelname} {fields(record)['error'].code}" for record in caplog.records]
        caplog.clear()
        return lines

    return read


BEHIND = "203.0.113.9:5001"
DIRECT = "192.0.2.1:9"
UNKNOWN = b"PROXY UNKNOWN\r\n"
UNKNOWN_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0"


@pytest.mark.parametrize("version", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize(("mode", "address"), [("on", BEHIND), ("", "203.0.113.9:0")])
def test_a_header_says_who_the_client_is(mode: Mode, address: str, version: bytes) -> None:
    """Unless the mode is set, the port is 0: nothing that must be proven may rest on the address."""
    assert arrive(mode, version + b"hello") == (address, b"hello")


def test_ipv6_and_ipv4_inside() -> None:
    assert arrive("on", V6 + b"x") == ("[2001:db8::9]:5001", b"x")
    inside = build_v2(Endpoint("::ffff:203.0.113.9", 5), Endpoint("::1", 1))
    assert arrive("on", inside + b"x") == ("203.0.113.9:5", b"x")


@pytest.mark.parametrize("header", [build_local(), UNKNOWN, UNKNOWN_2], ids=["local", "unknown_1", "unknown_2"])
@pytest.mark.parametrize("mode", ["on", ""])
def test_a_balancer_that_speaks_for_itself_keeps_its_address(mode: Mode, header: bytes) -> None:
    assert arrive(mode, header + b"hello") == (DIRECT, b"hello")


@pytest.mark.parametrize("mode", ["off", ""])
@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"SSH-2.0-x", b"PRI * HTTP/2.0", b"POST / ", b"\r\n"])
def test_without_a_header_nothing_is_taken(mode: Mode, data: bytes) -> None:
    assert arrive(mode, data + b"-" * 9) == (DIRECT, data + b"-" * 9)


def test_unset_a_header_is_told_of_as_an_error(said: Callable[[], list[str]]) -> None:
    arrive("", V2 + b"x")
    assert said() == ["ERROR NET-PROXY-UNSET"]
    arrive("on", V2 + b"x")
    arrive("", SIGNED + b"x")
    assert said() == []


REFUSED = [
    ("off", V1 + b"x", "NET-PROXY-OFF"),
    ("off", V2 + b"x", "NET-PROXY-OFF"),
    ("off", build_local() + b"x", "NET-PROXY-OFF"),
    ("off", SIGNED + V2 + b"x", "NET-PROXY-ORDER"),
    ("on", b"\x16\x03\x01\0\0", "NET-PROXY-MISSING"),
    ("on", V1 + V1 + b"x", "NET-PROXY-TWICE"),
    ("on", V1 + V2 + b"x", "NET-PROXY-TWICE"),
    ("on", build_local() + V2 + b"x", "NET-PROXY-TWICE"),
    ("on", V2 + SIGNED + SIGNED + b"x", "NET-PROXY-TWICE"),
    ("on", SIGNED + V1 + b"x", "NET-PROXY-ORDER"),
    ("on", FORGED + b"x", "PKI-CLIENT-ADDRESS"),
    ("on", V2 + FORGED + b"x", "PKI-CLIENT-ADDRESS"),
    ("off", FORGED + b"x", "PKI-CLIENT-ADDRESS"),
    ("on", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n", "WIRE-PROXY-HEADER"),
    ("on", b"PROXY TCP4 " + b"1" * 200, "WIRE-PROXY-HEADER"),
    ("on", V1[:-1] + b"x" * 200, "WIRE-PROXY-HEADER"),
    ("on", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", "WIRE-PROXY-HEADER"),
    ("on", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "WIRE-PROXY-HEADER"),
    ("on", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab", "WIRE-PROXY-HEADER"),
]


@pytest.mark.parametrize(("mode", "data", "code"), REFUSED)
@pytest.mark.parametrize("piece", [0, 1])
def test_refusals_are_told_with_their_code(
    mode: Mode, data: bytes, code: str, piece: int, said: Callable[[], list[str]]
) -> None:
    assert arrive(mode, data, piece=piece) is None
    assert said() == [f"WARNING {code}"]


@pytest.mark.parametrize("header", [V1, V2, SIGNED, V6, build_local()])
def test_half_of_a_header_is_told(header: bytes, said: Callable[[], list[str]]) -> None:
    for cut in range(1, len(header)):
        assert arrive("on", header[:cut]) is None
        assert said() == ["WARNING WIRE-PROXY-HEADER"]


@pytest.mark.parametrize("data", [V1 + SIGNED + b"hello", V6 + SIGNED + b"hello", SIGNED + b"hello"])
def test_split_anywhere_it_is_the_same(data: bytes) -> None:
    for piece in (1, 2, 3, 7, 11, 16, 40):
        assert arrive("on", data, piece=piece) == ("198.51.100.4:77", b"hello")


@pytest.mark.parametrize("mode", ["on", "off", ""])
def test_a_signed_header_wins_in_every_mode(mode: Mode) -> None:
    assert arrive(mode, SIGNED + b"hello") == ("198.51.100.4:77", b"hello")
    if mode != "off":
        assert arrive(mode, V2 + SIGNED + b"hello") == ("198.51.100.4:77", b"hello")


def test_who_knows_no_proxy_believes_none(said: Callable[[], list[str]]) -> None:
    assert arrive("", SIGNED + b"x", verifying=False) is None
    assert said() == ["WARNING PKI-CLIENT-ADDRESS"]


def test_who_says_nothing_is_no_matter_of_headers(said: Callable[[], list[str]]) -> None:
    for mode in ("on", "off", ""):
        with pytest.raises(TeleportError) as caught:
            arrive(mode, b"")
        assert caught.value.code == "NET-PROTOCOL"
    assert said() == []


@pytest.mark.parametrize("sent", [b"", b"P", V1[:-1], V2[:-1], V2 + b"P"])
@pytest.mark.parametrize("timeout", [2.0, 30.0])
def test_slow_headers_have_an_end(sent: bytes, timeout: float) -> None:
    async def story() -> None:
        near, far = memory_pair()
        await far.write(sent)
        began = asyncio.get_running_loop().time()
        with pytest.raises(TeleportError) as caught:
            await gate("on", timeout=timeout).receive(near)
        assert caught.value.code == "NET-FIRST-BYTES"
        assert asyncio.get_running_loop().time() - began == pytest.approx(min(timeout, 10.0))

    virtual_loop.run(story())


def test_the_same_complaint_is_written_once_in_a_minute(
    said: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        clock = ManualClock(START)
        headers = gate("off", clock=clock)

        async def knock(data: bytes) -> None:
            near, far = memory_pair()
            await far.write(data)
            await far.write_eof()
            assert await headers.receive(near) is None

        for _ in range(30):
            await knock(V2 + b"x")
        await knock(FORGED + b"x")
        assert said() == ["WARNING NET-PROXY-OFF", "WARNING PKI-CLIENT-ADDRESS"]
        clock.advance(dt.timedelta(seconds=61))
        await knock(V2 + b"x")
        assert fields(caplog.records[0])["more_before"] == 29

    virtual_loop.run(story())


@contextlib.contextmanager
def served(mode: Mode) -> Iterator[Callable[[Callable[[str], Awaitable[None]]], None]]:
    """Run a story against a listener on loopback that answers with the client's address."""

    async def answer(stream: Stream) -> None:
        first = await stream.read(5)
        await stream.write(stream.peer.address.encode() + b" " + first)

    def run(story: Callable[[str], Awaitable[None]]) -> None:
        async def body() -> None:
            listener = await SystemNetwork().listen("127.0.0.1:0", gate(mode).before(answer))
            try:
                async with asyncio.timeout(60):
                    await story(listener.address)
            finally:
                await listener.close(0.0)

        asyncio.run(body())

    yield run


async def ask(address: str, *parts: bytes, source: str = "127.0.0.1") -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def test_on_a_socket_the_listener_outlives_what_it_refuses() -> None:
    async def story(address: str) -> None:
        for _, data, _ in REFUSED:
            if data[:1] in (b"P", b"\r"):
                await ask(address, data, source="127.0.0.2")
        for cut in range(1, len(V2)):
            assert await ask(address, V2[:cut], V2[cut:] + b"hello") == b"203.0.113.9:5001 hello"

    with served("on") as run:
        run(story)


def test_on_connections_of_the_host_itself_need_no_header() -> None:
    async def story(address: str) -> None:
        assert (await ask(address, b"hello")).endswith(b" hello")
        assert await ask(address, b"hello", source="127.0.0.2") == b""

    with served("on") as run:
        run(story)


def entry(source: Endpoint, destination: Endpoint) -> tuple[int, bytes]:
    return ENTRY, f"{shown(source)} to {shown(destination)}".encode()


def introduced(client: str, target: str) -> bytes:
    async def story() -> bytes:
        at_client, at_target = memory_pair(peers=(Peer(client), Peer(target)))
        return introduction(at_client, at_target, entry)

    return virtual_loop.run(story())


@pytest.mark.parametrize(
    ("client", "target", "source", "destination"),
    [
        ("203.0.113.9:5", "10.0.0.1:3025", "203.0.113.9", "10.0.0.1"),
        ("[2001:db8::9]:5", "[::1]:3025", "2001:db8::9", "::1"),
        ("[2001:db8::9%2]:5", "10.0.0.1:3025", "2001:db8::9", "::ffff:a00:1"),
        ("203.0.113.9:0", "[::1]:3025", "::ffff:cb00:7109", "::1"),
    ],
)
def test_introductions(client: str, target: str, source: str, destination: str) -> None:
    header = parse(introduced(client, target))
    assert header.source is not None
    assert header.destination is not None
    assert (header.source.host, header.destination.host) == (source, destination)
    assert header.source.port == int(client.rpartition(":")[2])
    assert header.entries == (entry(header.source, header.destination),)


@pytest.mark.parametrize(("client", "target"), [("memory", "10.0.0.1:1"), ("10.0.0.1:1", "unix:/run/x"), ("", "")])
def test_who_has_no_address_is_not_introduced(client: str, target: str) -> None:
    assert introduced(client, target) == b""
