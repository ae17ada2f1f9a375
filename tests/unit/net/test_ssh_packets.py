"""The way of packets: any cipher, any split, new keys at any time; what no honest client sends ends the connection."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import (
    DISC_MAC_ERROR,
    DISC_PROTOCOL_ERROR,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_IGNORE,
    MSG_USERAUTH_SUCCESS,
)
from asyncssh.packet import SSHPacket, String, UInt32

from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.net import ssh as net_ssh
from teleport.net import ssh_packets
from teleport.net.bridge import as_transport
from teleport.net.memory import memory_pair
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_channel import WINDOW, Session
from teleport.net.ssh_settings import HostKey, options
from teleport.net.stream import Peer, Stream
from teleport.pki import keys
from tests.support.authorities import NOW, Cluster, cluster
from tests.support.ssh_raw import RawClient, Recorder
from tests.support.until import until

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr")
SEALED = CIPHERS[:3]
Scene = Callable[["Ends"], Awaitable[None]]
TYPE_OF_DISCONNECT = 1


class Echo(Session):
    """Sends back what it gets, the second half of each on standard error."""

    def connection_made(self, chan: Any) -> None:
        self.channel = chan

    async def run(self, command: bytes | None) -> bool:
        return True

    def data_received(self, data: bytes, datatype: Any) -> None:
        self.channel.write(data[: len(data) // 2])
        self.channel.write(data[len(data) // 2 :], 1)

    def eof_received(self) -> bool:
        self.channel.exit(0)
        return True


class Echoes(Recorder):
    async def open_session(self) -> Session:
        self.sessions.append(Echo())
        return self.sessions[-1]


@dataclass
class Wire:
    """The line between both: hands on what comes, in pieces of random size, changed where a test wants it."""

    seed: int = 0
    largest: int = 1 << 16
    """0: what comes at once goes on at once."""
    change: Callable[[bytes], bytes] = lambda data: data
    """What becomes of the client's bytes."""

    async def carry(self, source: Stream, target: Stream, *, change: bool) -> None:
        pick = random.Random(self.seed)
        while data := await source.read(1 << 16):
            data = self.change(data) if change else data
            while data:
                size = pick.randint(1, self.largest) if self.largest else len(data)
                await target.write(data[:size])
                data = data[size:]
        await target.write_eof()


@dataclass
class Ends:
    """Both ends of a connection."""

    server: net_ssh.ServerConnection
    handler: Recorder
    stream: Stream
    """The client's end of the line."""
    writes: list[int] = field(default_factory=list)
    """Sizes of the server's writes."""


class Place:
    """A server, and a client that it lets in."""

    def __init__(self) -> None:
        self.cluster: Cluster = cluster(seed=3)
        entropy = SeededEntropy(5)
        host = keys.make_ed25519(entropy)
        blob = self.cluster.ssh(self.cluster.host_identity(), keys.ssh_blob(host.public_key())).blob
        self.host = HostKey(keys.private_openssh(host), blob)
        self.key = keys.make_ed25519(entropy)
        self.certificate = self.cluster.ssh(self.cluster.identity(), keys.ssh_blob(self.key.public_key()))
        self.pair = (
            asyncssh.import_private_key(keys.private_openssh(self.key)),
            asyncssh.import_certificate(self.certificate.line().encode()),
        )

    def play(
        self, scene: Scene, *, wire: Wire | None = None, handler: Recorder | None = None, rekey: int = 0,
        sockets: bool = False,
    ) -> Ends:  # fmt: skip
        """Run a scene with a server at the other end of the line, which comes to it on a socket or not; return the
        ends."""
        ours = self.cluster
        trust = net_ssh.Trust(clock=ManualClock(NOW), cluster=ours.name, authorities=lambda: ours.both)
        made: list[net_ssh.ServerConnection] = []
        recorder = handler or Echoes()

        def handle(connection: net_ssh.ServerConnection) -> Recorder:
            made.append(connection)
            return recorder

        async def main() -> Ends:
            line = wire or Wire()
            peers = (Peer(address="127.0.0.1:22"), Peer(address="198.51.100.7:4022"))
            client_end, near = memory_pair(peers=peers)
            far, server_end = socket_streams() if sockets else memory_pair(peers=peers)
            settings = options([self.host], login_timeout=20.0)
            settings.rekey_bytes = rekey or settings.rekey_bytes
            loop = asyncio.get_running_loop()
            serving = loop.create_task(net_ssh.serve(server_end, settings=settings, trust=trust, handler=handle))
            carrying = [
                loop.create_task(line.carry(near, far, change=True)),
                loop.create_task(line.carry(far, near, change=False)),
            ]
            await until(lambda: bool(made))
            ends = Ends(made[0], recorder, client_end)
            try:
                async with asyncio.timeout(60):
                    await scene(ends)
            finally:
                await client_end.close()
                made[0].abort()
                for task in carrying:
                    task.cancel()
                await asyncio.wait([serving, *carrying])
                await far.close()
            return ends

        return asyncio.run(main())

    async def client(self, stream: Stream, cipher: str, **settings: Any) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            "any", tunnel=Carrier(stream), known_hosts=None, config=None, username="root", client_keys=[self.pair],
            agent_path=None, encryption_algs=[cipher], **settings,
        )  # fmt: skip

    async def raw(self, stream: Stream) -> RawClient:
        """A client that sends what it is told, let in."""
        _, client = as_transport(stream, RawClient)
        await client.ready()
        client.prove("root", self.certificate.blob, self.key)
        assert (await client.reply())[0] == MSG_USERAUTH_SUCCESS
        return client


def socket_streams() -> tuple[Stream, Stream]:
    first, second = socket.socketpair()
    return SocketStream(first), SocketStream(second)


class Carrier:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def create_connection(self, factory: Any, host: str, port: int) -> tuple[Any, Any]:
        return as_transport(self._stream, factory)


@pytest.fixture(scope="module")
def place() -> Place:
    return Place()


async def echoed(client: asyncssh.SSHClientConnection, data: bytes) -> tuple[bytes, bytes]:
    done = await client.run("echo", input=data, encoding=None)
    assert done.exit_status == 0
    assert isinstance(done.stdout, bytes)
    assert isinstance(done.stderr, bytes)
    return done.stdout, done.stderr


def halves(data: bytes, out: bytes, error: bytes) -> bool:
    """Whether both outputs together are the input, cut somewhere and put together again."""
    return len(out) + len(error) == len(data) and sorted(out + error) == sorted(data)


every_carrier = pytest.mark.parametrize("sockets", [False, True], ids=["stream", "socket"])


@every_carrier
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("largest", [1, 7, 40, 5000, 1 << 16])
def test_any_split_carries_the_same(place: Place, cipher: str, largest: int, sockets: bool) -> None:
    data = os.urandom(300 if largest < 40 else 300_000)

    async def scene(ends: Ends) -> None:
        async with await place.client(ends.stream, cipher) as client:
            assert halves(data, *await echoed(client, data))

    place.play(scene, wire=Wire(seed=largest, largest=largest), sockets=sockets)


@every_carrier
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("who", ["server", "client", "both"])
def test_new_keys_under_way_lose_nothing(place: Place, cipher: str, who: str, sockets: bool) -> None:
    """Either side asks for new keys after each 200 kB, while data goes both ways."""
    data = os.urandom(3_000_000)
    keys_before: list[Any] = []

    async def scene(ends: Ends) -> None:
        settings = {} if who == "server" else {"rekey_bytes": 150_000}
        async with await place.client(ends.stream, cipher, **settings) as client:
            keys_before.append(ends.server._send_encryption)
            assert halves(data, *await echoed(client, data))
            assert ends.server._send_encryption is not keys_before[0]

    place.play(scene, rekey=0 if who == "client" else 200_000, sockets=sockets)


def test_a_burst_is_one_write(place: Place) -> None:
    """What a window takes at once goes to the carrier at once, and no empty message before it."""
    writes: list[int] = []

    async def scene(ends: Ends) -> None:
        async with await place.client(ends.stream, SEALED[0]) as client:
            await echoed(client, b"x")  # behind the login, whose messages are small
            transport: Any = ends.server._transport
            write = transport.write

            def counted(data: bytes) -> None:
                writes.append(len(data))
                write(data)

            transport.write = counted
            process = await client.create_process("cat", encoding=None)
            await until(lambda: len(ends.handler.sessions) == 2)
            before = len(writes)
            await until(lambda: ends.handler.sessions[1].channel._send_state == "open")  # type: ignore[attr-defined]
            ends.handler.sessions[1].channel.write(bytes(100_000))  # type: ignore[attr-defined]
            assert len(writes) == before + 1
            assert 100_000 < writes[-1] < 100_000 + 4 * 64
            process.close()

    place.play(scene)


def test_other_ciphers_keep_the_empty_message(place: Place) -> None:
    taken: list[bytes] = []

    class Listener(asyncssh.connection.SSHClientConnection):
        def _take(self, _type: int, _id: int, packet: SSHPacket) -> None:
            taken.append(packet.get_full_payload())

        _packet_handlers = {**asyncssh.connection.SSHClientConnection._packet_handlers, MSG_IGNORE: _take}

    def empty_messages(cipher: str) -> int:
        async def scene(ends: Ends) -> None:
            async with await place.client(ends.stream, cipher) as client:
                await echoed(client, b"x")

        taken.clear()
        place.play(scene)
        return len(taken)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncssh.connection, "SSHClientConnection", Listener)
        assert empty_messages("aes128-ctr")
        assert not empty_messages(SEALED[0])


# -- what no honest client sends ----------------------------------------------------------------------------


async def disconnected(client: RawClient) -> int:
    """Return the code with which the server ended the connection, after whatever else it says."""
    while True:
        kind, payload = await client.reply()
        if kind == TYPE_OF_DISCONNECT:
            return SSHPacket(payload).get_uint32()
        assert kind, "the connection ended without a word"


def sealed(client: RawClient, plain: bytes, *, length: int | None = None) -> bytes:
    """Return a packet with the client's next nonce, whatever is in it."""
    cipher: Any = client._send_encryption
    head = (len(plain) if length is None else length).to_bytes(4, "big")
    return b"".join(cipher.encrypt_packet(client._send_seq, head, plain))


def message(client: RawClient, payload: bytes) -> bytes:
    """Return a whole packet of the client, with its next nonce."""
    padding = 4 + (-len(payload) - 5) % 16
    return sealed(client, bytes((padding,)) + payload + bytes(padding))


class Notes(Session):
    """Writes down what comes, in the pieces in which it comes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def data_received(self, data: bytes, datatype: Any) -> None:
        self.heard.append(data)

    def eof_received(self) -> bool:
        self.heard.append(b"END")
        return True


class Noting(Recorder):
    async def open_session(self) -> Session:
        self.sessions.append(Notes())
        return self.sessions[-1]


def listen(ends: Ends) -> None:
    """Have the sessions hear what comes, though nothing was asked to run."""
    for channel in ends.server._channels.values():
        channel.resume_reading()


def data_for(channel: int, data: bytes) -> bytes:
    return bytes((MSG_CHANNEL_DATA,)) + UInt32(channel) + String(data)


@every_carrier
@pytest.mark.parametrize("end", ["end", "changed"])
def test_data_of_packets_in_a_row_comes_as_one_and_before_all_else(place: Place, sockets: bool, end: str) -> None:
    """Two channels by turns, then the end of one of them, or a packet that is not genuine."""
    noting = Noting()

    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        for number in (7, 8):
            client.open_channel(b"session", number)
            assert (await client.reply())[0] == 91
        listen(ends)
        row = [(0, b"a" * 9), (0, b"b"), (0, b""), (1, b"c"), (1, b"d"), (0, b"e"), (1, b"f" * 90)]
        wire = b"".join(message(client, data_for(channel, data)) for channel, data in row)
        last = bytearray(message(client, bytes((MSG_CHANNEL_EOF,)) + UInt32(1)))
        last[-1] ^= end == "changed"
        client._send(wire + bytes(last))
        if end == "changed":
            assert await disconnected(client) == DISC_MAC_ERROR
        heard = [session.heard for session in noting.sessions]  # type: ignore[attr-defined]
        after = [b"END"] if end == "end" else []
        await until(lambda: sum(map(len, heard)) == 4 + len(after))
        assert heard == [[b"a" * 9 + b"b", b"e"], [b"cd", b"f" * 90, *after]]

    place.play(scene, wire=Wire(largest=0), handler=noting, sockets=sockets)


def test_what_fits_into_the_window_comes_before_the_end(place: Place) -> None:
    noting = Noting()

    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        client.open_channel(b"session", 7)
        assert (await client.reply())[0] == 91
        listen(ends)
        next(iter(ends.server._channels.values()))._recv_window = 100
        client._send(b"".join(message(client, data_for(0, bytes(60))) for _ in range(2)))
        assert await disconnected(client) == DISC_PROTOCOL_ERROR
        assert noting.sessions[0].heard == [bytes(60)]  # type: ignore[attr-defined]

    place.play(scene, wire=Wire(largest=0), handler=noting)


BAD_ADJUSTMENTS = {
    "of no channel": bytes((MSG_CHANNEL_WINDOW_ADJUST,)) + UInt32(9) + UInt32(1),
    "with something behind it": bytes((MSG_CHANNEL_WINDOW_ADJUST,)) + UInt32(0) + UInt32(1) + b"x",
    "without a size": bytes((MSG_CHANNEL_WINDOW_ADJUST,)) + UInt32(0),
}


@pytest.mark.parametrize("payload", BAD_ADJUSTMENTS.values(), ids=BAD_ADJUSTMENTS.keys())
def test_an_adjustment_of_no_form_ends_the_connection(place: Place, payload: bytes) -> None:
    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        client.open_channel(b"session", 7)
        assert (await client.reply())[0] == 91
        client._send(message(client, payload))
        assert await disconnected(client) == DISC_PROTOCOL_ERROR
        assert not ends.handler.failures

    place.play(scene)


def test_data_waits_for_the_window_and_goes_on_with_it(place: Place) -> None:
    """In as many steps as the client lets it, over the sizes of messages and bursts."""
    data = random.Random(3).randbytes(1_500_000)

    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        client.open_channel(b"session", 7)
        assert (await client.reply())[0] == 91
        listen(ends)
        channel: Any = next(iter(ends.server._channels.values()))
        channel._send_window = 0
        channel.write(data)
        got, chance = bytearray(), random.Random(4)
        while len(got) < len(data):
            size = chance.choice((1, 1000, 32_768, 100_000, 700_000))
            client._send(message(client, bytes((MSG_CHANNEL_WINDOW_ADJUST,)) + UInt32(0) + UInt32(size)))
            wanted = min(len(got) + size, len(data))
            while len(got) < wanted:
                kind, payload = await client.reply()
                assert kind == MSG_CHANNEL_DATA
                packet = SSHPacket(payload)
                assert packet.get_uint32() == 7
                piece = packet.get_string()
                assert len(piece) <= ssh_packets.MOST_DATA
                got += piece
            assert len(got) == wanted
        assert bytes(got) == data

    place.play(scene)


BAD_PLAIN = {
    "no padding": b"\0" + b"\2" * 15,
    "too little padding": b"\3" + b"\2" * 15,
    "all padding": b"\x0f" + b"\2" * 15,
    "padding beyond the packet": b"\xff" + b"\2" * 15,
    "no whole block": b"\4" + b"\2" * 20,
}


@pytest.mark.parametrize("plain", BAD_PLAIN.values(), ids=BAD_PLAIN.keys())
def test_a_packet_of_no_form_ends_the_connection(place: Place, plain: bytes) -> None:
    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        client._send(sealed(client, plain))
        assert await disconnected(client) == DISC_PROTOCOL_ERROR
        assert not ends.handler.failures

    place.play(scene)


@pytest.mark.parametrize("length", [0, 4, 15, 17, 1 << 20, (1 << 32) - 1])
def test_a_length_that_none_has_ends_the_connection(place: Place, length: int) -> None:
    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        client._send(sealed(client, bytes(16), length=length))
        assert await disconnected(client) == DISC_PROTOCOL_ERROR
        assert not ends.handler.failures

    place.play(scene)


@pytest.mark.parametrize("at", [4, 20, -1])
def test_a_changed_packet_ends_the_connection(place: Place, at: int) -> None:
    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        packet = bytearray(sealed(client, b"\4" + b"\2" * 31))
        packet[at] ^= 1
        client._send(bytes(packet))
        assert await disconnected(client) == DISC_MAC_ERROR
        assert not ends.handler.failures

    place.play(scene)


MESSAGES = {
    "data for no channel": (MSG_CHANNEL_DATA, UInt32(9) + String(b"x")),
    "data of another length": (MSG_CHANNEL_DATA, UInt32(0) + UInt32(5) + b"x"),
    "data with something behind it": (MSG_CHANNEL_DATA, UInt32(0) + String(b"x") + b"y"),
    "more than the window": (MSG_CHANNEL_DATA, UInt32(0) + String(bytes(200_000))),
    "no channel": (MSG_CHANNEL_DATA, b"\0"),
    "an end of nothing": (96, b""),
    "a message of a key exchange": (30, String(b"x")),
    "a message of an authentication": (61, b""),
    "a cut request for a channel": (MSG_CHANNEL_OPEN, String(b"session") + b"\0"),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_message_out_of_place_ends_the_connection(place: Place, message: tuple[int, bytes]) -> None:
    kind, payload = message

    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        client.open_channel(b"session", 7)
        assert (await client.reply())[0] == 91
        for _ in range(WINDOW // 200_000 + 1):
            client.send_packet(kind, payload)
        assert await disconnected(client) == DISC_PROTOCOL_ERROR
        assert not ends.handler.failures

    place.play(scene)


def test_an_unknown_message_is_answered(place: Place) -> None:
    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        number = client._send_seq + 1  # behind the empty message that asyncssh sends before it
        said: list[bytes] = []

        def take(_self: Any, _type: int, _id: int, packet: SSHPacket) -> None:
            said.append(packet.get_full_payload()[1:])

        client._packet_handlers = {**client._packet_handlers, 3: take}
        client.send_packet(192, b"?")
        await until(lambda: bool(said))
        assert said == [UInt32(number)]

    place.play(scene)


def test_what_waits_for_a_decision_is_bounded(place: Place) -> None:
    """asyncssh takes no packet while one is being decided (a key exchange is, for moments)."""

    async def scene(ends: Ends) -> None:
        client = await place.raw(ends.stream)
        server = ends.server
        server._recv_handler = lambda: False
        for _ in range(300):
            client.send_packet(MSG_IGNORE, String(bytes(30_000)))
        await until(lambda: server._stopped)
        held = len(server._inpbuf) + server._pieces_size
        assert held < ssh_packets.BACKLOG + (1 << 17)
        server._recv_handler = server._recv_pkthdr
        server._recv_data()
        await until(lambda: not server._stopped and not server._inpbuf and not server._pieces)
        client.open_channel(b"session", 7)
        assert (await client.reply())[0] == 91

    place.play(scene)
