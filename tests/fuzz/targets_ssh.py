"""Targets of tsh's SSH client: what a server says before it is known who it is, and what one says that is."""

from __future__ import annotations

from collections.abc import Callable

from teleport.base.errors import TeleportError
from teleport.client.ssh_client.engine import State
from teleport.pki.ssh_wire import string
from teleport.wire import ssh, ssh_auth
from teleport.wire import ssh_channel as wire
from teleport.wire.buffer import NeedMore, ProtocolError
from tests.fuzz.engine import Target, plain, register
from tests.support.ssh_peer import VERSION, Peer, engine
from tests.unit.client.ssh_client.test_engine import Kept

_READERS: dict[int, Callable[[bytes], object]] = {
    ssh.KEXINIT: ssh.read_offer, ssh.DISCONNECT: ssh.read_disconnect, ssh.SERVICE_ACCEPT: ssh_auth.read_service_accept,
    ssh_auth.FAILURE: ssh_auth.read_failure, ssh_auth.BANNER: ssh_auth.read_banner, wire.OPEN: wire.read_open,
    wire.GLOBAL_REQUEST: wire.read_request, wire.OPEN_CONFIRMATION: wire.read_confirmation,
    wire.OPEN_FAILURE: wire.read_refusal, wire.WINDOW_ADJUST: wire.read_adjust, wire.DATA: wire.read_data,
    wire.EXTENDED_DATA: wire.read_data, wire.REQUEST: wire.read_request, wire.CLOSE: wire.read_short,
    200: wire.read_signal, 201: wire.read_forwarded, 202: wire.read_forwarded_local, 203: wire.read_status,
}  # fmt: skip


def _message(data: bytes) -> object:
    reader = _READERS.get(data[0]) if data else None
    return reader(data if data[0] < 200 else data[1:]) if reader else None


def _messages() -> list[bytes]:
    offer = ssh.Offer(("curve25519-sha256", ssh.STRICT_SERVER), ("ssh-ed25519",), ("a", "b"), ("c",))
    return [
        ssh.write_offer(offer, bytes(16)), ssh.write_disconnect(2, "no"), b"\x06" + string(b"ssh-userauth"),
        b"\x33" + string(b"publickey") + b"\0", b"\x35" + string(b"hi") + string(b""),
        wire.write_open(b"session", 1, 2, 3), wire.write_global(b"x", b"y", wants_reply=True),
        wire.write_confirmation(0, 1, 2, 3), wire.write_refusal(0, 1, "no"), wire.write_adjust(0, 9),
        wire.write_data(0, b"data"), b"\x5f" + bytes(7) + b"\x01" + string(b"no"),
        wire.write_request(0, b"exit-status", bytes(4), wants_reply=False), wire.write_short(wire.CLOSE, 0),
        wire.write_short(wire.EOF, 0), wire.write_short(wire.SUCCESS, 0), b"\x51", b"\x52", b"\xc8" + bytes(13),
        b"\xc9" + bytes(16), b"\xca" + bytes(8), b"\xcb" + bytes(4),
    ]  # fmt: skip


register(Target("wire.ssh.message", plain(_message), _messages, (ProtocolError,), widths=(4,)))


def _before_keys(data: bytes) -> object:
    """However the bytes are cut, they say the same; nobody is let in without keys."""
    told = []
    for size in (len(data) or 1, 3):
        client = engine()
        try:
            for at in range(0, len(data), size):
                client.receive(data[at : at + size])
            told.append(client.state)
        except (ProtocolError, TeleportError) as error:
            told.append(error.code)
        assert client.state in (State.KEYS, State.CLOSED)
    assert told[0] == told[1]
    return told[0]


def _greetings() -> list[bytes]:
    packets = Peer(engine())
    return [
        VERSION + b"\r\n" + packets.seal(ssh.write_offer(packets.offer, bytes(16))), VERSION + b"\r\n" + bytes(64),
        b"hello\r\n" + VERSION + b"\n" + packets.seal(ssh.write_disconnect(2, "no")), b"SSH-1.5-x\r\n",
    ]  # fmt: skip


register(Target("client.ssh.before-keys", plain(_before_keys), _greetings, (NeedMore,), widths=(4,)))


def _signed_in(data: bytes) -> object:
    """Each line is a message. Whatever comes, only what was asked for is opened, and the end is told once."""
    peer = Peer(engine())
    peer.let_in()
    kept = Kept()
    channel = peer.client.open(wire.SESSION, b"", kept)
    channel.request(b"x", b"", lambda granted: None)
    try:
        peer.say(wire.write_confirmation(0, 9, 100, 100), *(line for line in data.split(b"|") if line))
    except TeleportError:
        assert peer.client.state is State.CLOSED
        assert kept.told[-1][0] == "closed" or "refused" in kept.told[-1]
    assert len(peer.client.channels) <= 1
    assert sum(isinstance(each, tuple) and each[0] == "closed" for each in kept.told) <= 1
    return peer.client.state, len(kept.told), len(peer.hear())


register(
    Target(
        "client.ssh.signed-in",
        plain(_signed_in),
        lambda: [*_messages(), b"|".join(_messages()[5:])],
        (ProtocolError,),
        widths=(4,),
        dictionary=(b"|", b"auth-agent@openssh.com", b"forwarded-tcpip", b"exit-signal"),
    )
)
