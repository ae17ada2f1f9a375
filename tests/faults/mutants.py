"""Subjects that were spoiled on purpose: the kill tests must catch every one of them, or they prove nothing.

A mutant spoils the program in the child that works, so that there is nothing to be mended afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from teleport.agents.recording.uploader import Uploader
from teleport.base import append, disk, tasks
from teleport.base.errors import TeleportError
from teleport.model.events.base import Event
from teleport.pki.custody import FolderShelf
from teleport.store import sqlite_schema
from teleport.store.audit.log import AuditLog
from teleport.store.recordings.files import RecordingFiles
from teleport.store.sqlite import SqliteBackend
from tests.faults.subjects import SUBJECTS
from tests.faults.trial import Work


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A subject whose program has `spoil` done to it first."""

    name: str
    of: str
    caught_by: tuple[str, ...]
    """Classes of faults that must find it, each of them."""
    spoil: Callable[[], None]

    @property
    def acknowledges(self) -> str:
        """See Subject."""
        return SUBJECTS[self.of].acknowledges

    def prepare(self, root: Path) -> None:
        """See Subject."""
        SUBJECTS[self.of].prepare(root)

    def work(self, work: Work) -> None:
        """See Subject."""
        self.spoil()
        SUBJECTS[self.of].work(work)

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """See Subject."""
        return SUBJECTS[self.of].examine(root, acknowledged)


_KEPT: list[asyncio.Task[int]] = []


def _replace(owner: Any, name: str, other: object) -> None:
    setattr(owner, name, other)


def _commits_are_not_synced() -> None:
    pragmas = (pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in sqlite_schema._PRAGMAS)
    _replace(sqlite_schema, "_PRAGMAS", tuple(pragmas))


def _commits_are_cut_in_two() -> None:
    whole = SqliteBackend.commit

    async def halves(self: SqliteBackend, *ops: Any) -> int:
        revision = await whole(self, *ops[:1])
        await whole(self, *ops[1:])
        return revision

    _replace(SqliteBackend, "commit", halves)


def _said_too_early() -> None:
    async def soon(self: AuditLog, event: Event) -> None:
        task = tasks.spawn(self._backend.commit(self.op(event)), name="soon", on_error=lambda _: None)
        await asyncio.sleep(0)
        _KEPT.append(task)

    _replace(AuditLog, "record", soon)


def _files_are_not_synced() -> None:
    _replace(disk.os, "fsync", lambda _: None)  # type: ignore[attr-defined]


def _folders_are_not_synced() -> None:
    _replace(disk, "_sync_folder", lambda _: None)


def _failed_syncs_are_passed_over() -> None:
    sync = os.fsync

    def careless(fd: int) -> None:
        try:
            sync(fd)
        except OSError:
            pass

    _replace(disk.os, "fsync", careless)  # type: ignore[attr-defined]


def _files_are_written_in_place() -> None:
    def write(self: disk.SystemDisk, path: str, data: bytes, **_: Any) -> None:
        Path(path).write_bytes(data)
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        disk._sync_folder(str(Path(path).parent))

    _replace(disk.SystemDisk, "write", write)


def _what_can_be_read_counts_as_stored() -> None:
    _replace(RecordingFiles, "_settled", RecordingFiles._look)


def _what_grows_is_not_synced() -> None:
    _replace(append._File, "sync", lambda _: None)


def _removed_before_it_is_stored() -> None:
    complete = Uploader._complete

    async def early(self: Uploader, upload: Any) -> None:
        with contextlib.suppress(TeleportError):
            await self._spool.run(self._spool.folder.remove, f"{upload.session_id}.rec")
        await complete(self, upload)

    _replace(Uploader, "_complete", early)


def _writes_count_as_whole() -> None:
    def write(path: str, data: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)

    _replace(FolderShelf, "_write", staticmethod(write))


MUTANTS: Final = {
    mutant.name: mutant
    for mutant in (
        Mutant("commits-unsynced", "store", ("power",), _commits_are_not_synced),
        Mutant("events-unsynced", "audit", ("power",), _commits_are_not_synced),
        Mutant("commits-in-two", "store", ("kill", "broken-once"), _commits_are_cut_in_two),
        Mutant("said-too-early", "audit", ("kill", "full"), _said_too_early),
        Mutant("files-unsynced", "files", ("power",), _files_are_not_synced),
        Mutant("folders-unsynced", "files", ("power",), _folders_are_not_synced),
        Mutant("syncs-passed-over", "files", ("sync-once",), _failed_syncs_are_passed_over),
        Mutant("written-in-place", "files", ("kill", "torn", "full-once"), _files_are_written_in_place),
        Mutant("readable-is-stored", "archive", ("sync-once", "sync"), _what_can_be_read_counts_as_stored),
        Mutant("tapes-unsynced", "sessions", ("power",), _what_grows_is_not_synced),
        Mutant("removed-too-early", "sessions", ("full",), _removed_before_it_is_stored),
        Mutant("journal-unsynced", "outbox", ("power",), _what_grows_is_not_synced),
        Mutant("writes-as-whole", "keys", ("short",), _writes_count_as_whole),
    )
}
