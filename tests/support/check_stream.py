"""check_stream: what every Stream must do, whatever is underneath.

`check_stream(make_pair)` runs all checks, each on a fresh pair; `make_pair` is an async context manager that
yields two connected streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from teleport.base.errors import Internal, Unavailable
from teleport.net.stream import Stream, hand_on, write_now

MakePair = Callable[[], contextlib.AbstractAsyncContextManager[tuple[Stream, Stream]]]
Check = Callable[[Stream, Stream], Awaitable[None]]

BIG = 4 << 20
_LIMIT = 30.0


async def read_exactly(stream: Stream, size: int) -> bytes:
    """Read `size` bytes; fails at an early end."""
    data = bytearray()
    while len(data) < size:
        more = await stream.read(min(size - len(data), 1 << 18))
        assert more, f"ended after {len(data)} of {size} bytes"
        data += more
    return bytes(data)


async def read_all(stream: Stream, limit: int = 65536) -> bytes:
    """Read to the end."""
    parts = []
    while data := await stream.read(limit):
        assert len(data) <= limit
        parts.append(data)
    return b"".join(parts)


def pattern(size: int) -> bytes:
    """Bytes whose every part differs from the parts before."""
    block = b"".join(number.to_bytes(4, "big") for number in range(16384))
    return (block * (size // len(block) + 1))[:size]


async def start(work: Awaitable[Any]) -> asyncio.Task[Any]:
    """Start `work` and let it come to its first wait."""
    task = asyncio.get_running_loop().create_task(_await(work))
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def _await(work: Awaitable[Any]) -> Any:
    return await work


async def stuck_writer(stream: Stream) -> asyncio.Task[Any]:
    """Start a writer and wait until it is held back."""
    task = await start(stream.write(pattern(4 * BIG)))
    done, _ = await asyncio.wait([task], timeout=0.2)
    assert not done, "nothing held the writer back"
    return task


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def check_echo(a: Stream, b: Stream) -> None:
    await a.write(b"hello")
    assert await read_exactly(b, 5) == b"hello"
    await b.write(b"")
    await b.write(b"world")
    assert await read_exactly(a, 5) == b"world"
    await a.write(b"abcdef")
    assert await b.read(2) == b"ab"
    assert await read_exactly(b, 4) == b"cdef"


async def check_half_close(a: Stream, b: Stream) -> None:
    await a.write(b"question")
    await a.write_eof()
    assert await read_all(b) == b"question"
    assert await b.read() == b""

    async def answer() -> None:
        await b.write(b"answer" * 5000)
        await b.write_eof()

    assert (await asyncio.gather(answer(), read_all(a)))[1] == b"answer" * 5000
    assert await a.read() == b""


async def check_half_close_while_the_other_side_sends(a: Stream, b: Stream) -> None:
    data = pattern(BIG)
    sender = await start(b.write(data))
    assert await read_exactly(a, 100) == data[:100]
    await a.write_eof()
    assert await read_exactly(a, BIG - 100) == data[100:]
    await sender
    assert await b.read() == b""
    await b.write_eof()
    assert await a.read() == b""


async def check_large_writes_both_ways(a: Stream, b: Stream) -> None:
    data = pattern(BIG)

    async def send(stream: Stream) -> None:
        await stream.write(data)
        await stream.write_eof()

    results = await asyncio.gather(send(a), send(b), read_all(a), read_all(b, 1000003))
    assert results[2] == data
    assert results[3] == data


async def check_back_pressure(a: Stream, b: Stream) -> None:
    task = await stuck_writer(a)
    assert await read_exactly(b, 4 * BIG) == pattern(4 * BIG)
    await task


async def check_cancelled_read_loses_nothing(a: Stream, b: Stream) -> None:
    for number in range(20):
        task = await start(b.read())
        await a.write(b"%02d" % number)
        if number % 2:
            await asyncio.sleep(0)
        task.cancel()
        try:
            data = await task
        except asyncio.CancelledError:
            data = b""
        assert data + await read_exactly(b, 2 - len(data)) == b"%02d" % number


async def check_cancelled_write_keeps_usable_or_breaks(a: Stream, b: Stream) -> None:
    """Part of the data is under way: the peer must not see a clean end after it."""
    await cancelled(await stuck_writer(a))
    with pytest.raises(Unavailable):
        await a.write(b"more")
    await a.close()
    if getattr(getattr(a, "sock", None), "family", None) == socket.AF_UNIX:
        assert len(await read_all(b)) < 4 * BIG  # such a socket cannot tell a reset from an end
        return
    with pytest.raises(Unavailable):
        await read_all(b)


async def check_close_wakes_a_reader_and_a_writer(a: Stream, b: Stream) -> None:
    reader, writer = await start(a.read()), await stuck_writer(a)
    await a.close()
    for task in (reader, writer):
        with pytest.raises(Unavailable):
            await task


async def check_end_by_close(a: Stream, b: Stream) -> None:
    await a.write(b"last words")
    await a.close()
    await a.close()
    assert await read_all(b) == b"last words"
    for use in (a.read(), a.write(b"x"), a.write_eof()):
        with pytest.raises(Unavailable):
            await use


async def check_write_after_the_peer_closed_fails(a: Stream, b: Stream) -> None:
    await b.close()

    async def write_on() -> None:
        for _ in range(1000):
            await a.write(b"x" * 65536)

    with pytest.raises(Unavailable):
        await write_on()


async def check_one_reader_and_one_writer(a: Stream, b: Stream) -> None:
    reader, writer = await start(a.read()), await stuck_writer(a)
    with pytest.raises(Internal):
        await a.read()
    with pytest.raises(Internal):
        await a.write(b"x")
    await cancelled(reader)
    await cancelled(writer)


async def check_a_sink_and_readers_get_everything_in_order(a: Stream, b: Stream) -> None:
    """A sink takes some of what comes while a read waits, if the stream has that at all; the reader gets the rest."""
    size, got = 200_000, bytearray()

    def sink(data: bytes | memoryview) -> int:
        taken = len(data) * (len(got) % 3) // 2
        got.extend(data[:taken])
        return taken

    async def read() -> None:
        hand_on(b, sink)
        while data := await b.read(10_000):
            got.extend(data)

    reading = await start(read())
    sent = 0
    for part in itertools.cycle([1, 64, 900, 5000, 40_000]):
        data = pattern(size)[sent : sent + part]
        now = write_now(a)(data)
        await a.write(data[now:])
        sent += len(data)
        if sent == size:
            break
        await asyncio.sleep(0)
    await a.write_eof()
    await reading
    assert got == pattern(size)
    hand_on(b, None)


async def check_others_run_beside_a_busy_stream(a: Stream, b: Stream) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counter = await start(count())
    for _ in range(300):
        await a.write(b"x")
        await read_exactly(b, 1)
    assert turns >= 5
    await cancelled(counter)


CHECKS: tuple[Check, ...] = (
    check_echo,
    check_half_close,
    check_half_close_while_the_other_side_sends,
    check_large_writes_both_ways,
    check_back_pressure,
    check_cancelled_read_loses_nothing,
    check_cancelled_write_keeps_usable_or_breaks,
    check_close_wakes_a_reader_and_a_writer,
    check_end_by_close,
    check_write_after_the_peer_closed_fails,
    check_one_reader_and_one_writer,
    check_a_sink_and_readers_get_everything_in_order,
    check_others_run_beside_a_busy_stream,
)


async def check(make_pair: MakePair, one: Check) -> None:
    """Run one check on a fresh pair, within a limit of time."""
    async with asyncio.timeout(_LIMIT), make_pair() as (a, b):
        await one(a, b)


def check_stream(make_pair: MakePair) -> None:
    """Run all checks."""
    for one in CHECKS:
        asyncio.run(check(make_pair, one))


@contextlib.asynccontextmanager
async def closing(*streams: Stream) -> AsyncIterator[tuple[Stream, ...]]:
    """Close the streams at the end."""
    try:
        yield streams
    finally:
        for stream in streams:
            await stream.close()
