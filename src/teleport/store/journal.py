"""Journal: records that wait on the disk until somebody has taken them, in order, within a bound.

A journal is a folder of segments. A record is length, CRC-32 and bytes; one that was torn by a crash ends its segment
there. Records are appended to the newest segment and taken from the oldest, which is removed as a whole once all of
it was taken: whoever takes has to cope with seeing a record again after a crash. A segment of which a write failed is
cut back to what was durable before, and the next record begins a new one.

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
"""Bytes on the disk at most."""
SEGMENT = 1024 * 1024
_MAGIC = b"TPJRNL1\n"
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

    def empty(self) -> bool:
        """Say whether nothing waits. Raises Unavailable (DISK-IO)."""
        with self._lock:
            return not self._load()

    def size(self) -> int:
        """Return the bytes on the disk."""
        with self._lock:
            return sum(self._load().values())

    def append(self, records: Sequence[bytes]) -> str:
        """Keep `records`; they are durable when this returns the segment that has them. None of them counts when it
        raises Unavailable (STORE-JOURNAL-FULL, DISK-FULL, DISK-IO) or AccessDenied (DISK-DENIED)."""
        data = b"".join(_HEAD.pack(len(record), zlib.crc32(record)) + record for record in records)
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

    def oldest(self) -> tuple[str, list[bytes]] | None:
        """Return the oldest segment with its records; None when nothing waits. It gets no further records."""
        with self._lock:
            sizes = self._load()
            if not sizes:
                return None
            name = min(sizes)
            if name == self._active:
                self._seal()
            data = self._folder.read(name, 0, sizes[name])
            records, sound = _parse(data)
            if sound < len(data):
                log.warn("The end of a journal was torn and is left out", file=name, bytes=len(data) - sound)
            return name, records

    def drop(self, name: str) -> None:
        """Remove a segment whose records were taken."""
        with self._lock:
            if name == self._active:
                self._seal()
            self._folder.remove(name)
            self._load().pop(name, None)

    def close(self) -> None:
        """Release the file that is open."""
        with self._lock:
            self._seal()

    def _load(self) -> dict[str, int]:
        if self._sizes is None:
            names = [name for name in self._folder.names() if name.endswith(_SUFFIX)]
            self._sizes = {name: self._folder.size(name) for name in names}
        return self._sizes

    def _writable(self, sizes: dict[str, int]) -> AppendFile:
        if self._file is not None and sizes[self._active] >= self._segment:
            self._seal()
        if self._file is None:
            # Never the name of a segment that was removed just now: its taker may still speak of it.
            number = max([int(name.removesuffix(_SUFFIX), 16) for name in sizes] + [self._number()]) + 1
            name = f"{number:016x}{_SUFFIX}"
            self._file = self._folder.create(name)
            self._active, sizes[name] = name, 0
            self._file.append(_MAGIC)
            sizes[name] = len(_MAGIC)
        return self._file

    def _number(self) -> int:
        return int(self._active.removesuffix(_SUFFIX) or "0", 16)

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
            self._folder.open(self._active, sizes[self._active]).close()
            if sizes[self._active] <= len(_MAGIC):
                self._folder.remove(self._active)
                del sizes[self._active]
            return
        with suppress(TeleportError):
            sizes[self._active] = self._folder.size(self._active)


def _parse(data: bytes) -> tuple[list[bytes], int]:
    """Return the records at the beginning of a segment, and how many of its bytes are sound."""
    if not data.startswith(_MAGIC):
        return [], 0
    records: list[bytes] = []
    at = len(_MAGIC)
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(record) < length or zlib.crc32(record) != checksum:
            break
        records.append(record)
        at += _HEAD.size + length
    return records, at
