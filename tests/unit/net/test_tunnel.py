"""Tunnels in virtual time: dialling, accepting, pings, the keep-alive, draining, and every way to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from teleport.base.errors import LimitExceeded, TeleportError, TimedOut, Unavailable
from teleport.net.memory import MemoryStream, memory_pair
from teleport.net.stream import Stream
from teleport.net.tunnel import PATIENCE, Call, Tunnel
from teleport.wire import mux_frames as frames
from tests.support.check_stream import cancelled, pattern, read_all, read_exactly, start, stuck_writer
from tests.support.pairs import eager_pair
from tests.support.virtual_loop import current, run

LOST = "NET-TUNNEL-CLOSED"
MakeMemory = Callable[..., tuple[MemoryStream, MemoryStream]]
either_way = pytest.mark.parametrize("pair", [memory_pair, eager_pair], ids=["tasks", "callbacks"])
"""Carriers that wake the tunnel's tasks, and such that hand on what comes and take what goes at once."""


@asynccontextmanager
async def tunnels(
    *, delay: float = 0.0, limit: int = 65536, pair: MakeMemory = memory_pair, **options: float
) -> AsyncIterator[tuple[Tunnel, Tunnel]]:
    a, b = pair(delay=delay, limit=limit)
    near, far = Tunnel(a, **options), Tunnel(b, **options)
    try:
        yield near, far
    finally:
        await asyncio.gather(near.close(), far.close())


async def called(tunnel: Tunnel) -> Call:
    return await anext(tunnel.accept())


async def answered(tunnel: Tunnel) -> Stream:
    return await (await called(tunnel)).answer()


async def opened(near: Tunnel, far: Tunnel, header: bytes = b"") -> tuple[Stream, Stream]:
    return await asyncio.gather(near.dial(header), answered(far))


async def code(work: Awaitable[Any]) -> str:
    with pytest.raises(TeleportError) as caught:
        await work
    return caught.value.code


def carrier(tunnel: Tunnel) -> MemoryStream:
    assert isinstance(tunnel._carrier, MemoryStream)
    return tunnel._carrier


@either_way
def test_both_ends_dial_and_say_what_for(pair: MakeMemory) -> None:
    async def main() -> None:
        async with tunnels(pair=pair) as (near, far):
            for one, other in ((near, far), (far, near)):
                dialled = await start(one.dial(b"to the node"))
                call = await called(other)
                assert call.header == b"to the node"
                theirs, ours = await call.answer(), await dialled
                assert ours.peer == one.peer
                await ours.write(b"hello")
                assert await read_exactly(theirs, 5) == b"hello"
            assert (near.streams, far.streams) == (2, 2)

    run(main())


def test_refusal_gives_its_text() -> None:
    async def main() -> None:
        async with tunnels() as (near, far):
            dialled = await start(near.dial(b""))
            await (await called(far)).refuse("no such target")
            with pytest.raises(Unavailable) as caught:
                await dialled
            assert (caught.value.code, caught.value.fields["text"]) == ("NET-TUNNEL-REFUSED", "no such target")
            await near.ping()
            assert (near.streams, far.streams) == (0, 0)

    run(main())


def test_dial_without_an_answer_ends_in_time_and_takes_the_call_back() -> None:
    async def main() -> None:
        async with tunnels() as (near, far):
            assert await code(near.dial(b"", timeout=3)) == "NET-TUNNEL-TIMEOUT"
            assert current().time() == 3
            await near.ping()
            assert not far._calls
            dialled = await start(near.dial(b""))
            call = await called(far)
            await cancelled(dialled)
            await near.ping()
            assert await code(call.answer()) == "NET-RESET"
            await call.refuse("late")
            assert (near.streams, far.streams) == (0, 0)

    run(main())


@pytest.mark.parametrize("turns", range(12))
def test_dial_that_is_cancelled_while_its_answer_comes_leaves_nothing(turns: int) -> None:
    async def main() -> None:
        async with tunnels() as (near, far):
            dialled = await start(near.dial(b""))
            stream = await answered(far)
            for _ in range(turns):
                await asyncio.sleep(0)
            dialled.cancel()
            await asyncio.wait([dialled])
            if dialled.cancelled():
                assert await code(stream.read()) == "NET-RESET"
                await near.ping()
                assert (near.streams, near._streams, near._dials) == (0, {}, {})

    run(main())


def test_pings_measure_a_round_trip() -> None:
    async def main() -> None:
        async with tunnels(delay=0.25) as (near, far):
            assert near.round_trip == 0
            assert await asyncio.gather(near.ping(), near.ping(), far.ping()) == pytest.approx([0.5] * 3)
            assert near.round_trip == pytest.approx(0.5)
            assert await code(near.ping(timeout=0.1)) == "NET-TUNNEL-TIMEOUT"
            with pytest.raises(LimitExceeded):
                await asyncio.gather(*(near.ping() for _ in range(20)))
            await asyncio.sleep(1)

    run(main())


async def deaf(stream: Stream) -> None:
    """Be a peer that greets, and takes everything without an answer."""
    await stream.write(frames.write_hello())
    await read_all(stream)


def test_silent_tunnel_closes_itself() -> None:
    async def main() -> None:
        a, b = memory_pair()
        peer, tunnel = await start(deaf(b)), Tunnel(a, interval=5, patience=20)
        dialled = await start(tunnel.dial(b"", timeout=100))
        reason = await tunnel.closed()
        assert isinstance(reason, TimedOut)
        assert (reason.code, tunnel.reason) == ("NET-TUNNEL-SILENT", reason)
        assert 25 <= current().time() <= 27
        assert await code(dialled) == LOST
        await peer

    run(main())


def test_a_silent_tunnel_is_in_doubt_until_it_answers() -> None:
    async def main() -> None:
        a, b = memory_pair()
        peer, tunnel = await start(deaf(b)), Tunnel(a, interval=5, doubt=3, patience=20)
        await tunnel.doubt(True)
        assert tunnel.in_doubt
        assert 8 <= current().time() <= 8.1
        asking = await start(tunnel.doubt(False))
        await b.write(frames.write(frames.PONG, 0, b""))
        await asking
        assert not tunnel.in_doubt
        assert tunnel.reason is None
        await tunnel.close()
        await tunnel.doubt(True)  # of a closed one there is no doubt
        await peer

    run(main())


def test_tunnel_whose_carrier_takes_nothing_closes_itself() -> None:
    async def main() -> None:
        a, b = memory_pair(limit=10)
        tunnel = Tunnel(a)
        await b.write(frames.write_hello()[:10])
        assert (await tunnel.closed()).code == "NET-TUNNEL-SILENT"
        assert current().time() < 2 * PATIENCE
        assert await code(tunnel.dial(b"")) == LOST

    run(main())


def test_answered_pings_keep_a_tunnel_for_days() -> None:
    async def main() -> None:
        async with tunnels() as (near, far):
            await asyncio.sleep(3 * 86400)
            assert (near.reason, far.reason) == (None, None)
        async with tunnels(interval=0) as (near, far):
            await asyncio.sleep(86400)
            assert near.round_trip == 0

    run(main())


def test_cut_wakes_everybody_with_a_named_error() -> None:
    async def main() -> None:
        async with tunnels(delay=0.01) as (near, far):
            ours, _ = await opened(near, far)
            half, _ = await opened(near, far)
            await half.write_eof()
            stuck = await stuck_writer((await opened(near, far))[1])
            calls = await start(called(near))
            dialled, pinged = await start(near.dial(b"")), await start(near.ping())
            waiting = [stuck, dialled, pinged, await start(ours.read()), await start(half.read())]
            drained = await start(near.drain())
            carrier(near).reset()
            assert [await code(work) for work in waiting] == [LOST] * 5
            await drained
            with pytest.raises(StopAsyncIteration):
                await calls
            for work in (ours.read(), ours.write(b"x"), ours.write_eof(), near.dial(b""), near.ping()):
                assert await code(work) == LOST
            assert (await near.closed()).code == (await far.closed()).code == LOST
            await ours.close()
            assert await code(ours.read()) == "NET-CLOSED"

    run(main())


def test_what_came_before_an_end_is_read_after_the_tunnel_is_gone() -> None:
    async def main() -> None:
        async with tunnels() as (near, far):
            ours, theirs = await opened(near, far)
            await theirs.write(b"all of it")
            await theirs.write_eof()
            await near.ping()
            carrier(near).reset()
            await near.closed()
            assert await read_all(ours) == b"all of it"
            assert await code(ours.write(b"x")) == LOST

    run(main())


def test_close_sends_what_is_queued_and_says_why() -> None:
    async def main() -> None:
        async with tunnels(delay=0.1) as (near, far):
            ours, theirs = await opened(near, far)
            reader = await start(read_all(theirs))
            await ours.write(pattern(60000))
            await ours.close()
            await near.close("the proxy stops")
            await near.close()
            assert await reader == pattern(60000)
            reason = await far.closed()
            assert (reason.code, reason.why) == (LOST, "the proxy stops")
            assert await code(near.dial(b"")) == LOST

    run(main())


def test_carrier_that_ends_closes_the_tunnel() -> None:
    async def main() -> None:
        a, b = memory_pair()
        tunnel = Tunnel(a)
        await b.close()
        assert "the other end closed" in (await tunnel.closed()).why

    run(main())


def test_close_waits_only_for_a_moment() -> None:
    async def main() -> None:
        a, b = memory_pair(limit=10)
        tunnel = Tunnel(a)
        closing = await start(tunnel.close())
        assert await code(tunnel.dial(b"")) == LOST
        await closing
        assert current().time() < 10
        await b.close()

    run(main())


def test_drain_takes_no_new_streams_and_waits_for_the_old() -> None:
    async def main() -> None:
        async with tunnels() as (near, far):
            ours, theirs = await opened(near, far)
            waiting = await start(near.dial(b""))
            await far.ping()
            drained = await start(far.drain())
            assert await code(waiting) == "NET-TUNNEL-REFUSED"
            assert near.draining
            assert far.draining
            await near.doubt(True)
            assert near.retiring
            assert await code(near.dial(b"")) == "NET-TUNNEL-DRAINING"
            back, there = await opened(far, near)
            await back.close()
            await there.close()
            assert [call async for call in far.accept()] == []
            await ours.write(b"still")
            assert await read_exactly(theirs, 5) == b"still"
            assert not drained.done()
            await ours.close()
            await drained
            assert near.reason is None

    run(main())


def test_1024_streams_and_not_one_more() -> None:
    async def main() -> None:
        async with tunnels() as (near, far):
            pairs = [await opened(near, far) for _ in range(1024)]
            with pytest.raises(LimitExceeded) as caught:
                await near.dial(b"")
            assert caught.value.what == "the tunnel carries 1024 streams already"
            await asyncio.gather(*(ours.write(b"%04d" % number) for number, (ours, _) in enumerate(pairs)))
            for number, (_, theirs) in enumerate(pairs):
                assert await theirs.read() == b"%04d" % number
            await opened(far, near)
            await pairs[0][0].close()
            await near.ping()
            await opened(near, far)

    run(main())


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no frame of kind 72"),
        (frames.write(frames.DRAIN), "the first frame is not a greeting"),
        (frames.write_hello() + frames.write(frames.PING) * 1000, "more than 16 pings"),
    ],
)
def test_peer_that_breaks_the_protocol_is_told_so_and_cut(said: bytes, problem: str) -> None:
    async def main() -> None:
        a, b = memory_pair()
        tunnel = Tunnel(a)
        await b.write(said)
        reason = await tunnel.closed()
        assert reason.code == "WIRE-MUX"
        assert problem in reason.what
        answer = [(kind, bytes(body)) for kind, _, body in frames.FrameReader().feed(await read_all(b))]
        assert answer[-1] == (frames.BYE, reason.what.encode())
        assert await code(tunnel.dial(b"")) == LOST

    run(main())


def test_peer_that_sends_more_than_its_credit_is_cut() -> None:
    async def main() -> None:
        a, b = memory_pair()
        tunnel = Tunnel(a)
        await b.write(frames.write_hello() + frames.write_open(1, 9, b""))
        stream = await answered(tunnel)
        for _ in range(5):
            await b.write(frames.write(frames.DATA, 1, bytes(32768)))
        assert "credit" in (await tunnel.closed()).what
        assert await code(stream.read()) == LOST

    run(main())


@either_way
def test_stalled_streams_delay_nobody(pair: MakeMemory) -> None:
    """Ten streams that nobody reads; pings and other streams pass as if they were not there."""

    async def main() -> None:
        async with tunnels(delay=0.01, pair=pair) as (near, far):
            stuck = [await stuck_writer((await opened(near, far))[0]) for _ in range(10)]
            assert max([await near.ping() for _ in range(20)]) <= 0.02 + 0.05
            ours, theirs = await opened(near, far)
            for _ in range(20):
                began = current().time()
                await ours.write(bytes(64))
                await theirs.write(await read_exactly(theirs, 64))
                await read_exactly(ours, 64)
                assert current().time() - began <= 0.02 + 0.05
            sent = await start(ours.write(pattern(1 << 20)))
            assert await read_exactly(theirs, 1 << 20) == pattern(1 << 20)
            await sent
            for writer in stuck:
                await cancelled(writer)

    run(main())


@either_way
def test_bulk_data_delays_a_ping_by_little(pair: MakeMemory) -> None:
    """At 6.5 MB/s and 20 ms of round trip, while a stream takes all it can get."""

    async def main() -> None:
        async with tunnels(delay=0.01, pair=pair) as (near, far):
            ours, theirs = await opened(near, far)
            writing = await start(ours.write(pattern(64 << 20)))
            reading = await start(read_exactly(theirs, 64 << 20))
            await asyncio.sleep(1)
            assert max([await near.ping() for _ in range(20)]) <= 0.02 + 0.05
            assert not writing.done()
            await cancelled(reading)
            await cancelled(writing)

    run(main())


def test_defect_in_a_task_closes_the_tunnel_and_is_reported() -> None:
    async def main() -> None:
        a, b = memory_pair()
        tunnel = Tunnel(a)

        async def broken(limit: int) -> bytes:
            raise ZeroDivisionError("a defect")

        a.read = broken  # type: ignore[method-assign]
        await b.write(frames.write_hello())
        await b.write(b"\0")
        assert (await tunnel.closed()).code == LOST

    with pytest.raises(ZeroDivisionError):
        run(main())
