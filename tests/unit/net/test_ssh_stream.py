"""A channel's bytes as a Stream: flow control both ways, and ends that are told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asyncssh.constants import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_OPEN_CONFIRMATION,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_SUCCESS,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
)
from asyncssh.packet import SSHPacket, String, UInt32

from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, Unavailable
from teleport.net import ssh as net_ssh
from teleport.net.ssh_channel import WINDOW
from teleport.net.ssh_settings import HostKey
from teleport.net.ssh_stream import HELD, StreamSession
from teleport.net.stream import Peer
from teleport.pki import keys
from tests.support.authorities import NOW, cluster
from tests.support.ssh_raw import RawClient, Recorder, connect, serve

TARGET = String("node-1") + UInt32(3022) + String("127.0.0.1") + UInt32(4022)


class Forwarding(Recorder):
    """A handler that opens `direct-tcpip`, unless told to refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse_direct: Unavailable | AccessDenied | None = None
        self.session = StreamSession(Peer(address="client:1"), direct=True)

    async def open_direct(self, host: str, port: int) -> StreamSession:
        self.calls.append(f"direct {host} {port}")
        if self.refuse_direct:
            raise self.refuse_direct
        return self.session


Scene = Callable[[RawClient, StreamSession], Awaitable[None]]


@pytest.fixture(scope="module")
def made() -> tuple[Any, HostKey, keys.PrivateKey, bytes]:
    ours, entropy = cluster(seed=3), SeededEntropy(5)
    host, key = keys.make_ed25519(entropy), keys.make_ed25519(entropy)
    blob = ours.ssh(ours.host_identity(), keys.ssh_blob(host.public_key())).blob
    certificate = ours.ssh(ours.identity(principals=("root",)), keys.ssh_blob(key.public_key())).blob
    return ours, HostKey(keys.private_openssh(host), blob), key, certificate


@pytest.fixture
def play(made: tuple[Any, HostKey, keys.PrivateKey, bytes]) -> Callable[..., Forwarding]:
    """Run a scene with a client that is signed in and, unless `opened` is False, has opened a channel."""
    ours, host, key, certificate = made

    def run(
        scene: Scene, *, window: int = 1 << 20, opened: bool = True, user: str = "root", user_names: bool = True
    ) -> Forwarding:  # fmt: skip
        trust = net_ssh.Trust(
            clock=ManualClock(NOW), cluster=ours.name, authorities=lambda: ours.both, user_names=user_names
        )

        async def main() -> Forwarding:
            handler = Forwarding()
            task, stream = serve(trust, [host], handler)
            client = await connect(stream)
            client.prove(user, certificate, key)
            if user_names:
                assert (await client.reply())[0] == MSG_USERAUTH_SUCCESS
            if opened:
                client.open_channel(b"direct-tcpip", 7, TARGET, window=window)
                assert (await client.reply())[0] == MSG_CHANNEL_OPEN_CONFIRMATION
            try:
                async with asyncio.timeout(20):
                    await scene(client, handler.session)
            finally:
                client.abort()
                await asyncio.wait([task])
            return handler

        return asyncio.run(main())

    return run


Play = Callable[..., Forwarding]


def send(client: RawClient, data: bytes) -> None:
    client.send_packet(MSG_CHANNEL_DATA, UInt32(0) + String(data))


async def data_of(client: RawClient) -> bytes:
    kind, payload = await client.reply()
    assert kind == MSG_CHANNEL_DATA
    return SSHPacket(payload[4:]).get_string()


def test_bytes_both_ways(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        send(client, b"hello")
        assert await session.read(2) == b"he"
        assert await session.read() == b"llo"
        await session.write(b"world")
        assert await data_of(client) == b"world"

    assert play(scene).calls == ["authorize alice root", "direct node-1 3022"]


def test_half_an_end_is_no_end(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        send(client, b"last")
        client.send_packet(MSG_CHANNEL_EOF, UInt32(0))
        assert await session.read() == b"last"
        assert await session.read() == b""
        await session.write(b"still here")
        assert await data_of(client) == b"still here"
        await session.write_eof()
        assert (await client.reply())[0] == MSG_CHANNEL_EOF
        await session.close()
        assert (await client.reply())[0] == MSG_CHANNEL_CLOSE

    play(scene)


def test_the_clients_close_ends_both_directions(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        client.send_packet(MSG_CHANNEL_CLOSE, UInt32(0))
        assert await session.read() == b""
        for action in (session.write(b"x"), session.write_eof()):
            with pytest.raises(Unavailable):
                await action
        await session.close()
        session.reset()

    play(scene)


def test_a_lost_connection_ends_a_reader_and_a_writer(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        loop = asyncio.get_running_loop()
        reader = loop.create_task(session.read())
        writer = loop.create_task(session.write(b"x" * (1 << 20)))
        await asyncio.sleep(0)
        client.abort()
        assert await reader == b""
        await asyncio.wait([writer])

    play(scene, window=10)


def test_a_writer_waits_for_the_window(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        writer = asyncio.get_running_loop().create_task(session.write(b"x" * 200_000))
        assert await data_of(client) == b"x" * 10
        assert not writer.done()
        client.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(0) + UInt32(1 << 20))
        await writer

    play(scene, window=10)


def test_a_slow_reader_closes_the_window_and_loses_nothing(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        for _ in range(WINDOW // 32768):
            send(client, b"y" * 32768)
        for _ in range(50):
            await asyncio.sleep(0)
        taken = 0
        while taken < WINDOW:
            assert session._size <= HELD + 32768
            taken += len(await session.read())
        assert (await client.reply())[0] == MSG_CHANNEL_WINDOW_ADJUST

    play(scene)


def test_a_channel_takes_no_requests(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        for name in (b"exec", b"shell", b"subsystem", b"env"):
            client.channel_request(0, name, String("x"), String("y"))
            assert (await client.reply())[0] == MSG_CHANNEL_FAILURE
        send(client, b"still a connection")
        assert await session.read() == b"still a connection"

    play(scene)


def test_extended_data_is_an_error(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        client.send_packet(MSG_CHANNEL_EXTENDED_DATA, UInt32(0) + UInt32(1) + String("x"))
        assert await session.read() == b""

    play(scene)


def test_reset_drops_what_waits(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        writer = asyncio.get_running_loop().create_task(session.write(b"x" * 200_000))
        await data_of(client)
        session.reset()
        assert (await client.reply())[0] == MSG_CHANNEL_CLOSE
        client.send_packet(MSG_CHANNEL_CLOSE, UInt32(0))
        await asyncio.wait([writer])

    play(scene, window=10)


def test_a_refusal_has_its_text(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        client.open_channel(b"direct-tcpip", 7, TARGET)
        kind, payload = await client.reply()
        assert kind == MSG_CHANNEL_OPEN_FAILURE
        reply = SSHPacket(payload)
        assert (reply.get_uint32(), reply.get_uint32()) == (7, OPEN_ADMINISTRATIVELY_PROHIBITED)
        assert b"PROXY-PINNED-IP" in reply.get_string()

    with pytest.MonkeyPatch.context() as patch:

        async def refuse(self: Forwarding, host: str, port: int) -> StreamSession:
            raise AccessDenied("PROXY-PINNED-IP", user="alice")

        patch.setattr(Forwarding, "open_direct", refuse)
        play(scene, opened=False)


def test_the_users_own_name_is_accepted_where_nobody_has_an_account(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None: ...

    assert play(scene, opened=False, user="alice").calls == ["authorize alice alice"]


def test_elsewhere_the_users_own_name_is_no_login(play: Play) -> None:
    async def scene(client: RawClient, session: StreamSession) -> None:
        assert (await client.reply())[0] == MSG_USERAUTH_BANNER
        assert (await client.reply())[0] == MSG_USERAUTH_FAILURE

    made = play(scene, opened=False, user="alice", user_names=False)
    assert made.calls == ["refused PKI-LOGIN-NOT-IN-PRINCIPALS alice"]
