"""The files of indexes beside the recordings, `<session>.idx`, and the filters of those asked lately. Blocking."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress

from teleport.base.disk import Disk
from teleport.base.errors import NotFound
from teleport.store.recordings import index_file
from teleport.store.recordings.index_file import HEAD, Sealed

SUFFIX = ".idx"
FILTER_BYTES = 48 * 1024 * 1024
"""Bytes of opened filters that are kept in memory: those of a thousand recordings and more."""
_LARGEST = HEAD + 3 * index_file.LARGEST_PART


class IndexShelf:
    """Keeps indexes."""

    def __init__(self, disk: Disk, folder: str) -> None:
        self._disk = disk
        self._folder = folder
        self._table = threading.Lock()
        self._filters: OrderedDict[str, bytes | None] = OrderedDict()
        self._held = 0

    def names(self) -> set[str]:
        """Return the sessions that have an index, or a note that there can be none."""
        try:
            names = self._disk.list_dir(self._folder)
        except NotFound:
            return set()
        return {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}

    def put(self, session_id: str, data: bytes) -> None:
        """Keep an index in the place of the one before, at once and durably. Raises what `Disk.write` raises."""
        self._disk.make_dir(self._folder)
        self._disk.write(self._path(session_id), data)
        self._forget(session_id)

    def remove(self, session_id: str) -> None:
        """Forget an index: it will be made again."""
        with suppress(NotFound):
            self._disk.remove(self._path(session_id))
        self._forget(session_id)

    def filter(self, session_id: str, key: bytes) -> bytes | None:
        """Return the filter of an index; nothing for a recording that can have none.

        Raises NotFound (DISK-MISSING), BadParameter (INDEX-DAMAGED).
        """
        with self._table:
            if session_id in self._filters:
                self._filters.move_to_end(session_id)
                return self._filters[session_id]
        sealed = self.sealed(session_id)
        bits = None if sealed.problem else index_file.open_filter(sealed, key)
        self._forget(session_id)
        with self._table:
            self._filters[session_id] = bits
            self._held += len(bits or b"")
            while self._held > FILTER_BYTES:
                _, oldest = self._filters.popitem(last=False)
                self._held -= len(oldest or b"")
        return bits

    def sealed(self, session_id: str) -> Sealed:
        """Return an index with all its parts. Raises NotFound (DISK-MISSING), BadParameter (INDEX-DAMAGED)."""
        return index_file.read(session_id, self._disk.read(self._path(session_id), limit=_LARGEST, private=True))

    def _path(self, session_id: str) -> str:
        return os.path.join(self._folder, session_id + SUFFIX)

    def _forget(self, session_id: str) -> None:
        with self._table:
            self._held -= len(self._filters.pop(session_id, None) or b"")
