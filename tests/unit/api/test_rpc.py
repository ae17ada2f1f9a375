"""gRPC over connections that somebody else accepted: callers, errors, bounds, ends."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty

from teleport.api import rpc
from teleport.api.caller import EVERYONE, NOBODY, Caller
from teleport.api.client import over_stream
from teleport.api.pb import audit_pb2, status_pb2
from teleport.base import errors
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.model.identity import Identity
from teleport.net.memory import memory_pair
from teleport.net.stream import Stream
from tests.support import virtual_loop

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
ECHO = rpc.call("Test", "Echo", status_pb2.PingReply, status_pb2.PingReply)
SERIES = rpc.call("Test", "Series", Empty, status_pb2.PingReply, streams=True)
BULK = rpc.call("Test", "Bulk", audit_pb2.EmitRequest, Empty)
MISSING = rpc.call("Test", "Missing", Empty, Empty)

ALICE = Caller(Identity(name="alice", cluster="c", roles=("access",), expires=NOW + dt.timedelta(hours=1)))


class Wire:
    """A server and a channel at the two ends of a socket pair."""

    def __init__(self, *methods: rpc.Method, caller: Caller = ALICE, patience: float = 5) -> None:
        self.clock = ManualClock(NOW)
        self.defects: list[tuple[str, str, BaseException]] = []
        self.server = rpc.Server(
            methods, clock=self.clock, entropy=SeededEntropy(1), on_defect=lambda *d: self.defects.append(d)
        )
        self.caller = caller
        self.connections = 0
        self.channel = rpc.Channel(self._connect, patience=patience)

    async def _connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        self.connections += 1
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: self.server.protocol(self.caller), ours)
        _, protocol = await loop.create_unix_connection(factory, sock=theirs)
        return protocol

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.channel.close()
        await self.server.close()


def method(call: rpc.Call[Any, Any], run: Callable[..., Any], audience: frozenset[str] = EVERYONE) -> rpc.Method:
    return rpc.Method(call, audience, run)


async def echo(caller: Caller, request: status_pb2.PingReply) -> status_pb2.PingReply:
    return status_pb2.PingReply(cluster=request.cluster, version=caller.name)


def raising(error: BaseException) -> Callable[[Caller, Any], Awaitable[Any]]:
    async def run(caller: Caller, request: Any) -> Any:
        raise error

    return run


def test_a_call_carries_the_message_and_the_caller_of_the_connection() -> None:
    async def story() -> None:
        async with Wire(method(ECHO, echo)) as wire:
            for word in ("one", "two"):
                reply = await wire.channel.unary(ECHO, status_pb2.PingReply(cluster=word))
                assert (reply.cluster, reply.version) == (word, "alice")
            assert wire.connections == 1

    asyncio.run(story())


@pytest.mark.parametrize("cls", errors.CLASSES)
def test_every_class_of_error_arrives_as_it_left(cls: type[errors.TeleportError]) -> None:
    async def story() -> None:
        sent = cls("CFG-DURATION", id="id1", value="10 Minuten, bitte: ü\n")
        async with Wire(method(ECHO, raising(sent))) as wire:
            with pytest.raises(cls) as caught:
                await wire.channel.unary(ECHO, status_pb2.PingReply())
            got = caught.value
            assert type(got) is cls
            assert (got.code, got.fields, got.id, str(got)) == (sent.code, sent.fields, "id1", str(sent))

    asyncio.run(story())


def test_an_unexpected_failure_shows_an_id_and_nothing_else() -> None:
    async def story() -> None:
        async with Wire(method(ECHO, raising(RuntimeError("password is hunter2")))) as wire:
            with pytest.raises(errors.Internal) as caught:
                await wire.channel.unary(ECHO, status_pb2.PingReply())
            [(path, id, cause)] = wire.defects
            assert (caught.value.code, caught.value.id, caught.value.fields) == ("API-INTERNAL", id, {})
            assert path == ECHO.path
            assert isinstance(cause, RuntimeError)

    asyncio.run(story())


def test_a_timeout_inside_a_method_is_a_defect_and_not_a_deadline() -> None:
    async def story() -> None:
        async with Wire(method(SERIES, _failing_series)) as wire:
            with pytest.raises(errors.Internal):
                _ = [reply async for reply in wire.channel.stream(SERIES, Empty())]

    asyncio.run(story())


async def _failing_series(caller: Caller, request: Empty) -> AsyncIterator[status_pb2.PingReply]:
    yield status_pb2.PingReply(cluster="first")
    raise TimeoutError


def test_a_series_arrives_in_order_and_its_error_after_it() -> None:
    async def run(caller: Caller, request: Empty) -> AsyncIterator[status_pb2.PingReply]:
        for number in range(100):
            yield status_pb2.PingReply(cluster=str(number))
        raise errors.Unavailable("API-UNAVAILABLE", problem="enough")

    async def story() -> None:
        seen: list[Any] = []
        async with Wire(method(SERIES, run)) as wire:
            with pytest.raises(errors.Unavailable) as caught:
                await _collect(wire.channel.stream(SERIES, Empty()), seen)
        assert [int(reply.cluster) for reply in seen] == list(range(100))
        assert caught.value.fields == {"problem": "enough"}

    asyncio.run(story())


def test_leaving_a_series_ends_it_on_the_server() -> None:
    async def story() -> None:
        ended = asyncio.Event()

        async def run(caller: Caller, request: Empty) -> AsyncIterator[status_pb2.PingReply]:
            try:
                yield status_pb2.PingReply(cluster="first")
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with Wire(method(SERIES, run), method(ECHO, echo)) as wire:
            series = wire.channel.stream(SERIES, Empty())
            assert (await anext(series)).cluster == "first"
            await series.aclose()
            async with asyncio.timeout(5):
                await ended.wait()
            assert (await wire.channel.unary(ECHO, status_pb2.PingReply(cluster="on"))).cluster == "on"
            assert wire.connections == 1

    asyncio.run(story())


def test_a_caller_outside_the_audience_is_refused_before_the_method_runs() -> None:
    async def story() -> None:
        ran = []

        async def run(caller: Caller, request: Any) -> Any:
            ran.append(caller)
            return request

        async with Wire(method(ECHO, run, frozenset({"admin"}))) as wire:
            with pytest.raises(errors.AccessDenied) as caught:
                await wire.channel.unary(ECHO, status_pb2.PingReply())
            assert caught.value.code == "API-AUDIENCE"
        async with Wire(method(ECHO, run), caller=Caller(None)) as wire:
            with pytest.raises(errors.NotAuthenticated) as unknown:
                await wire.channel.unary(ECHO, status_pb2.PingReply())
            assert unknown.value.code == "API-NO-CERTIFICATE"
        assert ran == []
        async with Wire(method(ECHO, echo, frozenset({NOBODY})), caller=Caller(None)) as wire:
            assert (await wire.channel.unary(ECHO, status_pb2.PingReply(cluster="x"))).cluster == "x"

    asyncio.run(story())


def test_a_connection_does_not_outlive_its_certificate() -> None:
    async def story() -> None:
        async with Wire(method(ECHO, echo)) as wire:
            await wire.channel.unary(ECHO, status_pb2.PingReply())
            wire.clock.advance(dt.timedelta(hours=1))
            with pytest.raises(errors.NotAuthenticated) as caught:
                await wire.channel.unary(ECHO, status_pb2.PingReply())
            assert caught.value.code == "API-EXPIRED"

    asyncio.run(story())


def test_a_method_without_an_audience_cannot_be_declared() -> None:
    with pytest.raises(errors.Internal) as caught:
        rpc.Method(ECHO, frozenset(), echo)
    assert caught.value.code == "API-NO-AUDIENCE"


def test_a_method_that_does_not_exist_is_refused_with_its_status() -> None:
    async def story() -> None:
        async with Wire(method(ECHO, echo)) as wire:
            with pytest.raises(errors.NotSupported) as caught:
                await wire.channel.unary(MISSING, Empty())
            assert caught.value.code == "API-STATUS"

    asyncio.run(story())


def test_a_message_over_the_limit_is_refused_by_its_length_alone() -> None:
    async def story() -> None:
        async with Wire(method(BULK, raising(RuntimeError("ran")))) as wire:
            with pytest.raises(errors.LimitExceeded) as caught:
                await wire.channel.unary(BULK, audit_pb2.EmitRequest(events=[bytes(rpc.LARGEST_MESSAGE)]))
            assert caught.value.code == "API-TOO-LARGE"

    asyncio.run(story())


def test_a_message_of_almost_the_limit_passes() -> None:
    sizes = []

    async def run(caller: Caller, request: audit_pb2.EmitRequest) -> Empty:
        sizes.append(len(request.events[0]))
        return Empty()

    async def story() -> None:
        async with Wire(method(BULK, run)) as wire:
            await wire.channel.unary(BULK, audit_pb2.EmitRequest(events=[bytes(rpc.LARGEST_MESSAGE - 16)]))

    asyncio.run(story())
    assert sizes == [rpc.LARGEST_MESSAGE - 16]


class FakeStream:
    def __init__(self, data: bytes) -> None:
        self.data = data

    async def recv_data(self, size: int) -> bytes:
        part, self.data = self.data[:size], self.data[size:]
        assert len(part) in (0, size), "Received less data than expected"
        return part


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x01\x00\x00\x00\x00", "API-COMPRESSED"),
        (b"\x00\xff\xff\xff\xff", "API-TOO-LARGE"),
        (b"\x00\x00\x00\x00\x02\xff\xff", "API-MESSAGE"),
        (b"\x00\x00\x00\x00\x05ab", "API-MESSAGE"),
        (b"\x00\x00", "API-MESSAGE"),
    ],
)
def test_a_bad_frame_is_refused_with_its_code(data: bytes, code: str) -> None:
    with pytest.raises(errors.TeleportError) as caught:
        asyncio.run(rpc._receive(FakeStream(data), status_pb2.PingReply))
    assert caught.value.code == code


def test_frames_are_read_whole_and_the_end_is_none() -> None:
    body = status_pb2.PingReply(cluster="x").SerializeToString()
    frames = FakeStream(struct.pack(">BI", 0, len(body)) + body)
    assert asyncio.run(rpc._receive(frames, status_pb2.PingReply)) == status_pb2.PingReply(cluster="x")
    assert asyncio.run(rpc._receive(frames, status_pb2.PingReply)) is None


def test_a_client_does_not_wait_longer_than_it_says() -> None:
    async def story() -> None:
        async def run(caller: Caller, request: Any) -> Any:
            await asyncio.Event().wait()

        async with Wire(method(ECHO, run), patience=0.05) as wire:
            with pytest.raises(errors.TimedOut) as caught:
                await wire.channel.unary(ECHO, status_pb2.PingReply())
            assert caught.value.code == "API-DEADLINE"
            assert caught.value.what.startswith("https://teleport.cluster.local/")

    asyncio.run(story())


def test_the_server_bounds_a_call_whatever_the_client_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "LONGEST_CALL", 0.02)

    async def story() -> None:
        async def run(caller: Caller, request: Any) -> Any:
            await asyncio.Event().wait()

        async with Wire(method(ECHO, run)) as wire:
            with pytest.raises(errors.TimedOut):
                await wire.channel.unary(ECHO, status_pb2.PingReply())

    asyncio.run(story())


def test_a_server_that_is_not_there_is_named() -> None:
    async def refuse(factory: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        raise ConnectionRefusedError(111, "Connection refused")

    async def story() -> None:
        channel = rpc.Channel(refuse)
        with pytest.raises(errors.Unavailable) as caught:
            await channel.unary(ECHO, status_pb2.PingReply())
        assert caught.value.code == "API-UNAVAILABLE"
        assert "refused" in caught.value.what
        assert f"https://teleport.cluster.local{ECHO.path}: " in caught.value.what  # S0-33

    asyncio.run(story())


def test_a_lost_connection_fails_the_call_and_the_next_one_dials_again() -> None:
    async def story() -> None:
        entered = asyncio.Event()

        async def hang(caller: Caller, request: Any) -> AsyncIterator[Any]:
            entered.set()
            await asyncio.Event().wait()
            yield None

        async with Wire(method(SERIES, hang), method(ECHO, echo)) as wire:
            waiting = asyncio.ensure_future(_collect(wire.channel.stream(SERIES, Empty()), []))  # noqa: TID251
            async with asyncio.timeout(5):
                await entered.wait()
            await wire.server.close()
            with pytest.raises(errors.Unavailable):
                await waiting
            assert (await wire.channel.unary(ECHO, status_pb2.PingReply(cluster="again"))).cluster == "again"
            assert wire.connections == 2

    asyncio.run(story())


def test_a_series_that_has_begun_ends_with_its_connection() -> None:
    async def story() -> None:
        async def one_and_hang(caller: Caller, request: Any) -> AsyncIterator[Any]:
            yield status_pb2.PingReply(cluster="one")
            await asyncio.Event().wait()

        async with Wire(method(SERIES, one_and_hang)) as wire, asyncio.timeout(5):
            series = wire.channel.stream(SERIES, Empty())
            assert (await anext(series)).cluster == "one"
            waiting = asyncio.ensure_future(anext(series))  # noqa: TID251
            await asyncio.sleep(0)
            await wire.server.close()
            with pytest.raises(errors.Unavailable):
                await waiting

    asyncio.run(story())


async def _collect(series: AsyncIterator[Any], seen: list[Any]) -> None:
    async for entry in series:
        seen.append(entry)  # noqa: PERF401 - what came before an error counts


def test_a_memory_stream_carries_calls_and_serving_ends_with_it() -> None:
    async def story() -> None:
        server = rpc.Server(
            [method(ECHO, echo)], clock=ManualClock(NOW), entropy=SeededEntropy(1), on_defect=lambda *_: None
        )
        ours, theirs = memory_pair()

        async def dial() -> Stream:
            return theirs

        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(ours, ALICE))
            channel = rpc.Channel(over_stream(dial))
            assert (await channel.unary(ECHO, status_pb2.PingReply(cluster="x"))).version == "alice"
            channel.close()
        assert not server._open

    asyncio.run(story())


def test_whoever_follows_a_server_that_has_vanished_hears_of_it() -> None:
    """The connection stays open and nothing comes: a question without an answer ends it, and what waits on it."""

    async def story() -> None:
        ours, theirs = memory_pair()

        async def dial() -> Stream:
            return theirs

        channel = rpc.Channel(over_stream(dial))
        series = channel.stream(SERIES, Empty())
        began = asyncio.get_running_loop().time()
        with pytest.raises(errors.Unavailable):
            await anext(series)
        waited = asyncio.get_running_loop().time() - began
        assert rpc.ASK_EVERY <= waited <= rpc.ASK_EVERY + rpc.ANSWER_WITHIN + 3
        await ours.close()
        channel.close()
        await channel.wait_closed()

    virtual_loop.run(story())
