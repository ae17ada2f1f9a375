"""The carrier of SSH on a plain socket: every byte in order, back-pressure both ways, and each kind of end."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_carrier import READ, SocketTransport
from tests.support.until import until

Scene = Callable[[socket.socket, SocketTransport, "Notes"], Awaitable[None]]


class Notes(asyncio.Protocol):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.events: list[Any] = []
        self.keep_open = False
        self.failure: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.failure is not None:
            raise self.failure

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")
        if self.failure is not None:
            raise self.failure

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(type(exc))


def play(scene: Scene, *, tcp: bool = False) -> list[dict[str, Any]]:
    """Run a scene with the far end of a connection; return the defects that were reported."""
    defects: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
        far, near = tcp_pair() if tcp else socket.socketpair()
        far.setblocking(False)
        notes = Notes()
        transport = SocketTransport(SocketStream(near), notes)
        transport.start()
        try:
            async with asyncio.timeout(60):
                await scene(far, transport, notes)
        finally:
            far.close()
            transport.abort()
            await transport.wait_closed()
        assert near.fileno() == -1

    asyncio.run(main())
    return defects


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
    return far, near


async def read(far: socket.socket, size: int = 1 << 20) -> bytes:
    return await asyncio.get_running_loop().sock_recv(far, size)


async def rest(far: socket.socket) -> bytes:
    found = bytearray()
    while data := await read(far):
        found += data
    return bytes(found)


@pytest.mark.parametrize("tcp", [False, True])
def test_every_byte_goes_both_ways(tcp: bool) -> None:
    """More than a buffer holds, in pieces of every size, from memory that is written over at once."""
    chance = random.Random(5)
    sent, came = chance.randbytes(5_000_000), chance.randbytes(3_000_000)

    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        async def write() -> None:
            scratch, at = bytearray(300_000), 0
            while at < len(sent):
                piece = sent[at : at + chance.choice((1, 100, 40_000, 300_000))]
                scratch[: len(piece)] = piece
                transport.write(memoryview(scratch)[: len(piece)])
                scratch[: len(piece)] = bytes(len(piece))
                at += len(piece)
                await asyncio.sleep(0)
            transport.write_eof()

        notes.keep_open = True
        loop = asyncio.get_running_loop()
        got, *_ = await asyncio.gather(rest(far), write(), loop.sock_sendall(far, came))
        await until(lambda: len(notes.data) == len(came))
        assert (got, bytes(notes.data)) == (sent, came)

    assert not play(scene, tcp=tcp)


def test_a_peer_that_does_not_read_pauses_the_protocol() -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        for _ in range(100):
            transport.write(bytes(100_000))
        assert notes.events == ["pause"]
        assert transport.get_write_buffer_size() > 1000
        while len(notes.events) == 1:
            await read(far)
        assert notes.events == ["pause", "resume"]
        assert transport.get_write_buffer_size() <= 250
        transport.set_write_buffer_limits()
        assert transport.get_write_buffer_limits()[1] > 1000

    assert not play(scene)


def test_a_paused_protocol_gets_nothing() -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        transport.pause_reading()
        assert not transport.is_reading()
        far.send(b"abc")
        for _ in range(10):
            await asyncio.sleep(0)
        assert not notes.data
        transport.resume_reading()
        await until(lambda: bytes(notes.data) == b"abc")
        assert transport.is_reading()

    assert not play(scene)


def test_the_end_of_the_peer_is_told_once_and_keeps_the_other_way() -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        notes.keep_open = True
        far.shutdown(socket.SHUT_WR)
        await until(lambda: notes.events == ["eof"])
        transport.resume_reading()
        transport.write(b"still here")
        assert await read(far) == b"still here"
        assert transport.can_write_eof()
        transport.write_eof()
        transport.write_eof()
        with pytest.raises(RuntimeError):
            transport.write(b"more")
        assert await read(far) == b""
        assert notes.events == ["eof"]

    assert not play(scene)


def test_the_end_of_the_peer_closes_unless_kept() -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        far.shutdown(socket.SHUT_WR)
        await transport.wait_closed()
        assert notes.events == ["eof", type(None)]
        assert await read(far) == b""

    assert not play(scene)


@pytest.mark.parametrize("half", [False, True])
def test_what_is_unsent_goes_out_before_the_end(half: bool) -> None:
    data = random.Random(1).randbytes(3_000_000)

    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        transport.write(data)
        if half:
            transport.write_eof()
        transport.close()
        transport.close()
        assert transport.is_closing()
        transport.resume_reading()
        assert not transport.is_reading()
        assert await rest(far) == data
        far.send(b"nobody listens")
        far.close()
        await transport.wait_closed()
        transport.write_eof()
        assert not notes.data
        assert notes.events == ["pause", "resume", type(None)]

    assert not play(scene)


@pytest.mark.parametrize("paused", [False, True])
def test_last_words_arrive_though_the_peer_goes_on_sending(paused: bool) -> None:
    """A socket that is closed with input unread, or before more comes, resets the connection."""

    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        if paused:
            transport.pause_reading()
        far.send(b"x" * 1000)
        transport.write(b"no more of this")
        transport.close()
        transport.pause_reading()
        for _ in range(100):
            far.send(b"x" * 1000)
            await asyncio.sleep(0)
        assert await rest(far) == b"no more of this"
        assert notes.events == []
        far.shutdown(socket.SHUT_WR)
        await transport.wait_closed()
        assert notes.events == [type(None)]

    assert not play(scene, tcp=True)


def test_a_peer_that_has_ended_gets_the_rest() -> None:
    data = random.Random(2).randbytes(3_000_000)

    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        transport.write(data)
        far.shutdown(socket.SHUT_WR)
        transport.close()
        assert await rest(far) == data
        await transport.wait_closed()

    assert not play(scene)


def test_an_abort_drops_what_is_unsent() -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        transport.write(bytes(10_000_000))
        transport.abort()
        transport.write(b"nothing")
        assert notes.events == ["pause"]
        await transport.wait_closed()
        assert notes.events[1:] == [type(None)]
        assert len(await rest(far)) < 10_000_000

    assert not play(scene)


def test_a_reset_is_told_to_who_reads_and_to_who_writes() -> None:
    async def reads(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        await transport.wait_closed()
        assert notes.events == [ConnectionResetError]

    async def writes(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        transport.pause_reading()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        while not transport.is_closing():
            transport.write(b"x" * 1000)
            await asyncio.sleep(0)
        await transport.wait_closed()
        assert issubclass(notes.events[-1], OSError)

    async def ends(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        transport.pause_reading()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        await asyncio.sleep(0)
        transport.write_eof()
        await transport.wait_closed()
        assert issubclass(notes.events[-1], OSError)

    for scene in (reads, writes, ends):
        assert not play(scene, tcp=True)


@pytest.mark.parametrize("reading", [True, False])
def test_a_defect_of_the_protocol_is_reported_and_ends_the_connection(reading: bool) -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        notes.failure = ValueError("oh")
        if reading:
            far.send(b"x")
        else:
            transport.write(bytes(5_000_000))
            while not transport.is_closing():
                await read(far)
        await transport.wait_closed()
        assert notes.events[-1] is ValueError

    assert [type(one["exception"]) for one in play(scene)] == [ValueError]


def test_facts_of_the_socket() -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        assert transport.get_extra_info("peername") == far.getsockname()
        assert transport.get_extra_info("sockname") == far.getpeername()
        assert transport.get_extra_info("socket").family == socket.AF_INET
        assert transport.get_extra_info("cipher", 7) == 7
        transport.abort()
        assert transport.get_extra_info("sockname", 7) == 7

    async def unix(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        assert transport.get_extra_info("peername", 7) == 7

    play(scene, tcp=True)
    play(unix)


def test_connections_share_what_they_read_into() -> None:
    """The memory of a connection that says nothing is none."""

    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        other_far, other_near = socket.socketpair()
        other = Notes()
        second = SocketTransport(SocketStream(other_near), other)
        second.start()
        far.send(b"a" * 100)
        other_far.send(b"b" * 100)
        await until(lambda: len(notes.data) + len(other.data) == 200)
        assert (bytes(notes.data), bytes(other.data)) == (b"a" * 100, b"b" * 100)
        assert READ > 100
        second.abort()
        await second.wait_closed()
        other_far.close()

    assert not play(scene)


def test_pieces_in_a_row_arrive_in_order_however_much_the_socket_takes() -> None:
    rounds = [[bytes([number]) * size for number, size in enumerate((3, 300_000, 5))] for _ in range(3)]
    rounds += [[b"x"] * 100, [b"last"]]

    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        for parts in rounds:
            transport.writelines(parts)
        transport.close()
        loop, found = asyncio.get_running_loop(), b""
        while data := await loop.sock_recv(far, 65536):
            found += data
        assert found == b"".join(b"".join(parts) for parts in rounds)

    assert play(scene) == []


def test_pieces_for_a_peer_that_has_gone() -> None:
    async def scene(far: socket.socket, transport: SocketTransport, notes: Notes) -> None:
        far.close()
        transport.writelines([b"one", b"two"])
        await until(lambda: transport.is_closing())
        transport.writelines([b"three"])

    assert play(scene) == []
