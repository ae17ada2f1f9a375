"""A stream of a tunnel, beyond what every Stream does (test_stream_compliance.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from teleport.base.errors import TeleportError
from teleport.net.memory import memory_pair
from teleport.net.relay import Relay
from teleport.net.stream import Stream
from teleport.net.tunnel import Tunnel
from teleport.net.tunnel_stream import LINGER, TunnelStream
from teleport.wire.mux import POOL, WINDOW
from tests.support.check_stream import MakePair, cancelled, pattern, read_all, read_exactly, start, stuck_writer
from tests.support.pairs import eager, in_memory, socket_pair, tcp_pair, tls, tunnelled
from tests.support.virtual_loop import run


@asynccontextmanager
async def streams(delay: float = 0.0) -> AsyncIterator[tuple[TunnelStream, TunnelStream, Tunnel]]:
    """A pair of streams, and the tunnel of the first."""
    a, b = memory_pair(delay=delay)
    near, far = Tunnel(a), Tunnel(b)

    async def answer() -> TunnelStream:
        return await (await anext(far.accept())).answer()

    ours, theirs = await asyncio.gather(near.dial(b""), answer())
    assert isinstance(ours, TunnelStream)
    try:
        yield ours, theirs, near
    finally:
        await asyncio.gather(near.close(), far.close())


async def failed(work: Awaitable[Any]) -> tuple[str, str]:
    with pytest.raises(TeleportError) as caught:
        await work
    return caught.value.code, caught.value.fields.get("reason", "")


def test_reads_take_what_they_want_of_frames() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, _):
            reading = await start(theirs.read(10))
            await ours.write(pattern(100_000))
            found = await reading
            while len(found) < 100_000:
                found += await theirs.read(33_333)
            assert found == pattern(100_000)

    run(main())


def test_what_a_writer_changes_afterwards_is_not_sent() -> None:
    async def main() -> None:
        async with streams(delay=0.1) as (ours, theirs, _):
            data = bytearray(b"before")
            await ours.write(data)
            data[:] = b"after!"
            await ours.write(memoryview(data))
            data[:] = b"later!"
            assert await read_exactly(theirs, 12) == b"beforeafter!"

    run(main())


@pytest.mark.parametrize("carrier", [in_memory, eager, tls(tcp_pair)])
@pytest.mark.parametrize("size", [60_000, 70_000, 100_000, 300_000])
def test_writer_goes_on_however_much_the_carrier_takes_at_once(carrier: MakePair, size: int) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), tunnelled(carrier)() as (ours, theirs):
            reading = await start(read_exactly(theirs, 20 * size))
            for _ in range(20):
                await ours.write(pattern(size))
            assert await reading == pattern(size) * 20

    asyncio.run(main())


def test_end_is_said_once_and_nothing_follows() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, _):
            await ours.write(b"")
            await ours.write_eof()
            await ours.write_eof()
            assert await failed(ours.write(b"x")) == ("NET-RESET", "the end was written before")
            assert await read_all(theirs) == b""
            await theirs.write(b"answer")
            assert await read_exactly(ours, 6) == b"answer"

    run(main())


def test_end_follows_what_is_still_queued() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, _):
            writing = await start(ours.write(pattern(1 << 20)))
            await ours.write_eof()
            assert await read_all(theirs) == pattern(1 << 20)
            assert await failed(writing) == ("NET-RESET", "the end was written before")

    run(main())


def test_reset_is_no_end() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, tunnel):
            await ours.write(b"half of it")
            await tunnel.ping()
            ours.reset()
            ours.reset()
            await tunnel.ping()
            assert await failed(theirs.read()) == ("NET-RESET", "the other end reset it")
            assert await failed(theirs.write(b"x")) == ("NET-RESET", "the other end reset it")
            assert (await failed(ours.read()))[0] == "NET-CLOSED"
            await theirs.close()
            assert tunnel.streams == 0

    run(main())


def test_peer_that_closes_has_ended_and_wants_no_more() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, tunnel):
            await ours.write(b"last words")
            await ours.close()
            await tunnel.ping()
            assert await read_all(theirs) == b"last words"
            assert await failed(theirs.write(b"x")) == ("NET-RESET", "the other end closed it")

    run(main())


def test_close_beside_a_writer_is_a_reset() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, _):
            writing = await stuck_writer(ours)
            await ours.close()
            assert (await failed(writing))[0] == "NET-CLOSED"
            assert (await failed(read_all(theirs)))[0] == "NET-RESET"

    run(main())


def test_small_pieces_are_joined_while_they_wait() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, tunnel):
            for number in range(500):
                await ours.write(b"%04d" % number)
                await tunnel.ping()
            assert theirs._chunks is not None
            assert len(theirs._chunks) == 2
            assert await read_exactly(theirs, 2000) == b"".join(b"%04d" % number for number in range(500))

    run(main())


def test_closed_stream_that_nobody_reads_is_given_up() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, tunnel):
            await ours.write(bytes(WINDOW))
            await ours.write(b"more than the credit")
            await ours.close()
            await asyncio.sleep(LINGER - 1)
            assert tunnel.streams == 1
            await asyncio.sleep(2)
            assert tunnel.streams == 0
            assert await failed(read_all(theirs)) == ("NET-RESET", "the other end does not read")

    run(main())


def test_reader_that_stalls_holds_a_window_and_no_more() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, tunnel):
            writing = await stuck_writer(ours)
            assert theirs._size == WINDOW
            await read_exactly(theirs, 8 << 20)
            assert theirs._size <= 2 << 20
            await cancelled(writing)
            await theirs.close()
            await tunnel.ping()
            assert tunnel._mux._pool == POOL

    run(main())


async def relayed(client: Stream, target: Stream) -> None:
    """Send small and large messages through a tunnel to a socket, and let that echo all of it."""

    async def echo() -> None:
        while data := await target.read():
            await target.write(data)
        await target.write_eof()

    async def send() -> None:
        for number in range(100):
            await client.write(pattern(60_000) if number % 20 == 0 else b"%09d" % number)
            if number % 3 == 0:
                await asyncio.sleep(0)
        await client.write_eof()

    expected = b"".join(pattern(60_000) if number % 20 == 0 else b"%09d" % number for number in range(100))
    assert (await asyncio.gather(read_all(client), send(), echo()))[0] == expected


def test_relay_to_a_socket_keeps_every_byte() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, _), socket_pair() as (near, far):
            relay = Relay(theirs, near)
            running = await start(relay.run())
            await relayed(ours, far)
            await running
            assert (relay.sent, relay.received) == (5 * 60_000 + 95 * 9,) * 2

    asyncio.run(main())


def test_relay_to_a_socket_that_takes_no_more() -> None:
    async def main() -> None:
        async with streams() as (ours, theirs, _), socket_pair() as (near, far):
            running = await start(Relay(theirs, near).run())
            await far.write(b"goodbye")
            await far.close()
            assert await read_all(ours) == b"goodbye"
            for size in (10, 100_000):
                await ours.write(bytes(size))
            await ours.write_eof()
            await running

    asyncio.run(main())
