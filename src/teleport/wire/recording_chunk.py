"""Chunks of a session recording: sealed pieces, chained by hash, one after the other in a file.

    head       magic `trec`, version (1 byte), flags (1), session id (16, a UUID), index (4), time of the first and of
               the last frame in milliseconds (8 each), length of the key part (2), length of the payload (4),
               digest of the chunk before (32, zeros in the first); numbers are big-endian
    key part   in the first chunk alone: how the recording is opened (`pki.envelope`)
    payload    frames (`wire.recording`), compressed where the flags say so, then sealed with head and key part
               as associated data
    digest     SHA-256 of all of the above: what the next chunk names, and what the storage answers with

Each chunk says its own length and digest, so a file that was cut anywhere, by a crash or by a full disk, is read
to its last whole chunk. Who only stores chunks needs no key to see that they are whole, contiguous and of one
session. Not here: sealing (`pki.envelope`), files (`base.append`).
"""

from __future__ import annotations

import hashlib
import struct
import uuid
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from teleport.wire.buffer import NeedMore, ProtocolError

MAGIC, VERSION = b"trec", 1
FINAL = 1
"""Flag: the recording ends here, as its session did."""
COMPRESSED = 2
"""Flag: the frames are compressed (zlib, RFC 1950)."""
LARGEST_KEY = 1024
"""Bytes of the key part at most."""
LARGEST_PLAIN = 2 * 1024 * 1024
"""Bytes of the frames of one chunk at most."""
LARGEST_PAYLOAD = LARGEST_PLAIN + 1024
"""Bytes of a payload at most."""
START = bytes(32)
"""What the first chunk names as the digest before it."""

_HEAD = struct.Struct("!4sBB16sIQQHI32s")
HEAD = _HEAD.size
"""Bytes of a head."""
DIGEST = 32
LARGEST = HEAD + LARGEST_KEY + LARGEST_PAYLOAD + DIGEST
"""Bytes of a chunk at most."""
MOST_CHUNKS = 1 << 32


class Head(NamedTuple):
    """What stands before the sealed part of a chunk."""

    session_id: str
    number: int
    """Counted from 0, without gaps."""
    first: int
    """Milliseconds since the session began, of the first frame."""
    last: int
    final: bool
    compressed: bool
    key_size: int
    payload_size: int
    previous: bytes

    @property
    def size(self) -> int:
        """Bytes of the whole chunk."""
        return HEAD + self.key_size + self.payload_size + DIGEST

    def encode(self) -> bytes:
        """Write the head. Raises ProtocolError (WIRE-CHUNK) where something is out of bounds."""
        flags = FINAL * self.final | COMPRESSED * self.compressed
        try:
            written = _HEAD.pack(
                MAGIC, VERSION, flags, uuid.UUID(self.session_id).bytes, self.number, self.first, self.last,
                self.key_size, self.payload_size, self.previous,
            )  # fmt: skip
        except (ValueError, struct.error):
            raise _bad("a head has a field out of bounds") from None
        if parse_head(written) != self:
            raise _bad("a head has a field in another form than it is written")
        return written


class Chunk(NamedTuple):
    """One whole chunk."""

    head: Head
    sealed_with: bytes
    """Head and key part as they are written: the associated data of the sealed payload."""
    payload: bytes
    digest: bytes

    @property
    def key(self) -> bytes:
        """The key part; empty but in the first chunk."""
        return self.sealed_with[HEAD:]

    @property
    def size(self) -> int:
        """Bytes of the chunk."""
        return self.head.size


def parse_head(data: bytes) -> Head:
    """Read the head at the beginning of `data`.

    Raises NeedMore when it is not all there, and ProtocolError (WIRE-CHUNK) for what is none.
    """
    if len(data) < HEAD:
        if not MAGIC.startswith(data[:4]):
            raise _bad("no chunk begins here")
        raise NeedMore(HEAD - len(data))
    magic, version, flags, session, index, first, last, key, payload, previous = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION or flags & ~(FINAL | COMPRESSED):
        raise _bad("no chunk of a known version begins here")
    if first > last or key > LARGEST_KEY or payload > LARGEST_PAYLOAD:
        raise _bad("a time or a length is out of bounds")
    if (index == 0) != (previous == START) or (index == 0) != bool(key):
        raise _bad("only the first chunk has a key and none before it")
    return Head(
        str(uuid.UUID(bytes=session)), index, first, last, bool(flags & FINAL), bool(flags & COMPRESSED), key, payload,
        previous,
    )  # fmt: skip


def parse(data: bytes) -> Chunk:
    """Read the chunk at the beginning of `data`; more may follow it.

    Raises NeedMore when it is not all there, and ProtocolError (WIRE-CHUNK) for what is none, or was damaged.
    """
    head = parse_head(data)
    if len(data) < head.size:
        raise NeedMore(head.size - len(data))
    end = head.size - DIGEST
    digest = hashlib.sha256(memoryview(data)[:end]).digest()
    if digest != data[end : head.size]:
        raise _bad(f"chunk {head.number} is damaged")
    at = HEAD + head.key_size
    return Chunk(head, data[:at], data[at:end], digest)


def build(head: Head, key: bytes, payload: bytes) -> bytes:
    """Write a chunk. Raises ProtocolError (WIRE-CHUNK) where the head does not speak of this key and payload."""
    if (head.key_size, head.payload_size) != (len(key), len(payload)):
        raise _bad("the head tells of other lengths")
    before = head.encode() + key
    digest = hashlib.sha256(before)
    digest.update(payload)
    return b"".join((before, payload, digest.digest()))


def scan(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks of one recording in `data`, up to the first that is cut, damaged or out of place."""
    chain, position = Chain(), 0
    while position < len(data):
        try:
            chunk = parse(data[position : position + LARGEST])
            chain.add(chunk.head, chunk.digest)
        except (NeedMore, ProtocolError):
            return
        yield chunk
        position += chunk.size


class Chain:
    """What may follow in a recording."""

    def __init__(self) -> None:
        self.session_id = ""
        self.count = 0
        """Chunks so far."""
        self.size = 0
        """Their bytes."""
        self.digest = START
        """Digest of the last one."""
        self.last = 0
        """Time of the last frame, in milliseconds since the session began."""
        self.final = False
        """Whether the session's own end was recorded."""

    def add(self, head: Head, digest: bytes) -> None:
        """Take the next chunk. Raises ProtocolError (WIRE-CHUNK) when it does not follow those before it."""
        if self.final:
            raise _bad("something follows the last chunk")
        if head.number != self.count or head.previous != self.digest:
            raise _bad(f"chunk {head.number} does not follow chunk {self.count - 1}")
        if self.count and head.session_id != self.session_id:
            raise _bad("chunks belong to several sessions")
        if head.first < self.last:
            raise _bad("a chunk begins before the end of the one before it")
        self.session_id, self.digest, self.last, self.final = head.session_id, digest, head.last, head.final
        self.count, self.size = self.count + 1, self.size + head.size


def unpack(plain: bytes, *, compressed: bool) -> bytes:
    """Return the frames of an opened payload. Raises ProtocolError (WIRE-CHUNK) when they are damaged or too many."""
    if not compressed:
        return plain
    inflater = zlib.decompressobj()
    try:
        frames = inflater.decompress(plain, LARGEST_PLAIN)
    except zlib.error:
        raise _bad("the frames cannot be decompressed") from None
    if not inflater.eof or inflater.unused_data:
        raise _bad("the frames cannot be decompressed, or are too many")
    return frames


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-CHUNK", problem=problem)
