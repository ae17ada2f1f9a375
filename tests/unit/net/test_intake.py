"""The short way from a socket: a sink gets what comes while a read waits, and the reader only what is left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from teleport.base.errors import TeleportError
from teleport.net.intake import MOST, Intake
from teleport.net.readiness import Readiness
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Stream, hand_on, write_now
from tests.support.check_stream import cancelled, pattern, read_exactly, start
from tests.support.pairs import MakePair, dialled, tcp_pair, tls

SOCKETS: list[MakePair] = [tcp_pair, tls(tcp_pair)]
both = pytest.mark.parametrize("pair", SOCKETS, ids=["plain", "tls"])


class Taken:
    """A sink that takes `most` bytes at a time, and says when it did."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.data = b""
        self.changed = asyncio.Event()

    def __call__(self, data: bytes | memoryview) -> int:
        taken = bytes(data[: self.most])
        self.data += taken
        self.changed.set()
        return len(taken)

    async def until(self, size: int) -> None:
        async with asyncio.timeout(60):
            while len(self.data) < size:
                self.changed.clear()
                await self.changed.wait()


@both
def test_reader_sleeps_while_a_sink_takes_everything(pair: MakePair) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            hand_on(b, sink := Taken())
            reading = await start(b.read())
            for number in range(1, 6):
                await a.write(b"some bytes")
                await sink.until(10 * number)
            assert not reading.done()
            hand_on(b, None)
            await a.write(b"for the reader")
            assert await reading == b"for the reader"
            assert sink.data == b"some bytes" * 5

    asyncio.run(main())


@both
def test_reader_gets_what_the_sink_leaves(pair: MakePair) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            hand_on(b, sink := Taken(4))
            reading = await start(b.read(3))
            await a.write(b"sinkreader")
            assert (await reading, await b.read(), sink.data) == (b"rea", b"der", b"sink")

    asyncio.run(main())


@both
def test_nothing_is_handed_on_while_nobody_reads(pair: MakePair) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            hand_on(b, sink := Taken())
            reading = await start(b.read())
            await cancelled(reading)
            await a.write(pattern(50_000))
            await asyncio.sleep(0)
            hand_on(b, None)
            assert await read_exactly(b, 50_000) == pattern(50_000)
            assert sink.data == b""

    asyncio.run(main())


@both
def test_more_than_is_taken_at_a_time(pair: MakePair) -> None:
    """TLS may hold decrypted bytes then, of which no event of the socket tells."""

    async def main() -> None:
        async with pair() as (a, b):
            hand_on(b, sink := Taken())
            got = b""

            async def read() -> None:
                nonlocal got
                while data := await b.read(MOST):
                    got += data
                    sink(data)

            reading = await start(read())
            size = 5 * MOST + 7
            await a.write(pattern(size))
            await a.write_eof()
            await sink.until(size)
            await reading
            assert sink.data == pattern(size)

    asyncio.run(main())


@both
def test_end_and_break_are_the_readers(pair: MakePair) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            hand_on(b, Taken())
            reading = await start(b.read())
            await a.write_eof()
            assert await reading == b"" == await b.read()
            hand_on(a, Taken())
            reading = await start(a.read())
            b.reset()  # type: ignore[attr-defined]
            for attempt in (reading, a.read()):
                with pytest.raises(TeleportError):
                    await attempt

    asyncio.run(main())


@both
@pytest.mark.parametrize("size", [1, 16_384, 20_000, 65_536, MOST])
def test_end_that_comes_together_with_data(pair: MakePair, size: int) -> None:
    """What follows the data was taken from the socket with it, and no event tells of it any more."""

    async def main() -> None:
        async with asyncio.timeout(60), pair() as (a, b):
            hand_on(b, sink := Taken())
            reading = await start(b.read(2 * MOST))
            await a.write(pattern(size))
            await a.write_eof()  # both are there before the other end has a turn, unless the socket was full
            while data := await reading:
                sink(data)
                reading = await start(b.read(2 * MOST))
            assert sink.data == pattern(size)

    asyncio.run(main())


def test_defect_of_a_sink_reaches_the_reader() -> None:
    def sink(data: bytes | memoryview) -> int:
        raise ValueError("defect")

    async def main() -> None:
        async with dialled("127.0.0.1:0") as (a, b):
            hand_on(b, sink)
            reading = await start(b.read())
            await a.write(b"x")
            with pytest.raises(ValueError, match="defect"):
                await reading

    asyncio.run(main())


@contextlib.asynccontextmanager
async def plain() -> AsyncIterator[tuple[socket.socket, Readiness, Intake]]:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        ready = Readiness(near, "here")
        yield far, ready, Intake(ready, near.recv)
        ready.close()


def test_others_who_wait_for_the_socket_are_woken_too() -> None:
    """TLS may have to read before it can write."""

    async def main() -> None:
        async with plain() as (far, ready, intake):
            intake.sink = sink = Taken()
            reading, other = await start(intake.read(9)), await start(ready.readable())
            far.send(b"bytes")
            async with asyncio.timeout(60):
                await other
                assert await reading == b"bytes"
            assert sink.data == b""

    asyncio.run(main())


def test_sink_that_is_taken_away_while_a_read_waits() -> None:
    async def main() -> None:
        async with plain() as (far, _, intake):
            intake.sink = sink = Taken()
            reading = await start(intake.read(9))
            intake.sink = None
            far.send(b"bytes")
            assert (await reading, sink.data) == (b"bytes", b"")

    asyncio.run(main())


@both
def test_write_now_sends_what_there_is_room_for(pair: MakePair) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            now, data, sent = write_now(a), pattern(32 << 20), 0
            while count := now(data[sent : sent + 262144]):
                sent += count
            assert 0 < sent < len(data)
            reading = await start(read_exactly(b, sent + 262144))
            await a.write(data[sent : sent + 262144])
            assert await reading == data[: sent + 262144]
            await a.close()
            assert now(b"x") == 0

    asyncio.run(main())


def test_write_now_leaves_what_is_wrong_to_write() -> None:
    async def main() -> None:
        async with tcp_pair() as (a, b):
            assert isinstance(b, SocketStream)
            b.reset()
            with pytest.raises(TeleportError):
                await a.read()
            assert write_now(a)(b"x") == 0
            with pytest.raises(TeleportError):
                await a.write(b"x")

    asyncio.run(main())


def test_streams_without_the_short_way_go_on_as_before() -> None:
    class Plain:
        pass

    stream: Stream = Plain()  # type: ignore[assignment]
    hand_on(stream, Taken())
    assert write_now(stream)(b"x") == 0
