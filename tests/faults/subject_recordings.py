"""Recordings at the Auth Service under faults: a chunk whose digest was answered is there, and what follows fits."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from teleport.base.append import SystemFolder
from teleport.base.errors import TeleportError
from teleport.store.recordings.files import RecordingFiles
from teleport.wire.recording_chunk import START, Head, build
from tests.faults.trial import Work

_SESSIONS, _CHUNKS, _TRIES = 3, 6, 3


class Archive:
    """Sessions are stored in turn, chunk after chunk; a chunk that was not taken is sent again, as a node does."""

    name, acknowledges = "archive", "chunks"

    def prepare(self, root: Path) -> None:
        """Nothing is there before."""

    def work(self, work: Work) -> None:
        """Store chunks, and acknowledge each by its digest."""
        files, chance = RecordingFiles(SystemFolder(str(work.root / "recordings"))), random.Random(work.seed)
        size = chance.choice((40, 5000, 60_000))
        queues = {session: recording(session, size) for session in range(_SESSIONS)}
        for number in range(_CHUNKS):
            for session, chunks in queues.items():
                for _ in range(_TRIES):
                    try:
                        kept = files.store(session_id(session), chunks[number])
                    except TeleportError:
                        continue
                    work.acknowledge(f"{session} {number} {kept.hex()}")
                    break

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Read every chunk that was promised, then store another one behind the last."""
        files, problems = RecordingFiles(SystemFolder(str(root / "recordings"))), []
        for line in dict.fromkeys(acknowledged):
            session, number, digest = line.split(" ")
            there = files.chain(session_id(int(session))).count
            found = [chunk.digest.hex() for chunk in files.read(session_id(int(session)), there)]
            if int(number) >= there or found[int(number)] != digest:
                problems.append(f"lost: chunk {number} of session {session}")
        for sid in map(session_id, range(_SESSIONS)):
            chain = files.chain(sid)
            files.store(sid, chunk_of(sid, chain.count, chain.digest, b"more"))
        return problems


def session_id(number: int) -> str:
    """Return the id of a session."""
    return f"0f1e2d3c-4b5a-4978-8695-{number:012x}"


def recording(session: int, size: int) -> list[bytes]:
    """Return the chunks of a session."""
    chunks, digest = list[bytes](), START
    for number in range(_CHUNKS):
        body = random.Random(f"{session} {number}").randbytes(size)
        chunks.append(chunk_of(session_id(session), number, digest, body))
        digest = hashlib.sha256(chunks[-1][:-32]).digest()
    return chunks


def chunk_of(session: str, number: int, previous: bytes, body: bytes) -> bytes:
    """Return a chunk; nobody but the storage reads it, so nothing in it is sealed."""
    key = b"" if number else b"key"
    head = Head(session, number, number, number, False, False, len(key), len(body), previous)
    return build(head, key, body)
