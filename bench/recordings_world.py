"""An Auth Service whose catalogue lists recordings that have only an index, for `bench.recordings_search`."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from teleport.api.caller import Caller
from teleport.api.recording_messages import RecordingQuery, ScreenQuery
from teleport.auth.authorize import Authorizer
from teleport.auth.denials import Denials
from teleport.auth.recording_search import Known, RecordingSearch
from teleport.auth.recordings import message_of
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.model.identity import Identity
from teleport.model.recorded_session import SessionFacts, recorded
from teleport.model.resource import load
from teleport.store.audit.log import AuditLog
from teleport.store.recordings.catalogue import Catalogue, Entry
from teleport.store.recordings.index_shelf import IndexShelf
from teleport.store.resources import Resources
from teleport.store.sqlite import SqliteBackend


class _Key:
    """A key that is known."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def get(self) -> bytes:
        return self._key


class World:
    """A store on disk with its catalogue, and an auditor."""

    def __init__(self, search: RecordingSearch, caller: Caller) -> None:
        self._search, self._caller = search, caller

    @classmethod
    async def make(cls, count: int, shelf: IndexShelf, key: bytes, name: Callable[[int], str]) -> World:
        """Return a world of so many recordings."""
        clock, entropy = SystemClock(), SystemEntropy()
        backend = await SqliteBackend.open(Path(tempfile.mkdtemp(prefix="teleport-bench-")), clock)
        store = Resources(backend, clock)
        audit = AuditLog(backend, "auth-1", clock, entropy, "bench.example.com")
        rules = [{"resources": ["session"], "verbs": ["list", "read"],
                  "where": 'contains(session.participants, "alice") || user.metadata.name == "olga"'}]  # fmt: skip
        await store.create(load({"kind": "role", "version": "v7", "metadata": {"name": "auditing"},
                                 "spec": {"allow": {"rules": rules}}}))  # fmt: skip
        catalogue = Catalogue(backend)
        for number in range(count):
            facts = SessionFacts(
                session_id=name(number), start=clock.now() - dt.timedelta(minutes=number), user=f"user-{number % 50}",
                login="root", hostname=f"node-{number % 100}", server_id=name(number % 100), participants=("bob",),
            )  # fmt: skip
            session = recorded(facts, stop=facts.start + dt.timedelta(minutes=5), size=50000).spec
            await catalogue.close(Entry(session=session, server_id=facts.server_id, chunks=3, digest="00" * 32))
        authorizer = Authorizer(store, Denials(backend, audit, clock, entropy), clock, "bench.example.com")

        async def library(query: RecordingQuery):  # type: ignore[no-untyped-def]
            async for found in catalogue.newest(after=query.after, since=query.since, until=query.until):
                yield Known(message_of(found.entry), found.entry.target, found.cursor)

        search = RecordingSearch(library, shelf, _Key(key), audit, authorizer, time.monotonic)  # type: ignore[arg-type]
        identity = Identity(
            name="olga", cluster="bench.example.com", roles=("auditing",), expires=clock.now() + dt.timedelta(hours=9)
        )  # fmt: skip
        return cls(search, Caller(identity, "192.0.2.9:4000"))

    async def search(self, text: str) -> int:
        """Search as the auditor; return the hits of the first page."""
        return len((await self._search.search(self._caller, ScreenQuery(text=text))).hits)
