"""SFTP version 3: packets to values and back, and where packets begin and end in a stream.

What is here: draft-ietf-secsh-filexfer-02 and the extensions of OpenSSH (its document PROTOCOL, section 4). What is
not: files, handles, and who may do what. `agents/ssh/sftp_server.py` reads and writes the two packets that carry
contents of files by itself, in its own buffers.

A packet is a 32-bit length and a body; a body is a type, an id (of INIT and VERSION: the version) and fields.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from teleport.wire.buffer import ProtocolError, Reader, Writer

LIMIT = 256 * 1024
"""Most bytes of a body. OpenSSH takes no more either."""
PAYLOAD = LIMIT - 1024
"""Most bytes of a file in one packet, as OpenSSH's server announces it."""
VERSION = 3
NAME_BYTES = 255
"""Longest name of an extension."""
HANDLE_BYTES = 256
"""Longest handle that the draft allows (section 3)."""


class Kind(enum.IntEnum):
    """Types of packets (draft, section 3)."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Status(enum.IntEnum):
    """Codes of a STATUS packet (draft, section 7)."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


class Open(enum.IntFlag):
    """Flags of an OPEN packet (draft, section 6.3)."""

    READ = 1
    WRITE = 2
    APPEND = 4
    CREATE = 8
    TRUNCATE = 16
    EXCLUSIVE = 32


POSIX_RENAME = "posix-rename@openssh.com"
STATVFS = "statvfs@openssh.com"
FSTATVFS = "fstatvfs@openssh.com"
HARDLINK = "hardlink@openssh.com"
FSYNC = "fsync@openssh.com"
LSETSTAT = "lsetstat@openssh.com"
LIMITS = "limits@openssh.com"
EXPAND_PATH = "expand-path@openssh.com"
COPY_DATA = "copy-data"

EXTENSIONS: Mapping[str, str] = {
    POSIX_RENAME: "1", STATVFS: "2", FSTATVFS: "2", HARDLINK: "1", FSYNC: "1", LSETSTAT: "1", LIMITS: "1",
    EXPAND_PATH: "1", COPY_DATA: "1",
}  # fmt: skip
"""Extensions that are known here, with the version that a server announces."""

# The fields of each packet: s string, u 32 bits, U 64 bits, a attributes, n names with attributes, p pairs of strings
# to the end, m the texts of a status (which old servers leave out), r the rest.
_FIELDS: Mapping[int, str] = {
    Kind.INIT: "p", Kind.VERSION: "p", Kind.OPEN: "sua", Kind.CLOSE: "s", Kind.READ: "sUu", Kind.WRITE: "sUs",
    Kind.LSTAT: "s", Kind.FSTAT: "s", Kind.SETSTAT: "sa", Kind.FSETSTAT: "sa", Kind.OPENDIR: "s",
    Kind.READDIR: "s", Kind.REMOVE: "s", Kind.MKDIR: "sa", Kind.RMDIR: "s", Kind.REALPATH: "s", Kind.STAT: "s",
    Kind.RENAME: "ss", Kind.READLINK: "s", Kind.SYMLINK: "ss", Kind.STATUS: "um", Kind.HANDLE: "s", Kind.DATA: "s",
    Kind.NAME: "n", Kind.ATTRS: "a", Kind.EXTENDED_REPLY: "r",
}  # fmt: skip
_EXTENDED: Mapping[str, str] = {
    POSIX_RENAME: "ss", STATVFS: "s", FSTATVFS: "s", HARDLINK: "ss", FSYNC: "s", LSETSTAT: "sa", LIMITS: "",
    EXPAND_PATH: "s", COPY_DATA: "sUUsU",
}  # fmt: skip
_HEAD = struct.Struct("!IB")
_WRITE, _PLACE, _DATA = struct.Struct("!IBII"), struct.Struct("!QI"), struct.Struct("!BII")
_SIZE, _OWNER, _MODE, _TIMES, _MORE = 1, 2, 4, 8, 0x80000000


class Attrs(NamedTuple):
    """Attributes of a file (draft, section 5). What is None is not said. Owner and group come together, and so do
    the times, in seconds since 1970."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    """Type and permissions as in stat(2)."""
    atime: int | None = None
    mtime: int | None = None


class Entry(NamedTuple):
    """A name of a NAME packet."""

    name: bytes
    longname: bytes = b""
    """A line as of `ls -l`, for people."""
    attrs: Attrs = Attrs()


class Packet(NamedTuple):
    """A packet and its fields in the order of the draft."""

    kind: int
    id: int
    """Of INIT and VERSION: the version."""
    fields: tuple[Any, ...] = ()
    name: str = ""
    """Of EXTENDED: which extension. One that is not known here has its bytes as its only field."""


def read(body: bytes) -> Packet:
    """Read a body. Bytes after its last field are ignored: later versions put more there.

    Raises ProtocolError (WIRE-SFTP, WIRE-SHORT) for a type that is not known, a body that is too long or too short.
    """
    if len(body) > LIMIT:
        raise _bad(f"a packet has {len(body)} bytes")
    reader = Reader(body)
    kind, id = reader.u8(), reader.u32()
    if kind != Kind.EXTENDED:
        return Packet(kind, id, _read(reader, _fields(kind)))
    given = reader.vector32()
    if len(given) > NAME_BYTES or not given.isascii():
        raise _bad("no extension has such a name")
    name = given.decode()
    return Packet(kind, id, _read(reader, _EXTENDED.get(name, "r")), name)


def write(packet: Packet) -> bytes:
    """Return a packet with its length. Raises ProtocolError (WIRE-SFTP, WIRE-RANGE) for what no peer would take."""
    kind, id, fields, name = packet
    writer = Writer().u8(kind).u32(id)
    if kind == Kind.EXTENDED:
        writer.vector32(name.encode())
        shape = _EXTENDED.get(name, "r")
    else:
        shape = _fields(kind)
    for letter, value in zip(shape, fields, strict=True):
        _WRITERS[letter](writer, value)
    if len(writer) > LIMIT:
        raise _bad(f"a packet would have {len(writer)} bytes")
    return bytes(Writer().vector32(bytes(writer)))


def write_contents(id: int, handle: bytes, offset: int, data: bytes) -> bytes:
    """Return a WRITE with its length, as `write` would, with one copy of the data."""
    size = 21 + len(handle) + len(data)
    if size > LIMIT:
        raise _bad(f"a packet would have {size} bytes")
    head, tail = _WRITE.pack(size, Kind.WRITE, id, len(handle)), _PLACE.pack(offset, len(data))
    return b"".join((head, handle, tail, data))


def read_contents(body: bytes) -> Packet:
    """Read a body as `read` does; of DATA the field is a view of the body, and no copy."""
    if len(body) < _DATA.size or body[0] != Kind.DATA:
        return read(body)
    _, id, size = _DATA.unpack_from(body)
    if _DATA.size + size > len(body):
        raise _bad("a packet is cut")
    return Packet(Kind.DATA, id, (memoryview(body)[_DATA.size : _DATA.size + size],))


def _fields(kind: int) -> str:
    shape = _FIELDS.get(kind)
    if shape is None:
        raise _bad(f"packets of type {kind} do not exist")
    return shape


def _read(reader: Reader, shape: str) -> tuple[Any, ...]:
    return tuple([_READERS[letter](reader) for letter in shape])


def read_attrs(reader: Reader) -> Attrs:
    """Take attributes. Those of extensions are skipped. Raises ProtocolError (WIRE-SHORT)."""
    flags = reader.u32()
    size = reader.u64() if flags & _SIZE else None
    uid, gid = (reader.u32(), reader.u32()) if flags & _OWNER else (None, None)
    mode = reader.u32() if flags & _MODE else None
    atime, mtime = (reader.u32(), reader.u32()) if flags & _TIMES else (None, None)
    for _ in range(reader.u32() if flags & _MORE else 0):
        reader.vector32()
        reader.vector32()
    return Attrs(size, uid, gid, mode, atime, mtime)


def write_attrs(writer: Writer, attrs: Attrs) -> None:
    """Add attributes. Raises ProtocolError (WIRE-RANGE)."""
    size, uid, gid, mode, atime, mtime = attrs
    owned, timed = uid is not None and gid is not None, atime is not None and mtime is not None
    given = ((size is not None, _SIZE), (owned, _OWNER), (mode is not None, _MODE), (timed, _TIMES))
    writer.u32(sum(flag for present, flag in given if present))
    if size is not None:
        writer.u64(size)
    if uid is not None and gid is not None:
        writer.u32(uid).u32(gid)
    if mode is not None:
        writer.u32(mode)
    if atime is not None and mtime is not None:
        writer.u32(atime).u32(mtime)


def _read_names(reader: Reader) -> tuple[Entry, ...]:
    return tuple([Entry(reader.vector32(), reader.vector32(), read_attrs(reader)) for _ in range(reader.u32())])


def _write_names(writer: Writer, entries: Sequence[Entry]) -> None:
    writer.u32(len(entries))
    for name, longname, attrs in entries:
        write_attrs(writer.vector32(name).vector32(longname), attrs)


def _read_pairs(reader: Reader) -> dict[bytes, bytes]:
    pairs: dict[bytes, bytes] = {}
    while reader.remaining:
        name = reader.vector32()
        pairs[name] = reader.vector32()
    return pairs


def _write_pairs(writer: Writer, pairs: Mapping[bytes, bytes]) -> None:
    for name, value in pairs.items():
        writer.vector32(name).vector32(value)


def _read_texts(reader: Reader) -> bytes:
    text = reader.vector32() if reader.remaining else b""
    if reader.remaining:
        reader.vector32()  # the language, which is always English
    return text


def _write_texts(writer: Writer, text: bytes) -> None:
    writer.vector32(text).vector32(b"")


_READERS: Mapping[str, Callable[[Reader], Any]] = {
    "s": Reader.vector32, "u": Reader.u32, "U": Reader.u64, "a": read_attrs, "n": _read_names, "p": _read_pairs,
    "m": _read_texts, "r": Reader.rest,
}  # fmt: skip
_WRITERS: Mapping[str, Callable[[Writer, Any], object]] = {
    "s": Writer.vector32, "u": Writer.u32, "U": Writer.u64, "a": write_attrs, "n": _write_names, "p": _write_pairs,
    "m": _write_texts, "r": Writer.raw,
}  # fmt: skip


class Packets:
    """Finds packets in a stream that comes in pieces, and keeps of each no more than is wanted.

    `keep` says how many bytes of the body are wanted, by type; of types that it does not name, all. The rest of a
    packet goes by uncopied, so that contents of files cost next to nothing.
    """

    __slots__ = ("_keep", "_part", "_skip")

    def __init__(self, keep: Mapping[int, int] | None = None) -> None:
        self._keep = [LIMIT] * 256
        for kind, size in (keep or {}).items():
            self._keep[kind] = size
        self._part = bytearray()
        self._skip = 0

    @property
    def inside(self) -> bool:
        """Whether a packet has begun and not ended."""
        return self._skip > 0 or len(self._part) > 0

    def feed(self, data: bytes | bytearray | memoryview) -> list[tuple[bytes, int]]:
        """Take the next bytes; return what is wanted of each body that has come so far, and its whole length.

        Raises ProtocolError (WIRE-SFTP) for a length that no packet has; after that there is nothing to go on with.
        """
        skip, size = self._skip, len(data)
        if skip >= size:
            self._skip = skip - size
            return []
        self._skip = 0
        if not self._part:
            found, position = self._parse(data, skip, size)
            self._part += data[position:]
            return found
        self._part += data
        found, position = self._parse(self._part, 0, len(self._part))
        del self._part[:position]
        return found

    def _parse(
        self, data: bytes | bytearray | memoryview, position: int, end: int
    ) -> tuple[list[tuple[bytes, int]], int]:
        """Return what was found, and where the bytes begin that wait for more."""
        found: list[tuple[bytes, int]] = []
        with memoryview(data) as view:
            while end - position > 4:
                length, kind = _HEAD.unpack_from(view, position)
                if not 5 <= length <= LIMIT:
                    raise _bad(f"a packet has {length} bytes")
                kept = min(length, self._keep[kind])
                start = position + 4
                if end - start < kept:
                    return found, position
                found.append((bytes(view[start : start + kept]), length))
                position = start + length
        if position > end:
            self._skip = position - end
        return found, min(position, end)


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-SFTP", problem=problem)
