"""Sign-in and channels of our SSH client: which message may come when, and what a server may open."""

from __future__ import annotations

import pytest

from teleport.base.errors import TeleportError
from teleport.client.ssh_client.channel import WINDOW, Channel
from teleport.client.ssh_client.engine import CHANNELS, Engine, State, port_of
from teleport.pki import keys
from teleport.pki.ssh_wire import string
from teleport.wire import ssh, ssh_auth
from teleport.wire import ssh_channel as wire
from teleport.wire.buffer import ProtocolError, Reader
from tests.support.ssh_peer import USER_KEY, Peer, engine

ACCEPT = b"\x06" + string(b"ssh-userauth")
SUCCESS = bytes([ssh_auth.SUCCESS])
FAILURE = bytes([ssh_auth.FAILURE]) + string(b"publickey") + b"\0"


class Kept:
    """A handler that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.channel: Channel | None = None

    def opened(self, channel: Channel) -> None:
        self.channel = channel
        self.told.append("opened")

    def refused(self, reason: int, text: str) -> None:
        self.told.append(("refused", reason, text))

    def data(self, data: bytes, is_error: bool) -> None:
        self.told.append(("data", data, is_error))

    def ended(self) -> None:
        self.told.append("ended")

    def requested(self, name: bytes, body: bytes) -> bool:
        self.told.append(("requested", name))
        return name == b"yes"

    def writable(self) -> None:
        self.told.append("writable")

    def closed(self, error: TeleportError | None) -> None:
        self.told.append(("closed", error and error.code))


def signed_in() -> Peer:
    peer = Peer(engine())
    peer.let_in()
    return peer


def opened(peer: Peer, *, window: int = 1000, packet: int = 300) -> tuple[Kept, Channel]:
    """A channel that is 9 on the other side."""
    kept = Kept()
    channel = peer.client.open(wire.SESSION, b"", kept)
    assert wire.read_open(peer.hear()[0]).sender == channel.number
    peer.say(wire.write_confirmation(channel.number, 9, window, packet))
    return kept, channel


def broken(peer: Peer, *messages: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        peer.say(*messages)
    assert peer.client.state is State.CLOSED
    assert peer.hear()[-1][0] == ssh.DISCONNECT
    return caught.value.what


# Sign-in


def test_the_request_proves_the_key_for_this_connection_alone() -> None:
    peer = Peer(engine())
    peer.keys()
    assert [message[0] for message in peer.messages] == [ssh.SERVICE_REQUEST, ssh_auth.REQUEST]
    reader = Reader(peer.messages[1])
    reader.u8()
    assert [reader.vector32() for _ in range(3)] == [b"alice", b"ssh-connection", b"publickey"]
    reader.u8(), reader.vector32(), reader.vector32()
    signed = string(peer.session_id) + peer.messages[1][: reader.position]
    assert keys.verify_ssh_signature(USER_KEY.public_key(), reader.vector32(), signed)


def test_a_refusal_with_what_was_said_before() -> None:
    peer = Peer(engine())
    peer.keys()
    peer.say(ACCEPT, b"\x35" + string(b"locked\n") + string(b""), FAILURE)
    assert (peer.client.state, peer.client.said) == (State.REFUSED, "locked\n")
    assert peer.client.failure == (("publickey",), False)
    assert "refused sign-in" in broken(peer, SUCCESS)


@pytest.mark.parametrize("messages", [(SUCCESS,), (FAILURE,), (ACCEPT, ACCEPT), (b"\x06" + string(b"ssh-connection"),),
                                      (ACCEPT, SUCCESS + b"x"), (ACCEPT, b"\x5a"), (ACCEPT, b"\x50"),
                                      (ACCEPT, SUCCESS, SUCCESS), (ACCEPT, SUCCESS, FAILURE),
                                      (ACCEPT, *[b"\x35" + bytes(8)] * 17)])  # fmt: skip
def test_sign_in_has_one_order(messages: tuple[bytes, ...]) -> None:
    peer = Peer(engine())
    peer.keys()
    broken(peer, *messages)


# What the server may ask for


@pytest.mark.parametrize("kind", [wire.AGENT, wire.FORWARDED, wire.X11, wire.SESSION, wire.DIRECT, b"new@example.com"])
def test_a_channel_that_nobody_asked_for_is_refused(kind: bytes) -> None:
    peer = signed_in()
    peer.say(wire.write_open(kind, 5, 100, 100, bytes(16)))
    number, reason, _ = wire.read_refusal(peer.hear()[0])
    assert (number, reason) == (5, wire.PROHIBITED)
    assert not peer.client.channels


def test_a_channel_that_was_asked_for() -> None:
    peer, kept = signed_in(), Kept()
    peer.client.openers[wire.AGENT] = lambda body: kept
    peer.say(wire.write_open(wire.AGENT, 5, 100, 100))
    assert wire.read_confirmation(peer.hear()[0])[:2] == (5, 0)
    assert kept.told == ["opened"]
    peer.client.openers[wire.AGENT] = lambda body: None
    peer.say(wire.write_open(wire.AGENT, 6, 100, 100))
    assert peer.hear()[0][0] == wire.OPEN_FAILURE


def test_channels_are_bounded() -> None:
    peer = signed_in()
    peer.client.openers[wire.AGENT] = lambda body: Kept()
    for number in range(CHANNELS):
        peer.say(wire.write_open(wire.AGENT, number, 100, 100))
    peer.hear()
    peer.say(wire.write_open(wire.AGENT, 9999, 100, 100))
    assert peer.hear()[0][0] == wire.OPEN_FAILURE
    with pytest.raises(ProtocolError):
        peer.client.open(wire.SESSION, b"", Kept())


def test_global_requests_are_answered_and_not_granted() -> None:
    peer = signed_in()
    peer.say(wire.write_global(b"hostkeys-00@openssh.com", string(b"x"), wants_reply=False))
    assert peer.hear() == []
    peer.say(wire.write_global(wire.KEEP_ALIVE, wants_reply=True), wire.write_global(wire.LISTEN, wants_reply=True))
    assert peer.hear() == [b"\x52", b"\x52"]


def test_our_global_requests_are_answered_in_order() -> None:
    peer, answers = signed_in(), list[bytes | None]()
    peer.client.keep_alive()
    for _ in range(3):
        peer.client.ask(wire.LISTEN, b"", answers.append)
    assert len(peer.hear()) == 4
    peer.say(b"\x52", b"\x51\0\0\0\x50", b"\x52")
    peer.client.lose(ProtocolError("WIRE-SSH", problem="x"))
    assert answers == [b"\0\0\0\x50", None, None]
    assert (port_of(b"\0\0\0\x50", 0), port_of(b"", 22)) == (80, 22)


def test_our_global_requests_are_bounded() -> None:
    peer = signed_in()
    for _ in range(1024):
        peer.client.keep_alive()
    with pytest.raises(ProtocolError):
        peer.client.keep_alive()


@pytest.mark.parametrize("message", [b"\x51", b"\x52"])
def test_an_answer_to_nothing(message: bytes) -> None:
    assert "was not made" in broken(signed_in(), message)


# Channels


def test_a_conversation() -> None:
    peer = signed_in()
    kept, channel = opened(peer)
    granted: list[bool] = []
    channel.request(b"exec", string(b"ls"), granted.append)
    assert channel.write(b"x" * 700) == 700
    peer.say(wire.write_short(wire.SUCCESS, 0), wire.write_data(0, b"out"), b"\x5f\0\0\0\0\0\0\0\x01" + string(b"err"))
    peer.say(wire.write_adjust(0, 50), wire.write_request(0, b"no", wants_reply=True))
    peer.say(wire.write_request(0, b"yes", wants_reply=True), wire.write_short(wire.EOF, 0))
    channel.end()
    assert channel.write(b"more") == 0
    peer.say(wire.write_short(wire.CLOSE, 0))
    assert granted == [True]
    assert kept.told == [
        "opened", ("data", b"out", False), ("data", b"err", True), "writable", ("requested", b"no"),
        ("requested", b"yes"), "ended", ("closed", None),
    ]  # fmt: skip
    heard = peer.hear()
    assert [message[0] for message in heard] == [98, 94, 94, 94, 100, 99, 96, 97]
    assert [len(wire.read_data(message)[2]) for message in heard[1:4]] == [300, 300, 100]
    assert peer.client.channels == {}
    assert "not open" in broken(peer, wire.write_data(0, b"x"))


def test_a_window_is_kept_by_both_sides() -> None:
    peer = signed_in()
    _, channel = opened(peer, window=10)
    assert (channel.write(b"x" * 30), channel.room) == (10, 0)
    peer.say(wire.write_adjust(0, 5))
    assert channel.write(b"x" * 30) == 5
    peer.hear()
    for _ in range(WINDOW // 32768):
        peer.say(wire.write_data(0, bytes(32768)))
    assert peer.hear() == []
    channel.taken(WINDOW // 2)
    assert wire.read_adjust(peer.hear()[0]) == (9, WINDOW // 2)
    peer.say(*[wire.write_data(0, bytes(32768))] * (WINDOW // 2 // 32768))
    assert "window" in broken(peer, wire.write_data(0, b"x"))


def test_what_nobody_wants_is_counted_and_dropped() -> None:
    peer = signed_in()
    kept, channel = opened(peer)
    peer.say(b"\x5f\0\0\0\0\0\0\0\x07" + string(b"other"))
    channel.close()
    channel.close()
    channel.request(b"x")
    peer.say(
        wire.write_data(0, b"late"), wire.write_request(0, b"yes", wants_reply=True), wire.write_short(wire.EOF, 0)
    )
    peer.say(wire.write_adjust(0, 5))
    assert kept.told == ["opened"]
    assert [message[0] for message in peer.hear()] == [wire.CLOSE]


def test_a_refused_channel() -> None:
    peer, kept = signed_in(), Kept()
    peer.client.open(wire.DIRECT, b"", kept)
    peer.say(wire.write_refusal(0, wire.CONNECT_FAILED, "nothing there"))
    assert kept.told == [("refused", 2, "nothing there")]
    assert "not being opened" in broken(peer, wire.write_refusal(0, 2, ""))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (wire.write_data(7, b"x"), "channel 7"), (wire.write_confirmation(0, 1, 1, 1), "not being opened"),
        (wire.write_short(wire.SUCCESS, 0), "was not made"), (wire.write_data(0, bytes(32769)), "window"),
        (wire.write_adjust(0, 0xFFFFFFFF), "4 GiB"), (b"\x5e\0\0\0\0\0\0\0\x09x", "length of data"),
        (wire.write_request(8, b"x", wants_reply=False), "channel 8"), (b"\x60\0", "too early"),
        (b"\x65", "message 101"), (b"\x32", "message 50"), (b"\xff", "message 255"), (b"\x08", "message 8"),
    ],
)  # fmt: skip
def test_what_a_server_may_not_send(message: bytes, said: str) -> None:
    peer = signed_in()
    kept, _ = opened(peer)
    assert said in broken(peer, message)
    assert kept.told[-1][0] == "closed"


def test_nothing_follows_an_end() -> None:
    for more in (wire.write_data(0, b"x"), wire.write_short(wire.EOF, 0)):
        peer = signed_in()
        opened(peer)
        peer.say(wire.write_short(wire.EOF, 0))
        broken(peer, more)


def test_a_channel_that_takes_no_bytes() -> None:
    peer = signed_in()
    peer.client.open(wire.SESSION, b"", Kept())
    broken(peer, wire.write_confirmation(0, 9, 100, 0))


def test_the_end_of_the_connection_is_told_to_all() -> None:
    peer = signed_in()
    kept, channel = opened(peer)
    granted: list[bool] = []
    channel.request(b"x", b"", granted.append)
    with pytest.raises(TeleportError):
        peer.say(ssh.write_disconnect(11, "bye"))
    assert kept.told[-1] == ("closed", "CLIENT-SSH-ENDED")
    assert granted == [False]
    assert channel.write(b"x") == 0


def test_goodbye() -> None:
    peer = signed_in()
    peer.client.close()
    peer.client.close()
    assert [message[0] for message in peer.hear()] == [ssh.DISCONNECT]


def test_arbitrary_bytes_raise_nothing_else() -> None:
    for data in (bytes(100), b"\xff" * 100, b"SSH-2.0-x\r\n" + bytes(range(256)) * 9):
        client: Engine = engine()
        with pytest.raises(TeleportError):
            client.receive(data * 100)
