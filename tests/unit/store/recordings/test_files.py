"""Files of recordings at the Auth Service."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.append import AppendFile, MemoryFolder, SystemFolder
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AlreadyExists, BadParameter, Internal, LimitExceeded, NotFound, Unavailable
from teleport.pki import envelope
from teleport.store.recordings.files import RecordingFiles
from tests.support.recordings import facts, sealed, session_id

KEY = envelope.make_key(SeededEntropy(1))
SID, OTHER = session_id(1), session_id(2)
CHUNKS = sealed(facts(1), "0" * 32, envelope.spki(KEY), texts=[b"one", b"two" * 50])
NAME = f"{SID}.rec"


def filled(folder: MemoryFolder | SystemFolder, count: int = len(CHUNKS)) -> RecordingFiles:
    files = RecordingFiles(folder)
    for chunk in CHUNKS[:count]:
        assert files.store(SID, chunk) == chunk[-32:]
    return files


def test_chunks_are_kept_and_read_back(tmp_path: Path) -> None:
    folder = SystemFolder(str(tmp_path / "log" / "records"))
    files = filled(folder)
    assert [chunk.digest for chunk in files.read(SID, 4)] == [chunk[-32:] for chunk in CHUNKS]
    assert files.first(SID).digest == CHUNKS[0][-32:]
    assert files.chain(SID).final
    assert files.chain(SID, anew=True).count == len(CHUNKS)
    assert folder.read(NAME, 0, 1 << 20) == b"".join(CHUNKS)
    assert files.modified(SID) > 1e9
    assert files.modified(OTHER) == 0


def test_the_same_chunk_again_changes_nothing_and_another_is_refused() -> None:
    folder = MemoryFolder()
    files = filled(folder, 2)
    assert files.store(SID, CHUNKS[0]) == CHUNKS[0][-32:]
    assert folder.size(NAME) == len(CHUNKS[0]) + len(CHUNKS[1])
    changed = sealed(facts(1, user="mallory"), "0" * 32, envelope.spki(KEY))
    with pytest.raises(AlreadyExists) as caught:
        files.store(SID, changed[0])
    assert caught.value.code == "REC-DIFFERS"


def test_what_does_not_follow_is_refused() -> None:
    files = filled(MemoryFolder(), 1)
    with pytest.raises(BadParameter) as caught:
        files.store(SID, CHUNKS[2])
    assert (caught.value.code, caught.value.fields["expected"]) == ("REC-GAP", "1")
    foreign = sealed(facts(1, user="mallory"), "0" * 32, envelope.spki(KEY))
    for wrong in (foreign[1], b"", CHUNKS[1][:-1], CHUNKS[1] + b"x", b"nonsense" * 30):
        with pytest.raises(BadParameter) as caught:
            files.store(SID, wrong)
        assert caught.value.code == "WIRE-CHUNK"
    with pytest.raises(BadParameter):
        files.store(OTHER, CHUNKS[0])
    assert files.store(SID, CHUNKS[1]) == CHUNKS[1][-32:]


def test_a_recording_has_a_largest_size() -> None:
    files = RecordingFiles(MemoryFolder(), largest=len(CHUNKS[0]) + 10)
    files.store(SID, CHUNKS[0])
    with pytest.raises(LimitExceeded):
        files.store(SID, CHUNKS[1])


@given(st.integers(0, sum(map(len, CHUNKS))), st.binary(max_size=5))
def test_a_torn_tail_is_cut_off_and_what_was_whole_is_kept(cut: int, noise: bytes) -> None:
    folder = MemoryFolder()
    filled(folder)
    whole = b"".join(CHUNKS)
    file = folder.open(NAME, cut)
    file.append(noise if not whole[cut:].startswith(noise) else b"")
    files = RecordingFiles(folder)  # the process has started again
    count = files.chain(SID).count
    assert sum(map(len, CHUNKS[:count])) <= cut
    for chunk in CHUNKS:
        assert files.store(SID, chunk) == chunk[-32:]
    assert folder.read(NAME, 0, len(whole)) == whole
    assert [chunk.digest for chunk in files.read(SID, 4)] == [chunk[-32:] for chunk in CHUNKS]


def test_damage_is_told_where_it_is_read() -> None:
    folder = MemoryFolder()
    files = filled(folder)
    folder._files[NAME][len(CHUNKS[0]) + 100] ^= 1
    with pytest.raises(Internal) as caught:
        list(files.read(SID, 4))
    assert caught.value.code == "REC-MISSTORED"
    with pytest.raises(Internal):
        files.store(SID, CHUNKS[1])
    assert files.chain(SID, anew=True).count == 1
    with pytest.raises(NotFound):
        files.first(OTHER)


class Failing(MemoryFolder):
    """Loses power in the middle of a write."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.lying = False

    def open(self, name: str, size: int) -> AppendFile:
        return _Torn(super().open(name, size), self)


class _Torn:
    def __init__(self, file: AppendFile, folder: Failing) -> None:
        self._file, self._folder = file, folder

    def append(self, data: bytes) -> None:
        if self._folder.lying:
            data = bytes(len(data))
        if not self._folder.failing:
            return self._file.append(data)
        self._file.append(data[: len(data) // 2])
        raise Unavailable("DISK-FULL", path="records")

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()


def test_a_failed_write_leaves_nothing_that_counts() -> None:
    folder = Failing()
    files = filled(folder, 1)
    folder.failing = True
    with pytest.raises(Unavailable):
        files.store(SID, CHUNKS[1])
    folder.failing, folder.lying = False, True
    with pytest.raises(Internal):  # what is read back is not what was sent
        files.store(SID, CHUNKS[1])
    folder.lying = False
    for chunk in CHUNKS:
        files.store(SID, chunk)
    assert folder.read(NAME, 0, 1 << 20) == b"".join(CHUNKS)


def test_files_that_were_not_used_for_long_are_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleport.store.recordings.files._REMEMBERED", 1)
    folder = MemoryFolder()
    files = filled(folder, 2)
    for chunk in sealed(facts(2), "0" * 32, envelope.spki(KEY)):
        files.store(OTHER, chunk)
    assert files.store(SID, CHUNKS[2]) == CHUNKS[2][-32:]


def test_two_at_a_time_store_it_once() -> None:
    folder = MemoryFolder()
    files = filled(folder, 1)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(files.store(SID, CHUNKS[1]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CHUNKS[1][-32:]] * 8
    assert folder.size(NAME) == len(CHUNKS[0]) + len(CHUNKS[1])


@pytest.mark.parametrize("stored", [0, 1])
def test_a_chunk_whose_sync_failed_is_written_anew(
    stored: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read, but nothing says that it will be there after a power cut."""
    folder = SystemFolder(str(tmp_path))
    files = filled(folder, stored)
    sync = os.fsync

    def broken(handle: int) -> None:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        sync(handle)

    monkeypatch.setattr(os, "fsync", broken)
    for _ in range(2):  # also when it comes again while the disk is still broken
        with pytest.raises(Unavailable):
            files.store(SID, CHUNKS[stored])
    monkeypatch.undo()
    assert files.chain(SID).count == stored
    assert folder.read(NAME, 0, 1 << 20) == b"".join(CHUNKS[:stored]) if stored else folder.names() == []
    assert files.store(SID, CHUNKS[stored]) == CHUNKS[stored][-32:]


def test_what_an_earlier_process_left_is_synced_before_it_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SystemFolder(str(tmp_path))
    filled(folder, 1)
    settled: list[str] = []
    monkeypatch.setattr(SystemFolder, "settle", lambda self, name: settled.append(name))
    files = RecordingFiles(folder)
    assert files.store(SID, CHUNKS[0]) == CHUNKS[0][-32:]
    assert files.chain(SID).count == 1
    assert settled == [NAME]


def test_nothing_is_remembered_of_what_is_complete() -> None:
    files = filled(MemoryFolder())
    assert files.growing == 1
    files.complete(SID)
    assert files.growing == 0
    assert files.store(SID, CHUNKS[1]) == CHUNKS[1][-32:]  # a chunk that comes again finds its file all the same
    assert files.chain(SID).final
