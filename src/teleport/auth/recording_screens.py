"""What the Auth Service does with the screens of recordings, put together: an index for each, and the search."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from teleport.api.recording_messages import RecordingQuery
from teleport.auth.authorize import Authorizer
from teleport.auth.recording_archive import Archive
from teleport.auth.recording_draw import Drawer
from teleport.auth.recording_index_key import IndexKey
from teleport.auth.recording_indexer import Indexer
from teleport.auth.recording_keys import RecordingKeys
from teleport.auth.recording_search import Known, RecordingSearch
from teleport.auth.recordings import message_of
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Backend
from teleport.store.recordings.index_shelf import IndexShelf


class Screens:
    """The search, and the indexer, which hears of each recording that is complete."""

    def __init__(
        self, archive: Archive, keys: RecordingKeys, shelf: IndexShelf, backend: Backend, signer: Signer,
        audit: AuditLog, authorizer: Authorizer, clock: Clock, entropy: Entropy,
    ) -> None:  # fmt: skip
        self._archive, self._keys = archive, keys
        key = IndexKey(backend, signer, entropy, self._active)
        drawer = Drawer()
        self.indexer = Indexer(
            archive.chunks, self._known, shelf, key, drawer.draw, clock, entropy, rest=drawer.rest
        )  # fmt: skip
        self.search = RecordingSearch(self._library, shelf, key, audit, authorizer, time.monotonic)
        archive.on_complete.append(self.indexer.completed)

    async def _active(self) -> tuple[str, bytes]:
        active = next(key for key in await self._keys.every() if key.active)
        return active.id, active.public_key

    async def _known(self) -> AsyncIterator[str]:
        async for found in self._archive.catalogue.newest():
            yield found.entry.session.sid

    async def _library(self, query: RecordingQuery) -> AsyncIterator[Known]:
        newest = self._archive.catalogue.newest(after=query.after, since=query.since, until=query.until)
        async for found in newest:
            yield Known(message_of(found.entry), found.entry.target, found.cursor)
