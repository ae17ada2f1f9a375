"""Journal: records that wait on the disk until somebody has taken them, in order, within a bound.

A journal is a folder of segments. A segment is made with zeros to its full size, so that a sync finds every block of
it in place and costs a quarter of what it costs with a file that grows; `prepare` makes the next one ahead of need. A
record is length, checksum and bytes. The checksum is the CRC-32 of length and bytes, which is not zero for an empty
record: zeros are the end. A record that was torn by a crash ends its segment, too; nothing is written to a segment
that another process began. (Segments of earlier releases grew; the checksum in them is that of the bytes alone.)

Records are appended to the newest segment and taken from the oldest, which is removed as a whole once all of it was
taken: whoever takes has to cope with seeing a record again after a crash. A segment of which a write failed is cut back
to what was durable before, and the next record begins a new one.

Several owners may share a journal, so that what they have at the same time costs one sync. The records of an owner
begin with the bytes that stand for it; each takes its own in its own time, and a segment stays as long as one of them
needs it. What an owner has taken of a segment that stays is noted behind it, for the next run.

Methods block; use them in a thread. Several threads may use a journal at once.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

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
_NOTE = b"\0"
"""Begins a record of the journal itself: how far an owner has taken what is there."""
_TAKEN = struct.Struct(">QQ")
_SUFFIX = ".journal"


class Waiting(NamedTuple):
    """What one owner finds in a segment."""

    segment: str
    end: int
    """Where the next record of the segment begins, or will."""
    records: list[bytes]


class _Segment:
    """A file, and where the records stand that somebody still has to take."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.needed: dict[bytes, tuple[int, int]] = {}
        """Owners, each with the place of its first record that was not taken, and the end of its last one."""

    def add(self, owner: bytes, at: int, end: int) -> None:
        """A record of an owner stands there."""
        self.needed[owner] = self.needed.get(owner, (at, end))[0], end

    def take(self, owner: bytes, end: int) -> None:
        """An owner needs nothing before `end` any more."""
        first, last = self.needed.get(owner, (0, 0))
        if last <= end:
            self.needed.pop(owner, None)
        else:
            self.needed[owner] = max(first, end), last


class Journal:
    """Records in `folder`, which belongs to this journal alone. Bounds are in bytes."""

    def __init__(
        self, folder: Folder, *, bound: int = BOUND, segment: int = SEGMENT, owners: Sequence[bytes] = (b"",)
    ) -> None:
        """`owners`: what the records of each begin with; by default one owner has all."""
        self._folder = folder
        self._bound = bound
        self._segment = segment
        self._owners = owners
        self._lock = threading.Lock()
        self._segments: dict[str, _Segment] | None = None
        self._file: AppendFile | None = None
        self._active = ""
        self._last = 0
        self._spare: tuple[int, AppendFile] | None = None
        self._preparing = threading.Lock()

    def empty(self, owner: bytes = b"") -> bool:
        """Say whether nothing of an owner waits. Raises Unavailable (DISK-IO)."""
        with self._lock:
            waits = (each.needed.get(owner, (0, 0)) for each in self._load().values())
            return all(first == last for first, last in waits)

    def size(self) -> int:
        """Return the bytes of what waits."""
        with self._lock:
            return self._size(self._load())

    @staticmethod
    def _size(segments: dict[str, _Segment]) -> int:
        return sum(each.size for each in segments.values())

    def append(self, records: Sequence[bytes]) -> str:
        """Keep `records`; they are durable when this returns the segment that has them. None of them counts when it
        raises Unavailable (STORE-JOURNAL-FULL, DISK-FULL, DISK-IO) or AccessDenied (DISK-DENIED)."""
        framed = [_HEAD.pack(len(record), _checksum(record)) + record for record in records]
        with self._lock:
            segments = self._load()
            if self._size(segments) + sum(map(len, framed)) + len(_MAGIC) > self._bound:
                raise Unavailable("STORE-JOURNAL-FULL", limit=self._bound)
            try:
                file = self._writable(segments)
                file.append(b"".join(framed))
                file.sync()
            except TeleportError:
                self._give_up(segments)
                raise
            segment = segments[self._active]
            for record, frame in zip(records, framed, strict=True):
                segment.add(self._owner(record), segment.size, segment.size + len(frame))
                segment.size += len(frame)
            return self._active

    def _owner(self, record: bytes) -> bytes:
        return next((owner for owner in self._owners if record.startswith(owner)), self._owners[0])

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
        if self._segments is None or self._lock.locked():
            return False
        fits = self._file is not None and self._segments[self._active].size + size <= self._segment
        return fits or (self._spare is not None and self._file is None)

    def oldest(self, owner: bytes = b"") -> Waiting | None:
        """Return what waits of an owner in the oldest segment that has something of it; None when nothing does."""
        with self._lock:
            found = [name for name, each in self._load().items() if owner in each.needed]
            if not found:
                return None
            name = min(found)
            first, last = self._load()[name].needed[owner]
        data = self._folder.read(name, 0, last)
        records = [record for at, record, _ in _walk(data) if at >= first and self._owner(record) == owner]
        return Waiting(name, last, records)

    def drop(self, taken: Waiting, owner: bytes = b"") -> None:
        """Forget what an owner has taken, and segments that nobody needs. Raises what removing a file raises."""
        self._take(taken.segment, taken.end, owner)

    def release(self, name: str, owner: bytes = b"") -> None:
        """Write no more to a segment of which an owner needs nothing any more. Raises as `drop`."""
        self.end(name)
        self._take(name, None, owner)

    def end(self, name: str) -> None:
        """Write no more to a segment."""
        with self._lock:
            if name == self._active:
                self._seal()

    def _take(self, name: str, end: int | None, owner: bytes) -> None:
        with self._lock:
            segments = self._load()
            if (segment := segments.get(name)) is not None:
                segment.take(owner, segment.size if end is None else end)
            over = self._over(segments)
            if segment is not None and name not in over:
                self._note(owner, name, segment.size if end is None else end)
        for each in sorted(over):
            try:
                self._folder.remove(each)
            except TeleportError:
                with self._lock:
                    segments.update(over)
                raise
            del over[each]

    def _over(self, segments: dict[str, _Segment]) -> dict[str, _Segment]:
        """Take out the oldest segments, as far as nobody needs them: a later one may say what of them is gone."""
        over: dict[str, _Segment] = {}
        for name in sorted(segments):
            if segments[name].needed:
                break
            if name == self._active:
                self._seal()
            over[name] = segments.pop(name)
        return over

    def _note(self, owner: bytes, name: str, end: int) -> None:
        """Write down how far an owner has come, where that is easy: without it the next run sees records again."""
        if self._file is None or len(self._owners) == 1:
            return
        record = _NOTE + _TAKEN.pack(_number(name), end) + owner
        with suppress(TeleportError):
            self._file.append(data := _HEAD.pack(len(record), _checksum(record)) + record)
            self._load()[self._active].size += len(data)

    def close(self) -> None:
        """Release the files that are open. Raises what removing a segment that was not needed raises."""
        with self._preparing, self._lock:
            self._seal()
            spare, self._spare = self._spare, None
        if spare is not None:
            spare[1].close()
            self._folder.remove(_name(spare[0]))

    def _load(self) -> dict[str, _Segment]:
        if self._segments is None:
            names = sorted(name for name in self._folder.names() if name.endswith(_SUFFIX))
            segments, taken = dict[str, _Segment](), dict[bytes, tuple[int, int]]()
            for name in names:
                segments[name] = self._found(name, taken)
            for name, segment in segments.items():
                for owner, (number, end) in taken.items():
                    if _number(name) <= number:
                        segment.take(owner, end if _number(name) == number else segment.size)
                if not segment.needed:  # the first owner has nothing to take of it, and so removes it
                    segment.add(self._owners[0], segment.size, segment.size)
            self._segments = segments
            self._last = max(map(_number, names), default=0)
        return self._segments

    def _found(self, name: str, taken: dict[bytes, tuple[int, int]]) -> _Segment:
        """Return a segment of an earlier run, and note in `taken` what it says of what was taken."""
        data = self._folder.read(name, 0, self._folder.size(name))
        sound, found = len(_MAGIC), _Segment(0)
        for at, record, end in _walk(data):
            sound = end
            if len(self._owners) > 1 and record.startswith(_NOTE):
                number, upto = _TAKEN.unpack_from(record, len(_NOTE))
                taken[record[len(_NOTE) + _TAKEN.size :]] = number, upto
            else:
                found.add(self._owner(record), at, end)
        torn = data.count(0, sound) < len(data) - sound
        if torn:
            log.warn("The end of a journal was torn and is left out", file=name, bytes=len(data) - sound)
        found.size = len(data) if torn else min(sound, len(data))
        return found

    def _writable(self, segments: dict[str, _Segment]) -> AppendFile:
        if self._file is not None and segments[self._active].size >= self._segment:
            self._seal()
        if self._file is None:
            spare, self._spare = self._spare, None
            if spare is None:
                number = self._next_number()
                spare = number, self._make(number)
            self._active, self._file = _name(spare[0]), spare[1]
            segments[self._active] = _Segment(len(_MAGIC))
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

    def _give_up(self, segments: dict[str, _Segment]) -> None:
        """Cut a segment back after a failure; where even that fails, its reader finds the torn record."""
        if self._file is None:
            return
        self._seal()
        with suppress(TeleportError):
            if not segments[self._active].needed:
                del segments[self._active]  # first: nothing waits in it, even where it cannot be removed
                self._folder.remove(self._active)
            else:
                self._folder.open(self._active, segments[self._active].size).close()
            return
        if self._active in segments:
            with suppress(TeleportError):
                segments[self._active].size = self._folder.size(self._active)


def _name(number: int) -> str:
    return f"{number:016x}{_SUFFIX}"


def _number(name: str) -> int:
    return int(name.removesuffix(_SUFFIX), 16)


def _checksum(record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(len(record).to_bytes(4)))


def _walk(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the sound records at the beginning of a segment, each with the place where it begins and ends."""
    if not data.startswith((_MAGIC, _GROWN)):
        return
    expected = _checksum if data.startswith(_MAGIC) else zlib.crc32
    at = len(_MAGIC)
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        record = data[at + _HEAD.size : end]
        if len(record) < length or expected(record) != checksum:
            return
        yield at, record, end
        at = end
