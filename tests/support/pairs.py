"""Connected pairs of every kind of Stream, for tests of what runs on top of them."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from teleport.base.entropy import SystemEntropy
from teleport.net.framed import FramedStream
from teleport.net.memory import MemoryStream, memory_pair
from teleport.net.network import SystemNetwork
from teleport.net.peek import PeekStream
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Sink, Stream
from teleport.net.tls import TlsStream, client_handshake, server_handshake
from teleport.net.tunnel import Tunnel
from teleport.wire.framing import Framing, LengthFraming
from teleport.wire.websocket import WebSocketFraming
from tests.support.check_stream import MakePair
from tests.support.tls import NAME, authority

Pair = contextlib.AbstractAsyncContextManager[tuple[Stream, Stream]]


@contextlib.asynccontextmanager
async def socket_pair() -> AsyncIterator[tuple[Stream, Stream]]:
    a, b = (SocketStream(sock) for sock in socket.socketpair())
    try:
        yield a, b
    finally:
        await a.close()
        await b.close()


@contextlib.asynccontextmanager
async def dialled(address: str) -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    """The accepting end and the dialling end of a connection over the system's network."""
    network, failures = SystemNetwork(on_error=lambda error: failures.append(error)), list[BaseException]()
    accepted: asyncio.Future[SocketStream] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def serve(stream: Stream) -> None:
        assert isinstance(stream, SocketStream)
        accepted.set_result(stream)
        await done.wait()

    listener = await network.listen(address, serve)
    client = await network.dial(listener.address)
    try:
        yield await accepted, client
    finally:
        done.set()
        await client.close()
        await listener.close()
    assert not failures


def tcp_pair() -> Pair:
    return dialled("127.0.0.1:0")


def unix_pair(folder: Path) -> MakePair:
    return lambda: dialled(f"unix:{folder}/s")


@contextlib.asynccontextmanager
async def in_memory(limit: int = 65536) -> AsyncIterator[tuple[Stream, Stream]]:
    a, b = memory_pair(limit=limit)
    yield a, b
    await a.close()
    await b.close()


class EagerStream(MemoryStream):
    """Takes at once what there is room for, and hands on what comes, as TLS on a socket does."""

    _sink: Sink | None = None

    def write_now(self, data: bytes | memoryview) -> int:
        if self._writing.busy or self.closed or self._outgoing.reader_gone or self._outgoing.ended_at is not None:
            return 0
        return self._outgoing.put(memoryview(data))

    def hand_on(self, sink: Sink | None) -> None:
        self._sink = sink

    async def read(self, limit: int = 65536) -> bytes:
        while data := await super().read(limit):
            if self._sink is None or (taken := self._sink(data)) < len(data):
                return data if self._sink is None else data[taken:]
        return b""


def eager_pair(*, limit: int = 65536, delay: float = 0.0) -> tuple[MemoryStream, MemoryStream]:
    a, b = memory_pair(limit=limit, delay=delay)
    a.__class__ = b.__class__ = EagerStream
    return a, b


@contextlib.asynccontextmanager
async def eager() -> AsyncIterator[tuple[Stream, Stream]]:
    a, b = eager_pair(limit=1 << 20)
    yield a, b
    await a.close()
    await b.close()


async def tls_over(
    server: Stream,
    client: Stream,
    server_context: ssl.SSLContext | None = None,
    client_context: ssl.SSLContext | None = None,
) -> tuple[TlsStream, TlsStream]:
    """Do both halves of a handshake."""
    return await asyncio.gather(
        server_handshake(server, server_context or authority().server()),
        client_handshake(client, client_context or authority().client(), server_name=NAME),
    )


def tls(under: Callable[[], Pair]) -> MakePair:
    """Make pairs of TLS over pairs of another kind."""

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[tuple[Stream, Stream]]:
        async with under() as (a, b):
            server, client = await tls_over(a, b)
            yield server, client
            await server.close()
            await client.close()

    return make


def tunnelled(under: Callable[[], Pair]) -> MakePair:
    """Make pairs of streams of a tunnel over pairs of another kind, the dialling end first."""

    async def answer(tunnel: Tunnel) -> Stream:
        return await (await anext(tunnel.accept())).answer()

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[tuple[Stream, Stream]]:
        async with under() as (a, b):
            near, far = Tunnel(a), Tunnel(b)
            try:
                yield await asyncio.gather(near.dial(b""), answer(far))
            finally:
                await asyncio.gather(near.close(), far.close())

    return make


def swapped(under: Callable[[], Pair]) -> MakePair:
    """Make the same pairs with the ends exchanged."""

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[tuple[Stream, Stream]]:
        async with under() as (a, b):
            yield b, a

    return make


def peeked(under: Callable[[], Pair]) -> MakePair:
    """Make pairs whose first end was looked at."""

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[tuple[Stream, Stream]]:
        async with under() as (a, b):
            yield PeekStream(a), b

    return make


def framed(under: Callable[[], Pair], client: Framing, server: Framing) -> MakePair:
    """Make pairs whose bytes travel in messages over pairs of another kind; the second end is the client."""

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[tuple[Stream, Stream]]:
        async with under() as (a, b):
            ends = FramedStream(a, copy.deepcopy(server)), FramedStream(b, copy.deepcopy(client))
            yield ends
            for end in ends:
                await end.close()

    return make


def websocket(under: Callable[[], Pair]) -> MakePair:
    """Make pairs of WebSockets over pairs of another kind."""
    return framed(under, WebSocketFraming(mask=SystemEntropy().token), WebSocketFraming(mask=None))


def pairs(folder: Path) -> dict[str, MakePair]:
    """Return every kind of pair by name."""
    return {
        "socketpair": socket_pair,
        "tcp": tcp_pair,
        "unix": unix_pair(folder),
        "memory": in_memory,
        "tiny memory": lambda: in_memory(10000),
        "peek": peeked(in_memory),
        "tls over tcp, server": tls(tcp_pair),
        "tls over tcp, client": swapped(tls(tcp_pair)),
        "tls in memory": tls(in_memory),
        "tls in tls": tls(tls(tcp_pair)),
        "websocket in tls, server": websocket(tls(tcp_pair)),
        "websocket in tls, client": swapped(websocket(tls(tcp_pair))),
        "websocket over tcp": websocket(tcp_pair),
        "websocket in memory": websocket(in_memory),
        "lengths over tcp": framed(tcp_pair, LengthFraming(), LengthFraming()),
        "tls in a websocket": tls(websocket(tls(tcp_pair))),
        "tunnel, dialled": tunnelled(in_memory),
        "tunnel over tls, answered": swapped(tunnelled(tls(tcp_pair))),
        "tls in a tunnel": tls(tunnelled(in_memory)),
        "tunnel over an eager carrier": tunnelled(eager),
        "tunnel in a tunnel": tunnelled(tunnelled(in_memory)),
    }
