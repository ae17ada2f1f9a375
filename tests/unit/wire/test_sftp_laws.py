"""Laws of SFTP's codec: what is written is read, split anywhere it is the same, and no bytes crash it."""

import contextlib
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire import sftp
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import Attrs, Entry, Kind, Packet, Packets, read, write

U32, U64, BYTES = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=40)
OWNER = st.one_of(st.just((None, None)), st.tuples(U32, U32))
ATTRS = st.builds(
    lambda size, owner, mode, times: Attrs(size, *owner, mode, *times), st.none() | U64, OWNER, st.none() | U32, OWNER
)
NAMES = st.lists(st.builds(Entry, BYTES, BYTES, ATTRS), max_size=5).map(tuple)
FIELDS = {
    Kind.OPEN: (BYTES, U32, ATTRS), Kind.CLOSE: (BYTES,), Kind.READ: (BYTES, U64, U32), Kind.WRITE: (BYTES, U64, BYTES),
    Kind.SETSTAT: (BYTES, ATTRS), Kind.RENAME: (BYTES, BYTES), Kind.STATUS: (U32, BYTES), Kind.NAME: (NAMES,),
    Kind.ATTRS: (ATTRS,), Kind.EXTENDED_REPLY: (BYTES,), Kind.INIT: (st.dictionaries(BYTES, BYTES, max_size=4),),
}  # fmt: skip
PACKETS = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda kind: st.builds(lambda id, fields: Packet(kind, id, fields), U32, st.tuples(*FIELDS[kind]))
)


@settings(max_examples=150)
@given(PACKETS)
def test_what_is_written_is_read(packet):
    assert read(write(packet)[4:]) == packet


@settings(max_examples=100)
@given(st.lists(PACKETS, max_size=6), st.lists(st.integers(0, 400), max_size=8))
def test_split_anywhere_a_stream_is_the_same(packets, cuts):
    stream = b"".join(map(write, packets))
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    keep = {Kind.WRITE: 25, Kind.NAME: 9}
    whole, pieces = Packets(keep), Packets(keep)
    found = [item for start, end in pairwise(bounds) for item in pieces.feed(stream[start:end])]
    assert found == whole.feed(stream)
    assert len(found) == len(packets)


@settings(max_examples=300)
@given(st.sampled_from([*Kind, 0, 99, 255]), st.binary(max_size=60), st.sampled_from(["", *sftp.EXTENSIONS]))
def test_any_bytes_are_read_or_refused(kind, data, name):
    extension = len(name).to_bytes(4, "big") + name.encode() if name else b""
    with contextlib.suppress(ProtocolError):
        read(bytes([kind]) + data[:4].rjust(4, b"\0") + extension + data[4:])
    with contextlib.suppress(ProtocolError):
        Packets().feed(data)
