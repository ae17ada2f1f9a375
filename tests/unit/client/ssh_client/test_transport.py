"""The transport of our SSH client against a server that keeps to nothing: key exchange, order, keys anew."""

from __future__ import annotations

import pytest

from teleport.base.errors import TeleportError
from teleport.client.ssh_client.engine import State
from teleport.client.ssh_client.transport import HOST_KEYS, Limits
from teleport.pki.ssh_wire import string
from teleport.wire import ssh
from teleport.wire.buffer import ProtocolError, Writer
from tests.support.ssh_peer import VERSION, Peer, engine

IGNORE = bytes([ssh.IGNORE]) + string(b"x")
DEBUG = bytes([ssh.DEBUG, 0]) + string(b"x") + string(b"")
EXT_INFO = bytes([ssh.EXT_INFO]) + bytes(4)
GREETING = b"\x50" + string(b"hello@example.com") + b"\x00"
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")


def refusal(peer: Peer, *messages: bytes) -> str:
    """What the client says to messages; it must say goodbye and be closed."""
    with pytest.raises(ProtocolError) as caught:
        peer.say(*messages)
    assert peer.client.state is State.CLOSED
    assert peer.client.error is caught.value
    return caught.value.what


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("kex", ["curve25519-sha256", "curve25519-sha256@libssh.org", "mlkem768x25519-sha256"])
def test_a_sign_in_with_each_algorithm(cipher: str, kex: str) -> None:
    peer = Peer(engine(), cipher=cipher, kex=kex)
    peer.let_in()
    assert peer.client.state is State.OPEN
    peer.say(GREETING)
    peer.keys()
    peer.say(GREETING)
    assert peer.client.state is State.OPEN


def test_bytes_may_come_one_by_one() -> None:
    peer = Peer(engine())
    for byte in b"hello\r\n" + VERSION + b"\r\n":
        peer.client.receive(bytes([byte]))
    peer.hear()
    peer.own_offer = ssh.write_offer(peer.offer, bytes(16))
    for byte in peer.seal(peer.own_offer):
        peer.client.receive(bytes([byte]))
    peer.say(peer.answer())
    peer.hear()
    peer.newkeys()
    assert peer.hear()[0][0] == ssh.SERVICE_REQUEST


def test_host_keys_without_a_certificate_are_not_offered() -> None:
    peer = Peer(engine(), host_key="ssh-ed25519")
    peer.greet()
    peer.hear()
    with pytest.raises(ProtocolError) as caught:
        peer.offers()
    assert "no host key in common" in caught.value.what
    assert all("cert" in name for name in HOST_KEYS)


# CVE-2023-48795 (Terrapin), CVE-2023-46445, CVE-2023-46446: nothing may come before there are keys


@pytest.mark.parametrize(
    "early", [IGNORE, DEBUG, EXT_INFO, b"\x03\0\0\0\0", b"\x34", b"\x06" + string(b"ssh-userauth")]
)
@pytest.mark.parametrize("after", ["version", "offer", "reply"])
def test_cve_2023_48795_nothing_else_comes_before_the_first_keys(early: bytes, after: str) -> None:
    peer = Peer(engine())
    peer.greet()
    peer.hear()
    if after != "version":
        peer.offers()
    if after == "reply":
        peer.say(peer.answer())
    assert "in place of" in refusal(peer, early)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_cve_2023_48795_a_message_taken_away_behind_new_keys_is_noticed(cipher: str) -> None:
    """The attack: one packet more before the keys, one less behind them."""
    peer = Peer(engine(), cipher=cipher)
    peer.keys()
    peer.seal(EXT_INFO)  # never arrives
    said = refusal(peer, b"\x06" + string(b"ssh-userauth"))
    assert "not the next one" in said or "a packet of" in said, "ChaCha20 hides lengths as well"


def test_cve_2023_48795_chacha20_needs_a_server_that_counts_anew() -> None:
    peer = Peer(engine(), strict=False, cipher=CIPHERS[2])
    peer.greet()
    peer.hear()
    with pytest.raises(ProtocolError) as caught:
        peer.offers()
    assert "CVE-2023-48795" in caught.value.what


def test_aes_gcm_counts_by_itself() -> None:
    """A stock server of before 2023 is safe with it."""
    peer = Peer(engine(), strict=False)
    peer.let_in()
    assert peer.client.state is State.OPEN


def test_cve_2023_46445_extensions_that_nobody_asked_for() -> None:
    peer = Peer(engine())
    peer.keys()
    assert "message 7" in refusal(peer, EXT_INFO)


def test_cve_2023_46446_a_sign_in_that_succeeds_before_it_began() -> None:
    for with_keys in (False, True):
        peer = Peer(engine())
        if with_keys:
            peer.keys()
        else:
            peer.greet()
        with pytest.raises(ProtocolError):
            peer.say(b"\x34")
        assert peer.client.state is State.CLOSED


# Keys


def test_an_answer_that_another_key_signed() -> None:
    peer = Peer(engine())
    peer.sign_with = lambda key, message: bytes(64)
    peer.greet()
    peer.hear()
    peer.offers()
    with pytest.raises(TeleportError) as caught:
        peer.say(peer.answer())
    assert caught.value.code == "PKI-BAD-SIGNATURE"
    assert peer.client.state is State.CLOSED


@pytest.mark.parametrize("kex", ["curve25519-sha256", "mlkem768x25519-sha256"])
@pytest.mark.parametrize("answer", [b"", bytes(32), bytes(33), bytes(1088), bytes(1120)])
def test_a_key_exchange_with_no_point(kex: str, answer: bytes) -> None:
    peer = Peer(engine(), kex=kex)
    peer.greet()
    peer.hear()
    peer.offers()
    reply = Writer().u8(ssh.KEX_REPLY).vector32(peer.blob).vector32(answer).vector32(b"")
    assert "key exchange" in refusal(peer, bytes(reply))


def test_a_wrong_guess_is_passed_over() -> None:
    peer = Peer(engine())
    peer.offer = peer.offer._replace(kex=("ecdh-sha2-nistp256", *peer.offer.kex), guessed=True)
    peer.greet()
    peer.hear()
    peer.offers()
    peer.say(b"\x1f" + string(b"guess"))
    peer.say(peer.answer())
    peer.hear()
    peer.newkeys()
    assert peer.hear()[0][0] == ssh.SERVICE_REQUEST


def test_only_one_message_is_a_wrong_guess() -> None:
    peer = Peer(engine())
    peer.offer = peer.offer._replace(kex=("ecdh-sha2-nistp256", *peer.offer.kex), guessed=True)
    peer.greet()
    peer.hear()
    peer.offers()
    peer.say(b"\x1f" + string(b"guess"))
    with pytest.raises(ProtocolError):
        peer.say(b"\x1f" + string(b"guess"))


def test_newkeys_has_nothing_else() -> None:
    peer = Peer(engine())
    peer.greet()
    peer.hear()
    peer.offers()
    peer.say(peer.answer())
    assert "more than the end" in refusal(peer, b"\x15\x00")


# Keys anew


def test_keys_are_exchanged_anew_by_us_after_so_many_bytes() -> None:
    peer = Peer(engine(Limits(size=20_000)))
    peer.let_in()
    asked = 0
    for _ in range(200):
        peer.client.ask(b"x@example.com", bytes(200), lambda answer: None)
        if any(message[0] == ssh.KEXINIT for message in peer.hear()):
            asked += 1
            assert peer.client.held
            peer.client.ask(b"waits@example.com", b"", lambda answer: None)
            assert not any(b"waits" in message for message in peer.hear())
            peer.offers()
            peer.say(peer.answer())
            peer.hear()
            peer.newkeys()
            peer.hear()
            assert not peer.client.held
    assert asked > 1
    assert sum(b"waits" in message for message in peer.messages) == asked


def test_keys_are_exchanged_anew_by_us_after_so_many_packets_from_there() -> None:
    peer = Peer(engine(Limits(packets=50)))
    peer.let_in()
    for _ in range(60):
        peer.say(GREETING)  # what was on its way before our offer arrived
    assert any(message[0] == ssh.KEXINIT for message in peer.hear())
    peer.offers()
    peer.say(IGNORE)  # allowed in a later exchange
    peer.say(peer.answer())
    peer.hear()
    peer.newkeys()
    peer.say(GREETING)
    assert peer.client.state is State.OPEN


def test_no_data_within_a_key_exchange() -> None:
    peer = Peer(engine())
    peer.let_in()
    peer.offers()
    assert "in place of the answer" in refusal(peer, GREETING)


def test_a_key_exchange_that_never_ends_holds_a_bounded_number_of_messages() -> None:
    peer = Peer(engine())
    peer.let_in()
    peer.offers()
    for _ in range(4096):
        peer.client._transport.send(GREETING)
    with pytest.raises(ProtocolError):
        peer.client._transport.send(GREETING)


# Packets


@pytest.mark.parametrize("length", [0, 1, 7, 65533, 1 << 20, 0xFFFFFFFF])
def test_a_packet_of_an_impossible_size(length: int) -> None:
    peer = Peer(engine())
    peer.greet()
    with pytest.raises(ProtocolError) as caught:
        peer.client.receive(length.to_bytes(4, "big") + bytes(4))
    assert "a packet of" in caught.value.what


@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_sealed_packet_of_an_impossible_size(cipher: str) -> None:
    for length in (0, 15, 1 << 20):
        peer = Peer(engine(), cipher=cipher)
        peer.let_in()
        head = length.to_bytes(4, "big")
        if "chacha" in cipher:
            head = peer.out._xor(peer.out._lengths, head, peer.sent)
        with pytest.raises(ProtocolError) as caught:
            peer.client.receive(head)
        assert "a packet of" in caught.value.what


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("at", [4, -1])
def test_a_packet_that_was_changed(cipher: str, at: int) -> None:
    peer = Peer(engine(), cipher=cipher)
    peer.let_in()
    packet = bytearray(peer.seal(GREETING))
    packet[at] ^= 1
    with pytest.raises(ProtocolError) as caught:
        peer.client.receive(bytes(packet))
    assert "changed on its way" in caught.value.what


@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_packet_that_comes_twice(cipher: str) -> None:
    peer = Peer(engine(), cipher=cipher)
    peer.let_in()
    packet = peer.seal(GREETING)
    peer.client.receive(packet)
    with pytest.raises(ProtocolError):
        peer.client.receive(packet)


def test_padding_that_is_none() -> None:
    peer = Peer(engine())
    peer.greet()
    for padding in (0, 3, 11, 255):
        with pytest.raises(ProtocolError):
            peer.client.receive(b"\0\0\0\x0c" + bytes([padding]) + bytes(11))


def test_goodbyes_say_why() -> None:
    for signed_in in (False, True):
        peer = Peer(engine())
        peer.let_in() if signed_in else peer.greet()
        with pytest.raises(TeleportError) as caught:
            peer.say(ssh.write_disconnect(11, "go \x1b[31m home"))
        assert caught.value.code == "CLIENT-SSH-ENDED"
        assert caught.value.fields["said"] == "go \\x1b[31m home"
