"""SFTP's packets, by examples written from the draft, and the stream they come in."""

import struct

import pytest

from teleport.wire import sftp
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import LIMIT, Attrs, Entry, Kind, Open, Packet, Packets, Status, read, write

ALL = Attrs(5, 1000, 100, 0o100644, 11, 12)
EXAMPLES = [
    Packet(Kind.INIT, 3, ({},)),
    Packet(Kind.VERSION, 3, ({b"fsync@openssh.com": b"1", b"x": b""},)),
    Packet(Kind.OPEN, 1, (b"/a b", Open.READ | Open.CREATE, ALL)),
    Packet(Kind.READ, 2, (b"hand", 2**64 - 1, 32768)),
    Packet(Kind.WRITE, 2**32 - 1, (b"hand", 7, b"contents")),
    Packet(Kind.MKDIR, 3, (b"d", Attrs(mode=0o755))),
    Packet(Kind.FSETSTAT, 3, (b"hand", Attrs(atime=1, mtime=2))),
    Packet(Kind.SETSTAT, 3, (b"d", Attrs(uid=1, gid=2))),
    Packet(Kind.RENAME, 4, (b"a", b"b")),
    Packet(Kind.STATUS, 5, (Status.EOF, b"end of file")),
    Packet(Kind.HANDLE, 6, (b"\0\0\0\1",)),
    Packet(Kind.DATA, 7, (b"xyz",)),
    Packet(Kind.NAME, 8, ((Entry(b"n", b"-rw- n", ALL), Entry(b"\xff", b"", Attrs())),)),
    Packet(Kind.ATTRS, 9, (ALL,)),
    Packet(Kind.EXTENDED, 10, (b"a", b"b"), sftp.POSIX_RENAME),
    Packet(Kind.EXTENDED, 10, (b"h", 1, 2, b"i", 3), sftp.COPY_DATA),
    Packet(Kind.EXTENDED, 10, (), sftp.LIMITS),
    Packet(Kind.EXTENDED, 10, (b"whatever",), "no-such@example.com"),
    Packet(Kind.EXTENDED_REPLY, 11, (bytes(16),)),
]


@pytest.mark.parametrize("packet", EXAMPLES, ids=lambda packet: Kind(packet.kind).name + packet.name)
def test_what_is_written_is_read(packet):
    data = write(packet)
    assert struct.unpack("!I", data[:4]) == (len(data) - 4,)
    assert read(data[4:]) == packet


def test_the_bytes_are_those_of_the_draft():
    path = b"\0\0\0\4/etc"
    assert write(Packet(Kind.STAT, 0x01020304, (b"/etc",))) == b"\0\0\0\x0d\x11\1\2\3\4" + path
    assert write(Packet(Kind.OPEN, 1, (b"/etc", 1, Attrs()))) == b"\0\0\0\x15\3\0\0\0\1" + path + b"\0\0\0\1\0\0\0\0"
    whole = write(Packet(Kind.ATTRS, 1, (ALL,)))[9:]
    assert whole == struct.pack("!IQIIIII", 0xF, 5, 1000, 100, 0o100644, 11, 12)


def test_half_of_a_pair_is_not_said():
    assert read(write(Packet(Kind.ATTRS, 1, (Attrs(uid=5, atime=7),)))[4:]).fields == (Attrs(),)


def test_attributes_of_extensions_are_skipped():
    body = b"\x69\0\0\0\1" + struct.pack("!II", 0x80000004, 0o644) + b"\0\0\0\1" + b"\0\0\0\1a\0\0\0\2bc"
    assert read(body).fields == (Attrs(mode=0o644),)


@pytest.mark.parametrize(
    ("body", "text"),
    [(b"", b""), (b"\0\0\0\2hi", b"hi"), (b"\0\0\0\2hi\0\0\0\2en", b"hi")],
    ids=["none", "text", "both"],
)
def test_a_status_may_lack_its_texts(body, text):
    assert read(b"\x65\0\0\0\1\0\0\0\4" + body).fields == (Status.FAILURE, text)


def test_bytes_after_the_fields_are_ignored():
    assert read(write(Packet(Kind.CLOSE, 1, (b"h",)))[4:] + b"more").fields == (b"h",)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\x04\0\0", b"\x63\0\0\0\1", b"\0\0\0\0\1", b"\x04\0\0\0\1\xff\xff\xff\xff", b"\x04\0\0\0\1\0\0\0\5abc",
        b"\x68\0\0\0\1\xff\xff\xff\xff", b"\x69\0\0\0\1\x80\0\0\0\xff\xff\xff\xff", b"\x04\0\0\0\1" + bytes(LIMIT),
        b"\xc8\0\0\0\1\0\0\0\1\xff", b"\xc8\0\0\0\1\0\0\1\0" + b"x" * 256,
        b"\xc8\0\0\0\1\0\0\0\x18posix-rename@openssh.com",
    ],
)  # fmt: skip
def test_what_is_no_packet_is_refused(body):
    with pytest.raises(ProtocolError):
        read(body)


@pytest.mark.parametrize(
    "packet", [Packet(Kind.STATUS, 1, (2**32, b"")), Packet(99, 1), Packet(Kind.WRITE, 1, (b"h", 0, bytes(LIMIT)))]
)
def test_what_nobody_would_take_is_not_written(packet):
    with pytest.raises(ProtocolError):
        write(packet)


def test_contents_are_written_and_read_as_all_packets_are():
    packet = Packet(Kind.WRITE, 7, (b"handle", 2**40, b"contents"))
    assert sftp.write_contents(7, *packet.fields) == write(packet)
    with pytest.raises(ProtocolError):
        sftp.write_contents(7, b"h", 0, bytes(LIMIT))
    for packet in EXAMPLES:
        assert sftp.read_contents(write(packet)[4:]) == packet
    body = write(Packet(Kind.DATA, 7, (b"contents",)))[4:]
    assert bytes(sftp.read_contents(body + b"more").fields[0]) == b"contents"
    for cut in (body[:-1], body[:7]):
        with pytest.raises(ProtocolError):
            sftp.read_contents(cut)


STREAM = b"".join(write(packet) for packet in EXAMPLES)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, len(STREAM)])
def test_a_stream_may_come_in_any_pieces(step):
    packets = Packets()
    found = []
    for start in range(0, len(STREAM), step):
        found += packets.feed(memoryview(STREAM)[start : start + step])
    assert [read(body) for body, _ in found] == EXAMPLES
    assert not packets.inside


@pytest.mark.parametrize("step", [1, 5, 21, 30, 1000, 5000])
def test_contents_go_by_uncopied(step):
    stream = write(Packet(Kind.WRITE, 1, (b"hand", 0, bytes(4000)))) + write(Packet(Kind.CLOSE, 2, (b"hand",)))
    packets = Packets({Kind.WRITE: 25})
    found = []
    for start in range(0, len(stream), step):
        found += packets.feed(stream[start : start + step])
    assert [(len(head), size) for head, size in found] == [(25, 4025), (13, 13)]
    assert not packets.inside


def test_a_stream_says_whether_it_ends_in_a_packet():
    packets = Packets({Kind.DATA: 9})
    whole = write(Packet(Kind.DATA, 1, (bytes(100),)))
    for end in (1, 8, 20, len(whole) - 1):
        packets = Packets({Kind.DATA: 9})
        packets.feed(whole[:end])
        assert packets.inside, end
    assert packets.feed(b"") == []
    packets.feed(whole[-1:])
    assert not packets.inside


@pytest.mark.parametrize("length", [0, 4, LIMIT + 1, 2**32 - 1])
def test_a_length_that_no_packet_has_ends_the_stream(length):
    with pytest.raises(ProtocolError):
        Packets().feed(length.to_bytes(4, "big") + b"\1")
