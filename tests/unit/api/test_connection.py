"""What one connection may take: streams, headers, frames that ask for nothing, silence, and what nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from teleport.api import connection, rpc
from teleport.api.budget import PURSE
from teleport.api.caller import EVERYONE, NOBODY, Caller
from teleport.api.connection import KNOWN, REFUSED, STRANGER
from teleport.api.pb import status_pb2
from teleport.base import errors
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.model.identity import Identity
from teleport.net.memory import memory_pair
from tests.support import virtual_loop
from tests.support.raw_h2 import RawH2

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
ALICE = Caller(Identity(name="alice", cluster="c", roles=("access",), expires=NOW + dt.timedelta(days=400)))
PATH = "/teleport.v1.Test/Echo"
HANG = rpc.call("Test", "Hang", Empty, Empty, streams=True)
FLOOD = rpc.call("Test", "Flood", Empty, status_pb2.PingReply, streams=True)
ECHO = rpc.call("Test", "Echo", Empty, status_pb2.PingReply)
EMPTY = struct.pack(">BI", 0, 0)

Peer = tuple[RawH2, "Served"]


class Served:
    """A server with three methods, and what happened in them."""

    def __init__(self) -> None:
        self.running = 0
        self.started = 0
        audience = EVERYONE | {NOBODY}
        methods = [
            rpc.Method(HANG, audience, self._hang), rpc.Method(FLOOD, audience, self._flood),
            rpc.Method(ECHO, audience, self._echo),
        ]  # fmt: skip
        self.defects: list[Any] = []
        self.server = rpc.Server(
            methods, clock=ManualClock(NOW), entropy=SeededEntropy(1), on_defect=lambda *d: self.defects.append(d)
        )

    async def _hang(self, caller: Caller, request: Empty) -> AsyncIterator[Empty]:
        self.running += 1
        self.started += 1
        try:
            yield Empty()
            await asyncio.Event().wait()
        finally:
            self.running -= 1

    async def _flood(self, caller: Caller, request: Empty) -> AsyncIterator[status_pb2.PingReply]:
        while True:
            self.running += 1
            yield status_pb2.PingReply(cluster="x" * 50_000)

    async def _echo(self, caller: Caller, request: Empty) -> status_pb2.PingReply:
        return status_pb2.PingReply(cluster="here")


def run(
    story: Callable[[RawH2, Served], Awaitable[None]],
    caller: Caller = ALICE,
    runner: Callable[[Any], Any] = asyncio.run,
    limit: int = 1 << 20,
) -> None:
    async def body() -> None:
        served = Served()
        ours, theirs = memory_pair(limit=limit)
        async with asyncio.timeout(100_000 if runner is virtual_loop.run else 60), asyncio.TaskGroup() as group:
            group.create_task(served.server.serve(ours, caller))
            await story(RawH2(theirs), served)
            await theirs.close()
        assert served.running == 0 or limit < 1 << 20
        assert not served.server._open
        assert served.defects == []

    runner(body())


async def answer(peer: RawH2) -> str:
    call = peer.call(PATH)
    peer.h2.send_data(call, EMPTY, end_stream=True)
    return (await peer.trailers(call))["grpc-status"]


def frames(*made: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in made)


def test_settings_tell_the_bounds_and_hold_from_the_first_byte_on() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        assert await answer(peer) == "0"
        told = peer.h2.remote_settings
        assert told.max_concurrent_streams == KNOWN.streams == 128
        assert told[SettingCodes.MAX_HEADER_LIST_SIZE] == connection.LARGEST_HEADERS == 65536
        assert told.initial_window_size == KNOWN.window
        assert peer.h2.outbound_flow_control_window > KNOWN.connection_window - 1000

    run(story)


@pytest.mark.parametrize(
    ("caller", "bounds"),
    [(ALICE, KNOWN), (Caller(None), STRANGER), (Caller(None, "", errors.AccessDenied("API-AUDIENCE")), REFUSED)],
)
def test_who_proves_nothing_gets_less(caller: Caller, bounds: connection.Bounds) -> None:
    assert rpc._bounds_of(caller) == bounds
    assert bounds.connection_window <= KNOWN.connection_window


def test_calls_at_a_time_are_bounded() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        peer.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        peer.h2.remote_settings.acknowledge()
        for _ in range(KNOWN.streams + 1):
            call = peer.call(HANG.path)
            peer.h2.send_data(call, EMPTY, end_stream=True)
        await peer.flush()
        await peer.until_end()
        assert served.started <= KNOWN.streams
        assert peer.goodbye is not None

    run(story)


@contextlib.asynccontextmanager
async def talking() -> AsyncIterator[rpc.Channel]:
    """Yield a client of ours, connected in memory to a server of ours."""
    ours, theirs = memory_pair()

    async def connect(factory: Any) -> Any:
        return rpc.as_transport(theirs, factory)[1]

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(Served().server.serve(ours, ALICE))
        channel = rpc.Channel(connect)
        yield channel
        channel.close()
        await channel.wait_closed()


def test_our_client_waits_for_its_turn_instead() -> None:
    async def body() -> None:
        async with talking() as channel:
            replies = await asyncio.gather(*(channel.unary(ECHO, Empty()) for _ in range(400)))
            assert {reply.cluster for reply in replies} == {"here"}

    asyncio.run(body())


def test_neither_side_remembers_every_call_that_it_has_made() -> None:
    async def body() -> None:
        async with talking() as channel:
            for _ in range(connection.REMEMBERED + 50):
                await channel.unary(ECHO, Empty())
            (protocol,) = channel._inner.open
            made = [each for each in gc.get_objects() if type(each) is connection.Connection and each._h2 is not None]
            remembered = [len(protocol.inner.connection._connection._closed_streams)]
            remembered += [len(each._h2._closed_streams) for each in made]
            assert max(remembered) == connection.REMEMBERED
            assert len(remembered) > 1

    asyncio.run(body())


def test_headers_are_bounded_unpacked() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        assert await answer(peer) == "0"
        peer.call(PATH, [(f"x-{number}", "a" * 4000) for number in range(20)])
        await peer.flush()
        await peer.until_end()
        assert peer.goodbye == ErrorCodes.ENHANCE_YOUR_CALM

    run(story)


def test_headers_that_never_end_are_bounded() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        await peer.flush()
        start = HeadersFrame(1, data=b"\x00" * 16000)
        more = [ContinuationFrame(1, data=b"\x00" * 16000) for _ in range(5)]
        await peer.flush(frames(start, *more))
        await peer.until_end()
        assert served.started == 0

    run(story)


def ping() -> Frame:
    return PingFrame(0, opaque_data=b"12345678")


def settings() -> Frame:
    return SettingsFrame(0, settings={SettingsFrame.HEADER_TABLE_SIZE: 4096})


def unknown() -> bytes:
    return b"\x00\x00\x01\xee\x00\x00\x00\x00\x00x"


@pytest.mark.parametrize("frame", [ping().serialize(), settings().serialize(), unknown()], ids=["ping", "set", "odd"])
def test_a_flood_of_frames_that_ask_for_nothing_ends_the_connection(frame: bytes) -> None:
    async def story(peer: RawH2, served: Served) -> None:
        assert await answer(peer) == "0"
        await peer.flush(frame * 100)
        assert await answer(peer) == "0", "a hundred are no flood"
        await peer.flush(frame * int(PURSE))
        await peer.until_end()
        assert peer.goodbye == ErrorCodes.ENHANCE_YOUR_CALM

    run(story)


def test_rapid_reset_ends_the_connection_and_leaves_nothing_behind() -> None:
    """CVE-2023-44487: calls that are opened and cancelled at once, more than could ever be open together."""

    async def story(peer: RawH2, served: Served) -> None:
        assert await answer(peer) == "0"
        (serving,) = served.server._open
        seen = 0
        for _ in range(10):
            for _ in range(int(PURSE) // 5):
                call = peer.call(HANG.path)
                peer.h2.send_data(call, EMPTY, end_stream=True)
                peer.h2.reset_stream(call)
            await peer.flush()
            await asyncio.sleep(0)
            seen = max(seen, len(serving._processor.streams))
        await peer.until_end()
        assert peer.goodbye == ErrorCodes.ENHANCE_YOUR_CALM
        assert served.started <= PURSE + 1
        assert not serving._processor.streams

    run(story)


def test_a_call_that_is_cancelled_before_it_begins_is_forgotten() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        assert await answer(peer) == "0"
        (serving,) = served.server._open
        for _ in range(50):
            peer.h2.reset_stream(peer.call(HANG.path))
        await peer.flush()
        assert await answer(peer) == "0"
        assert not serving._processor.streams

    run(story)


def test_a_call_without_method_or_path_is_none() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        number = peer.h2.get_next_available_stream_id()
        peer.h2.send_headers(number, [("te", "trailers")])
        await peer.flush()
        assert await answer(peer) == "0"

    run(story)


def test_a_connection_without_calls_is_closed_after_its_time() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        loop = asyncio.get_running_loop()
        assert await answer(peer) == "0"
        await asyncio.sleep(KNOWN.idle - 1)
        assert await answer(peer) == "0"
        began = loop.time()
        await peer.until_end(seconds=10_000)
        assert KNOWN.idle - 1 <= loop.time() - began <= KNOWN.idle + 1
        assert peer.goodbye == ErrorCodes.NO_ERROR

    run(story, runner=virtual_loop.run)


def test_a_stranger_is_closed_sooner_and_a_call_under_way_is_no_silence() -> None:
    async def silent(peer: RawH2, served: Served) -> None:
        began = asyncio.get_running_loop().time()
        await peer.until_end(seconds=10_000)
        assert asyncio.get_running_loop().time() - began <= STRANGER.idle + 1

    async def watching(peer: RawH2, served: Served) -> None:
        call = peer.call(HANG.path)
        peer.h2.send_data(call, EMPTY, end_stream=True)
        await peer.flush()
        await asyncio.sleep(200)
        assert served.running == 1

    run(silent, Caller(None), runner=virtual_loop.run)
    run(watching, runner=virtual_loop.run)


def test_a_peer_that_does_not_read_is_cut_and_makes_no_memory() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        call = peer.call(FLOOD.path)
        peer.h2.send_data(call, EMPTY, end_stream=True)
        peer.h2.increment_flow_control_window(1 << 30)
        peer.h2.increment_flow_control_window(1 << 30, stream_id=call)
        await peer.flush()
        await asyncio.sleep(KNOWN.stalled / 2)
        (serving,) = served.server._open
        assert served.running <= 10
        assert not serving._transport.is_reading()
        await asyncio.sleep(KNOWN.stalled)
        assert not served.server._open

    run(story, runner=virtual_loop.run, limit=65536)


def test_a_call_whose_messages_find_no_room_is_ended_with_a_reason() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        call = peer.call(FLOOD.path)  # its window is 64 KiB, and this client never says that it has read
        peer.h2.increment_flow_control_window(1 << 20)
        peer.h2.send_data(call, EMPTY, end_stream=True)
        await peer.flush()
        trailers = await peer.trailers(call, seconds=rpc.SLOWEST_READER + 10)
        assert (trailers["grpc-status"], "did not read" in trailers["grpc-message"]) == ("8", True)
        assert await answer(peer) == "0"
        served.running = 0

    run(story, runner=virtual_loop.run)


def test_the_end_of_the_server_is_told() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        assert await answer(peer) == "0"
        await served.server.close()
        await peer.until_end()
        assert peer.goodbye == ErrorCodes.NO_ERROR

    run(story)


def test_the_end_of_the_client_is_taken() -> None:
    async def story(peer: RawH2, served: Served) -> None:
        peer.call(HANG.path)
        await peer.flush(GoAwayFrame(0, last_stream_id=1).serialize())
        await peer.until_end()

    run(story)


def mutations(seed: int) -> bytes:
    """Frames as they should be, with some bytes that are not."""
    chance = random.Random(seed)
    good = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames(settings(), ping(), RstStreamFrame(1), settings())
    data = bytearray(good + bytes(chance.randrange(256) for _ in range(chance.randrange(200))))
    for _ in range(chance.randrange(6)):
        data[chance.randrange(24, len(data))] = chance.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("seed", range(40))
def test_garbage_ends_a_connection_and_nothing_else(seed: int) -> None:
    async def story(peer: RawH2, served: Served) -> None:
        for piece in (mutations(seed), mutations(seed + 1000)):
            try:
                await peer.stream.write(piece)
            except errors.Unavailable:
                return

    run(story)
