"""A channel to a server as a socket: bytes, ends and back-pressure both ways."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.base.errors import Unavailable
from teleport.net import ssh_carried
from teleport.net.ssh_carried import Carried, carry


class Channel:
    """What asyncssh calls a channel."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.ended = self.aborted = self.closed = False
        self.reading = True

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert high > low

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: bytes) -> None:
        self.sent += data

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True


def run(story: Callable[[socket.socket, Carried, Channel], Awaitable[None]]) -> None:
    async def body() -> None:
        made: list[Any] = []

        async def opened(far: Carried) -> None:
            made[:] = [far, Channel()]
            far.connection_made(made[1])

        async with asyncio.timeout(60):
            near = await carry(opened)
            with near:
                await story(near, *made)
            await until(lambda: made[1].closed)

    asyncio.run(body())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a state of the object under test, which tells nobody
        await asyncio.sleep(0)


def test_bytes_and_ends_go_on() -> None:
    async def story(near: socket.socket, far: Carried, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(near, b"question")
        near.shutdown(socket.SHUT_WR)
        await until(lambda: channel.ended)
        assert channel.sent == b"question"
        far.data_received(b"ans", None)
        far.data_received(b"noise", 1)
        far.data_received(b"wer", None)
        assert far.eof_received()
        read = b""
        while data := await loop.sock_recv(near, 100):
            read += data
        assert read == b"answer"
        assert not channel.aborted
        far.connection_lost(None)

    run(story)


def test_who_does_not_read_is_waited_for() -> None:
    async def story(near: socket.socket, far: Carried, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        far.data_received(bytes(4 << 20), None)
        await until(lambda: not channel.reading)
        left = 4 << 20
        while left:
            left -= len(await loop.sock_recv(near, 1 << 20))
        await until(lambda: channel.reading)
        far.crowded(True)
        sent = 0
        near.setblocking(False)
        try:
            while True:
                sent += near.send(bytes(1 << 16))
        except BlockingIOError:
            pass
        await asyncio.sleep(0)
        assert len(channel.sent) < sent
        far.crowded(False)
        await until(lambda: len(channel.sent) == sent)

    run(story)


def test_a_closed_socket_is_told_from_one_that_sends_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_carried, "LOOK", 0.001)

    async def story(near: socket.socket, far: Carried, channel: Channel) -> None:
        near.shutdown(socket.SHUT_WR)
        await until(lambda: channel.ended)
        far.data_received(b"still", None)
        assert await asyncio.get_running_loop().sock_recv(near, 100) == b"still"
        assert not channel.aborted

    run(story)


def test_what_was_sent_before_a_close_reaches_the_server() -> None:
    """Also when the server sends on, and the socket with what was not read yet is found to be closed."""

    async def story(near: socket.socket, far: Carried, channel: Channel) -> None:
        far.crowded(True)
        await asyncio.sleep(0)
        await asyncio.get_running_loop().sock_sendall(near, b"the last words")
        near.close()
        far.data_received(b"more", None)
        await until(lambda: channel.closed)
        assert channel.sent == b"the last words"
        assert not channel.aborted

    run(story)


def test_a_channel_that_opens_for_nobody_is_closed() -> None:
    far, channel = Carried(), Channel()
    far.abandon()
    far.connection_made(channel)
    assert channel.aborted


def test_a_channel_that_is_not_opened_leaves_nothing() -> None:
    async def refused(far: Carried) -> None:
        raise Unavailable("NET-CLOSED", address="x")

    async def body() -> None:
        with pytest.raises(Unavailable):
            await carry(refused)
        await asyncio.sleep(0)

    asyncio.run(body())


def test_before_it_is_attached_nothing_happens() -> None:
    far = Carried()
    far.data_received(b"x", None)
    far.crowded(True)
    far.send(b"x")
    far.send_end()
    far.finish()
    far.flow(True)
    assert far.eof_received()
    far.connection_lost(None)
