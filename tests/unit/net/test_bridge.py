"""The bridge: a transport's own duties, and the libraries that run on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import aiohttp
import asyncssh
import pytest
from aiohttp import web
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler
from grpclib.protocol import H2Protocol
from grpclib.server import Server

from teleport.base.errors import Unavailable
from teleport.net.bridge import StreamTransport, as_transport
from teleport.net.memory import memory_pair
from teleport.net.stream import Stream
from tests.support.check_stream import pattern, read_all, read_exactly
from tests.support.pairs import Pair, in_memory, socket_pair, tcp_pair, tls

UNDER = {"memory": in_memory, "tcp": tcp_pair, "tls over tcp": tls(tcp_pair), "tls in memory": tls(in_memory)}
every_carrier = pytest.mark.parametrize("under", UNDER.values(), ids=UNDER)


class Recorder(asyncio.Protocol):
    """Writes down its events."""

    def __init__(self, keep_open: bool = False) -> None:
        self.events: list[Any] = []
        self.data = b""
        self.changed = asyncio.Event()
        self.keep_open = keep_open
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._add("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.changed.set()

    def eof_received(self) -> bool:
        self._add("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self._add("pause")

    def resume_writing(self) -> None:
        self._add("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self._add(("lost", type(exc)))

    def _add(self, event: Any) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def run(test: Callable[[Stream, StreamTransport, Recorder], Any], *, keep_open: bool = False) -> None:
    """Run `test` with a stream and the transport over its other end, in memory and over sockets."""

    async def main(under: Callable[[], Pair]) -> None:
        async with asyncio.timeout(60), under() as (far, near):
            transport, recorder = as_transport(near, lambda: Recorder(keep_open))
            assert recorder.events == ["made"]
            try:
                await test(far, transport, recorder)
            finally:
                transport.abort()
                await transport.wait_closed()
                await far.close()

    asyncio.run(main(lambda: in_memory(limit=1 << 18)))
    asyncio.run(main(tcp_pair))


def test_protocol_may_pause_while_it_is_given_something() -> None:
    async def test(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        class Reluctant(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                transport.pause_reading()

        transport.set_protocol(reluctant := Reluctant())
        for whole in (b"1234", b"12341234", b"123412341234"):
            await far.write(b"1234")
            await reluctant.until(lambda: len(reluctant.data) >= len(whole))  # noqa: B023 - waited for here
            assert reluctant.data == whole
            assert not transport.is_reading()
            transport.resume_reading()

    run(test)


def test_close_sends_what_is_buffered_first() -> None:
    async def test(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        transport.write(b"abc")
        transport.writelines([b"d", b"ef"])
        transport.close()
        assert transport.is_closing()
        transport.write(b"ignored after close")
        assert await read_all(far) == b"abcdef"
        await transport.wait_closed()
        assert recorder.events == ["made", ("lost", type(None))]

    run(test)


def test_end_of_the_peer_closes_or_is_kept_open_as_the_protocol_says() -> None:
    async def closes(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        await far.write(b"x")
        await far.write_eof()
        assert await read_all(far) == b""
        await transport.wait_closed()
        assert (recorder.data, recorder.events[1:]) == (b"x", ["eof", ("lost", type(None))])

    async def stays(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        await far.write_eof()
        await recorder.until(lambda: "eof" in recorder.events)
        transport.write(b"answer")
        transport.write_eof()
        assert await read_all(far) == b"answer"
        assert not transport.is_closing()
        with pytest.raises(RuntimeError):
            transport.write(b"more")
        transport.close()
        await transport.wait_closed()

    run(closes)
    run(stays, keep_open=True)


def test_flow_control_both_ways() -> None:
    async def test(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        data = pattern(1 << 20)
        transport.write(data)
        assert recorder.events[-1] == "pause"
        assert transport.get_write_buffer_size() == len(data)
        assert await read_exactly(far, len(data)) == data
        await recorder.until(lambda: recorder.events[-1] == "resume")
        assert transport.get_write_buffer_size() == 0
        transport.pause_reading()
        assert not transport.is_reading()
        await far.write(b"held")
        for _ in range(20):
            await asyncio.sleep(0)
        assert recorder.data == b""
        transport.resume_reading()
        await recorder.until(lambda: recorder.data == b"held")

    run(test)


def test_water_marks() -> None:
    async def test(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        transport.set_write_buffer_limits(high=100)
        assert transport.get_write_buffer_limits() == (25, 100)
        transport.set_write_buffer_limits(low=100)
        assert transport.get_write_buffer_limits() == (100, 400)
        transport.set_write_buffer_limits()
        assert transport.get_write_buffer_limits()[1] == 65536
        with pytest.raises(ValueError, match="high"):
            transport.set_write_buffer_limits(high=1, low=2)

    run(test)


def test_abort_ends_a_writer_that_is_stuck() -> None:
    async def test(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        transport.write(pattern(4 << 20))
        await asyncio.sleep(0)
        transport.abort()
        await transport.wait_closed()
        assert recorder.events[-1] == ("lost", type(None))

    run(test)


def test_lost_connection_is_an_os_error_for_the_protocol() -> None:
    async def test(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        far.reset()  # type: ignore[attr-defined]
        await transport.wait_closed()
        assert recorder.events[-1] == ("lost", ConnectionResetError)

    run(test)


def test_defect_of_the_protocol_is_reported_and_ends_the_connection() -> None:
    async def test(far: Stream, transport: StreamTransport, recorder: Recorder) -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        recorder.data = None  # type: ignore[assignment]
        await far.write(b"x")
        await transport.wait_closed()
        assert [type(error) for error in reported] == [TypeError]

    run(test)


def test_close_inside_connection_made() -> None:
    class Rude(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

    async def main() -> None:
        far, near = memory_pair()
        transport, _ = as_transport(near, Rude)
        await transport.wait_closed()
        assert await far.read() == b""

    asyncio.run(main())


def test_buffered_protocol_gets_everything() -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer, self.data = bytearray(7), b""
            self.ended = asyncio.Event()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

        def eof_received(self) -> None:
            self.ended.set()

    async def main() -> None:
        far, near = memory_pair()
        transport, protocol = as_transport(near, Buffered)
        await far.write(pattern(5000))
        await far.write_eof()
        await protocol.ended.wait()
        assert protocol.data == pattern(5000)
        await transport.wait_closed()
        await far.close()

    asyncio.run(main())


def test_extra_info() -> None:
    async def main() -> None:
        async with tls(tcp_pair)() as (server, client), socket_pair() as (plain, _), in_memory() as (memory, _):
            secure, simple, light = (StreamTransport(stream, Recorder()) for stream in (client, plain, memory))
            host, port = secure.get_extra_info("peername")
            assert (host, port) == ("127.0.0.1", server.sock.getsockname()[1])  # type: ignore[attr-defined]
            assert secure.get_extra_info("sockname")[0] == "127.0.0.1"
            assert secure.get_extra_info("ssl_object").version() == "TLSv1.3"
            assert secure.get_extra_info("sslcontext") is not None
            assert secure.get_extra_info("peercert")["subject"]
            assert secure.get_extra_info("cipher")
            assert simple.get_extra_info("socket") is not None
            assert simple.get_extra_info("ssl_object") is None
            assert light.get_extra_info("peername") == "memory:b"
            assert light.get_extra_info("stream") is memory
            assert light.get_extra_info("peer") == memory.peer
            assert light.get_extra_info("nonsense", 5) == 5
            assert light.can_write_eof()
            assert isinstance(light.get_protocol(), Recorder)

    asyncio.run(main())


@every_carrier
def test_aiohttp_server_and_client(under: Callable[[], Pair]) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), headers={"X-Scheme": request.scheme})

    async def main() -> None:
        async with asyncio.timeout(30), under() as (server_side, client_side):
            app = web.Application(client_max_size=8 << 20)
            app.add_routes([web.post("/", echo)])
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            assert runner.server
            transport, _ = as_transport(server_side, runner.server)
            async with aiohttp.ClientSession(connector=StreamConnector(client_side)) as session:
                for body in (b"hello", pattern(1_000_000)):
                    async with session.post("http://any/", data=body) as response:
                        assert await response.read() == body
            await transport.wait_closed()
            await runner.cleanup()

    asyncio.run(main())


class StreamConnector(aiohttp.BaseConnector):
    """An aiohttp connector whose one connection is a Stream."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    async def _create_connection(self, *args: Any, **kwargs: Any) -> Any:
        _, protocol = as_transport(self._stream, self._factory)
        return protocol


class Echo:
    """A service as generated code would make it."""

    def __mapping__(self) -> dict[str, Handler]:
        return {"/t.Echo/Say": Handler(self.say, Cardinality.UNARY_UNARY, StringValue, BytesValue)}

    async def say(self, stream: Any) -> None:
        message = await stream.recv_message()
        await stream.send_message(BytesValue(value=message.value.encode()))


class StreamChannel(Channel):
    """How to use grpclib's private client hook: the connection comes from a Stream instead of an address.

    `connection_made` has run when `as_transport` returns, which grpclib relies on.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    async def _create_connection(self) -> H2Protocol:
        _, protocol = as_transport(self._stream, self._protocol_factory)
        return protocol


@every_carrier
def test_grpclib_server_and_client(under: Callable[[], Pair]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), under() as (server_side, client_side):
            server = Server([Echo()])
            # The private server hook: one protocol object for each accepted stream.
            transport, protocol = as_transport(server_side, server._protocol_factory)
            async with StreamChannel(client_side) as channel:
                method = UnaryUnaryMethod(channel, "/t.Echo/Say", StringValue, BytesValue)
                texts = ["hello", "x" * (1 << 20), *"abcdefgh"]
                replies = await asyncio.gather(*(method(StringValue(value=text)) for text in texts))
                assert [reply.value.decode() for reply in replies] == texts
            await transport.wait_closed()
            await cast(Any, protocol.handler).wait_closed()

    asyncio.run(main())


class OpenServer(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, username: str) -> bool:
        return False


class Carrier:
    """What asyncssh asks of a tunnel: a transport and its protocol."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def create_connection(self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> Any:
        return as_transport(self._stream, factory)


async def report_command(process: asyncssh.SSHServerProcess[str]) -> None:
    process.stdout.write(f"ran {process.command}")
    process.exit(7)


@every_carrier
def test_asyncssh_server_and_client(under: Callable[[], Pair]) -> None:
    async def main() -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        settings = asyncssh.SSHServerConnectionOptions(
            server_factory=OpenServer, server_host_keys=[key], process_factory=report_command
        )
        async with asyncio.timeout(30), under() as (server_side, client_side):
            server = asyncssh.connection.SSHServerConnection(asyncio.get_running_loop(), settings)
            as_transport(server_side, lambda: server)
            connection = await asyncssh.connect(
                "any", tunnel=Carrier(client_side), known_hosts=None, config=None, username="u", client_keys=None
            )
            async with connection:
                done = await connection.run("uptime")
                assert (done.stdout, done.exit_status) == ("ran uptime", 7)
            await server.wait_closed()

    asyncio.run(main())


def test_a_stream_that_is_handed_over() -> None:
    """What is buffered is sent, the protocol is told of its end, and the stream lives on."""

    async def run() -> None:
        ours, theirs = memory_pair(limit=10)
        transport, recorder = as_transport(ours, Recorder)
        transport.write(b"x" * 100)
        transport.hand_over()
        transport.write(b"lost")
        assert await read_exactly(theirs, 100) == b"x" * 100
        await transport.wait_closed()
        assert transport.handed_over
        assert ("lost", type(None)) in recorder.events
        transport.abort()
        await ours.write(b"on")
        assert await read_exactly(theirs, 2) == b"on"
        await theirs.write(b"back")
        assert await ours.read() == b"back"
        await ours.close()

    asyncio.run(run())


@pytest.mark.parametrize("how", ["abort", "lost", "closed before"])
def test_nothing_is_handed_over_after_a_failure(how: str) -> None:
    async def run() -> None:
        ours, theirs = memory_pair(limit=10)
        transport, _ = as_transport(ours, Recorder)
        transport.write(b"x" * 100)
        if how == "closed before":
            transport.close()
        transport.hand_over()
        if how == "abort":
            transport.abort()
        elif how == "lost":
            await theirs.close()
        else:
            assert await read_exactly(theirs, 100) == b"x" * 100
        await transport.wait_closed()
        assert not transport.handed_over
        with pytest.raises(Unavailable):
            await ours.read()

    asyncio.run(run())
