"""The archive: recordings that nodes send, stored, closed and opened again.

A recording is in the catalogue when it is complete: its node has said so, or the Auth Service has, because the node
is gone for good. Opening asks the signer for the data key; frames are handed on chunk by chunk, so that a recording
of any length takes the memory of one chunk.

Who may read is not decided here (`auth.recordings`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from teleport.access.system import AT_PROXY
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, AlreadyExists, BadParameter, NotFound, TeleportError
from teleport.base.log import logger
from teleport.model.events.recording import SessionUpload
from teleport.model.kinds.node import Node
from teleport.model.recorded_session import SessionFacts, decode_facts, recorded
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.recordings.catalogue import Catalogue, Entry, check_session_id
from teleport.store.recordings.files import RecordingFiles
from teleport.store.resources import Resources
from teleport.wire import recording
from teleport.wire.recording import Frame
from teleport.wire.recording_chunk import Chain, Chunk

log = logger("AUTH")

ABANDONED = dt.timedelta(minutes=30)
"""How long a recording has not grown, and its node has not been there, before the Auth Service closes it."""
LOOK_EVERY = 300.0
"""Seconds between looks for such recordings."""
NO_END = "the end of the session was not recorded"
NODE_GONE = "the server was gone before the recording was complete"


class Archive:
    """Every recording of the cluster."""

    def __init__(
        self, files: RecordingFiles, catalogue: Catalogue, resources: Resources, signer: Signer, audit: AuditLog,
        clock: Clock, entropy: Entropy,
    ) -> None:  # fmt: skip
        self.catalogue = catalogue
        self.on_complete: list[Callable[[str], None]] = []
        """Called with the session id when a recording is complete. Must not block and not raise."""
        self._files = files
        self._resources = resources
        self._signer = signer
        self._audit = audit
        self._clock = clock
        self._entropy = entropy

    # -- from nodes

    async def store(self, session_id: str, server_id: str, number: int, chunk: bytes) -> bytes:
        """Keep a chunk of a recording of `server_id`, for a proxy with AT_PROXY in front; return the digest of what is
        read back.

        Raises BadParameter (REC-SESSION, REC-GAP, WIRE-CHUNK), AccessDenied (REC-NOT-YOURS), AlreadyExists
        (REC-DIFFERS, REC-CLOSED), LimitExceeded (REC-TOO-LARGE), and what the disk raises.
        """
        check_session_id(session_id)
        await self.catalogue.claim(session_id, server_id, self._clock.now())
        closed = await self._closed(session_id)
        if closed is not None and not closed.abandoned and number >= closed.chunks:
            raise AlreadyExists("REC-CLOSED", session=session_id, chunks=closed.chunks)
        if closed is not None and number == closed.chunks:
            await self.catalogue.reopen(session_id, server_id, self._clock.now())
        return await asyncio.to_thread(self._files.store, session_id, chunk)

    async def store_whole(self, session_id: str, server_id: str, chunks: Sequence[bytes], digest: bytes) -> int:
        """Keep all chunks of a recording and close it; return its bytes. Raises as `store` and `complete`, and
        LimitExceeded (REC-TOO-LARGE)."""
        check_session_id(session_id)
        await self.catalogue.claim(session_id, server_id, self._clock.now())
        if chunks and await self._closed(session_id) is None:
            chain = await asyncio.to_thread(self._store_all, session_id, chunks)
            if (chain.count, chain.digest) == (len(chunks), digest):
                await self._close(session_id, server_id, chain, "" if chain.final else NO_END)
                return chain.size
        elif chunks:
            await self.store(session_id, server_id, 0, chunks[0])
        return await self.complete(session_id, server_id, len(chunks), digest)

    async def complete(self, session_id: str, server_id: str, chunks: int, digest: bytes) -> int:
        """Close a recording that has so many chunks; return its bytes. Closing it again changes nothing.

        Raises as `store`, and BadParameter (REC-INCOMPLETE, PKI-RECORDING, WIRE-RECORDING), NotFound (PKI-NO-KEY).
        """
        check_session_id(session_id)
        await self.catalogue.claim(session_id, server_id, self._clock.now())
        chain = await asyncio.to_thread(self._files.chain, session_id)
        if not chunks or chain.count != chunks or chain.digest != digest:
            raise BadParameter("REC-INCOMPLETE", session=session_id, stored=chain.count, said=chunks)
        closed = await self._closed(session_id)
        if closed is None or closed.digest != digest.hex() or closed.abandoned:
            await self._close(session_id, server_id, chain, "" if chain.final else NO_END)
        else:
            self._files.complete(session_id)
        return chain.size

    def _store_all(self, session_id: str, chunks: Sequence[bytes]) -> Chain:
        for chunk in chunks:
            self._files.store(session_id, chunk)
        return self._files.chain(session_id)

    async def _close(
        self, session_id: str, server_id: str, chain: Chain, problem: str, *, abandoned: bool = False
    ) -> None:  # fmt: skip
        facts = await self._facts(session_id)
        if facts.session_id != session_id or not _may_tell(server_id, facts):
            raise AccessDenied("REC-NOT-YOURS", session=session_id)
        stop = facts.start + dt.timedelta(milliseconds=min(chain.last, 10**12))
        session = recorded(facts, stop=stop, size=chain.size, problem=problem).spec
        entry = Entry(
            session=session, server_id=server_id, chunks=chain.count, digest=chain.digest.hex(), abandoned=abandoned
        )  # fmt: skip
        event = SessionUpload(
            sid=session_id, user=facts.user, login=facts.login, server_id=facts.server_id,
            server_hostname=facts.hostname, session_url=f"log/records/{session_id}.rec", size=chain.size,
            chunks=chain.count, digest=entry.digest, problem=problem,
        )  # fmt: skip
        await self.catalogue.close(entry, self._audit.op(event))
        self._files.complete(session_id)
        for tell in self.on_complete:
            tell(session_id)

    async def _closed(self, session_id: str) -> Entry | None:
        try:
            return await self.catalogue.get(session_id)
        except NotFound:
            return None

    # -- opening

    async def chunks(self, session_id: str) -> AsyncIterator[bytes]:
        """Yield the frames of a complete recording, chunk by chunk, as `wire.recording` writes them.

        Raises NotFound (STORE-NOT-FOUND, DISK-MISSING, PKI-NO-KEY), BadParameter (PKI-RECORDING), Internal
        (REC-MISSTORED) and Unavailable (PKI-SIGNER-GONE).
        """
        from teleport.pki.envelope import Opener  # an Auth Service that opens no recording does without

        entry = await self.catalogue.get(session_id)
        first = await asyncio.to_thread(self._files.first, session_id)
        opener = Opener(await self._data_key(first))
        source = self._files.read(session_id, entry.chunks)
        while True:
            frames = await asyncio.to_thread(_next, source, opener.open)
            if frames is None:
                return
            yield frames

    async def frames(self, session_id: str) -> AsyncIterator[Frame]:
        """Yield every frame of a recording. Raises as `chunks`, and BadParameter (WIRE-RECORDING)."""
        async for part in self.chunks(session_id):
            for frame in recording.decode(part):
                yield frame

    async def _facts(self, session_id: str) -> SessionFacts:
        from teleport.pki.envelope import Opener

        first = await asyncio.to_thread(self._files.first, session_id)
        frames = recording.decode(Opener(await self._data_key(first)).open(first))
        head = next(frames, None)
        if head is None or head.kind != recording.HEADER:
            raise BadParameter("WIRE-RECORDING", problem="it does not begin with the facts of its session")
        return decode_facts(head.data)

    async def _data_key(self, first: Chunk) -> bytes:
        from teleport.pki.envelope import split_key_part

        key_id, wrapped = split_key_part(first.key)
        return await self._signer.decipher(key_id, wrapped)

    # -- the completer

    async def run(self) -> None:
        """Close what no node will complete any more, now and then, until cancelled."""
        await tasks.every(LOOK_EVERY, self.close_abandoned, entropy=self._entropy, first=LOOK_EVERY)

    async def close_abandoned(self) -> None:
        """Close recordings that have not grown for long and whose node is gone."""
        before = self._clock.now() - ABANDONED
        for session_id, known in await self.catalogue.growing():
            grown = await asyncio.to_thread(self._files.modified, session_id)
            if known.since > before or grown > before.timestamp() or await self._there(known.server_id):
                continue
            try:
                chain = await asyncio.to_thread(self._files.chain, session_id)
                if chain.count:
                    await self._close(session_id, known.server_id, chain, NODE_GONE, abandoned=True)
            except TeleportError as error:
                log.warn("An abandoned recording could not be closed", session=session_id, error=error)

    async def _there(self, server_id: str) -> bool:
        try:
            await self._resources.get(Node, server_id)
        except TeleportError:
            return False
        return True


def _may_tell(keeper: str, facts: SessionFacts) -> bool:
    """Whether the recording is of a session of its keeper: on that server, or ended at that proxy."""
    host = keeper.removeprefix(AT_PROXY)
    return facts.server_id == host or (keeper != host and facts.recorded_by == host)


def _next(source: Iterator[Chunk], open_chunk: Callable[[Chunk], bytes]) -> bytes | None:
    chunk = next(source, None)
    return None if chunk is None else open_chunk(chunk)
