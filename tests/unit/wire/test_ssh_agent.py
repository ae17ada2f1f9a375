"""The agent protocol: requests byte by byte, and answers of agents good and bad."""

import pytest

from teleport.wire import ssh_agent
from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer
from teleport.wire.ssh_agent import AgentRefused, Identity


def body(request):
    found, size = ssh_agent.frame(request)
    assert size == len(request)
    return found


def listing(*pairs):
    writer = Writer().u8(12).u32(len(pairs))
    for blob, comment in pairs:
        writer.vector32(blob).vector32(comment)
    return bytes(writer)


def test_requests():
    assert ssh_agent.list_identities() == b"\0\0\0\x01\x0b"
    assert body(ssh_agent.remove(b"key")) == b"\x12\0\0\0\x03key"
    assert body(ssh_agent.sign(b"key", b"data")) == b"\x0d\0\0\0\x03key\0\0\0\x04data\0\0\0\0"


def test_an_ed25519_key_is_added_with_its_certificate_for_a_time():
    reader = Reader(body(ssh_agent.add_ed25519(b"cert", b"P" * 32, b"S" * 32, comment="me", lifetime=60)))
    assert reader.u8() == 25
    assert [reader.vector32() for _ in range(5)] == [
        b"ssh-ed25519-cert-v01@openssh.com", b"cert", b"P" * 32, b"S" * 32 + b"P" * 32, b"me",
    ]  # fmt: skip
    assert (reader.u8(), reader.u32(), reader.remaining) == (1, 60, 0)


@pytest.mark.parametrize(
    ("scalar", "written"), [(1, b"\x01"), (0x7F, b"\x7f"), (0x80, b"\0\x80"), (1 << 255, b"\0\x80" + bytes(31))]
)
def test_a_p256_key(scalar, written):
    reader = Reader(body(ssh_agent.add_p256(b"cert", scalar, comment="me", lifetime=0)))
    assert reader.u8() == 25
    assert [reader.vector32() for _ in range(4)] == [
        b"ecdsa-sha2-nistp256-cert-v01@openssh.com", b"cert", written, b"me",
    ]  # fmt: skip
    assert (reader.u8(), reader.u32()) == (1, 1)  # no lifetime would be for ever


def test_answers():
    assert ssh_agent.read_identities(listing()) == []
    assert ssh_agent.read_identities(listing((b"a", b"one"), (b"b", b"\xff"))) == [
        Identity(b"a", "one"), Identity(b"b", "\ufffd"),
    ]  # fmt: skip
    assert ssh_agent.read_signature(bytes(Writer().u8(14).vector32(b"sig"))) == b"sig"
    ssh_agent.read_success(b"\x06")


@pytest.mark.parametrize("read", [ssh_agent.read_identities, ssh_agent.read_signature, ssh_agent.read_success])
def test_a_refusal_is_known_as_one(read):
    with pytest.raises(AgentRefused) as caught:
        read(b"\x05")
    assert caught.value.code == "WIRE-AGENT"


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (ssh_agent.read_identities, b""),
        (ssh_agent.read_identities, b"\x06"),
        (ssh_agent.read_identities, b"\x0c\0\0"),
        (ssh_agent.read_identities, b"\x0c\0\0\xff\xff"),
        (ssh_agent.read_identities, listing((b"a", b"b")) + b"x"),
        (ssh_agent.read_signature, b"\x0e\0\0\0\x09"),
        (ssh_agent.read_signature, b"\x0e\0\0\0\0x"),
        (ssh_agent.read_success, b"\x06x"),
    ],
)
def test_answers_that_are_none(read, data):
    with pytest.raises(ProtocolError) as caught:
        read(data)
    assert caught.value.code == "WIRE-AGENT"
    assert not isinstance(caught.value, AgentRefused)


def test_frames():
    assert ssh_agent.frame(b"\0\0\0\x02abc") == (b"ab", 6)
    with pytest.raises(NeedMore):
        ssh_agent.frame(b"\0\0\0\x02a")
    for length in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        with pytest.raises(ProtocolError) as caught:
            ssh_agent.frame(length)
        assert caught.value.code == "WIRE-AGENT"
