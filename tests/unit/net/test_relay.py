"""The relay: every byte arrives, both ends are told of the end, and limits hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import TeleportError, Unavailable
from teleport.net.memory import memory_pair
from teleport.net.relay import Relay
from teleport.net.splice import PipePool
from teleport.net.stream import Stream
from tests.support.check_stream import pattern, read_all, read_exactly
from tests.support.pairs import Pair, in_memory, peeked, socket_pair, tcp_pair, tls, tunnelled
from tests.support.virtual_loop import current
from tests.support.virtual_loop import run as run_virtual

CARRIERS: dict[str, tuple[Callable[[], Pair], Callable[[], Pair]]] = {
    "tcp to tcp": (tcp_pair, tcp_pair),
    "unix to tcp": (socket_pair, tcp_pair),
    "tls to tcp": (tls(tcp_pair), tcp_pair),
    "memory to tcp": (in_memory, tcp_pair),
    "tls in memory to memory": (tls(in_memory), in_memory),
    "tcp to tunnel": (tcp_pair, tunnelled(tls(tcp_pair))),
    "tls to tunnel": (peeked(tls(tcp_pair)), peeked(tunnelled(tls(tcp_pair)))),
    "tunnel to tcp": (tunnelled(tls(tcp_pair)), tcp_pair),
}
every_carrier = pytest.mark.parametrize("under", CARRIERS.values(), ids=CARRIERS)
Under = tuple[Callable[[], Pair], Callable[[], Pair]]
Test = Callable[[Stream, Stream, Relay, "asyncio.Task[None]"], Awaitable[None]]


@contextlib.asynccontextmanager
async def relayed(under: Under, **options: float) -> AsyncIterator[tuple[Stream, Stream, Relay, asyncio.Task[None]]]:
    """The client, the server, the relay between and its running task."""
    async with asyncio.timeout(40), under[0]() as (near, client), under[1]() as (far, server):
        relay = Relay(near, far, **options)  # type: ignore[arg-type]
        task = asyncio.get_running_loop().create_task(relay.run())
        yield client, server, relay, task


def run(under: Under, test: Test, **options: float) -> None:
    async def main() -> None:
        before = len(os.listdir("/proc/self/fd"))
        async with relayed(under, **options) as (client, server, relay, task):
            await test(client, server, relay, task)
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(main())


@every_carrier
def test_both_ways_at_once_and_each_end_by_itself(under: Under) -> None:
    up, down = pattern(3 << 20), pattern(5 << 20)[::-1]

    async def send(stream: Stream, data: bytes) -> None:
        await stream.write(data)
        await stream.write_eof()

    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        results = await asyncio.gather(send(client, up), send(server, down), read_all(client), read_all(server))
        assert results[2] == down
        assert results[3] == up
        await task
        assert (relay.sent, relay.received) == (len(up), len(down))

    run(under, test)


@every_carrier
def test_answer_after_the_question_has_ended(under: Under) -> None:
    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        await client.write(b"question")
        await client.write_eof()
        assert await read_all(server) == b"question"

        async def answer() -> None:
            await server.write(pattern(200000))
            await server.close()

        assert (await asyncio.gather(answer(), read_all(client)))[1] == pattern(200000)
        await task

    run(under, test)


@every_carrier
def test_answer_of_a_server_that_hears_no_more_still_arrives(under: Under) -> None:
    """The server answers early and closes while the client still sends."""

    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        await client.write(b"x")
        await read_exactly(server, 1)
        await server.write(b"no thanks")
        await server.close()
        assert await read_exactly(client, 9) == b"no thanks"
        with contextlib.suppress(TeleportError):
            await client.write(pattern(1 << 20))
        await client.close()
        with contextlib.suppress(TeleportError):
            await task

    run(under, test)


@every_carrier
def test_cut_ends_both_sides_at_once(under: Under) -> None:
    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        await client.write(b"x")
        await read_exactly(server, 1)
        relay.cut("user alice is locked")
        relay.cut("again")
        with pytest.raises(TeleportError) as cut:
            await task
        assert (cut.value.code, cut.value.what) == ("NET-CUT", "the connection was cut: user alice is locked")
        for stream in (client, server):
            with contextlib.suppress(Unavailable):
                assert await stream.read() == b""

    run(under, test)


def test_reset_of_one_side_is_not_an_end_for_the_other() -> None:
    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        await server.write(b"part")
        assert await read_exactly(client, 4) == b"part"
        server.reset()  # type: ignore[attr-defined]
        with pytest.raises(Unavailable) as lost:
            await task
        assert lost.value.code == "NET-RESET"
        with pytest.raises(Unavailable):
            await client.read()

    run(CARRIERS["tcp to tcp"], test)


def test_back_pressure_goes_through() -> None:
    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        writer = asyncio.get_running_loop().create_task(server.write(pattern(64 << 20)))
        done, _ = await asyncio.wait([writer], timeout=0.3)
        assert not done
        writer.cancel()

    run(CARRIERS["tcp to tcp"], test)


def virtual(test: Test, **options: float) -> None:
    """Run `test` with memory pairs in virtual time."""

    async def main() -> None:
        client, near = memory_pair()
        far, server = memory_pair()
        relay = Relay(near, far, **options)  # type: ignore[arg-type]
        task = current().create_task(relay.run())
        await test(client, server, relay, task)

    run_virtual(main())


def test_answer_is_not_lost_when_a_later_question_finds_nobody() -> None:
    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        await server.write(pattern(200))
        await server.close()
        await client.write(b"too late")
        await asyncio.sleep(1)
        assert await read_exactly(client, 200) == pattern(200)
        assert await client.read() == b""
        await client.close()
        await task

    virtual(test)


def test_idle_limit_counts_from_the_last_byte() -> None:
    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        for _ in range(10):
            await asyncio.sleep(50)
            await server.write(b"tick")
            assert await client.read() == b"tick"
        with pytest.raises(TeleportError) as idle:
            await task
        assert idle.value.code == "NET-IDLE"
        assert 560 <= current().time() <= 600

    virtual(test, idle=60)


def test_deadline_holds_however_busy() -> None:
    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        while not task.done():
            await asyncio.sleep(1)
            with contextlib.suppress(Unavailable):
                await client.write(b"x")
                await server.read()
        error = task.exception()
        assert isinstance(error, TeleportError)
        assert error.code == "NET-DEADLINE"
        assert 100 <= current().time() <= 102

    virtual(test, deadline=100, idle=60)


def test_shared_pipes_are_used_again_and_closed() -> None:
    async def main() -> None:
        before = len(os.listdir("/proc/self/fd"))
        pool = PipePool(keep=1)
        for _ in range(3):
            async with tcp_pair() as (near, client), tcp_pair() as (far, server):
                task = asyncio.get_running_loop().create_task(Relay(near, far, pipes=pool).run())
                await client.write(b"x")
                assert await server.read() == b"x"
                await client.close()
                await server.close()
                await task
        assert len(os.listdir("/proc/self/fd")) == before + 2
        first, second = pool.take(), pool.take()
        pool.give(first, empty=True)
        pool.give(second, empty=True)
        pool.close()
        pool.give(pool.take(), empty=True)
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(main())


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(CARRIERS)),
    st.lists(st.integers(0, 70000), max_size=6),
    st.lists(st.integers(0, 70000), max_size=6),
    st.integers(1, 70000),
)
def test_no_byte_is_lost_however_the_data_is_split(name: str, up: list[int], down: list[int], limit: int) -> None:
    async def send(stream: Stream, sizes: list[int]) -> bytes:
        whole = pattern(sum(sizes))
        at = 0
        for size in sizes:
            await stream.write(whole[at : at + size])
            at += size
        await stream.write_eof()
        return whole

    async def test(client: Stream, server: Stream, relay: Relay, task: asyncio.Task[None]) -> None:
        sent, answered, got, heard = await asyncio.gather(
            send(client, up), send(server, down), read_all(server, limit), read_all(client, limit)
        )
        assert (got, heard) == (sent, answered)
        await task
        assert (relay.sent, relay.received) == (len(sent), len(answered))

    run(CARRIERS[name], test)
