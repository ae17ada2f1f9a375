"""What no honest client sends, over a real socket: the node stays up and small, tells no defect, and serves others.

Random messages come from a seed that is printed; a hundredth of the load, or all of it with TELEPORT_SOAK=1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asyncssh.constants import (
    DISC_PROTOCOL_ERROR,
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_OPEN_CONFIRMATION,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_SUCCESS,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_DISCONNECT,
    MSG_IGNORE,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_REQUEST,
    MSG_USERAUTH_SUCCESS,
)
from asyncssh.packet import SSHPacket, String, UInt32

from teleport.agents.ssh.connection import ClientConnection
from teleport.agents.ssh.service import SSHService
from teleport.net.bridge import as_transport
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh import CHANNELS
from tests.support import ssh_node
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.ssh_raw import RawClient
from tests.support.until import until

SOAK = bool(os.environ.get("TELEPORT_SOAK"))
TRIALS = 2000 if SOAK else 20
CHANNEL_OPENS = 10_000
GROWTH = 64 * 1024 * 1024
"""Bytes that this process, node and client in one, may grow by."""
Scene = Callable[[SSHService], Awaitable[None]]
Play = Callable[[Scene], None]


@pytest.fixture(autouse=True)
def defects(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What connections say of themselves; nothing that a peer sends may be taken for a defect of ours."""
    found: list[BaseException] = []
    monkeypatch.setattr(ClientConnection, "failed", lambda self, error: found.append(error))
    return found


def resident() -> int:
    """Return the bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def dial(node: SSHService) -> socket.socket:
    host, _, port = node.address.rpartition(":")
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    return sock


@contextlib.asynccontextmanager
async def raw(node: SSHService, kind: type[RawClient] = RawClient, *, ready: bool = True) -> AsyncIterator[RawClient]:
    """A client that sends what it is told, up to authentication."""
    transport, client = as_transport(SocketStream(await dial(node)), kind)
    try:
        if ready:
            await client.ready()
        yield client
    finally:
        client.abort()
        await transport.wait_closed()


@contextlib.asynccontextmanager
async def let_in(node: SSHService, made: Client) -> AsyncIterator[RawClient]:
    """The same, authenticated."""
    async with raw(node) as client:
        client.prove(LOGIN, made.certificate.blob, made.key)
        assert (await client.reply())[0] == MSG_USERAUTH_SUCCESS
        yield client


async def with_session(client: RawClient, number: int = 7, **sizes: int) -> int:
    """Open a session; return the server's number of its channel."""
    client.open_channel(b"session", number, **sizes)
    while True:
        kind, payload = await client.reply()
        if kind == MSG_CHANNEL_OPEN_CONFIRMATION:
            return int(SSHPacket(payload[4:]).get_uint32())


async def serves_others(node: SSHService, made: Client) -> None:
    assert (await made.run(node, "--", "echo served"))[:2] == (0, b"served\n")


async def over(client: RawClient) -> int:
    """Wait until the server has ended the connection; return the reason it gave, 0 for none."""
    reason = 0
    while True:
        kind, payload = await client.reply()
        if kind == MSG_DISCONNECT:
            reason = SSHPacket(payload).get_uint32()
        if kind == 0:
            return reason


# -- random messages in every phase -------------------------------------------------------------------------


def noise(pick: random.Random) -> tuple[int, bytes]:
    """A message of random type; what follows is now and then of the form that it should have."""
    kind = pick.choice([*range(1, 8), *range(20, 35), 50, 51, 60, 61, *range(80, 101), pick.randrange(256)])
    parts = [
        pick.choice([
            pick.randbytes(pick.randrange(40)), UInt32(pick.choice([0, 1, 7, 0xFFFFFFFF, pick.getrandbits(32)])),
            String(pick.randbytes(pick.randrange(60))), String(pick.choice(_WORDS)), UInt32(0x7FFFFFFF) + b"short",
        ])
        for _ in range(pick.randrange(6))
    ]  # fmt: skip
    return kind, b"".join(parts)


_WORDS = [
    b"session", b"direct-tcpip", b"ssh-connection", b"ssh-userauth", b"publickey", b"none", b"exec", b"pty-req", b"env",
    b"shell", b"subsystem", b"tcpip-forward", b"x11-req", b"signal", b"window-change", b"root", b"\0", b"\xff" * 9,
]  # fmt: skip


async def plain(node: SSHService, made: Client, pick: random.Random) -> None:
    """Before keys: bytes that are no version, or a version and packets in clear."""
    sock = await dial(node)
    loop = asyncio.get_running_loop()
    with contextlib.closing(sock), contextlib.suppress(ConnectionError):
        if pick.random() < 0.3:
            await loop.sock_sendall(sock, pick.randbytes(pick.randrange(1, 600)))
        else:
            await loop.sock_sendall(sock, b"SSH-2.0-noise\r\n")
            for _ in range(pick.randrange(1, 6)):
                kind, payload = noise(pick)
                body = bytes([pick.choice([4, 5, 8, 0, 255]), kind]) + payload + bytes(pick.randrange(4, 12))
                length = pick.choice([len(body), len(body), len(body), 0, 1, 1 << 20, pick.getrandbits(32)])
                await loop.sock_sendall(sock, UInt32(length) + body)
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(20):
            while await loop.sock_recv(sock, 65536):
                pass


async def unknown(node: SSHService, made: Client, pick: random.Random) -> None:
    """With keys, before anybody was let in."""
    async with raw(node) as client:
        for _ in range(pick.randrange(1, 12)):
            client.send_packet(*noise(pick))
        client.send_packet(MSG_DISCONNECT, UInt32(11) + String(b"") + String(b""))
        await over(client)


async def known(node: SSHService, made: Client, pick: random.Random) -> None:
    """As somebody who was let in, with a session or without."""
    async with let_in(node, made) as client:
        if pick.random() < 0.7:
            number = await with_session(client)
            if pick.random() < 0.5:
                client.channel_request(number, b"exec", String(b"cat"))
        for _ in range(pick.randrange(1, 12)):
            client.send_packet(*noise(pick))
        client.send_packet(MSG_DISCONNECT, UInt32(11) + String(b"") + String(b""))
        await over(client)


async def broken(node: SSHService, made: Client, pick: random.Random) -> None:
    """As somebody who was let in: packets with a flipped bit, cut, or made of noise."""
    async with let_in(node, made) as client:
        cipher: Any = client._send_encryption
        body = b"\4" + pick.randbytes(11 + 16 * pick.randrange(4)) + bytes(4)
        packet = bytearray(b"".join(cipher.encrypt_packet(client._send_seq, UInt32(len(body)), body)))
        at = pick.randrange(len(packet))
        packet[at] ^= 1 << pick.randrange(8)
        client._send(bytes(packet[: pick.choice([len(packet), at + 1])]) + pick.randbytes(pick.choice([0, 900])))
        assert client._transport is not None
        client._transport.write_eof()
        await over(client)


@pytest.mark.parametrize("phase", [plain, unknown, known, broken], ids=lambda phase: phase.__name__)
def test_noise_in_any_phase_costs_only_its_connection(
    play: Play, client: Client, defects: list[BaseException], phase: Callable[..., Awaitable[None]]
) -> None:
    seed = int(os.environ.get("TELEPORT_SEED") or random.randrange(1 << 32))
    sys.stdout.write(f"seed {seed}: again with TELEPORT_SEED={seed}\n")

    async def scene(node: SSHService) -> None:
        before = resident()
        for number in range(TRIALS):
            async with asyncio.timeout(60):
                await phase(node, client, random.Random(seed + number))
            assert not defects, f"seed {seed}, trial {number}: {defects}"
        await serves_others(node, client)
        assert resident() - before < GROWTH

    play(scene)


# -- key exchange -------------------------------------------------------------------------------------------


class Injecting(RawClient):
    """Does what a Terrapin attacker does (CVE-2023-48795): a message that counts, before there are keys."""

    def _send_kexinit(self) -> None:
        super()._send_kexinit()
        self._kex_complete = True  # or the message would wait for keys
        self.send_packet(MSG_IGNORE, String(b""))
        self._kex_complete = False


class InjectingFirst(RawClient):
    """The same, before its own offer."""

    def _send_kexinit(self) -> None:
        self.send_packet(MSG_IGNORE, String(b""))
        super()._send_kexinit()


@pytest.mark.parametrize("kind", [Injecting, InjectingFirst])
def test_terrapin_a_message_before_the_keys_ends_the_connection(
    play: Play, client: Client, defects: list[BaseException], kind: type[RawClient]
) -> None:
    async def scene(node: SSHService) -> None:
        async with raw(node, kind, ready=False) as attacker:
            async with asyncio.timeout(20):
                assert await over(attacker) == DISC_PROTOCOL_ERROR
            assert not attacker._auth_complete
        await serves_others(node, client)
        assert not defects

    play(scene)


# -- authentication -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", [b"none", b"password", b"hostbased", b"keyboard-interactive", b"gssapi-with-mic", b""]
)
def test_nothing_but_a_key_lets_anybody_in(play: Play, client: Client, world: World, method: bytes) -> None:
    async def scene(node: SSHService) -> None:
        async with raw(node) as stranger:
            stranger.ask(LOGIN, method, b"\0", String(b"secret"))
            kind, payload = await stranger.reply()
            assert kind == MSG_USERAUTH_FAILURE
            assert SSHPacket(payload).get_string() == b"publickey"
        await serves_others(node, client)

    play(scene)


CUT = {
    "nothing": b"",
    "no method": String(LOGIN) + String(b"ssh-connection"),
    "no key": String(LOGIN) + String(b"ssh-connection") + String(b"publickey") + b"\1",
    "longer than it is": String(LOGIN) + UInt32(0x7FFFFFFF),
    "no text": String(b"\xff\xfe") + String(b"ssh-connection") + String(b"none"),
    "no text in a method": String(LOGIN) + String(b"ssh-connection") + String(b"\xff\xfe"),
}


@pytest.mark.parametrize("request_", CUT.values(), ids=CUT.keys())
def test_a_request_that_cannot_be_read_is_the_peers_fault(
    play: Play, client: Client, defects: list[BaseException], request_: bytes
) -> None:
    async def scene(node: SSHService) -> None:
        async with raw(node) as stranger:
            stranger.send_packet(MSG_USERAUTH_REQUEST, request_)
            stranger.send_packet(MSG_DISCONNECT, UInt32(11) + String(b"") + String(b""))
            kinds = [(await stranger.reply())[0]]
            while kinds[-1]:
                kinds.append((await stranger.reply())[0])
            assert set(kinds) <= {MSG_DISCONNECT, MSG_USERAUTH_FAILURE, 0}
        await serves_others(node, client)
        assert not defects

    play(scene)


NAMES = ["-oProxyCommand=true", "--", "-l", "../../etc", "root\0x", "root\nroot", "a" * 4000, "\N{SNOWMAN}", ""]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:9]))
def test_names_that_are_none_enter_nowhere(
    play: Play, world: World, tmp_path: Path, client: Client, defects: list[BaseException], name: str
) -> None:
    """Even with a certificate that names them, where one can be made."""
    possible = 0 < len(name) < 256 and name.isprintable()
    strange = ssh_node.client(world, tmp_path / "strange", principals=(name if possible else LOGIN,))

    async def scene(node: SSHService) -> None:
        async with raw(node) as stranger:
            stranger.prove(name, strange.certificate.blob, strange.key)
            kinds = [(await stranger.reply())[0]]
            while kinds[-1] not in (MSG_USERAUTH_FAILURE, MSG_DISCONNECT, 0):
                assert kinds[-1] != MSG_USERAUTH_SUCCESS
                kinds.append((await stranger.reply())[0])
        assert world.told("T2000I") == []
        await serves_others(node, client)
        assert not defects

    play(scene)


# -- channels -----------------------------------------------------------------------------------------------


def test_a_reader_that_does_not_read_is_not_written_for(play: Play, client: Client) -> None:
    """With a window and packets as large as numbers go."""

    async def scene(node: SSHService) -> None:
        before = resident()
        async with let_in(node, client) as lazy:
            number = await with_session(lazy, window=0xFFFFFFFF, size=0xFFFFFFFF)
            for _ in range(3):
                lazy.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(number) + UInt32(0xFFFFFFFF))
            lazy.channel_request(number, b"exec", String(b"head -c 500000000 /dev/zero"))
            assert lazy._transport is not None
            kind = MSG_CHANNEL_SUCCESS
            while kind != MSG_CHANNEL_DATA:
                kind, payload = await lazy.reply()
            assert len(payload) <= 32 * 1024 + 8
            lazy._transport.pause_reading()
            for _ in range(5):
                await serves_others(node, client)
            assert resident() - before < GROWTH

    play(scene)


def test_more_data_than_the_window_ends_the_connection(play: Play, client: Client) -> None:
    async def scene(node: SSHService) -> None:
        async with let_in(node, client) as hasty:
            number = await with_session(hasty)
            hasty.channel_request(number, b"exec", String(b"sleep 100"))
            while (await hasty.reply())[0] != MSG_CHANNEL_SUCCESS:
                pass
            before = resident()
            with contextlib.suppress(ConnectionError):
                for _ in range(1000):
                    hasty.send_packet(MSG_CHANNEL_DATA, UInt32(number) + String(bytes(32_000)))
            assert await over(hasty) == DISC_PROTOCOL_ERROR
            assert resident() - before < GROWTH
        await serves_others(node, client)

    play(scene)


def test_ten_thousand_channels_are_not_opened(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        before = resident()
        async with let_in(node, client) as greedy:
            opened = refused = 0
            for first in range(0, CHANNEL_OPENS, 500):
                for number in range(first, first + 500):
                    greedy.open_channel(b"session", number)
                while opened + refused < first + 500:
                    kind, _ = await greedy.reply()
                    opened += kind == MSG_CHANNEL_OPEN_CONFIRMATION
                    refused += kind == MSG_CHANNEL_OPEN_FAILURE
            assert (opened, refused) == (CHANNELS, CHANNEL_OPENS - CHANNELS)
            assert len(world.told("T1006W")) <= 64, "refusals are recorded one by one up to a number"
            await serves_others(node, client)
            assert resident() - before < GROWTH

    play(scene)


BAD_VARIABLES = {
    "NUL": (b"LANG", b"C\0LD_PRELOAD=/x"),
    "newline": (b"LANG", b"C\nLD_PRELOAD=/x"),
    "name with =": (b"LANG=x", b"C"),
    "name with newline": (b"LANG\nX", b"C"),
    "loader": (b"LD_PRELOAD", b"/x\0"),
    "empty name": (b"", b"C"),
}


def test_variables_with_anything_in_them_reach_no_command(play: Play, client: Client) -> None:
    async def scene(node: SSHService) -> None:
        async with let_in(node, client) as odd:
            number = await with_session(odd)
            for name, value in BAD_VARIABLES.values():
                odd.channel_request(number, b"env", String(name), String(value))
            odd.channel_request(number, b"env", String(b"LC_GOOD"), String(b"yes"))
            odd.channel_request(number, b"env", String(b"LC_LARGE"), String(b"C" * 40_000))
            odd.channel_request(number, b"exec", String(b"cat -v /proc/self/environ"))
            answers: list[int] = []
            out = b""
            while True:
                kind, payload = await odd.reply()
                if kind in (MSG_CHANNEL_SUCCESS, MSG_CHANNEL_FAILURE):
                    answers.append(kind)
                elif kind == MSG_CHANNEL_DATA:
                    out += SSHPacket(payload[4:]).get_string()
                elif kind in (MSG_CHANNEL_EOF, MSG_CHANNEL_CLOSE):
                    break
            told = dict(zip([*BAD_VARIABLES, "good", "large", "exec"], answers, strict=True))
            accepted = {what for what, answer in told.items() if answer == MSG_CHANNEL_SUCCESS}
            assert accepted == {"good", "exec"}, out
            assert b"LD_PRELOAD" not in out
            assert b"LC_GOOD=yes" in out

    play(scene)


def test_nothing_stays_open_behind_them(play: Play, client: Client) -> None:
    """Whatever a connection was, its descriptors are given back."""

    async def scene(node: SSHService) -> None:
        await serves_others(node, client)
        before = len(os.listdir("/proc/self/fd"))
        for number in range(5):
            for phase in (plain, unknown, known, broken):
                await phase(node, client, random.Random(number))
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    play(scene)
