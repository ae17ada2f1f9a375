"""Channels that are connections and global requests, by a client that sends what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asyncssh.constants import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_OPEN_CONFIRMATION,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_REQUEST_FAILURE,
    MSG_REQUEST_SUCCESS,
    MSG_USERAUTH_SUCCESS,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_CONNECT_FAILED,
)
from asyncssh.packet import Boolean, SSHPacket, String, UInt32

from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, LimitExceeded, TeleportError, Unavailable
from teleport.net import ssh as net_ssh
from teleport.net.ssh_doors import CHANNELS, REQUESTS
from teleport.net.ssh_settings import HostKey
from teleport.net.ssh_stream import StreamSession
from teleport.net.stream import Peer
from teleport.pki import keys
from tests.support.authorities import NOW, cluster
from tests.support.ssh_raw import RawClient, Recorder, connect, serve, text_of
from tests.support.until import until

TCP = String("node-1") + UInt32(80) + String("127.0.0.1") + UInt32(4022)
UNIX = String("/run/x") + String("") + UInt32(0)
LISTEN, LISTEN_UNIX = b"tcpip-forward", b"streamlocal-forward@openssh.com"


class Listening(Recorder):
    """A handler that forwards whatever it is asked for, unless told to refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse_place: TeleportError | None = None
        self.opened: list[StreamSession] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def open_direct(self, host: str, port: int) -> StreamSession:
        return await self._open(f"direct {host} {port}")

    async def open_direct_unix(self, path: str) -> StreamSession:
        return await self._open(f"direct {path}")

    async def _open(self, call: str) -> StreamSession:
        self.calls.append(call)
        if self.refuse_place:
            raise self.refuse_place
        self.opened.append(StreamSession(Peer(address="client:1"), direct=True))
        return self.opened[-1]

    async def listen(self, place: net_ssh.Place) -> int:
        self.calls.append(f"listen {place}")
        await self.gate.wait()
        if self.refuse_place:
            raise self.refuse_place
        return place.port or 0 if place.path else place.port or 4711

    async def unlisten(self, place: net_ssh.Place) -> bool:
        self.calls.append(f"unlisten {place}")
        return place.port != 1


Scene = Callable[[RawClient, Listening], Awaitable[None]]
Play = Callable[[Scene], Listening]


@pytest.fixture(scope="module")
def made() -> tuple[Any, HostKey, keys.PrivateKey, bytes]:
    ours, entropy = cluster(seed=3), SeededEntropy(5)
    host, key = keys.make_ed25519(entropy), keys.make_ed25519(entropy)
    blob = ours.ssh(ours.host_identity(), keys.ssh_blob(host.public_key())).blob
    certificate = ours.ssh(ours.identity(principals=("root",)), keys.ssh_blob(key.public_key())).blob
    return ours, HostKey(keys.private_openssh(host), blob), key, certificate


@pytest.fixture
def play(made: tuple[Any, HostKey, keys.PrivateKey, bytes]) -> Play:
    """Run a scene with a client that is signed in."""
    ours, host, key, certificate = made

    def run(scene: Scene) -> Listening:
        trust = net_ssh.Trust(clock=ManualClock(NOW), cluster=ours.name, authorities=lambda: ours.both)

        async def main() -> Listening:
            handler = Listening()
            task, stream = serve(trust, [host], handler)
            client = await connect(stream)
            client.prove("root", certificate, key)
            assert (await client.reply())[0] == MSG_USERAUTH_SUCCESS
            try:
                async with asyncio.timeout(60):
                    await scene(client, handler)
            finally:
                client.abort()
                await asyncio.wait([task])
            return handler

        return asyncio.run(main())

    return run


def test_places_are_read_and_asked_for(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        client.open_channel(b"direct-tcpip", 0, TCP)
        client.open_channel(b"direct-streamlocal@openssh.com", 1, UNIX)
        for _ in range(2):
            assert (await client.reply())[0] == MSG_CHANNEL_OPEN_CONFIRMATION
        assert handler.calls[1:] == ["direct node-1 80", "direct /run/x"]

    play(scene)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (b"direct-tcpip", String("") + UInt32(80) + TCP[-17:]),
        (b"direct-tcpip", String("h") + UInt32(0) + TCP[-17:]),
        (b"direct-tcpip", String("h") + UInt32(65536) + TCP[-17:]),
        (b"direct-tcpip", String("h" * 256) + UInt32(80) + TCP[-17:]),
        (b"direct-tcpip", String("h\n") + UInt32(80) + TCP[-17:]),
        (b"direct-streamlocal@openssh.com", String("") + UNIX[-8:]),
        (b"direct-streamlocal@openssh.com", String("run/x") + UNIX[-8:]),
        (b"direct-streamlocal@openssh.com", String("/run\0x") + UNIX[-8:]),
        (b"direct-streamlocal@openssh.com", String("/" + "x" * 107) + UNIX[-8:]),
    ],
)
def test_what_is_no_address_is_refused_before_anybody_is_asked(kind: bytes, part: bytes, play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        client.open_channel(kind, 0, part)
        reply, payload = await client.reply()
        assert reply == MSG_CHANNEL_OPEN_FAILURE
        assert text_of(payload, 8).startswith("SSH-PLACE: ")
        assert text_of(payload, 8).isprintable()
        assert handler.calls[1:] == []

    play(scene)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AccessDenied("SSH-ENDED", reason="x"), OPEN_ADMINISTRATIVELY_PROHIBITED),
        (Unavailable("SSH-USER-CONNECT", address="x", login="x", problem="x"), OPEN_CONNECT_FAILED),
    ],
)
def test_a_refusal_and_a_failure_are_told_apart(error: TeleportError, code: int, play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        handler.refuse_place = error
        client.open_channel(b"direct-tcpip", 0, TCP)
        reply, payload = await client.reply()
        assert reply == MSG_CHANNEL_OPEN_FAILURE
        assert SSHPacket(payload[4:]).get_uint32() == code

    play(scene)


def test_a_thousand_channels_one_after_the_other(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        for number in range(1000):
            client.open_channel(b"direct-tcpip", number, TCP)
            reply, payload = await client.reply()
            assert reply == MSG_CHANNEL_OPEN_CONFIRMATION
            theirs = SSHPacket(payload[4:]).get_uint32()
            client.send_packet(MSG_CHANNEL_CLOSE, UInt32(theirs))
            assert (await client.reply())[0] == MSG_CHANNEL_CLOSE
            await handler.opened.pop().close()
        assert handler.opened == []

    play(scene)


def test_ten_thousand_channels_at_once(play: Play) -> None:
    """As many as there may be are opened, and each of the others is answered."""

    async def scene(client: RawClient, handler: Listening) -> None:
        for number in range(10_000):
            client.open_channel(b"direct-tcpip", number, TCP)
        replies = [(await client.reply())[0] for _ in range(10_000)]
        assert replies.count(MSG_CHANNEL_OPEN_CONFIRMATION) == CHANNELS
        assert replies.count(MSG_CHANNEL_OPEN_FAILURE) == 10_000 - CHANNELS
        assert sum("declined channels" in call for call in handler.calls) <= 10_000

    play(scene)


def test_ten_thousand_channels_of_no_kind(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        for number in range(10_000):
            client.open_channel(b"x11", number, String("h") + UInt32(1))
        assert {(await client.reply())[0] for _ in range(10_000)} == {MSG_CHANNEL_OPEN_FAILURE}

    play(scene)


def test_empty_packets_and_a_huge_window(play: Play) -> None:
    """A window of 4 GiB that is widened on and on lets as much through as is written, and no more is held."""

    async def scene(client: RawClient, handler: Listening) -> None:
        client.open_channel(b"direct-tcpip", 0, TCP, window=0xFFFFFFFF, size=0xFFFFFFFF)
        assert (await client.reply())[0] == MSG_CHANNEL_OPEN_CONFIRMATION
        for _ in range(1000):
            client.send_packet(MSG_CHANNEL_DATA, UInt32(0) + String(b""))
            client.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(0) + UInt32(0xFFFFFFFF))
        client.send_packet(MSG_CHANNEL_DATA, UInt32(0) + String(b"end"))
        client.send_packet(MSG_CHANNEL_EOF, UInt32(0))
        (session,) = handler.opened
        assert await session.read() == b"end"
        assert await session.read() == b""
        await session.write(b"x" * 100_000)
        got = b""
        while len(got) < 100_000:
            kind, payload = await client.reply()
            assert kind == MSG_CHANNEL_DATA
            piece = SSHPacket(payload[4:]).get_string()
            assert len(piece) <= 32 * 1024
            got += piece

    play(scene)


# -- global requests --------------------------------------------------------------------------------------


def test_listening_is_answered_with_the_port_that_was_left_to_us(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        client.global_request(LISTEN, String("localhost"), UInt32(0))
        assert await client.reply() == (MSG_REQUEST_SUCCESS, UInt32(4711))
        client.global_request(LISTEN, String(""), UInt32(8080))
        assert await client.reply() == (MSG_REQUEST_SUCCESS, b"")
        client.global_request(LISTEN_UNIX, String("/run/s"))
        assert await client.reply() == (MSG_REQUEST_SUCCESS, b"")
        client.global_request(LISTEN, String("localhost"), UInt32(1), reply=False)
        client.global_request(b"cancel-tcpip-forward", String("localhost"), UInt32(4711))
        assert await client.reply() == (MSG_REQUEST_SUCCESS, b"")
        client.global_request(b"cancel-tcpip-forward", String("localhost"), UInt32(1))
        assert (await client.reply())[0] == MSG_REQUEST_FAILURE
        client.global_request(b"cancel-streamlocal-forward@openssh.com", String("/run/s"))
        assert (await client.reply())[0] == MSG_REQUEST_SUCCESS
        assert handler.calls[1:] == [
            "listen localhost:0", "listen :8080", "listen /run/s", "listen localhost:1", "unlisten localhost:4711",
            "unlisten localhost:1", "unlisten /run/s",
        ]  # fmt: skip

    play(scene)


@pytest.mark.parametrize(
    ("name", "parts"), [(LISTEN, (String("h"), UInt32(70000))), (LISTEN_UNIX, (String("s"),))]
)  # fmt: skip
def test_no_listener_at_what_is_no_address(name: bytes, parts: tuple[bytes, ...], play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        client.global_request(name, *parts)
        assert (await client.reply())[0] == MSG_REQUEST_FAILURE
        assert handler.calls[1:] == []

    play(scene)


def test_answers_come_in_the_order_of_the_requests_and_sessions_after_them(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        handler.gate.clear()
        client.global_request(LISTEN, String(""), UInt32(0))
        client.global_request(b"keepalive@openssh.com")
        client.global_request(LISTEN, String(""), UInt32(7))
        client.open_channel(b"session", 0)
        client.open_channel(b"direct-tcpip", 1, TCP)
        reply, payload = await client.reply()
        assert (reply, payload[:4]) == (MSG_CHANNEL_OPEN_CONFIRMATION, UInt32(1))
        assert handler.calls[1:] == ["listen :0", "direct node-1 80"]
        handler.gate.set()
        assert await client.reply() == (MSG_REQUEST_SUCCESS, UInt32(4711))
        assert (await client.reply())[0] == MSG_REQUEST_FAILURE
        assert await client.reply() == (MSG_REQUEST_SUCCESS, b"")
        reply, payload = await client.reply()
        assert (reply, payload[:4]) == (MSG_CHANNEL_OPEN_CONFIRMATION, UInt32(0))

    play(scene)


def test_requests_that_wait_are_bounded(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        handler.gate.clear()
        for port in range(REQUESTS + 1):
            client.global_request(LISTEN, String(""), UInt32(port))
        while (await client.reply())[0]:
            pass
        assert handler.calls[1:] == ["listen :0"]

    play(scene)


def test_refused_listeners_are_told_by_the_next_session(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        handler.refuse_place = LimitExceeded("SSH-LIMIT-LISTENERS", limit=32)
        client.global_request(LISTEN, String(""), UInt32(0))
        assert (await client.reply())[0] == MSG_REQUEST_FAILURE
        assert handler.made is not None
        assert handler.made.notices[0].startswith("SSH-LIMIT-LISTENERS: ")

    play(scene)


# -- channels of ours -------------------------------------------------------------------------------------


async def outward(client: RawClient, handler: Listening) -> tuple[StreamSession, asyncio.Task[None], int]:
    """Open a channel to the client; return its session, the opening, and its number."""
    session = StreamSession(Peer(), direct=True)
    assert handler.made is not None
    opening = asyncio.get_running_loop().create_task(
        handler.made.open_outward(session, b"forwarded-tcpip", String("h"), UInt32(1))
    )
    kind, payload = await client.reply()
    assert kind == MSG_CHANNEL_OPEN
    packet = SSHPacket(payload)
    assert packet.get_string() == b"forwarded-tcpip"
    return session, opening, packet.get_uint32()


def confirmation(number: int, window: int = 1 << 20) -> bytes:
    return UInt32(number) + UInt32(77) + UInt32(window) + UInt32(0xFFFFFFFF)


def test_data_and_close_in_the_segment_of_the_confirmation_are_not_lost(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        session, opening, number = await outward(client, handler)
        client.send_packet(MSG_CHANNEL_OPEN_CONFIRMATION, confirmation(number))
        client.send_packet(MSG_CHANNEL_DATA, UInt32(number) + String(b"short"))
        client.send_packet(MSG_CHANNEL_EOF, UInt32(number))
        client.send_packet(MSG_CHANNEL_CLOSE, UInt32(number))
        await opening
        assert await session.read() == b"short"
        assert await session.read() == b""
        await until(lambda: session.lost)

    play(scene)


def test_bytes_through_a_channel_of_ours(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        session, opening, number = await outward(client, handler)
        client.send_packet(MSG_CHANNEL_OPEN_CONFIRMATION, confirmation(number))
        await opening
        await session.write(b"hello")
        kind, payload = await client.reply()
        assert (kind, payload) == (MSG_CHANNEL_DATA, UInt32(77) + String(b"hello"))
        client.channel_request(number, b"exec", String("id"), reply=True)
        kind, _ = await client.reply()
        assert kind == 100  # failure: nothing can be asked of it
        await session.close()
        assert (await client.reply())[0] == MSG_CHANNEL_CLOSE

    play(scene)


def test_a_client_that_wants_none_says_so(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        _, opening, number = await outward(client, handler)
        client.send_packet(
            MSG_CHANNEL_OPEN_FAILURE, UInt32(number) + UInt32(1) + String("no\nway") + String("")
        )  # fmt: skip
        with pytest.raises(Unavailable) as found:
            await opening
        assert found.value.code == "SSH-CLIENT-REFUSED"
        assert str(found.value).isprintable()

    play(scene)


def test_channels_of_ours_count(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        for number in range(CHANNELS):
            client.open_channel(b"direct-tcpip", number, TCP)
            assert (await client.reply())[0] == MSG_CHANNEL_OPEN_CONFIRMATION
        assert handler.made is not None
        with pytest.raises(LimitExceeded):
            await handler.made.open_outward(StreamSession(Peer(), direct=True), b"x11")

    play(scene)


def test_a_client_that_leaves_ends_what_it_was_to_open(play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        _, opening, _ = await outward(client, handler)
        client.abort()
        with pytest.raises(Unavailable):
            await opening
        assert handler.made is not None
        with pytest.raises(Unavailable):
            await handler.made.open_outward(StreamSession(Peer(), direct=True), b"x11")

    play(scene)


# -- what a session is offered ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"auth-agent-req@openssh.com", ()),
        (b"x11-req", (Boolean(True), String("MIT-MAGIC-COOKIE-1"), String("00ff"), UInt32(0))),
        (b"x11-req", (Boolean(True), String("MIT MAGIC"), String("00ff"), UInt32(0))),
        (b"x11-req", (Boolean(True), String("MIT-MAGIC-COOKIE-1"), String("0"), UInt32(0))),
        (b"x11-req", (Boolean(True), String("MIT-MAGIC-COOKIE-1"), String("00ff"), UInt32(256))),
        (b"x11-req", (Boolean(True), String("MIT-MAGIC-COOKIE-1"))),
    ],
)
def test_a_session_that_takes_nothing_declines_it(name: bytes, parts: tuple[bytes, ...], play: Play) -> None:
    async def scene(client: RawClient, handler: Listening) -> None:
        client.open_channel(b"session", 0)
        assert (await client.reply())[0] == MSG_CHANNEL_OPEN_CONFIRMATION
        client.channel_request(0, name, *parts)
        assert (await client.reply())[0] == 100
        session: Any = handler.sessions[0]
        assert session.refused == [(name.decode(), "")]

    play(scene)
