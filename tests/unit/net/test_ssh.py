"""The SSH glue: who is let in, in which order that is decided, and what exists behind the door."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asyncssh.constants import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_OPEN_CONFIRMATION,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
    MSG_DISCONNECT,
    MSG_REQUEST_FAILURE,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_SUCCESS,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_RESOURCE_SHORTAGE,
)  # fmt: skip
from asyncssh.packet import SSHPacket, String, UInt32

from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, BadParameter, Unavailable
from teleport.net import ssh as net_ssh
from teleport.net import ssh_auth
from teleport.net.ssh_channel import ENVIRONMENT_BYTES, ENVIRONMENT_ENTRIES, QUEUED_REQUESTS
from teleport.net.ssh_settings import HostKey, options
from teleport.net.stream import Stream
from teleport.pki import keys
from teleport.pki.ssh import SSHCertificate
from teleport.wire.terminal import Size, Terminal
from tests.support.authorities import NOW, Cluster, cluster
from tests.support.ssh_raw import PK_OK, NoSession, RawClient, Recorder, connect, serve, text_of

Scene = Callable[[RawClient, Recorder], Awaitable[None]]
TERMINAL = String(b"xterm") + UInt32(80) + UInt32(24) + UInt32(0) + UInt32(0) + String(b"\0")
"""Body of a request for a terminal."""


@dataclasses.dataclass
class Door:
    """A server's trust, its keys, and a user's key."""

    ours: Cluster
    other: Cluster
    host: HostKey
    key: keys.PrivateKey
    clock: ManualClock

    @property
    def public(self) -> bytes:
        return keys.ssh_blob(self.key.public_key())

    def certificate(self, source: Cluster | None = None, **changes: Any) -> SSHCertificate:
        made_by = source or self.ours
        return made_by.ssh(made_by.identity(**changes), self.public)

    def play(self, scene: Scene, handler: Recorder | None = None, **settings: Any) -> Recorder:
        """Run a scene with a connected client; returns the handler."""
        recorder = handler or Recorder()
        trust = net_ssh.Trust(clock=self.clock, cluster=self.ours.name, authorities=lambda: self.ours.both)

        async def main() -> None:
            task, stream = serve(trust, [self.host], recorder, **{"address": "198.51.100.7:4022", **settings})
            client = await connect(stream)
            try:
                await scene(client, recorder)
            finally:
                client.abort()
                async with asyncio.timeout(10):
                    await asyncio.wait([task])

        asyncio.run(main())
        return recorder


@pytest.fixture(scope="module")
def door() -> Door:
    ours, other = cluster(seed=3), cluster(seed=4)
    entropy = SeededEntropy(5)
    host = keys.make_ed25519(entropy)
    blob = ours.ssh(ours.host_identity(), keys.ssh_blob(host.public_key())).blob
    return Door(ours, other, HostKey(keys.private_openssh(host), blob), keys.make_ed25519(entropy), ManualClock(NOW))


async def replies(client: RawClient, count: int) -> list[tuple[int, bytes]]:
    return [await client.reply() for _ in range(count)]


def let_in(door: Door) -> Callable[[RawClient], Awaitable[None]]:
    """Return what authenticates a client. The certificate is made here, outside the loop."""
    blob = door.certificate().blob

    async def authenticate(client: RawClient) -> None:
        client.prove("root", blob, door.key)
        assert (await client.reply())[0] == MSG_USERAUTH_SUCCESS

    return authenticate


# -- authentication -----------------------------------------------------------------------------------------


def test_a_proven_certificate_is_let_in(door: Door) -> None:
    blob = door.certificate().blob

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.query("root", blob)
        assert await client.reply() == (PK_OK, String(b"ssh-ed25519-cert-v01@openssh.com") + String(blob))
        assert recorder.calls == []
        client.prove("root", blob, door.key)
        assert (await client.reply())[0] == MSG_USERAUTH_SUCCESS

    assert door.play(scene).calls == ["authorize alice root"]


def test_version_names_the_product_and_no_version(door: Door) -> None:
    async def scene(client: RawClient, recorder: Recorder) -> None:
        assert client.get_extra_info("server_version") == "SSH-2.0-Teleport"

    door.play(scene)


def test_key_exchange_is_strict(door: Door) -> None:
    """The answer to Terrapin (CVE-2023-48795)."""

    async def scene(client: RawClient, recorder: Recorder) -> None:
        assert client._strict_kex

    door.play(scene)


def test_public_certificate_without_its_key_learns_nothing_and_leaves_no_event(door: Door) -> None:
    """Known or unknown authority, login listed or not, valid or expired, user or host: one answer to all."""
    old = door.ours.identity(expires=NOW - dt.timedelta(days=1))
    shown = [
        (door.certificate().blob, "root"),
        (door.certificate().blob, "daemon"),
        (door.certificate(door.other).blob, "root"),
        (door.ours.ssh(old, door.public, now=NOW - dt.timedelta(days=2)).blob, "root"),
        (door.ours.ssh(door.ours.host_identity(), door.public).blob, "root"),
        (door.certificate(pinned_ip="203.0.113.1").blob, "root"),
    ]

    async def scene(client: RawClient, recorder: Recorder) -> None:
        for blob, login in shown:
            client.query(login, blob)
            assert await client.reply() == (PK_OK, String(b"ssh-ed25519-cert-v01@openssh.com") + String(blob))

    assert door.play(scene).calls == []


@pytest.mark.parametrize("method", [b"none", b"password", b"keyboard-interactive", b"hostbased", b"gssapi-with-mic"])
def test_other_methods_do_not_exist(door: Door, method: bytes) -> None:
    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.ask("root", method, b"\0" * 20)
        kind, payload = await client.reply()
        assert (kind, text_of(payload)) == (MSG_USERAUTH_FAILURE, "publickey")

    assert door.play(scene).calls == []


def test_a_plain_key_is_refused_without_a_word(door: Door) -> None:
    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.query("root", door.public)
        client.prove("root", door.public, door.key)
        assert [kind for kind, _ in await replies(client, 2)] == [MSG_USERAUTH_FAILURE] * 2

    assert door.play(scene).calls == []


def test_a_blob_that_cannot_be_read_is_refused_without_a_word(door: Door) -> None:
    blob = door.certificate().blob[:-7]

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.query("root", blob)
        assert (await client.reply())[0] == MSG_USERAUTH_FAILURE

    assert door.play(scene).calls == []


def test_a_wrong_signature_is_refused_without_a_word(door: Door) -> None:
    """Somebody else's key, and a signature of another connection."""
    blob, stranger = door.certificate().blob, keys.make_ed25519(SeededEntropy(99))

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.prove("root", blob, stranger)
        client.prove("root", blob, door.key, session=b"\1" * 32)
        assert [kind for kind, _ in await replies(client, 2)] == [MSG_USERAUTH_FAILURE] * 2

    assert door.play(scene).calls == []


def test_a_signature_by_an_algorithm_of_sha1_proves_nothing() -> None:
    assert not ssh_auth._proves(b"", b"message", String(b"ssh-rsa") + String(b"x"))
    assert not ssh_auth._proves(b"no key", b"message", String(b"ssh-ed25519") + String(b"x"))
    assert not ssh_auth._proves(b"", b"message", b"\0")


@pytest.mark.parametrize(
    ("code", "login", "changes"),
    [
        ("PKI-LOGIN-NOT-IN-PRINCIPALS", "daemon", {}),
        ("PKI-SOURCE-ADDRESS", "root", {"pinned_ip": "203.0.113.1"}),
    ],
)
def test_a_refusal_after_proof_is_explained(door: Door, code: str, login: str, changes: dict[str, Any]) -> None:
    blob = door.certificate(**changes).blob

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.prove(login, blob, door.key)
        (banner, text), (failure, _) = await replies(client, 2)
        assert (banner, failure) == (MSG_USERAUTH_BANNER, MSG_USERAUTH_FAILURE)
        assert text_of(text).startswith(f"{code}: ")
        assert "[id the-id]" in text_of(text)

    assert door.play(scene).calls == [f"refused {code} {login}"]


def test_a_certificate_of_another_authority_is_refused_after_proof(door: Door) -> None:
    blob = door.certificate(door.other).blob

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.prove("root", blob, door.key)
        assert [kind for kind, _ in await replies(client, 2)] == [MSG_USERAUTH_BANNER, MSG_USERAUTH_FAILURE]

    assert door.play(scene).calls == ["refused PKI-UNKNOWN-CA root"]


def test_a_host_certificate_is_no_user(door: Door) -> None:
    blob = door.ours.ssh(door.ours.host_identity(), door.public).blob

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.prove("node1", blob, door.key)
        await replies(client, 2)

    assert door.play(scene).calls == ["refused PKI-WRONG-TYPE node1"]


def test_source_address_without_an_address(door: Door) -> None:
    """A carrier without addresses (a socketpair) does not satisfy a certificate bound to one."""
    blob = door.certificate(pinned_ip="198.51.100.7").blob

    async def good(client: RawClient, recorder: Recorder) -> None:
        client.prove("root", blob, door.key)
        assert (await client.reply())[0] == MSG_USERAUTH_SUCCESS

    async def bad(client: RawClient, recorder: Recorder) -> None:
        client.prove("root", blob, door.key)
        assert (await client.reply())[0] == MSG_USERAUTH_BANNER

    door.play(good)
    door.play(good, address="[::ffff:198.51.100.7]:4022")
    assert door.play(bad, address="").calls == ["refused PKI-SOURCE-ADDRESS root"]


def test_the_service_has_the_last_word(door: Door) -> None:
    blob = door.certificate().blob

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.prove("root", blob, door.key)
        (_, text), (failure, _) = await replies(client, 2)
        assert failure == MSG_USERAUTH_FAILURE
        assert text_of(text).startswith("PKI-LOGIN-NOT-IN-PRINCIPALS: ")
        client._auth_complete = True  # says the client
        client.open_channel(b"session", 0)
        assert (await client.reply())[0] == MSG_DISCONNECT

    refusing = Recorder(refuse=AccessDenied("PKI-LOGIN-NOT-IN-PRINCIPALS", user="a\nb", login="root\x1b[2J"))
    assert door.play(scene, refusing).calls[0] == "authorize alice root"


def test_a_banner_has_no_control_characters() -> None:
    error = AccessDenied("PKI-LOGIN-NOT-IN-PRINCIPALS", user="a\nb", login="\x1b[2J")
    assert net_ssh.one_line(error).isprintable()


def test_attempts_are_bounded(door: Door) -> None:
    blob = door.certificate().blob
    stranger = keys.make_ed25519(SeededEntropy(99))

    async def scene(client: RawClient, recorder: Recorder) -> None:
        for _ in range(net_ssh.ATTEMPTS):
            client.prove("root", blob, stranger)
            assert (await client.reply())[0] == MSG_USERAUTH_FAILURE
        client.prove("root", blob, door.key)
        kind, payload = await client.reply()
        assert (kind, text_of(payload, 4)) == (MSG_DISCONNECT, "Too many authentication failures")

    assert door.play(scene).calls == []


def test_queries_are_bounded(door: Door) -> None:
    blob = door.certificate().blob

    async def scene(client: RawClient, recorder: Recorder) -> None:
        for _ in range(net_ssh.QUERIES):
            client.query("root", blob)
            assert (await client.reply())[0] == PK_OK
        client.query("root", blob)
        assert (await client.reply())[0] == MSG_DISCONNECT

    door.play(scene)


def test_a_new_request_does_not_undo_the_record_of_the_last(door: Door) -> None:
    """A client that does not wait for the refusal is recorded all the same, and is let in as nobody else."""
    blob = door.certificate().blob

    class Slow(Recorder):
        async def refused(self, error: Any, certificate: Any, login: str) -> Any:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return await super().refused(error, certificate, login)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        client.prove("daemon", blob, door.key)
        client.prove("root", blob, door.key)
        while (await client.reply())[0] != MSG_USERAUTH_SUCCESS:
            pass

    assert sorted(door.play(scene, Slow()).calls) == [
        "authorize alice root", "refused PKI-LOGIN-NOT-IN-PRINCIPALS daemon",
    ]  # fmt: skip


def test_a_client_that_says_nothing_is_sent_away(door: Door) -> None:
    trust = net_ssh.Trust(clock=door.clock, cluster=door.ours.name, authorities=lambda: door.ours.both)

    async def main() -> None:
        task, stream = serve(trust, [door.host], Recorder(), login_timeout=0.05)
        async with asyncio.timeout(10):
            received = b""
            while data := await stream.read():
                received += data
            await task
        assert received == b"SSH-2.0-Teleport\r\n"

    asyncio.run(main())


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 300, b"SSH-1.5-x\r\n", b"A" * 100_000])
def test_garbage_before_the_version_ends_the_connection(door: Door, garbage: bytes) -> None:
    trust = net_ssh.Trust(clock=door.clock, cluster=door.ours.name, authorities=lambda: door.ours.both)

    async def send(stream: Stream) -> None:
        with contextlib.suppress(Unavailable):
            await stream.write(garbage)
            await stream.write_eof()
            while await stream.read():
                pass

    async def main() -> None:
        recorder = Recorder()
        task, stream = serve(trust, [door.host], recorder)
        async with asyncio.timeout(10):
            await send(stream)
            await task
        assert recorder.calls == []

    asyncio.run(main())


# -- channels and requests ----------------------------------------------------------------------------------


def test_channels_are_bounded(door: Door) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        for number in range(100):
            client.open_channel(b"session", number)
        answers = await replies(client, 100)
        kinds = [kind for kind, _ in answers]
        assert kinds.count(MSG_CHANNEL_OPEN_CONFIRMATION) == net_ssh.CHANNELS
        refused = next(payload for kind, payload in answers if kind == MSG_CHANNEL_OPEN_FAILURE)
        packet = SSHPacket(refused)
        packet.get_uint32()
        assert packet.get_uint32() == OPEN_RESOURCE_SHORTAGE
        assert packet.get_string().startswith(b"SSH-LIMIT-CHANNELS: ")

    assert len(door.play(scene).sessions) == net_ssh.CHANNELS


@pytest.mark.parametrize(
    ("kind", "parts", "detail"),
    [
        (b"direct-tcpip", (String(b"db"), UInt32(5432), String(b""), UInt32(0)), "db:5432"),
        (b"direct-streamlocal@openssh.com", (String(b"/run/x"), String(b""), UInt32(0)), "/run/x"),
        (b"forwarded-tcpip", (String(b"h"), UInt32(1), String(b""), UInt32(0)), "h:1"),
        (b"tun@openssh.com", (UInt32(1), UInt32(0)), ""),
        (b"auth-agent@openssh.com", (), ""),
        (b"x11", (String(b"h"), UInt32(1)), ""),
        (b"direct-tcpip", (b"\0",), ""),
        (b"no-such\xff", (), ""),
    ],
)
def test_only_sessions_are_opened(door: Door, kind: bytes, parts: tuple[bytes, ...], detail: str) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        client.open_channel(kind, 7, *parts)
        answer, payload = await client.reply()
        packet = SSHPacket(payload)
        assert answer == MSG_CHANNEL_OPEN_FAILURE
        assert (packet.get_uint32(), packet.get_uint32()) == (7, OPEN_ADMINISTRATIVELY_PROHIBITED)
        assert packet.get_string().startswith(b"SSH-NOT-SUPPORTED: ")

    name = kind.decode(errors="replace")
    assert door.play(scene).calls == ["authorize alice root", f"declined {name} {detail}"]


def test_a_session_can_be_refused_with_a_text(door: Door) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        client.open_channel(b"session", 0)
        answer, payload = await client.reply()
        assert answer == MSG_CHANNEL_OPEN_FAILURE
        assert "[id some-id]" in text_of(payload, 8)

    door.play(scene, Recorder(refuse_session=AccessDenied("SSH-NOT-SUPPORTED", thing="it", id="some-id")))


def test_a_packet_size_of_nothing_ends_the_connection(door: Door) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        client.open_channel(b"session", 0, size=0)
        assert (await client.reply())[0] == MSG_DISCONNECT

    door.play(scene)


def test_global_requests_are_refused(door: Door) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        client.global_request(b"tcpip-forward", String(b"0.0.0.0"), UInt32(8080))
        client.global_request(b"tcpip-forward", String(b"0.0.0.0"), UInt32(8081), reply=False)
        client.global_request(b"streamlocal-forward@openssh.com", String(b"/run/y"))
        client.global_request(b"keepalive@openssh.com")
        client.global_request(b"no-more-sessions@openssh.com", reply=False)
        client.global_request(b"hostkeys-prove-00@openssh.com", String(b"k"))
        assert [kind for kind, _ in await replies(client, 4)] == [MSG_REQUEST_FAILURE] * 4

    assert door.play(scene).calls[1:] == [
        "declined tcpip-forward 0.0.0.0:8080", "declined tcpip-forward 0.0.0.0:8081",
        "declined streamlocal-forward@openssh.com /run/y",
    ]  # fmt: skip


async def open_one(client: RawClient) -> None:
    client.open_channel(b"session", 0)
    assert (await client.reply())[0] == MSG_CHANNEL_OPEN_CONFIRMATION


def session(recorder: Recorder) -> NoSession:
    made = recorder.sessions[0]
    assert isinstance(made, NoSession)
    return made


def test_one_command_a_channel(door: Door) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        client.channel_request(0, b"exec", String(b"first \xff"))
        client.channel_request(0, b"exec", String(b"second"))
        client.channel_request(0, b"signal", String(b"TERM"))
        assert [kind for kind, _ in await replies(client, 3)] == [
            MSG_CHANNEL_SUCCESS, MSG_CHANNEL_FAILURE, MSG_CHANNEL_SUCCESS,
        ]  # fmt: skip
        assert session(recorder).commands == [b"first \xff"]
        assert session(recorder).signals == ["TERM"]

    door.play(scene)


@pytest.mark.parametrize(
    ("name", "parts", "told"),
    [
        (b"auth-agent-req@openssh.com", (), ("auth-agent-req@openssh.com", "")),
        (b"x11-req", (b"\0" * 13,), ("x11-req", "")),
        (b"env", (String(b"FOO"), String(b"bar")), ("env", "FOO")),
        (b"something-new", (), ("something-new", "")),
    ],
)
def test_requests_that_are_refused(
    door: Door, name: bytes, parts: tuple[bytes, ...], told: tuple[str, str]
) -> None:  # fmt: skip
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        client.channel_request(0, name, *parts)
        assert (await client.reply())[0] == MSG_CHANNEL_FAILURE
        assert session(recorder).refused == [told]

    door.play(scene)


@pytest.mark.parametrize("name", [b"keepalive@openssh.com", b"eow@openssh.com"])
def test_requests_that_ask_for_nothing(door: Door, name: bytes) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        client.channel_request(0, name)
        assert (await client.reply())[0] == MSG_CHANNEL_FAILURE
        assert session(recorder).refused == []

    door.play(scene)


@pytest.mark.parametrize(("name", "part"), [(b"pty-req", TERMINAL), (b"subsystem", String(b"sftp"))])
def test_a_channel_whose_purpose_is_refused_is_closed(door: Door, name: bytes, part: bytes) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        client.channel_request(0, name, part)
        client.channel_request(0, b"exec", String(b"late"))
        (kind, payload), (closed, _) = await replies(client, 2)
        assert (kind, text_of(payload, 4), closed) == (MSG_CHANNEL_REQUEST, "exit-status", MSG_CHANNEL_CLOSE)
        assert session(recorder).commands == []
        assert [request for request, _ in session(recorder).refused] == [name.decode()]

    door.play(scene)


@pytest.mark.parametrize(("count", "size"), [(ENVIRONMENT_ENTRIES, 1), (1, ENVIRONMENT_BYTES - 2)])
def test_environment_of_a_connection_is_bounded(door: Door, count: int, size: int) -> None:
    """What goes beyond it is refused, and nothing else."""
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        session(recorder).variables = {}
        for number in range(count):
            client.channel_request(0, b"env", String(f"N{number % 9}"), String(b"v" * size), reply=number == count - 1)
        assert (await client.reply())[0] == MSG_CHANNEL_SUCCESS
        client.channel_request(0, b"env", String(b"MORE"), String(b"v"))
        assert (await client.reply())[0] == MSG_CHANNEL_FAILURE
        assert session(recorder).refused == [("env", "MORE")]
        client.channel_request(0, b"exec", String(b"true"))
        assert (await client.reply())[0] == MSG_CHANNEL_SUCCESS
        client.channel_request(0, b"env", String(b"LATE"), String(b"v"))
        assert (await client.reply())[0] == MSG_CHANNEL_FAILURE

    door.play(scene)


def test_requests_that_wait_are_bounded(door: Door) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        for number in range(QUEUED_REQUESTS + 20):
            client.channel_request(0, b"env", String(f"N{number}"), String(b"v"), reply=False)
        assert (await client.reply())[0] == MSG_DISCONNECT

    door.play(scene)


def test_a_terminal_its_sizes_and_a_shell(door: Door) -> None:
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        found = session(recorder)
        found.wants_terminal = True
        size = UInt32(132) + UInt32(43) + UInt32(0) + UInt32(0)
        for name, part, answer in (
            (b"window-change", size, MSG_CHANNEL_FAILURE),  # there is no terminal yet
            (b"pty-req", TERMINAL[:-1], MSG_CHANNEL_FAILURE),
            (b"pty-req", TERMINAL, MSG_CHANNEL_SUCCESS),
            (b"pty-req", TERMINAL, MSG_CHANNEL_FAILURE),
            (b"window-change", size, MSG_CHANNEL_SUCCESS),
            (b"window-change", size + b"x", MSG_CHANNEL_FAILURE),
            (b"shell", b"", MSG_CHANNEL_SUCCESS),
            (b"shell", b"", MSG_CHANNEL_FAILURE),
            (b"pty-req", TERMINAL, MSG_CHANNEL_FAILURE),
            (b"window-change", size, MSG_CHANNEL_SUCCESS),
        ):
            client.channel_request(0, name, part)
            assert (await client.reply())[0] == answer, (name, part)
        assert (found.terminal, found.commands) == (Terminal("xterm", Size(80, 24), {}), [None])
        assert found.sizes == [Size(132, 43)] * 2
        assert found.refused == []

    door.play(scene)


def test_a_client_that_does_not_read_holds_its_sessions(door: Door) -> None:
    """The transport's high-water mark reaches every session, those opened meanwhile included."""
    enter = let_in(door)

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        await open_one(client)
        first = session(recorder)
        owner: Any = first.channel.get_connection()
        owner.pause_writing()
        assert first.holds == ["carrier"]
        client.open_channel(b"session", 1)
        assert (await client.reply())[0] == MSG_CHANNEL_OPEN_CONFIRMATION
        second: Any = recorder.sessions[1]
        assert second.holds == ["carrier"]
        owner.resume_writing()
        assert (first.holds, second.holds) == ([], [])

    door.play(scene)


def test_a_defect_is_told(door: Door) -> None:
    enter = let_in(door)

    class Broken(Recorder):
        async def declined(self, refusal: net_ssh.Refusal) -> Any:
            raise ZeroDivisionError

    async def scene(client: RawClient, recorder: Recorder) -> None:
        await enter(client)
        client.open_channel(b"x11", 0)
        assert await client.reply() == (0, b"")

    assert [type(error) for error in door.play(scene, Broken()).failures] == [ZeroDivisionError]


def test_host_keys_that_cannot_be_used(door: Door) -> None:
    with pytest.raises(BadParameter, match="host key") as caught:
        options([HostKey(b"nonsense", door.host.certificate)])
    assert caught.value.code == "SSH-HOST-KEY"
    with pytest.raises(BadParameter):
        options([HostKey(door.host.private, b"nonsense")])
