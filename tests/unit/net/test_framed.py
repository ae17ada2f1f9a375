"""Streams in messages: pings, broken carriers, and that nobody waits for each other. The rest is in the suite of all
streams (`test_stream_compliance.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from teleport.base.entropy import SeededEntropy, SystemEntropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.framed import PING_EVERY, FramedStream
from teleport.net.memory import MemoryStream, memory_pair
from teleport.net.stream import Peer
from teleport.wire.framing import LengthFraming
from teleport.wire.websocket import WebSocketFraming
from tests.support import virtual_loop
from tests.support.check_stream import pattern, read_all, read_exactly, start

Story = Callable[[FramedStream, FramedStream], Awaitable[None]]


def websockets(limit: int = 65536) -> tuple[FramedStream, FramedStream]:
    """A server's and a client's end."""
    a, b = memory_pair(limit=limit)
    client = WebSocketFraming(mask=SystemEntropy().token)
    return FramedStream(a, WebSocketFraming(mask=None)), FramedStream(b, client)


def raw_peer() -> tuple[FramedStream, MemoryStream]:
    """A client's end and the carrier at the other."""
    a, b = memory_pair()
    return FramedStream(a, WebSocketFraming(mask=lambda size: bytes(size))), b


def test_pings_are_sent_and_answered() -> None:
    async def run() -> None:
        client, carrier = raw_peer()
        reading = await start(client.read())
        await carrier.write(b"\x89\x08teleport")
        assert await read_exactly(carrier, 14) == b"\x8a\x88" + bytes(4) + b"teleport"
        reading.cancel()
        await client.close()

    asyncio.run(run())


def test_a_server_pings_as_long_as_the_stream_lives() -> None:
    async def run() -> float:
        a, carrier = memory_pair()
        server = FramedStream(a, WebSocketFraming(mask=None))
        server.ping_every(PING_EVERY, SeededEntropy(1))
        assert await read_exactly(carrier, 30) == b"\x89\x08teleport" * 3
        now = asyncio.get_running_loop().time()
        await server.close()
        assert await read_all(carrier) == b"\x88\x02\x03\xe8"
        return now

    assert 60 < virtual_loop.run(run()) <= 90


def test_old_pings_are_not_answered() -> None:
    async def run() -> None:
        a, carrier = memory_pair()
        client = FramedStream(a, LengthFraming())
        await carrier.write(bytes(8) + b"\0\0\0\2hi")
        assert await client.read() == b"hi"
        await client.write(b"x")
        assert await read_exactly(carrier, 5) == b"\0\0\0\1x"
        await client.close()
        assert await read_all(carrier) == b""

    asyncio.run(run())


def test_answers_to_pings_hold_nobody_back() -> None:
    """Both sides write more than fits before they read, and both are pinged meanwhile."""

    async def run() -> None:
        server, client = websockets(limit=1000)
        data = pattern(1 << 18)
        for end in (server, client):
            end.ping_every(0.001, SeededEntropy(1))

        async def send(end: FramedStream) -> None:
            await end.write(data)
            await end.write_eof()

        got = await asyncio.gather(send(server), send(client), read_all(server), read_all(client))
        assert got[2] == got[3] == data
        await server.close()
        await client.close()

    asyncio.run(run())


def test_only_the_last_of_many_pings_is_answered() -> None:
    async def run() -> None:
        client, carrier = raw_peer()
        await carrier.write(b"".join(b"\x89\x01%d" % digit for digit in range(10)) + b"\x82\x01x")
        assert await client.read() == b"x"
        assert await read_exactly(carrier, 7) == b"\x8a\x81" + bytes(4) + b"9"
        await client.close()

    asyncio.run(run())


def test_a_carrier_that_ends_without_the_message_for_it() -> None:
    async def run() -> None:
        client, carrier = raw_peer()
        await carrier.write(b"\x82\x05half")
        await carrier.write_eof()
        assert await client.read() == b"half"
        with pytest.raises(Unavailable) as caught:
            await client.read()
        assert caught.value.code == "NET-FRAMES-CUT"
        with pytest.raises(Unavailable):
            await client.write(b"x")
        await client.close()

    asyncio.run(run())


def test_bytes_that_break_the_protocol_end_the_stream() -> None:
    async def run() -> None:
        client, carrier = raw_peer()
        await carrier.write(b"\x81\x02hi")
        with pytest.raises(TeleportError) as caught:
            await client.read()
        assert caught.value.code == "WIRE-WEBSOCKET"
        with pytest.raises(Unavailable):
            await carrier.read()
        await client.close()

    asyncio.run(run())


def test_a_peer_that_closes_ends_reading_alone() -> None:
    async def run() -> None:
        client, carrier = raw_peer()
        await carrier.write(b"\x88\x02\x03\xe8")
        assert await client.read() == await client.read() == b""
        await client.write(b"x")
        assert await read_exactly(carrier, 7) == b"\x82\x81" + bytes(4) + b"x"
        await client.write_eof()
        await client.write_eof()
        with pytest.raises(Unavailable):
            await client.write(b"y")
        await client.close()
        assert await read_all(carrier) == b"\x88\x82" + bytes(4) + b"\x03\xe8"

    asyncio.run(run())


def test_facts_about_the_peer() -> None:
    async def run() -> None:
        a, _ = memory_pair()
        stream = FramedStream(a, LengthFraming(), peer=Peer(address="192.0.2.1:5"))
        assert stream.peer.address == "192.0.2.1:5"
        stream.know(Peer(address="192.0.2.2:6"))
        assert stream.peer.address == "192.0.2.2:6"
        await stream.close()

    asyncio.run(run())
