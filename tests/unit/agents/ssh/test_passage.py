"""One forwarded connection: a channel on one side, a socket on the other."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.agents.ssh.passage import Passage
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_stream import StreamSession
from teleport.net.stream import Peer
from tests.support.until import until


class Channel:
    """The channel of a session: takes what is written, and writes down how it ended."""

    def __init__(self) -> None:
        self.written = b""
        self.ends: list[str] = []
        self.paused = False
        self.output_held = False

    def get_connection(self) -> Channel:
        return self

    def is_closing(self) -> bool:
        return "close" in self.ends

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.ends.append("eof")

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Stage:
    """A passage that is running, with a hand on both of its ends."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.session = StreamSession(Peer(address="client:1"), direct=True)
        self.session.connection_made(self.channel)
        ours, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        self.uses = 0
        self.passage = Passage(self.session, SocketStream(ours), self.use)
        self.running = asyncio.get_running_loop().create_task(self.passage.run())

    def use(self) -> None:
        self.uses += 1

    def say(self, data: bytes) -> None:
        self.session.data_received(data, None)

    async def heard(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.peer, 1 << 20)


@pytest.fixture
def play() -> Callable[[Callable[[Stage], Awaitable[None]]], None]:
    def run(scene: Callable[[Stage], Awaitable[None]]) -> None:
        async def main() -> None:
            stage = Stage()
            try:
                async with asyncio.timeout(20):
                    await scene(stage)
            finally:
                stage.passage.cut()
                await asyncio.wait([stage.running])
                stage.peer.close()

        asyncio.run(main())

    return run


Play = Callable[[Callable[[Stage], Awaitable[None]]], None]


def test_both_ends_one_after_the_other(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.say(b"question")
        stage.session.eof_received()
        assert await stage.heard() == b"question"
        assert await stage.heard() == b""
        stage.peer.send(b"answer")
        stage.peer.close()
        await stage.running
        assert stage.channel.written == b"answer"
        assert stage.channel.ends == ["eof", "close"]
        assert (stage.passage.sent, stage.passage.received, stage.uses) == (8, 6, 2)

    play(scene)


def test_the_sockets_end_leaves_the_other_direction(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.peer.shutdown(socket.SHUT_WR)
        await until(lambda: stage.channel.ends == ["eof"])
        stage.say(b"more")
        assert await stage.heard() == b"more"
        stage.session.eof_received()
        await stage.running
        assert stage.channel.ends == ["eof", "close"]

    play(scene)


def test_what_the_client_sent_before_it_closed_arrives(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.say(b"last words")
        stage.session.connection_lost(None)
        await stage.running
        assert await stage.heard() == b"last words"
        assert await stage.heard() == b""

    play(scene)


def test_a_client_that_closes_later_ends_a_silent_socket(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.session.eof_received()
        assert await stage.heard() == b""
        assert not stage.running.done()
        stage.session.connection_lost(None)
        await stage.running

    play(scene)


def test_a_socket_that_takes_no_more_still_speaks(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.peer.shutdown(socket.SHUT_RD)
        stage.say(b"x")
        stage.say(b"y")
        await until(lambda: not stage.session._incoming)
        stage.peer.send(b"still here")
        await until(lambda: stage.channel.written == b"still here")
        stage.peer.close()
        stage.session.eof_received()
        await stage.running

    play(scene)


def test_a_full_socket_holds_the_client(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(300):
            stage.say(bytes(65536))
            await asyncio.sleep(0)
            if stage.channel.paused:
                break
        assert stage.channel.paused
        while stage.channel.paused:
            await stage.heard()

    play(scene)


def test_a_full_channel_holds_the_socket(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.session.pause_writing()
        with contextlib.suppress(BlockingIOError):
            while True:  # until the system holds no more
                stage.peer.send(bytes(65536))
                await asyncio.sleep(0)
        assert stage.channel.written == b""
        stage.session.resume_writing()
        await until(lambda: len(stage.channel.written) > 65536)

    play(scene)


@pytest.mark.parametrize("orderly", [False, True])
def test_a_cut_is_no_end_of_file(orderly: bool, play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.say(b"half")
        assert await stage.heard() == b"half"
        stage.passage.cut(orderly=orderly)
        await stage.running
        assert stage.channel.ends == (["close"] if orderly else ["abort", "close"])

    play(scene)


def test_a_cut_before_the_beginning() -> None:
    async def main() -> None:
        ours, peer = socket.socketpair()
        session: Any = StreamSession(Peer(), direct=True)
        passage = Passage(session, SocketStream(ours), lambda: None)
        passage.cut()
        await passage.run()
        assert peer.recv(1) == b""
        peer.close()

    asyncio.run(main())


def test_whoever_waits_may_be_cancelled(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.say(b"x")
        assert await stage.heard() == b"x"
        stage.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stage.running
        assert await stage.heard() == b""

    play(scene)
