"""Journal: records that wait on the disk until somebody has taken them, in order, within a bound.

A journal is a folder of segments. A segment is made with zeros to its full size, so that a sync finds every block of
it in place and costs a quarter of what it costs with a file that grows; `prepare` makes the next one ahead of need. A
record is length, checksum and bytes. The checksum is the CRC-32 of length and bytes, which is not zero for an empty
record: zeros are the end. A record that was torn by a crash ends its segment, too; nothing is written to a segment
that another process began. (Segments of earlier releases grew; the checksum in them is that of the bytes alone.)

Records are appended to the newest segment and taken from the oldest, which is removed as a whole once all of it was
taken: whoever takes has to cope with seeing a record again after a crash. A segment of which a write failed is cut back
to what was durable before, and the next record begins a new one.

Methods block; use them in a thread. Several threads may use a journal at once.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress

from teleport.base.append import AppendFile, Folder
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger

log = logger("STORE")

BOUND = 64 * 1024 * 1024
"""Bytes of records at most; the zeros behind those of one or two segments come on top."""
SEGMENT = 256 * 1024
"""Bytes of a segment: small, because one is made whenever all that waits is sent."""
_MAGIC = b"TPJRNL2\n"
_GROWN = b"TPJRNL1\n"
_HEAD = struct.Struct(">II")
_SUFFIX = ".journal"


class Journal:
    """Records in `folder`, which belongs to this journal alone. Bounds are in bytes."""

    def __init__(self, folder: Folder, *, bound: int = BOUND, segment: int = SEGMENT) -> None:
        self._folder = folder
        self._bound = bound
        self._segment = segment
        self._lock = threading.Lock()
        self._sizes: dict[str, int] | None = None
        self._file: AppendFile | None = None
        self._active = ""
        self._last = 0
        self._spare: tuple[int, AppendFile] | None = None
        self._preparing = threading.Lock()

    def empty(self) -> bool:
        """Say whether nothing waits. Raises Unavailable (DISK-IO)."""
        with self._lock:
            return all(size <= len(_MAGIC) for size in self._load().values())

    def size(self) -> int:
        """Return the bytes of what waits."""
        with self._lock:
            return sum(self._load().values())

    def append(self, records: Sequence[bytes]) -> str:
        """Keep `records`; they are durable when this returns the segment that has them. None of them counts when it
        raises Unavailable (STORE-JOURNAL-FULL, DISK-FULL, DISK-IO) or AccessDenied (DISK-DENIED)."""
        data = b"".join(_HEAD.pack(len(record), _checksum(record)) + record for record in records)
        with self._lock:
            sizes = self._load()
            if sum(sizes.values()) + len(data) + len(_MAGIC) > self._bound:
                raise Unavailable("STORE-JOURNAL-FULL", limit=self._bound)
            try:
                file = self._writable(sizes)
                file.append(data)
                file.sync()
            except TeleportError:
                self._give_up(sizes)
                raise
            sizes[self._active] += len(data)
            return self._active

    def prepare(self) -> None:
        """Make the next segment, unless it is there; `append` makes it where nobody has. Raises what `append` does."""
        with self._preparing:
            with self._lock:
                if self._spare is not None:
                    return
                number = self._next_number()
            file = self._make(number)
            with self._lock:
                if number == self._last:
                    self._spare = number, file
                    return
            file.close()  # another was needed meanwhile: this one is too old to follow it
            self._folder.remove(_name(number))

    def ready(self, size: int) -> bool:
        """Say whether `size` bytes can be appended without making a segment or waiting for another thread. Does not
        block."""
        if self._sizes is None or self._lock.locked():
            return False
        fits = self._file is not None and self._sizes[self._active] + size <= self._segment
        return fits or (self._spare is not None and self._file is None)

    def oldest(self) -> tuple[str, list[bytes]] | None:
        """Return the oldest segment with its records; None when nothing waits. It gets no further records."""
        with self._lock:
            sizes = self._load()
            if not sizes:
                return None
            name = min(sizes)
            if name == self._active:
                self._seal()
            size = sizes[name]
        data = self._folder.read(name, 0, size)
        records, sound = _parse(data)
        if data.count(0, sound) < len(data) - sound:
            log.warn("The end of a journal was torn and is left out", file=name, bytes=len(data) - sound)
        return name, records

    def end(self, name: str) -> None:
        """Write no more to a segment."""
        with self._lock:
            if name == self._active:
                self._seal()

    def drop(self, name: str) -> None:
        """Remove a segment whose records were taken."""
        self.end(name)
        self._folder.remove(name)
        with self._lock:
            self._load().pop(name, None)

    def close(self) -> None:
        """Release the files that are open. Raises what removing a segment that was not needed raises."""
        with self._preparing, self._lock:
            self._seal()
            spare, self._spare = self._spare, None
        if spare is not None:
            spare[1].close()
            self._folder.remove(_name(spare[0]))

    def _load(self) -> dict[str, int]:
        if self._sizes is None:
            names = [name for name in self._folder.names() if name.endswith(_SUFFIX)]
            self._sizes = {name: self._used(name) for name in names}
            self._last = max((int(name.removesuffix(_SUFFIX), 16) for name in names), default=0)
        return self._sizes

    def _used(self, name: str) -> int:
        """Return how far a segment of an earlier run is written; what is torn in it counts, its reader says so."""
        size = self._folder.size(name)
        if any(self._folder.read(name, max(size - _HEAD.size, 0), _HEAD.size)):
            return size
        data = self._folder.read(name, 0, size)
        _, sound = _parse(data)
        return sound if data.count(0, sound) == len(data) - sound else size

    def _writable(self, sizes: dict[str, int]) -> AppendFile:
        if self._file is not None and sizes[self._active] >= self._segment:
            self._seal()
        if self._file is None:
            spare, self._spare = self._spare, None
            if spare is None:
                number = self._next_number()
                spare = number, self._make(number)
            self._active, self._file = _name(spare[0]), spare[1]
            sizes[self._active] = len(_MAGIC)
        return self._file

    def _next_number(self) -> int:
        """Never that of a segment that was removed just now: its taker may still speak of it."""
        self._load()
        self._last += 1
        return self._last

    def _make(self, number: int) -> AppendFile:
        return self._folder.reserve(_name(number), _MAGIC, max(self._segment, len(_MAGIC)))

    def _seal(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _give_up(self, sizes: dict[str, int]) -> None:
        """Cut a segment back after a failure; where even that fails, its reader finds the torn record."""
        if self._file is None:
            return
        self._seal()
        with suppress(TeleportError):
            if sizes[self._active] <= len(_MAGIC):
                del sizes[self._active]  # first: nothing waits in it, even where it cannot be removed
                self._folder.remove(self._active)
            else:
                self._folder.open(self._active, sizes[self._active]).close()
            return
        if self._active in sizes:
            with suppress(TeleportError):
                sizes[self._active] = self._folder.size(self._active)


def _name(number: int) -> str:
    return f"{number:016x}{_SUFFIX}"


def _checksum(record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(len(record).to_bytes(4)))


def _parse(data: bytes) -> tuple[list[bytes], int]:
    """Return the records at the beginning of a segment, and how many of its bytes are sound."""
    if not data.startswith((_MAGIC, _GROWN)):
        return [], 0
    expected = _checksum if data.startswith(_MAGIC) else zlib.crc32
    records: list[bytes] = []
    at = len(_MAGIC)
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(record) < length or expected(record) != checksum:
            break
        records.append(record)
        at += _HEAD.size + length
    return records, at
