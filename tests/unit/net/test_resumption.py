"""The node's side of resumption, in virtual time: a connection whose carriers are lost, and clients of every sort."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import NotAuthenticated, TeleportError
from teleport.net.memory import MemoryStream, memory_pair
from teleport.net.resumption import GRACE, LINGER, ResumableTransport, Resumptions
from teleport.net.stream import Peer
from teleport.wire.buffer import NeedMore
from teleport.wire.resumption import WINDOW, Duplex
from teleport.wire.resumption_opening import (
    MARK,
    Greeting,
    Request,
    read_answer,
    read_greeting,
    statement,
    write_request,
)
from tests.support import virtual_loop

VERSION = b"SSH-2.0-Test\r\n"
PACKET = b"\0\0\0\x04init"
KEY = b"key"


class Ssh(asyncio.Protocol):
    """The connection of SSH: it says its version, and a packet when it has heard the client's version."""

    def __init__(self) -> None:
        self.heard = b""
        self.transport: asyncio.Transport | None = None
        self.flow: list[bool] = []
        self.ended = False
        self.lost = asyncio.Event()
        self.where = ""
        self.defect = False

    @property
    def out(self) -> asyncio.Transport:
        assert self.transport is not None
        return self.transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=1000)
        transport.write(VERSION)

    def use(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.defect:
            raise ZeroDivisionError
        if not self.heard:
            self.out.write(PACKET)
        self.heard += data

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def pause_writing(self) -> None:
        self.flow.append(False)

    def resume_writing(self) -> None:
        self.flow.append(True)

    def may_resume(self, peer: Peer, signed: Callable[[bytes], bytes], signature: bytes) -> None:
        if signature != KEY + signed(b"digest"):
            raise NotAuthenticated("PKI-BAD-SIGNATURE")

    def resumed(self, peer: Peer) -> None:
        self.where = peer.address


class Node:
    """What accepts carriers."""

    def __init__(self, **bounds: float) -> None:
        self.known = Resumptions(lambda: "host", SeededEntropy(1), **bounds)  # type: ignore[arg-type]
        self.served: list[Ssh] = []
        self.transports: list[ResumableTransport] = []
        self.serving: list[asyncio.Task[None]] = []

    def accept(self, address: str = "client:1", limit: int = 1 << 22) -> MemoryStream:
        """Return a client's end of a new carrier."""
        ours, theirs = memory_pair(limit=limit, peers=(Peer(), Peer(address=address)))
        ssh = Ssh()
        transport = ResumableTransport(theirs, ssh, self.known)
        transport.start()
        self.served.append(ssh)
        self.transports.append(transport)
        self.serving.append(asyncio.get_running_loop().create_task(transport.wait_closed()))
        return ours


class Client:
    """A client that knows of resumption."""

    def __init__(self, node: Node) -> None:
        self.node, self.stream, self.duplex, self.heard = node, node.accept(), Duplex(), b""
        self.greeting = Greeting("", b"")

    async def begin(self) -> Ssh:
        """Change to frames."""
        await self.stream.write(VERSION + PACKET + MARK)
        data = b""
        while MARK not in data:
            data += await self.stream.read()
        plain, _, rest = data.partition(MARK)
        greeting, size = read_greeting(plain)
        assert greeting is not None
        assert plain[size:] == VERSION + PACKET
        self.greeting = greeting
        self.heard = b"".join(self.duplex.receive(rest))
        return self.node.served[-1]

    async def say(self, data: bytes) -> None:
        await self.stream.write(b"".join(self.duplex.write(data)))
        await settled()

    async def hear(self, size: int) -> bytes:
        """Read so much in all, and acknowledge."""
        while len(self.heard) < size:
            self.heard += b"".join(self.duplex.receive(await self.stream.read(1 << 20)))
            await self.stream.write(b"".join(self.duplex.more()) or b"".join(self.duplex.acknowledgement()))
        return self.heard

    async def cut(self) -> None:
        self.stream.reset()
        self.duplex.lose()
        await settled()

    async def back(self, *, key: bytes = KEY, received: int | None = None, address: str = "client:2") -> bool:
        """Come back on another carrier; say whether that was allowed."""
        self.stream = self.node.accept(address)
        offered, size = read_greeting(data := await self.stream.read())
        assert offered is not None
        count = self.duplex.received if received is None else received
        signed = statement(offered, b"digest", self.greeting.token, count)
        self.request = write_request(Request(self.greeting.token, count, key + signed))
        await self.stream.write(self.request)
        return await self.answered(data[size:])

    async def answered(self, data: bytes) -> bool:
        while True:
            try:
                theirs, size = read_answer(data)
                break
            except NeedMore:
                data += await self.stream.read()
        if theirs is None:
            return False
        await self.stream.write(b"".join(self.duplex.resume(theirs)))
        self.heard += b"".join(self.duplex.receive(data[size:]))
        await settled()
        return True


def play(story: Callable[[Node, Client, Ssh], Awaitable[None]]) -> None:
    """Let a client begin, and see that everything has ended after the story."""

    async def main() -> None:
        node = Node()
        client = Client(node)
        ssh = await client.begin()
        await story(node, client, ssh)
        ssh.out.abort()
        await asyncio.sleep(LINGER)
        await ssh.lost.wait()
        await asyncio.gather(*node.serving)

    virtual_loop.run(main())


async def settled() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_stock_client_has_the_carrier_to_itself() -> None:
    async def main() -> None:
        node = Node()
        stream = node.accept()
        await stream.write(VERSION + PACKET + b"\0\0\0\1x")
        await settled()
        ssh = node.served[0]
        assert ssh.heard == VERSION + PACKET + b"\0\0\0\1x"
        assert ssh.transport is not node.transports[0]
        ssh.out.write(b"answer")
        await settled()
        found = b""
        while not found.endswith(b"answer"):
            found += await stream.read()
        assert found.endswith(VERSION + PACKET + b"answer")
        await stream.close()
        await ssh.lost.wait()
        await node.serving[0]

    virtual_loop.run(main())


def test_bytes_go_both_ways_in_frames() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        await client.say(b"hello")
        ssh.out.write(b"welcome")
        assert await client.hear(7) == b"welcome"
        assert ssh.heard == VERSION + PACKET + b"hello"
        assert ssh.out.get_extra_info("peername") == ("client", 1)

    play(story)


def test_a_client_comes_back_and_nothing_is_lost() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        ssh.out.write(b"1" * 70_000)
        await client.hear(1)
        await client.cut()
        assert not ssh.lost.is_set()
        ssh.out.write(b"2" * 100)
        client.duplex.write(b"said meanwhile")
        assert ssh.out.get_extra_info("peername", "nobody") == "nobody"
        await asyncio.sleep(GRACE - 1)
        assert await client.back()
        assert await client.hear(70_100) == b"1" * 70_000 + b"2" * 100
        assert ssh.heard.endswith(PACKET + b"said meanwhile")
        assert ssh.where == "client:2"
        await asyncio.sleep(2 * GRACE)
        assert not ssh.lost.is_set()
        node.transports[0].abort()

    play(story)


def test_who_does_not_come_back_in_time_is_gone() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        await client.cut()
        await asyncio.sleep(GRACE - 1)
        assert not ssh.lost.is_set()
        await asyncio.sleep(2)
        assert ssh.lost.is_set()
        await node.serving[0]
        assert not await client.back()

    play(story)


def test_a_client_that_noticed_first_takes_its_new_carrier() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        old = client.stream
        client.duplex.lose()
        assert await client.back()
        await client.say(b"on the new one")
        assert ssh.heard.endswith(b"on the new one")
        while await old.read():
            pass  # what was on its way
        with pytest.raises(TeleportError):
            await old.write(b"late")

    play(story)


@pytest.mark.parametrize("received", [None, 5])
def test_a_client_that_proves_nothing_or_counts_otherwise_is_refused(received: int | None) -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        await client.cut()
        assert not await client.back(key=b"wrong" if received is None else KEY, received=received)
        assert not ssh.lost.is_set()
        client.duplex.lose()
        assert await client.back()

    play(story)


def test_a_statement_is_good_once() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        await client.cut()
        assert await client.back()
        await client.cut()
        thief = Client(node)
        await thief.stream.write(client.request)
        data = await thief.stream.read()
        _, size = read_greeting(data)
        assert not await thief.answered(data[size:])
        client.duplex.lose()
        assert await client.back()

    play(story)


def test_a_full_window_holds_the_writer_until_it_is_acknowledged() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        ssh.out.write(b"x" * (WINDOW + 2000))
        assert ssh.flow[-1] is False
        assert ssh.out.get_write_buffer_size() >= 2000
        assert node.transports[0].held == WINDOW + 2000
        await client.hear(WINDOW + 2000)
        await settled()
        assert ssh.flow[-1] is True
        assert (ssh.out.get_write_buffer_limits(), ssh.out.can_write_eof()) == ((250, 1000), False)

    play(story)


def test_who_pauses_reading_hears_nothing_on_the_next_carrier_either() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        ssh.out.pause_reading()
        assert not ssh.out.is_reading()
        await client.cut()
        assert await client.back()
        await client.say(b"later")
        await settled()
        assert not ssh.heard.endswith(b"later")
        ssh.out.resume_reading()
        await settled()
        assert ssh.heard.endswith(b"later")

    play(story)


@pytest.mark.parametrize("plain", [False, True])
def test_an_end_comes_behind_what_was_written(plain: bool) -> None:
    async def main() -> None:
        node = Node()
        client = Client(node)
        ssh = node.served[0] if plain else await client.begin()
        ssh.out.write(b"last words")
        ssh.out.close()
        assert ssh.out.is_closing()
        ssh.out.write(b"too late")
        if plain:
            found = b""
            while data := await client.stream.read():
                found += data
            assert found.endswith(b"last words")
        else:
            assert await client.hear(10) == b"last words"
            assert client.duplex.ended
        await client.stream.close()
        await ssh.lost.wait()
        await node.serving[0]

    virtual_loop.run(main())


def test_a_close_without_a_carrier_waits_for_the_client() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        await client.cut()
        ssh.out.write(b"goodbye")
        ssh.out.close()
        await settled()
        assert not ssh.lost.is_set()
        assert await client.back()
        assert await client.hear(7) == b"goodbye"
        assert client.duplex.ended
        await client.stream.close()

    play(story)


def test_a_client_that_ends_is_not_waited_for() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        await client.stream.write(b"".join(client.duplex.write(b"bye")) + b"".join(client.duplex.end()))
        await client.stream.close()
        await ssh.lost.wait()
        assert ssh.ended
        assert ssh.heard.endswith(b"bye")

    play(story)


@pytest.mark.parametrize("defect", [False, True])
def test_a_broken_frame_or_a_defect_ends_the_connection_for_good(defect: bool) -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        loop = virtual_loop.current()
        ssh.defect = defect
        await client.stream.write(b"".join(client.duplex.write(b"x")) if defect else b"\xff" * 10)
        await ssh.lost.wait()
        await settled()
        assert [type(failure) for failure in loop.failures] == ([ZeroDivisionError] if defect else [])
        loop.failures.clear()
        client.duplex.lose()
        assert not await client.back(received=0)

    play(story)


def test_a_carrier_lost_before_anything_was_agreed_on() -> None:
    async def main() -> None:
        node = Node()
        stream = node.accept()
        await stream.write(VERSION)
        stream.reset()
        await node.served[0].lost.wait()
        await node.serving[0]

    virtual_loop.run(main())


@pytest.mark.parametrize("bounds", [{"most": 0}, {"limit": 10}])
def test_the_registry_is_bounded(bounds: dict[str, int]) -> None:
    async def main() -> None:
        node = Node(**bounds)
        client = Client(node)
        ssh = await client.begin()
        ssh.out.write(b"x" * 11)
        await client.cut()
        await ssh.lost.wait()
        await node.serving[0]

    virtual_loop.run(main())


def test_who_waits_longest_gives_way() -> None:
    async def main() -> None:
        node = Node(limit=15)
        clients = [Client(node) for _ in range(2)]
        served = [node.served[0], node.served[1]]
        for client, ssh in zip(clients, served, strict=True):
            await client.begin()
            ssh.out.write(b"x" * 10)
            await client.cut()
        await settled()
        assert [ssh.lost.is_set() for ssh in served] == [True, False]
        assert await clients[1].back()
        assert await clients[1].hear(10) == b"x" * 10
        served[1].out.abort()
        await asyncio.gather(*node.serving)

    virtual_loop.run(main())


STEP = st.tuples(st.sampled_from(["client", "node", "cut", "hear"]), st.integers(1, 5000))


@settings(max_examples=60)
@given(st.lists(STEP, max_size=25))
def test_cut_at_any_time_both_hear_everything_once(steps: list[tuple[str, int]]) -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        said: dict[str, bytes] = {"client": b"", "node": b""}
        for number, (what, size) in enumerate(steps):
            data = bytes([number]) * size
            if what == "client":
                said[what] += data
                await client.say(data)
            elif what == "node":
                said[what] += data
                ssh.out.write(data)
            elif what == "cut":
                await client.cut()
                assert await client.back()
            elif len(said["node"]) > len(client.heard):
                await client.hear(len(client.heard) + 1)
        assert await client.hear(len(said["node"])) == said["node"]
        await settled()
        assert ssh.heard == VERSION + PACKET + said["client"]

    play(story)


def test_who_is_being_shown_out_is_not_listened_to() -> None:
    async def story(node: Node, client: Client, ssh: Ssh) -> None:
        await client.cut()
        ssh.out.close()
        heard = ssh.heard
        client.duplex.write(b"one thing more")
        assert await client.back()
        assert ssh.heard == heard
        assert client.duplex.ended
        await client.stream.close()

    play(story)
