"""Files of recordings at the Auth Service: one a session, grown chunk by chunk, read back before it is promised.

Blocking: callers use threads. What a file holds is known from the file alone; when it is first touched it is read
through, and a tail that a crash has torn is cut off with the next chunk. Chunks are sealed: nothing here can read
what was recorded. Not here: whose recordings they are (`store.recordings.catalogue`, `auth.recording_archive`).
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress

from teleport.base.append import AppendFile, Folder
from teleport.base.errors import AlreadyExists, BadParameter, Internal, LimitExceeded, NotFound
from teleport.wire import recording_chunk as chunks
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.recording_chunk import Chain, Chunk

LARGEST = 7 << 30
"""Bytes of one recording at most: as much as a member of a backup may have (`process.archive`)."""
SUFFIX = ".rec"
_REMEMBERED = 1000
"""Files that grow of which it is known how far they go. Others are read through at their next chunk."""
_LOCKS = 64


class _Known:
    """What is known of a file."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.offsets = array("Q")
        self.exists = False
        self.durable = False
        """Whether this process has seen it synced: what an earlier one has left may be in memory alone."""


class RecordingFiles:
    """The folder of recordings. Methods raise what `base.append` raises beside their own errors."""

    def __init__(self, folder: Folder, *, largest: int = LARGEST) -> None:
        self._folder = folder
        self._largest = largest
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._table = threading.Lock()
        self._spoiled: dict[str, int] = {}
        """Files of which a write has failed, and how many of their bytes are good."""
        # A call whose caller has left goes on in its thread: the next one for the file waits for it.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def store(self, session_id: str, data: bytes) -> bytes:
        """Keep a chunk and return the digest of what is then read from the file.

        Raises ProtocolError (WIRE-CHUNK), BadParameter (REC-GAP), AlreadyExists (REC-DIFFERS), LimitExceeded
        (REC-TOO-LARGE), Internal (REC-MISSTORED).
        """
        chunk = _whole(session_id, data)
        number = chunk.head.number
        with self._lock(session_id):
            known = self._settled(session_id)
            if number < known.chain.count:
                kept = self._read(session_id, known.offsets[number])
                if kept.digest != chunk.digest:
                    raise AlreadyExists("REC-DIFFERS", session=session_id, number=number)
                return kept.digest
            if number > known.chain.count:
                raise BadParameter("REC-GAP", session=session_id, number=number, expected=known.chain.count)
            if known.chain.size + len(data) > self._largest:
                raise LimitExceeded("REC-TOO-LARGE", session=session_id, limit=self._largest)
            good = known.chain.size
            try:
                return self._append(session_id, known, chunk, data)
            except BaseException:
                self._spoiled[session_id] = good
                self._forget(session_id)
                raise

    def chain(self, session_id: str, *, anew: bool = False) -> Chain:
        """Return how far the recording goes, durably; `anew`: by what is on the disk now."""
        with self._lock(session_id):
            if anew:
                self._forget(session_id)
            return self._settled(session_id).chain

    @property
    def growing(self) -> int:
        """Files of which it is remembered how far they go."""
        return len(self._known)

    def complete(self, session_id: str) -> None:
        """Hear that a recording is complete: no chunk is expected, so nothing is remembered of its file. Does not
        block; should a chunk come after all, the file is looked at anew."""
        self._forget(session_id)

    def read(self, session_id: str, count: int) -> Iterator[Chunk]:
        """Yield the first `count` chunks of a recording. Raises NotFound (DISK-MISSING), Internal (REC-MISSTORED)."""
        chain = Chain()
        while chain.count < count:
            chunk = self._read(session_id, chain.size)
            chain.add(chunk.head, chunk.digest)
            yield chunk

    def first(self, session_id: str) -> Chunk:
        """Return the first chunk, which has the key part."""
        return self._read(session_id, 0)

    def modified(self, session_id: str) -> float:
        """Return when the recording last grew, in seconds since 1970; 0 for one without a file."""
        try:
            return self._folder.modified(session_id + SUFFIX)
        except NotFound:
            return 0.0

    def _append(self, session_id: str, known: _Known, chunk: Chunk, data: bytes) -> bytes:
        offset = known.chain.size
        known.chain.add(chunk.head, chunk.digest)
        file = self._open(session_id, known, offset)
        try:
            file.append(data)
            file.sync()
        finally:
            file.close()
        known.exists = known.durable = True
        known.offsets.append(offset)
        kept = self._read(session_id, offset)
        if kept.digest != chunk.digest:
            raise Internal("REC-MISSTORED", session=session_id, number=chunk.head.number)
        return kept.digest

    def _open(self, session_id: str, known: _Known, size: int) -> AppendFile:
        name = session_id + SUFFIX
        return self._folder.open(name, size) if known.exists else self._folder.create(name)

    def _read(self, session_id: str, offset: int) -> Chunk:
        name = session_id + SUFFIX
        try:
            head = chunks.parse_head(self._folder.read(name, offset, chunks.HEAD))
            return chunks.parse(self._folder.read(name, offset, head.size))
        except (NeedMore, ProtocolError):
            raise Internal("REC-MISSTORED", session=session_id, number=f"at byte {offset}") from None

    def _settled(self, session_id: str) -> _Known:
        """Return what is known of a file, all of it durable.

        Once a sync has failed, what was written since the last one looks as if it were there, and a later sync may
        succeed without it; so it is cut off, and written anew when it comes again.
        """
        name = session_id + SUFFIX
        if (good := self._spoiled.get(session_id)) is not None:
            with suppress(NotFound):
                if good:
                    self._folder.open(name, good).close()
                else:
                    self._folder.remove(name)
            del self._spoiled[session_id]
        known = self._look(session_id)
        if known.exists and not known.durable:
            self._folder.settle(name)
            known.durable = True
        return known

    def _look(self, session_id: str) -> _Known:
        with self._table:
            known = self._known.get(session_id)
            if known is not None:
                self._known.move_to_end(session_id)
                return known
        known = self._walk(session_id)
        with self._table:
            self._known[session_id] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _walk(self, session_id: str) -> _Known:
        """Read a file through, up to what is torn."""
        known = _Known()
        try:
            size = self._folder.size(session_id + SUFFIX)
        except NotFound:
            return known
        known.exists = True
        try:
            while known.chain.size < size:
                offset = known.chain.size
                chunk = self._read(session_id, offset)
                known.chain.add(chunk.head, chunk.digest)
                known.offsets.append(offset)
        except (Internal, ProtocolError):
            pass
        return known

    def _forget(self, session_id: str) -> None:
        with self._table:
            self._known.pop(session_id, None)

    def _lock(self, session_id: str) -> threading.Lock:
        return self._locks[hash(session_id) % _LOCKS]


def _whole(session_id: str, data: bytes) -> Chunk:
    """Read what shall be one chunk of this session."""
    try:
        chunk = chunks.parse(data)
    except NeedMore:
        raise ProtocolError("WIRE-CHUNK", problem="it is cut") from None
    if chunk.size != len(data) or chunk.head.session_id != session_id:
        raise ProtocolError("WIRE-CHUNK", problem="it belongs to another session, or something follows it")
    return chunk
